"""Checks of 3c_blocks: TODOs 14-17."""
import copy
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from helpers import oracle
from helpers.checks.compare import layer_facts, same
from helpers.checks.engine import Mistake, Unfinished, Wrong, check, mistake_made, module_class

SINGLE, DOUBLE = torch.float32, torch.float64


# What both constructors are checked with (TODO 18 too) -----------------------------------------------------------

NO_SUPER = Mistake("super().__init__() missing", "a module must call super().__init__() before it takes on its parts",
                   line="super().__init__()",
                   raises=lambda c, e: isinstance(e, AttributeError) and "__init__() call" in str(e))


def construct(t, cls, args, kwargs, mistakes, case):
    """An instance of the learner's module class, straight from its __init__."""
    module_class(cls)
    try:
        module = t.call(cls, *args, **kwargs)
    except Wrong as wrong:
        for mistake in (NO_SUPER, *mistakes):
            if wrong.error is not None and mistake.raises and mistake.raises(case, wrong.error):
                raise mistake_made(mistake, case) from None
        wrong.case = case
        raise
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            raise Wrong(f"{name} has requires_grad=False: it would never be trained.", name="frozen weights")
        if parameter.dtype != SINGLE:
            raise Wrong(f"{name} has dtype {str(parameter.dtype)[6:]}, expected float32.", name="wrong dtype")
        flat = parameter.dim() > 1 and parameter.shape[0] > 1 and bool((parameter == parameter.flatten()[0]).all())
        if flat and not any(last in name for last in ("project", "out_proj", "head")):
            raise Wrong(f"all numbers of {name} are equal: every unit would stay a copy of its neighbour. Keep the "
                        "random start that PyTorch gives.", name="weights all equal")
    return module


def not_shared(t, cls, args):
    """Two instances must not hold the same weights."""
    first, second = t.call(cls, *args), t.call(cls, *args)
    shared = {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    if shared:
        raise Wrong("two instances share their weights: the layers are made once for the class, not anew in each "
                    "__init__.", name="weights shared between instances")


def children_like(mine, like):
    """Give `mine` fresh copies of all of like's parts."""
    for name, part in like.named_children():
        for store in (mine.__dict__, mine._parameters, mine._buffers, mine._modules):
            store.pop(name, None)
        mine._modules[name] = copy.deepcopy(part)


# --- TODO 14: FeedForward.__init__ -------------------------------------------------------------------------------

EXPAND_14 = "expand = nn.Linear(C, hidden), where hidden is hidden_dim, or 4 * C when hidden_dim is not given"
PROJECT_14 = "project = nn.Linear(hidden, C)"
DROPOUT_14 = "dropout = nn.Dropout(dropout)"


def hidden_facts(hidden):
    return {"expand.out_features": hidden, "project.in_features": hidden}


MISTAKES_14 = [
    Mistake("hidden_dim ignored", "the hidden size is 4 * C even when hidden_dim says otherwise", line=EXPAND_14,
            makes=lambda c: hidden_facts(4 * c.C) if c.given else {}),
    Mistake("expand and project swapped", "expand goes from the hidden size to C and project back: the other way round",
            line=EXPAND_14, makes=lambda c: {"expand.in_features": c.hidden, "expand.out_features": c.C}),
    Mistake("expand and project swapped", "expand and project stand the wrong way round in their sizes",
            line=PROJECT_14, makes=lambda c: {"project.in_features": c.C, "project.out_features": c.hidden}),
    Mistake("hidden size", "without hidden_dim the hidden size should be 4 * C; yours is 2 * C", line=EXPAND_14,
            makes=lambda c: {} if c.given else hidden_facts(2 * c.C)),
    Mistake("hidden size", "without hidden_dim the hidden size should be 4 * C; yours is C", line=EXPAND_14,
            makes=lambda c: {} if c.given else hidden_facts(c.C)),
    Mistake("hidden size", "hidden_dim is the hidden size itself, not a factor: yours is hidden_dim * C",
            line=EXPAND_14, makes=lambda c: hidden_facts(c.hidden * c.C) if c.given else {}),
    Mistake("hidden size", "the hidden size is hidden_dim itself; yours is 4 * hidden_dim", line=EXPAND_14,
            makes=lambda c: hidden_facts(4 * c.hidden) if c.given else {}),
    Mistake("hard-coded sizes", "the sizes of your layers do not follow the arguments", line=EXPAND_14,
            makes=lambda c: hidden_facts(512)),
    Mistake("project does not come back to C", "project ends in the hidden size; it must come back to C",
            line=PROJECT_14, makes=lambda c: {"project.out_features": c.hidden}),
    Mistake("no bias", "both layers have a bias in this course; yours have bias=False", line=EXPAND_14,
            makes=lambda c: {"expand.bias": False}),
    Mistake("no bias", "both layers have a bias in this course; project has bias=False", line=PROJECT_14,
            makes=lambda c: {"project.bias": False}),
    Mistake("dropout missing", "there is no attribute dropout", line=DROPOUT_14,
            makes=lambda c: {"dropout": "missing"}),
    Mistake("dropout is a number", "dropout holds the number; it should hold a layer made from it", line=DROPOUT_14,
            makes=lambda c: {"dropout": "a float"}),
    Mistake("dropout not passed on", "nn.Dropout() without an argument drops half of everything: pass dropout on",
            line=DROPOUT_14, makes=lambda c: {"dropout.p": 0.5}),
    Mistake("dropout not passed on", "your dropout layer never drops anything: the argument is not passed on",
            line=DROPOUT_14, makes=lambda c: {"dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on", "your dropout rate is always the same, whatever the argument says",
            line=DROPOUT_14, makes=lambda c: {"dropout.p": 0.1}),
    Mistake("dropout turned round", "nn.Dropout takes the probability to drop; you give it the probability to keep",
            line=DROPOUT_14, makes=lambda c: {"dropout.p": 1 - c.p}),
    Mistake("hidden_dim=None not handled", "hidden_dim may be None, and then means 4 * C", line=EXPAND_14,
            raises=lambda c, e: isinstance(e, TypeError) and "NoneType" in str(e)),
]


def feed_forward_facts(name, module):
    dot = f"{name}." if name else ""
    return {key: value for part in ("expand", "project", "dropout")
            for key, value in layer_facts(dot + part, getattr(module, part, None)).items()}


def expected_feed_forward(name, C, hidden, p):
    dot = f"{name}." if name else ""
    return {f"{dot}{key}": value for key, value in {
        "expand": "nn.Linear", "project": "nn.Linear", "dropout": "nn.Dropout", "expand.in_features": C,
        "expand.out_features": hidden, "project.in_features": hidden, "project.out_features": C,
        "expand.bias": True, "project.bias": True, "dropout.p": p}.items()}


@check(14)
def todo_14(t, FeedForward):
    """FeedForward.__init__: kinds, sizes and biases of its parts, for each way to call it."""
    sizes = t.sizes((5, 9), (5, 9), (10, 17), (10, 17))  # hidden sizes never equal 4 * C
    p = t.rng.choice((0.15, 0.25, 0.35))
    calls = [
        (sizes[0], None, 0.0, (sizes[0],), {}),
        (sizes[0], sizes[2], p, (sizes[0], sizes[2], p), {}),
        (sizes[1], sizes[3], 0.0, (), {"embed_dim": sizes[1], "hidden_dim": sizes[3]}),
        (sizes[1], None, p, (sizes[1],), {"dropout": p}),
        (sizes[1], None, p, (sizes[1], None, p), {}),
    ]
    for C, given, p, args, kwargs in calls:
        written = ", ".join([*map(str, args), *(f"{k}={v}" for k, v in kwargs.items())])
        c = SimpleNamespace(C=C, given=given, hidden=given or 4 * C, p=p, text=f"FeedForward({written})")
        module = construct(t, FeedForward, args, kwargs, MISTAKES_14, c)
        t.facts(feed_forward_facts("", module), expected_feed_forward("", C, c.hidden, p), MISTAKES_14, c)
        if module.expand is module.project:
            raise Wrong("expand and project are the same layer.", name="one layer used twice", case=c)
    not_shared(t, FeedForward, (sizes[0],))
    return "expand, project and dropout for five ways to call FeedForward(...)"


# --- TODO 15: FeedForward.forward --------------------------------------------------------------------------------

FORMULA_15 = "dropout(project(gelu(expand(x))))"


def fed(c, act=F.gelu, before=lambda x: x, after=lambda x: x, middle=lambda h: h):
    """The feed-forward layer of case c with something done otherwise: what the mistakes are made from."""
    return after(c.layer.project(middle(act(c.layer.expand(before(c.x))))))


MISTAKES_15 = [
    Mistake("ReLU instead of GELU", "your result is that of relu; this layer uses the exact GELU", line=FORMULA_15,
            makes=lambda c: fed(c, F.relu)),
    Mistake("tanh GELU", "your result is that of the tanh approximation of GELU; the contract asks for the exact one",
            line=FORMULA_15, makes=lambda c: fed(c, lambda h: F.gelu(h, approximate="tanh"))),
    Mistake("sigmoid GELU", "your result is that of x * sigmoid(1.702 x), a rough approximation of GELU",
            line=FORMULA_15, makes=lambda c: fed(c, lambda h: h * torch.sigmoid(1.702 * h))),
    Mistake("SiLU instead of GELU", "your result is that of silu, x * sigmoid(x); this layer uses the exact GELU",
            line=FORMULA_15, makes=lambda c: fed(c, F.silu)),
    Mistake("tanh instead of GELU", "your result is that of tanh; this layer uses the exact GELU", line=FORMULA_15,
            makes=lambda c: fed(c, torch.tanh)),
    Mistake("sigmoid instead of GELU", "your result is that of sigmoid; this layer uses the exact GELU",
            line=FORMULA_15, makes=lambda c: fed(c, torch.sigmoid)),
    Mistake("ELU instead of GELU", "your result is that of elu; this layer uses the exact GELU", line=FORMULA_15,
            makes=lambda c: fed(c, F.elu)),
    Mistake("leaky ReLU instead of GELU", "your result is that of leaky_relu; this layer uses the exact GELU",
            line=FORMULA_15, makes=lambda c: fed(c, F.leaky_relu)),
    Mistake("no activation", "there is no GELU between the two linear layers, so together they are only one",
            line=FORMULA_15, makes=lambda c: fed(c, lambda h: h)),
    Mistake("GELU after project", "GELU stands after project; it belongs between the two linear layers",
            line=FORMULA_15, makes=lambda c: fed(c, lambda h: h, after=F.gelu)),
    Mistake("GELU twice", "GELU is applied a second time after project; the output has none", line=FORMULA_15,
            makes=lambda c: fed(c, after=F.gelu)),
    Mistake("GELU before expand", "GELU is applied to x before expand; it belongs after expand", line=FORMULA_15,
            makes=lambda c: fed(c, lambda h: h, before=F.gelu)),
    Mistake("GELU twice", "GELU is applied twice in a row", line=FORMULA_15, makes=lambda c: fed(c, lambda h: F.gelu(
        F.gelu(h)))),
    Mistake("residual inside", "x is added to your result; the residual connection belongs to the block (TODO 17)",
            line=FORMULA_15, makes=lambda c: c.x + fed(c)),
    Mistake("softmax inside", "a softmax is applied to your result", line=FORMULA_15,
            makes=lambda c: fed(c, after=lambda y: y.softmax(-1))),
    Mistake("project missing", "your result has the hidden size: project is not applied", line=FORMULA_15,
            makes=lambda c: F.gelu(c.layer.expand(c.x))),
    Mistake("no bias used", "the biases of expand and project are not used", line=FORMULA_15,
            makes=lambda c: F.linear(F.gelu(F.linear(c.x, c.layer.expand.weight)), c.layer.project.weight)),
    Mistake("layer norm inside", "your result is normalised; the norms belong to the block (TODO 17)", line=FORMULA_15,
            makes=lambda c: fed(c, before=lambda x: F.layer_norm(x, (c.C,)))),
]
# In training with dropout 1 everything behind the dropout becomes 0, which shows where it stands.
MISTAKES_15_ALL_DROPPED = [
    Mistake("dropout before project", "dropout stands before project; it should be the last step", line=FORMULA_15,
            makes=lambda c: c.layer.project.bias.expand_as(c.x)),
    Mistake("dropout on the input", "dropout is applied to x; it should be the last step", line=FORMULA_15,
            makes=lambda c: c.layer.project(F.gelu(c.layer.expand(torch.zeros_like(c.x))))),
    Mistake("dropout not applied", "nothing is dropped in training mode: the dropout layer is not used",
            line=FORMULA_15, makes=lambda c: fed(c)),
]


@check(15)
def todo_15(t, FeedForward):
    """FeedForward.forward: values and gradients against F.linear and F.gelu, and where and when it drops."""
    B, T, C, hidden = t.sizes((2, 4), (5, 8), (9, 12), (13, 20))

    def build(c, p):
        truth = t.fill(oracle.FeedForward(c.C, c.hidden, p).double(), 1.5)
        mine = t.build(FeedForward, (c.C, c.hidden, p), truth, todo=14)
        mine, c.layer = t.same_weights(mine, truth, c.dtype)
        return mine

    def case(B, T, C, hidden, dtype, training):
        mode = "training" if training else "evaluation"
        return SimpleNamespace(B=B, T=T, C=C, H=1, hidden=hidden, dtype=dtype, training=training, mask=None,
                               x=t.randn(B, T, C) * 1.5,
                               text=f"x of shape ({B}, {T}, {C}), hidden_dim {hidden}, {str(dtype)[6:]}, {mode} mode")

    def run(c):
        mine = build(c, 0.0).train(c.training)
        t.against(mine, c.layer, (c.x,), dtype=c.dtype, mistakes=MISTAKES_15, case=c)

    t.cases([case(B, T, C, hidden, SINGLE, True), case(B, T, C, hidden, DOUBLE, False),
             case(1, T + 1, C, hidden, SINGLE, False), case(B, 1, C + 1, 4 * C, DOUBLE, True)], run)

    c = case(3, 4, C, hidden, DOUBLE, True)
    mine = build(c, 1.0)
    t.equal("output in training with dropout 1", t.call(mine.train(), c.x), torch.zeros_like(c.x),
            MISTAKES_15_ALL_DROPPED, c)
    c = case(6, 60, C, hidden, DOUBLE, True)
    p = t.rng.choice((0.25, 0.35, 0.45))
    mine = build(c, p)
    with torch.no_grad():
        full = c.layer.eval()(c.x)
    drops(t, c, mine, full, p)
    t.elsewhere(mine.eval(), (c.x.double(),))
    return "outputs and gradients against PyTorch's own functions, with and without dropout"


def drops(t, c, mine, full, p):
    """In training each number is 0 with probability p, else full / (1 - p); in evaluation nothing happens.

    N = at least 3240 independent numbers: the share of zeros has standard deviation sqrt(p (1-p) / N) < 0.0088, so
    a band of 0.07 is 8 deviations: false alarms are rarer than 1e-14.
    """
    got = t.call(mine.eval(), c.x)
    kept = (got / full)[got != 0] if getattr(got, "shape", None) == full.shape else torch.empty(0)
    if 0 < len(kept) < full.numel() and same(kept, kept[:1].expand_as(kept)):
        raise Wrong("numbers are dropped in evaluation mode too. nn.Dropout watches self.training by itself; "
                    "F.dropout must be told.", "dropout in evaluation", FORMULA_15, case=c)
    t.equal("output in evaluation", got, full, (), c)
    got = t.call(mine.train(), c.x)
    if same(got, full):
        raise Wrong("nothing is dropped in training mode.", "dropout not applied", FORMULA_15, case=c)
    zero = got == 0
    if same(got, torch.where(zero, 0.0, full)):
        raise Wrong("what is kept in training should be divided by (1 - p), as nn.Dropout does.",
                    "dropout without scaling", FORMULA_15, case=c)
    t.equal("output in training", got, torch.where(zero, 0.0, full / (1 - p)), (), c)
    rows = zero.flatten(0, -2)
    if abs(float(zero.double().mean()) - p) > 0.07 or bool((rows == rows[0]).all()):
        raise Wrong(f"with dropout {p} a share of {float(zero.double().mean()):.3f} is dropped, or always the same "
                    "features.", "dropout at the wrong rate", FORMULA_15, case=c)


# --- TODO 16: TransformerBlock.__init__ --------------------------------------------------------------------------

NORM_16 = "norm1, norm2 = two layers nn.LayerNorm(C)"
ATTENTION_16 = "attention = MultiHeadAttention(C, H, dropout)"
FEED_16 = "feed_forward = FeedForward(C, 4 * C, dropout)"
HEADS, SEPARATE = "attention's number of heads", "norm1 and norm2"

MISTAKES_16 = [
    Mistake("one norm for both places", "norm1 and norm2 are one and the same layer: they would share their weights",
            line=NORM_16, makes=lambda c: {SEPARATE: "the same layer"}),
    Mistake("a norm is missing", "the block needs two norms: norm1 before attention, norm2 before the feed-forward",
            line=NORM_16, makes=lambda c: {"norm2": "missing"}),
    Mistake("a norm is missing", "the block needs two norms: norm1 before attention, norm2 before the feed-forward",
            line=NORM_16, makes=lambda c: {"norm1": "missing"}),
    Mistake("wrong kind of norm", "a transformer block uses nn.LayerNorm; batch norm mixes the sequences of a batch",
            line=NORM_16, makes=lambda c: {"norm1": "a BatchNorm1d"}),
    Mistake("wrong kind of norm", "the contract asks for nn.LayerNorm, not nn.RMSNorm", line=NORM_16,
            makes=lambda c: {"norm1": "a RMSNorm"}),
    Mistake("norm without weights", "the norms have no weights of their own (elementwise_affine=False)", line=NORM_16,
            makes=lambda c: {"norm1.weight": False}),
    Mistake("PyTorch's own layer", "attention is PyTorch's nn.MultiheadAttention; use your own MultiHeadAttention",
            line=ATTENTION_16, makes=lambda c: {"attention": "a MultiheadAttention"}),
    Mistake("one head only", "attention is the single head of TODO 11; the block uses MultiHeadAttention",
            line=ATTENTION_16, makes=lambda c: {"attention": "a SelfAttention"}),
    Mistake("num_heads not passed on", "attention always has one head: num_heads is not passed on",
            line=ATTENTION_16, makes=lambda c: {HEADS: 1} if c.H > 1 else {}),
    Mistake("num_heads not passed on", "attention has another number of heads than num_heads says",
            line=ATTENTION_16, makes=lambda c: {HEADS: 4} if c.H != 4 else {}),
    Mistake("num_heads is not the size of a head", "attention has C / num_heads heads: num_heads is the number itself",
            line=ATTENTION_16, makes=lambda c: {HEADS: c.C // c.H}),
    Mistake("dropout not passed on", "dropout reaches neither attention nor feed_forward", line=ATTENTION_16,
            makes=lambda c: {"attention.dropout.p": 0.0, "feed_forward.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on to attention", "attention drops nothing: pass dropout on to it too",
            line=ATTENTION_16, makes=lambda c: {"attention.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on to feed_forward", "feed_forward drops nothing: pass dropout on to it too",
            line=FEED_16, makes=lambda c: {"feed_forward.dropout.p": 0.0} if c.p else {}),
    Mistake("hidden size", "the feed-forward's hidden size should be 4 * C; yours is C", line=FEED_16,
            makes=lambda c: {"feed_forward.expand.out_features": c.C}),
    Mistake("hidden size", "the feed-forward's hidden size should be 4 * C; yours is 2 * C", line=FEED_16,
            makes=lambda c: {"feed_forward.expand.out_features": 2 * c.C}),
    Mistake("hidden size", "FeedForward's second argument is the hidden size; it gets num_heads", line=FEED_16,
            makes=lambda c: {"feed_forward.expand.out_features": c.H}),
    Mistake("dropout given as hidden_dim", "FeedForward's second argument is hidden_dim: give dropout by name",
            line=FEED_16, raises=lambda c, e: c.p > 0 and isinstance(e, (TypeError, RuntimeError))
            and ("float" in str(e) or "empty()" in str(e))),
]


def number_of_heads(t, attention, C, H):
    """Which number of heads explains what `attention` computes: H if that fits, else a divisor of C, else None."""
    probe = copy.deepcopy(attention).double().eval()
    t.fill(probe, 2.0)
    x = t.randn(1, 4, C)
    got = t.call(probe, x)
    got = got[0] if isinstance(got, (tuple, list)) else got
    for heads in (H, *(h for h in range(1, C + 1) if C % h == 0)):
        truth = oracle.MultiHeadAttention(C, heads).double()
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            truth._modules[name] = getattr(probe, name)
        if same(got, truth(x)[0].detach()):
            return heads
    return None


def block_facts(t, block, C, H):
    """All that matters of a TransformerBlock's parts, as facts."""
    facts = layer_facts("norm1", getattr(block, "norm1", None)) | layer_facts("norm2", getattr(block, "norm2", None))
    facts[SEPARATE] = "the same layer" if getattr(block, "norm1", 1) is getattr(block, "norm2", 2) else "two layers"
    attention, feed = getattr(block, "attention", None), getattr(block, "feed_forward", None)
    projections = [getattr(attention, f"{name}_proj", None) for name in ("q", "k", "v", "out")]
    if all(isinstance(p, nn.Linear) for p in projections):
        facts["attention"] = "a MultiHeadAttention"
        facts["attention's size"] = projections[0].in_features
        facts |= layer_facts("attention.dropout", getattr(attention, "dropout", None))
        facts[HEADS] = number_of_heads(t, attention, C, H)
    else:
        facts |= layer_facts("attention", attention)
    inner = feed_forward_facts("feed_forward", feed)
    facts["feed_forward"] = "a FeedForward"
    if inner["feed_forward.expand"] == "missing":
        facts |= layer_facts("feed_forward", feed)
    return facts | inner


def expected_block(C, H, p):
    norms = {f"{name}{key}": value for name in ("norm1", "norm2")
             for key, value in (("", "nn.LayerNorm"), (".normalized_shape", (C,)), (".weight", True))}
    return norms | {SEPARATE: "two layers", "attention": "a MultiHeadAttention", "attention's size": C, HEADS: H,
                    "attention.dropout": "nn.Dropout", "feed_forward": "a FeedForward"} | {
        "attention.dropout.p": p} | expected_feed_forward("feed_forward", C, 4 * C, p)


def fits_block(t, block, C, H, p, mistakes=(), case=None):
    t.facts(block_facts(t, block, C, H), expected_block(C, H, p), mistakes, case)


PIECES_BLOCK = {name: getattr(oracle, name) for name in ("MultiHeadAttention", "FeedForward")}


@check(16, pieces=PIECES_BLOCK)
def todo_16(t, TransformerBlock):
    """TransformerBlock.__init__: kinds, sizes, heads and dropout rates of its parts."""
    p, q = t.rng.sample((0.15, 0.25, 0.35), 2)
    H, D = t.rng.choice(((2, 3), (3, 2), (2, 5), (5, 2), (3, 5)))
    calls = [(H, D, 0.0, lambda C, H, p: ((C, H), {})), (H, D, p, lambda C, H, p: ((C, H, p), {})),
             (D, H, q, lambda C, H, p: ((), {"embed_dim": C, "num_heads": H, "dropout": p}))]
    for heads, size, p, written in calls:
        C = heads * size
        args, kwargs = written(C, heads, p)
        c = SimpleNamespace(C=C, H=heads, p=p, text=f"TransformerBlock({C}, {heads}, dropout={p})")
        block = construct(t, TransformerBlock, args, kwargs, MISTAKES_16, c)
        fits_block(t, block, C, heads, p, MISTAKES_16, c)
    not_shared(t, TransformerBlock, (H * D, H))
    return "norms, attention and feed-forward with their sizes, heads and dropout"


# --- TODO 17: TransformerBlock.forward ---------------------------------------------------------------------------

FIRST_17, SECOND_17 = "x = x + attention(norm1(x), mask)", "x = x + feed_forward(norm2(x))"


def two_steps(c, first, second):
    """x -> first(x) -> second(that, x)."""
    y = first(c.x)
    return second(y, c.x)


def pre(c, x, mask="own"):
    """The right first step."""
    return x + c.a(c.n1(x), mask)


MISTAKES_17 = [
    Mistake("post-norm", "the norms come after the additions; in a pre-norm block each comes before its layer",
            line=FIRST_17, makes=lambda c: two_steps(c, lambda x: c.n1(x + c.a(x)), lambda y, x: c.n2(y + c.f(y)))),
    Mistake("no residual around attention", "the attention's output replaces x; it should be added to x", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: c.a(c.n1(x)), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("no residual around the feed-forward", "the feed-forward's output replaces x; it should be added to x",
            line=SECOND_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: c.f(c.n2(y)))),
    Mistake("no residual", "nothing is added to x: both residual connections are missing", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: c.a(c.n1(x)), lambda y, x: c.f(c.n2(y)))),
    Mistake("norm1 used twice", "norm1 stands before the feed-forward too; norm2 belongs there", line=SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n1(y)))),
    Mistake("norm2 used twice", "norm2 stands before attention too; norm1 belongs there", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(c.n2(x)), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("norms swapped", "norm2 stands before attention and norm1 before the feed-forward", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(c.n2(x)), lambda y, x: y + c.f(c.n1(y)))),
    Mistake("residual from the normalised x", "the outputs are added to the normalised x; keep x itself on the "
            "residual path", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: c.n1(x) + c.a(c.n1(x)), lambda y, x: c.n2(y) + c.f(c.n2(y)))),
    Mistake("residual from the normalised x", "attention's output is added to norm1(x), not to x itself",
            line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: c.n1(x) + c.a(c.n1(x)), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("residual from the normalised x", "the feed-forward's output is added to norm2(x), not to x itself",
            line=SECOND_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: c.n2(y) + c.f(c.n2(y)))),
    Mistake("mask not passed on", "the mask does not reach attention", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x, None), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("mask upside down", "attention gets the mask turned round: what should be seen is hidden", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x, c.mask == 0), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("mask transposed", "attention gets the mask transposed", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x, c.mask.T), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("own causal mask", "the block uses a causal mask of its own; it should use the one it is given",
            line=FIRST_17, makes=lambda c: two_steps(c, lambda x: pre(c, x, torch.ones(c.T, c.T).tril()),
                                                     lambda y, x: y + c.f(c.n2(y)))),
    Mistake("sublayers swapped", "the feed-forward comes before attention; attention comes first", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.f(c.n2(x)), lambda y, x: y + c.a(c.n1(y)))),
    Mistake("sublayers swapped", "the feed-forward comes before attention; attention comes first", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.f(c.n1(x)), lambda y, x: y + c.a(c.n2(y)))),
    Mistake("both layers read the same x", "the feed-forward reads the block's input, not what attention has made of "
            "it", line=SECOND_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n2(x)))),
    Mistake("residual from the block's input", "the second addition starts from the block's input; it should start "
            "from the result of the first", line=SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: x + c.f(c.n2(y)))),
    Mistake("residual counted twice", "the block's input is added once more at the end", line=SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: x + y + c.f(c.n2(y)))),
    Mistake("norms not used", "neither norm is applied", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(x), lambda y, x: y + c.f(y))),
    Mistake("norm1 not used", "attention reads x itself; it should read norm1(x)", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(x), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("norm2 not used", "the feed-forward reads x itself; it should read norm2(x)", line=SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(y))),
    Mistake("feed-forward missing", "the second half, the feed-forward, is missing", line=SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y)),
    Mistake("attention missing", "the first half, attention, is missing", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x, lambda y, x: y + c.f(c.n2(y)))),
    Mistake("norm after the layer", "each norm is applied to its layer's output before it is added; it belongs before "
            "the layer", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.n1(c.a(x)), lambda y, x: y + c.n2(c.f(y)))),
    Mistake("one more norm at the end", "the result is normalised once more; the final norm belongs to the model",
            line=SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: c.n2(y + c.f(c.n2(y))))),
    Mistake("input returned", "the block returns its input unchanged", line=SECOND_17, makes=lambda c: c.x),
    Mistake("attention's pair not taken apart", "attention returns a pair, (output, weights): only the output is added "
            "to x", line=FIRST_17, raises=lambda c, e: isinstance(e, (TypeError, AttributeError))
            and "tuple" in str(e)),
]
MISTAKES_17_ALL_DROPPED = [
    Mistake("dropout not used", "in training mode the parts' dropout has no effect in your block", line=FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n2(y)))),
]


@check(17, pieces=PIECES_BLOCK, forbids=(nn.TransformerEncoderLayer, "transformer_encoder_layer"))
def todo_17(t, TransformerBlock):
    """TransformerBlock.forward: values and gradients against nn.TransformerEncoderLayer(norm_first=True)."""
    H, D = t.rng.choice(((2, 5), (5, 2), (3, 4), (4, 3)))
    B, T = t.sizes((2, 3), (5, 8))

    module_class(TransformerBlock)
    try:
        fits_block(t, t.call(TransformerBlock, H * D, H, 0.4), H * D, H, 0.4)
        right = True
    except (Wrong, Unfinished):
        right = False
        t.repaired.add(16)

    def make(C, H, p):
        truth = t.fill(oracle.TransformerBlock(C, H, p).double(), 1.5)
        mine = t.build(TransformerBlock, (C, H, p), truth, todo=16)
        if not right:
            children_like(mine, truth)
        return mine, truth

    def build(c, p):
        mine, c.block = t.same_weights(*t.once((c.C, c.H, p), lambda: make(c.C, c.H, p)), c.dtype)
        calm = copy.deepcopy(c.block).eval() if p else c.block  # without dropout, whatever p is
        c.n1, c.n2, c.f = calm.norm1, calm.norm2, calm.feed_forward
        c.a = lambda x, mask="own": calm.attention(x, c.mask if isinstance(mask, str) else mask)[0]
        return mine

    def case(B, T, C, H, mask, dtype, training):
        kind = "no mask" if mask is None else f"a {str(mask.dtype)[6:]} mask"
        mode = "training" if training else "evaluation"
        return SimpleNamespace(B=B, T=T, C=C, H=H, mask=mask, dtype=dtype, training=training, x=t.randn(B, T, C) * 2,
                               text=f"x of shape ({B}, {T}, {C}), {H} heads, {str(dtype)[6:]}, {kind}, {mode} mode")

    def run(c):
        mine = build(c, 0.0).train(c.training)
        t.against(mine, c.block, (c.x, c.mask), dtype=c.dtype, mistakes=MISTAKES_17, case=c)

    def some_mask(T):
        return (torch.rand(T, T, generator=t.gen) < 0.5) | torch.eye(T, dtype=torch.bool)

    C = H * D
    t.cases([case(B, T, C, H, some_mask(T), SINGLE, True), case(B, T, C, H, None, DOUBLE, False),
             case(1, T + 1, C, D, some_mask(T + 1).double(), DOUBLE, True),
             case(B + 1, 1, C, H, None, SINGLE, False),
             case(B, T, C, H, torch.ones(T, T).tril().bool(), DOUBLE, False)], run)

    c = case(B, T, C, H, some_mask(T), DOUBLE, False)
    mine = build(c, 0.4)
    with torch.no_grad():
        expected = two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n2(y)))
    t.equal("output in evaluation", t.call(mine.eval(), c.x, mask=c.mask), expected, MISTAKES_17, c)
    mine = build(c, 1.0)  # everything that the parts add is dropped: x comes through as it is
    t.equal("output in training with dropout 1", t.call(mine.train(), c.x, mask=c.mask), c.x,
            MISTAKES_17_ALL_DROPPED, c)
    t.elsewhere(mine.eval(), (c.x, c.mask))
    return "outputs and gradients against nn.TransformerEncoderLayer, with and without a mask"
