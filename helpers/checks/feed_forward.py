"""Checks of 3c_blocks, first part: TODOs 14 and 15, the feed-forward layer."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from helpers import oracle
from helpers.checks.compare import PATTERNS, layer_facts
from helpers.checks.construction import call_text, construct, not_shared, own_parts, own_weights
from helpers.checks.engine import DOUBLE, SINGLE, Mistake, Wrong, check

# --- TODO 14: FeedForward.__init__ -------------------------------------------------------------------------------

EXPAND_14 = {"line": "expand: a linear layer from C to the hidden size (hidden_dim; 4 C where that is None)", "hint": 2}
PROJECT_14 = {"line": "project: a linear layer from the hidden size back to C", "hint": 2}
DROPOUT_14 = {"line": "dropout: a dropout layer with the rate that is given", "hint": 2}


def hidden_facts(hidden):
    return {"self.expand.out_features": hidden, "self.project.in_features": hidden}


MISTAKES_14 = [
    Mistake("hidden_dim ignored", "hidden_dim is given, but the hidden size is 4 * C", **EXPAND_14,
            makes=lambda c: hidden_facts(4 * c.C) if c.given else {}),
    Mistake("expand and project swapped", "your expand goes from the hidden size to C and project back: the other way "
            "round", **EXPAND_14,
            makes=lambda c: {"self.expand.in_features": c.hidden, "self.expand.out_features": c.C}),
    Mistake("expand and project swapped", "your expand and project stand the wrong way round in their sizes",
            **PROJECT_14, makes=lambda c: {"self.project.in_features": c.C, "self.project.out_features": c.hidden}),
    Mistake("hidden size", "without hidden_dim the hidden size should be 4 * C; yours is 2 * C", **EXPAND_14,
            makes=lambda c: {} if c.given else hidden_facts(2 * c.C)),
    Mistake("hidden size", "without hidden_dim the hidden size should be 4 * C; yours is C", **EXPAND_14,
            makes=lambda c: {} if c.given else hidden_facts(c.C)),
    Mistake("hidden size", "hidden_dim is the hidden size itself, not a factor: yours is hidden_dim * C",
            **EXPAND_14, makes=lambda c: hidden_facts(c.hidden * c.C) if c.given else {}),
    Mistake("hidden size", "the hidden size is hidden_dim itself; yours is 4 * hidden_dim", **EXPAND_14,
            makes=lambda c: hidden_facts(4 * c.hidden) if c.given else {}),
    Mistake("hard-coded sizes", "the sizes of your layers do not follow the arguments", **EXPAND_14,
            makes=lambda c: hidden_facts(512)),
    Mistake("project does not come back to C", "your project ends in the hidden size; it must come back to C",
            **PROJECT_14, makes=lambda c: {"self.project.out_features": c.hidden}),
    Mistake("no bias", "both layers have a bias in this course; your expand has none", **EXPAND_14,
            makes=lambda c: {"self.expand.bias": False}),
    Mistake("no bias", "both layers have a bias in this course; your project has none", **PROJECT_14,
            makes=lambda c: {"self.project.bias": False}),
    Mistake("dropout is a number", "your dropout holds the number; it should hold a layer made from it", **DROPOUT_14,
            makes=lambda c: {"self.dropout": "a float"}),
    Mistake("dropout not passed on", "your dropout layer drops half of everything (PyTorch's own default), though "
            "the argument says otherwise", **DROPOUT_14, makes=lambda c: {"self.dropout.p": 0.5} if c.p else {}),
    Mistake("dropout not passed on", "your dropout layer never drops anything: the rate is not handed on to it",
            **DROPOUT_14, makes=lambda c: {"self.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on", "your dropout layer has the rate 0.1, though the argument says otherwise",
            **DROPOUT_14, makes=lambda c: {"self.dropout.p": 0.1} if c.p else {}),
    Mistake("dropout turned round", "the rate of a dropout layer is the probability to drop; yours is the one to keep",
            **DROPOUT_14, makes=lambda c: {"self.dropout.p": 1 - c.p}),
    *[Mistake("default dropout", f"where no dropout is given its rate should be 0.0; yours is {p}",
              makes=lambda c, p=p: {} if c.p else {"self.dropout.p": p}) for p in (0.1, 0.2, 0.5)],
    Mistake("hidden_dim=None not handled", "hidden_dim may be None, and then means 4 * C", **EXPAND_14,
            raises=lambda c, e: isinstance(e, TypeError) and "NoneType" in str(e)),
]


def feed_forward_facts(name, module):
    return {key: value for part in ("expand", "project", "dropout")
            for key, value in layer_facts(f"{name}.{part}", getattr(module, part, None)).items()}


def expected_feed_forward(name, C, hidden, p):
    return {f"{name}.{key}": value for key, value in {
        "expand": "nn.Linear", "project": "nn.Linear", "dropout": "nn.Dropout", "expand.in_features": C,
        "expand.out_features": hidden, "project.in_features": hidden, "project.out_features": C,
        "expand.bias": True, "project.bias": True, "dropout.p": p}.items()}


@check(14)
def todo_14(t, FeedForward):
    """FeedForward.__init__: kinds, sizes and biases of its parts, for each way to call it."""
    C, D = t.rng.sample(range(6, 11), 2)
    wide, narrow = 4 * C + t.rng.randint(1, 9), t.rng.randint(3, D - 1)  # 4 * narrow is never D, so sizes tell apart
    p, q = t.rng.choice((0.15, 0.25, 0.35)), t.rng.choice((0.6, 0.7, 0.8))
    calls = [  # C, hidden_dim, dropout; the arguments
        (C, wide, p, (C, wide, p), {}),
        (C, None, 0.0, (C,), {}),
        (D, narrow, 0.0, (), {"embed_dim": D, "hidden_dim": narrow}),
        (D, None, q, (D,), {"dropout": q}),
        (D, None, p, (D, None, p), {}),
        (C, C, q, (C, C, q), {}),
        (C, 1, 0.0, (C, 1), {}),
    ]
    for C, given, p, args, kwargs in calls:
        c = SimpleNamespace(C=C, given=given, hidden=given or 4 * C, p=p, text=call_text("FeedForward", args, kwargs))
        module = construct(t, FeedForward, args, kwargs, MISTAKES_14, c)
        own_parts(module, ("expand", "project", "dropout"), c)
        t.facts(feed_forward_facts("self", module), expected_feed_forward("self", C, c.hidden, p), MISTAKES_14, c)
        own_weights(module, ("expand", "project"), c)
    not_shared(t, FeedForward, (C,))
    return f"expand, project and dropout for {len(calls)} ways to call FeedForward(...)"


# --- TODO 15: FeedForward.forward --------------------------------------------------------------------------------

FORMULA_15 = {"line": "dropout(GELU(x W1^T + b1) W2^T + b2); W1, b1 are expand's, W2, b2 project's", "hint": 2}
LAST_15 = {"line": "the dropout is the last step, after project", "hint": 1}


def fed(c, act=F.gelu, before=lambda x: x, after=lambda x: x, middle=lambda h: h):
    """The feed-forward layer of case c with something done otherwise: what the mistakes are made from."""
    return after(c.layer.project(middle(act(c.layer.expand(before(c.x))))))


MISTAKES_15 = [
    Mistake("ReLU instead of GELU", "your result is that of relu; this layer uses the exact GELU", **FORMULA_15,
            makes=lambda c: fed(c, F.relu)),
    Mistake("tanh GELU", "your result is that of the tanh approximation of GELU; the contract asks for the exact one",
            **FORMULA_15, makes=lambda c: fed(c, lambda h: F.gelu(h, approximate="tanh"))),
    Mistake("sigmoid GELU", "your result is that of x * sigmoid(1.702 x), a rough approximation of GELU",
            **FORMULA_15, makes=lambda c: fed(c, lambda h: h * torch.sigmoid(1.702 * h))),
    Mistake("SiLU instead of GELU", "your result is that of silu, x * sigmoid(x); this layer uses the exact GELU",
            **FORMULA_15, makes=lambda c: fed(c, F.silu)),
    Mistake("tanh instead of GELU", "your result is that of tanh; this layer uses the exact GELU", **FORMULA_15,
            makes=lambda c: fed(c, torch.tanh)),
    Mistake("sigmoid instead of GELU", "your result is that of sigmoid; this layer uses the exact GELU",
            **FORMULA_15, makes=lambda c: fed(c, torch.sigmoid)),
    Mistake("ELU instead of GELU", "your result is that of elu; this layer uses the exact GELU", **FORMULA_15,
            makes=lambda c: fed(c, F.elu)),
    Mistake("leaky ReLU instead of GELU", "your result is that of leaky_relu; this layer uses the exact GELU",
            **FORMULA_15, makes=lambda c: fed(c, F.leaky_relu)),
    Mistake("no activation", "there is no GELU between the two linear layers, so together they are only one",
            **FORMULA_15, makes=lambda c: fed(c, lambda h: h)),
    Mistake("GELU after project", "GELU stands after project; it belongs between the two linear layers",
            **FORMULA_15, makes=lambda c: fed(c, lambda h: h, after=F.gelu)),
    Mistake("GELU twice", "GELU is applied a second time after project; the output has none", **FORMULA_15,
            makes=lambda c: fed(c, after=F.gelu)),
    Mistake("GELU before expand", "GELU is applied to x before expand; it belongs after expand", **FORMULA_15,
            makes=lambda c: fed(c, lambda h: h, before=F.gelu)),
    Mistake("GELU twice", "GELU is applied twice in a row", **FORMULA_15, makes=lambda c: fed(c, lambda h: F.gelu(
        F.gelu(h)))),
    Mistake("residual inside", "x is added to your result; the residual connection belongs to the block (TODO 17)",
            **FORMULA_15, makes=lambda c: c.x + fed(c)),
    Mistake("softmax inside", "a softmax is applied to your result", **FORMULA_15,
            makes=lambda c: fed(c, after=lambda y: y.softmax(-1))),
    Mistake("project missing", "your result has the hidden size: project is not applied", **FORMULA_15,
            makes=lambda c: F.gelu(c.layer.expand(c.x))),
    Mistake("no bias used", "the biases of expand and project are not used", **FORMULA_15,
            makes=lambda c: F.linear(F.gelu(F.linear(c.x, c.layer.expand.weight)), c.layer.project.weight)),
    Mistake("layer norm inside", "your result is normalised; the norms belong to the block (TODO 17)", **FORMULA_15,
            makes=lambda c: fed(c, before=lambda x: F.layer_norm(x, (c.C,)))),
]
# In training with dropout 1 everything behind the dropout becomes 0, which shows where it stands.
MISTAKES_15_ALL_DROPPED = [
    Mistake("dropout before the end", "with a dropout of 1 the bias of project is left: the dropout should work on all "
            "that project gives, its bias too", **LAST_15, makes=lambda c: c.layer.project.bias.expand_as(c.x)),
    Mistake("dropout on the input", "x itself goes through the dropout", **LAST_15,
            makes=lambda c: c.layer.project(F.gelu(c.layer.expand(torch.zeros_like(c.x))))),
    Mistake("dropout not applied", "nothing is dropped in training mode: the dropout layer is not used", **LAST_15,
            makes=lambda c: fed(c)),
]


def thinned(c, scale):
    """The right result times `scale`, but 0 where the learner's is 0."""
    return torch.where(c.got == 0, 0.0, c.full * scale)


# With a dropout between 0 and 1: c.got is the learner's result, c.full what it is without dropout.
MISTAKES_15_DROPPED = [
    Mistake("dropout not applied", "nothing is dropped in training mode: the dropout layer is not used", **LAST_15,
            makes=lambda c: c.full),
    Mistake("dropout without scaling", "what is kept in training should be divided by 1 - p, as PyTorch's dropout does",
            makes=lambda c: thinned(c, 1)),
    Mistake("dropout twice", "in training the result goes through two dropouts; one is meant", **LAST_15,
            makes=lambda c: thinned(c, 1 / (1 - c.p) ** 2)),
]
MISTAKES_15_EVALUATION = [
    Mistake("dropout in evaluation", "numbers are dropped in evaluation mode too. A dropout layer watches the mode by "
            "itself; PyTorch's function F.dropout must be told", makes=lambda c: thinned(c, 1 / (1 - c.p))),
    Mistake("rescaled in evaluation", "in evaluation your result is multiplied by 1 - p; PyTorch's dropout divides by "
            "it in training instead", makes=lambda c: c.full * (1 - c.p)),
]

# An answer that computes in float32 is right in float32 and off by its rounding, 1e-7, in float64. One that is off by
# more in float64 is only nearly right, also where float32 does not show it.
PATTERNS_BLOCKS = PATTERNS | {
    "in float32": lambda c: c.dtype == SINGLE or c.off > 5e-7,
    "in training mode": lambda c: c.training, "in evaluation mode": lambda c: not c.training,
    "for bool masks": lambda c: c.mask is None or c.mask.dtype == torch.bool,
    "for masks of numbers": lambda c: c.mask is None or c.mask.dtype != torch.bool}


def judge(t, c, mine, truth, inputs, mistakes):
    """One case: results and gradients, or results only in a case that runs without gradients."""
    mine.train(c.training)
    run = mine if c.grad else torch.no_grad()(lambda *args: mine(*args))
    try:
        t.against(run, truth, inputs, dtype=c.dtype, mistakes=mistakes, case=c, gradients=c.grad)
    except Wrong as wrong:
        c.off = how_far_off(wrong)
        raise


def how_far_off(wrong):
    """The largest difference as a share of the largest right number; 0 where it was not the numbers."""
    _, right, mine = wrong.picture or (None, None, None)
    if not isinstance(mine, torch.Tensor) or mine.shape != right.shape:
        return 0.0
    return float((mine - right).detach().abs().max() / right.detach().abs().max().clamp(min=1e-30))


def conditions(c):
    """What a case's text says of its dtype and mode."""
    return f"{str(c.dtype)[6:]}, {'training' if c.training else 'evaluation'} mode{'' if c.grad else ', no gradients'}"


@check(15)
def todo_15(t, FeedForward):
    """FeedForward.forward: values and gradients against F.linear and F.gelu, and where and when it drops."""
    B, T, C, hidden = t.sizes((2, 4), (5, 8), (9, 12), (13, 20))

    def make(C, hidden, p):
        truth = t.fill(oracle.FeedForward(C, hidden, p).double(), 1.5)
        return t.build(FeedForward, (C, hidden, p), truth, todo=14), truth

    def build(c, p):
        mine, c.layer = t.same_weights(*t.once((c.C, c.hidden, p), lambda: make(c.C, c.hidden, p)), c.dtype)
        return mine

    def case(B, T, C, hidden, dtype, training, grad=True):
        c = SimpleNamespace(B=B, T=T, C=C, H=1, hidden=hidden, dtype=dtype, training=training, grad=grad, mask=None,
                            x=t.randn(B, T, C) * 1.5)
        c.text = f"x of shape ({B}, {T}, {C}), hidden_dim {hidden}, {conditions(c)}"
        return c

    def run(c):
        mine = build(c, 0.0)
        judge(t, c, mine, c.layer, (c.x,), MISTAKES_15)

    # Only one case in float32, where an approximation of GELU could not be told from another.
    t.cases([case(B, T, C, hidden, DOUBLE, True), case(B, T, C, hidden, SINGLE, True),
             case(B, T, C, hidden, DOUBLE, False), case(1, T + 1, C, hidden, DOUBLE, False),
             case(B, 1, C + 1, 4 * C, DOUBLE, True), case(B, T, C, hidden, DOUBLE, False, grad=False)],
            run, PATTERNS_BLOCKS)

    c = case(3, 4, C, hidden, DOUBLE, True)
    mine = build(c, 1.0)
    c.text += ", dropout 1"
    t.equal("output in training", t.call(mine.train(), c.x), torch.zeros_like(c.x), MISTAKES_15_ALL_DROPPED, c)
    c = case(6, 60, C, hidden, DOUBLE, True)
    c.p = t.rng.choice((0.25, 0.35, 0.45))
    c.text += f", dropout {c.p}"
    mine = build(c, c.p)
    drops_15(t, c, mine)
    t.elsewhere(mine.eval(), (c.x.double(),))
    return "outputs and gradients against PyTorch's own functions, with and without dropout"


def drops_15(t, c, mine):
    """In training each number is 0 with probability p, else divided by 1 - p; in evaluation nothing happens.

    N = at least 3240 independent numbers: the share of zeros has standard deviation sqrt(p (1-p) / N) < 0.0088, so
    a band of 0.07 is 8 deviations: false alarms are rarer than 1e-14. That all 540 or more lines along a dimension
    (of at least 6 numbers each) are of one kind has a probability below (p^6 + (1-p)^6)^540 < 1e-300.
    """
    with torch.no_grad():
        c.full = c.layer.eval()(c.x)
    c.got = t.call(mine.eval(), c.x)
    t.equal("output in evaluation", c.got, c.full, MISTAKES_15_EVALUATION, c)
    c.got = t.call(mine.train(), c.x)
    t.equal("output in training", c.got, thinned(c, 1 / (1 - c.p)), MISTAKES_15_DROPPED, c)
    zero = c.got == 0
    for d, of in enumerate(("texts", "positions", "features")):
        if bool((zero == zero.narrow(d, 0, 1)).all()):
            raise Wrong(f"all {of} lose the same numbers: each number should be dropped by a chance of its own.",
                        "the same numbers dropped everywhere", case=c)
    share = float(zero.double().mean())
    if abs(share - c.p) > 0.07:
        raise Wrong(f"with dropout {c.p} a share of {share:.3f} is dropped.", "dropout at the wrong rate", case=c)
