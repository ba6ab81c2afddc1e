"""Checks of 3c_blocks, second part: TODOs 16 and 17, the transformer block."""
import copy
import random
from types import SimpleNamespace

import torch
from torch import nn

from helpers import oracle
from helpers.checks.compare import layer_facts, same
from helpers.checks.construction import call_text, children_like, construct, not_shared, own_parts, own_weights
from helpers.checks.engine import DOUBLE, SINGLE, Mistake, Unfinished, Wrong, check, module_class
from helpers.checks.feed_forward import (
    PATTERNS_BLOCKS,
    conditions,
    expected_feed_forward,
    feed_forward_facts,
    judge,
)

# --- TODO 16: TransformerBlock.__init__ --------------------------------------------------------------------------

NORM_16 = {"line": "norm1 and norm2: two layer norms of C features", "hint": 2}
HEADS, SEPARATE = "attention's number of heads", "norm1 and norm2"

MISTAKES_16 = [
    Mistake("one norm for both places", "norm1 and norm2 are one and the same layer: they would share their weights",
            **NORM_16, makes=lambda c: {SEPARATE: "the same layer"}),
    *[mistake for norm in ("norm1", "norm2") for mistake in (
        Mistake("wrong kind of norm", f"{norm} is a batch norm, which mixes the texts of a batch; a transformer block "
                "uses layer norm", **NORM_16, makes=lambda c, norm=norm: {norm: "a BatchNorm1d"}),
        Mistake("wrong kind of norm", f"{norm} is an RMSNorm; this block uses layer norm", **NORM_16,
                makes=lambda c, norm=norm: {norm: "a RMSNorm"}),
        Mistake("norm without weights", f"{norm} has no weights of its own (elementwise_affine=False)", **NORM_16,
                makes=lambda c, norm=norm: {f"{norm}.weight": False}),
        Mistake("norm without bias", f"{norm} has no bias; in this course a layer norm has one", **NORM_16,
                makes=lambda c, norm=norm: {f"{norm}.bias": False}))],
    Mistake("PyTorch's own layer", "your attention is PyTorch's own; use your MultiHeadAttention",
            makes=lambda c: {"attention's class": "MultiheadAttention"}),
    Mistake("one head only", "your attention is the single head of TODO 11; the block uses MultiHeadAttention",
            makes=lambda c: {"attention's class": "SelfAttention"}),
    Mistake("num_heads not passed on", "your attention has one head, though num_heads is larger",
            makes=lambda c: {HEADS: 1} if c.H > 1 else {}),
    Mistake("num_heads is not the size of a head", "your attention has C / num_heads heads: num_heads is the number "
            "itself", makes=lambda c: {HEADS: c.C // c.H}),
    Mistake("num_heads not passed on", "your attention has 4 heads, though num_heads says otherwise",
            makes=lambda c: {HEADS: 4} if c.H != 4 else {}),
    Mistake("dropout not passed on", "the dropout rate reaches neither attention nor feed_forward",
            makes=lambda c: {"attention.dropout.p": 0.0, "feed_forward.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on to attention", "your attention drops nothing: hand dropout on to it too",
            makes=lambda c: {"attention.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on to feed_forward", "feed_forward drops nothing: hand dropout on to it too",
            makes=lambda c: {"feed_forward.dropout.p": 0.0} if c.p else {}),
    Mistake("hidden size", "the feed-forward's hidden size should be 4 * C; yours is C",
            makes=lambda c: {"feed_forward.expand.out_features": c.C}),
    Mistake("hidden size", "the feed-forward's hidden size should be 4 * C; yours is 2 * C",
            makes=lambda c: {"feed_forward.expand.out_features": 2 * c.C}),
    Mistake("hidden size", "FeedForward's second argument is the hidden size; it gets num_heads",
            makes=lambda c: {"feed_forward.expand.out_features": c.H}),
    Mistake("dropout given as hidden_dim", "FeedForward's second argument is hidden_dim: give dropout by name",
            raises=lambda c, e: c.p > 0 and isinstance(e, (TypeError, RuntimeError))
            and ("float" in str(e) or "empty()" in str(e))),
]
PROJECTIONS = [f"attention.{name}_proj" for name in ("q", "k", "v", "out")]


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
    classes = [kind.__name__ for kind in type(attention).__mro__]  # one derived from MultiHeadAttention is one
    facts["attention's class"] = "missing" if attention is None else \
        "MultiHeadAttention" if "MultiHeadAttention" in classes else classes[0]
    projections = {}
    for name in PROJECTIONS:
        projections |= layer_facts(name, getattr(attention, name.partition(".")[2], None))
    facts |= projections | layer_facts("attention.dropout", getattr(attention, "dropout", None))
    if projections == expected_projections(C):  # else it may not even run
        facts[HEADS] = number_of_heads(t, attention, C, H)
    inner = feed_forward_facts("feed_forward", feed)
    facts["feed_forward"] = "a FeedForward"
    if inner["feed_forward.expand"] == "missing":
        facts |= layer_facts("feed_forward", feed)
    return facts | inner


def expected_projections(C):
    return {f"{name}{key}": value for name in PROJECTIONS
            for key, value in (("", "nn.Linear"), (".in_features", C), (".out_features", C), (".bias", True))}


def expected_block(C, H, p):
    norms = {f"{name}{key}": value for name in ("norm1", "norm2") for key, value in (
        ("", "nn.LayerNorm"), (".normalized_shape", (C,)), (".weight", True), (".bias", True), (".eps", 1e-5))}
    return norms | {SEPARATE: "two layers", "attention's class": "MultiHeadAttention"} | expected_projections(C) | {
        HEADS: H, "attention.dropout": "nn.Dropout", "attention.dropout.p": p, "feed_forward": "a FeedForward",
    } | expected_feed_forward("feed_forward", C, 4 * C, p)


def fits_block(t, block, C, H, p, mistakes=(), case=None):
    """Raise Wrong unless the block is what the contract asks for."""
    own_parts(block, ("norm1", "norm2", "attention", "feed_forward"), case)
    t.facts(block_facts(t, block, C, H), expected_block(C, H, p), mistakes, case)
    own_weights(block, ["norm1", "norm2", *PROJECTIONS, "feed_forward.expand", "feed_forward.project"], case)


PIECES_BLOCK = {name: getattr(oracle, name) for name in ("MultiHeadAttention", "FeedForward")}


@check(16, pieces=PIECES_BLOCK)
def todo_16(t, TransformerBlock):
    """TransformerBlock.__init__: kinds, sizes, heads and dropout rates of its parts."""
    p, q = t.rng.choice((0.15, 0.25, 0.35)), t.rng.choice((0.6, 0.7, 0.8))
    H, D = t.rng.choice(((6, 5), (8, 3), (10, 3), (6, 7)))     # no 1, 2 or 4: those are often hard-coded
    few, odd = t.rng.choice(((3, 5), (3, 7), (5, 3), (7, 3)))  # an odd embed_dim
    calls = [  # embed_dim, num_heads, dropout; the arguments
        (H * D, H, 0.0, (H * D, H), {}),
        (few * odd, few, p, (few * odd, few, p), {}),
        (few * odd, odd, q, (), {"embed_dim": few * odd, "num_heads": odd, "dropout": q}),
        (D, 1, 0.0, (D, 1), {}),
    ]
    for C, heads, rate, args, kwargs in calls:
        c = SimpleNamespace(C=C, H=heads, p=rate, text=call_text("TransformerBlock", args, kwargs))
        fits_block(t, construct(t, TransformerBlock, args, kwargs, MISTAKES_16, c), C, heads, rate, MISTAKES_16, c)
    not_shared(t, TransformerBlock, (few * odd, few))
    t.refuses(TransformerBlock, H * D + 1, H, because=f"embed_dim={H * D + 1}, num_heads={H} (not divisible)")
    return "norms, attention and feed-forward with their sizes, heads and dropout"


# --- TODO 17: TransformerBlock.forward ---------------------------------------------------------------------------

FIRST_17 = {"line": "x <- x + attention(norm1(x)), where attention gets the mask", "hint": 2}
SECOND_17 = {"line": "x <- x + feed-forward(norm2(x))", "hint": 2}
ADD_17 = {"line": "x <- x + layer(norm(x)): x itself is what the layer's output is added to", "hint": 1}


def two_steps(c, first, second):
    """x -> first(x) -> second(that, x)."""
    y = first(c.x)
    return second(y, c.x)


def pre(c, x, mask="own"):
    """The right first step."""
    return x + c.a(c.n1(x), mask)


MISTAKES_17 = [
    Mistake("post-norm", "the norms come after the additions; in a pre-norm block each comes before its layer",
            **ADD_17, makes=lambda c: two_steps(c, lambda x: c.n1(x + c.a(x)), lambda y, x: c.n2(y + c.f(y)))),
    Mistake("no residual around attention", "the attention's output replaces x; it should be added to x", **ADD_17,
            makes=lambda c: two_steps(c, lambda x: c.a(c.n1(x)), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("no residual around the feed-forward", "the feed-forward's output replaces x; it should be added to x",
            **ADD_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: c.f(c.n2(y)))),
    Mistake("no residual", "nothing is added to x: both residual connections are missing", **ADD_17,
            makes=lambda c: two_steps(c, lambda x: c.a(c.n1(x)), lambda y, x: c.f(c.n2(y)))),
    Mistake("norm1 used twice", "norm1 stands before the feed-forward too; norm2 belongs there", **SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n1(y)))),
    Mistake("norm2 used twice", "norm2 stands before attention too; norm1 belongs there", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(c.n2(x)), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("norms swapped", "norm2 stands before attention and norm1 before the feed-forward", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(c.n2(x)), lambda y, x: y + c.f(c.n1(y)))),
    Mistake("residual from the normalised x", "the outputs are added to the normalised x; keep x itself on the "
            "residual path", **ADD_17,
            makes=lambda c: two_steps(c, lambda x: c.n1(x) + c.a(c.n1(x)), lambda y, x: c.n2(y) + c.f(c.n2(y)))),
    Mistake("residual from the normalised x", "attention's output is added to norm1(x), not to x itself",
            **ADD_17, makes=lambda c: two_steps(c, lambda x: c.n1(x) + c.a(c.n1(x)), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("residual from the normalised x", "the feed-forward's output is added to norm2(x), not to x itself",
            **ADD_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: c.n2(y) + c.f(c.n2(y)))),
    Mistake("mask not passed on", "the mask does not reach attention, at least in the case below (see its dtype and "
            "the mode)", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x, None), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("mask upside down", "the mask reaches attention turned round: what should be seen is hidden", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x, c.mask == 0), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("mask transposed", "the mask reaches attention transposed", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x, c.mask.T), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("own causal mask", "the block uses a causal mask of its own; it should use the one it is given, or none",
            **FIRST_17, makes=lambda c: two_steps(c, lambda x: pre(c, x, torch.ones(c.T, c.T).tril()),
                                                  lambda y, x: y + c.f(c.n2(y)))),
    Mistake("sublayers swapped", "the feed-forward comes before attention; attention comes first", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.f(c.n2(x)), lambda y, x: y + c.a(c.n1(y)))),
    Mistake("sublayers swapped", "the feed-forward comes before attention; attention comes first", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.f(c.n1(x)), lambda y, x: y + c.a(c.n2(y)))),
    Mistake("both layers read the same x", "the feed-forward reads the block's input, not what attention has made of "
            "it", **SECOND_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n2(x)))),
    Mistake("residual from the block's input", "the second addition starts from the block's input; it should start "
            "from the result of the first", **SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: x + c.f(c.n2(y)))),
    Mistake("residual counted twice", "the block's input is added once more at the end", **ADD_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: x + y + c.f(c.n2(y)))),
    Mistake("norms not used", "neither norm is applied", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(x), lambda y, x: y + c.f(y))),
    Mistake("norm1 not used", "the attention reads x itself; it should read norm1(x)", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x + c.a(x), lambda y, x: y + c.f(c.n2(y)))),
    Mistake("norm2 not used", "the feed-forward reads x itself; it should read norm2(x)", **SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(y))),
    Mistake("feed-forward missing", "the second half, the feed-forward, is missing", **SECOND_17,
            makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: y)),
    Mistake("attention missing", "the first half, attention, is missing", **FIRST_17,
            makes=lambda c: two_steps(c, lambda x: x, lambda y, x: y + c.f(c.n2(y)))),
    Mistake("norm after the layer", "each norm is applied to its layer's output before it is added; it belongs before "
            "the layer", **ADD_17,
            makes=lambda c: two_steps(c, lambda x: x + c.n1(c.a(x)), lambda y, x: y + c.n2(c.f(y)))),
    Mistake("one more norm at the end", "the result is normalised once more; the final norm belongs to the model",
            **ADD_17, makes=lambda c: two_steps(c, lambda x: pre(c, x), lambda y, x: c.n2(y + c.f(c.n2(y))))),
    Mistake("input returned", "the block returns its input unchanged", **SECOND_17, makes=lambda c: c.x),
    Mistake("attention's pair not taken apart", "what attention returns is a pair, (output, weights): only the output "
            "is added to x", **ADD_17, raises=lambda c, e: isinstance(e, (TypeError, AttributeError))
            and "tuple" in str(e)),
]


def dropped(c, first, second):
    """The result in training where attention's output goes through `first` dropouts and the feed-forward's through
    `second`: c.x where c.got, the learner's result, is, else with what is added divided by 1 - p for each of them."""
    added = c.attended / (1 - c.p) ** first + c.thought / (1 - c.p) ** second
    return torch.where(c.got == c.x, c.x, c.x + added)


ONE_MORE = "attention and feed_forward drop already; the block drops nothing of its own"
MISTAKES_17_DROPPED = [
    Mistake("dropout not used", "in training mode the parts' dropout has no effect in your block",
            makes=lambda c: dropped(c, 0, 0)),
    Mistake("dropout not used", "in training mode attention's dropout has no effect in your block",
            makes=lambda c: dropped(c, 0, 1)),
    Mistake("dropout not used", "in training mode the feed-forward's dropout has no effect in your block",
            makes=lambda c: dropped(c, 1, 0)),
    Mistake("one more dropout", f"both outputs go through one more dropout: {ONE_MORE}",
            makes=lambda c: dropped(c, 2, 2)),
    Mistake("one more dropout", f"attention's output goes through one more dropout: {ONE_MORE}",
            makes=lambda c: dropped(c, 2, 1)),
    Mistake("one more dropout", f"the feed-forward's output goes through one more dropout: {ONE_MORE}",
            makes=lambda c: dropped(c, 1, 2)),
]


def some_mask(t, T):
    """bool (T, T): random, with open and closed places on the diagonal. Each position sees the next one and not the
    one before, so that no row is all open or all closed, and turned over or upside down it is another mask."""
    rows = torch.arange(T)
    mask = torch.rand(T, T, generator=t.gen) < 0.5
    mask[rows, rows] = rows % 2 == 0
    mask[rows, (rows + 1) % T] = True
    mask[rows, rows - 1] = False
    return mask


@check(17, pieces=PIECES_BLOCK, forbids=(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer,
                                          "transformer_encoder_layer"))
def todo_17(t, TransformerBlock):
    """TransformerBlock.forward: values and gradients against nn.TransformerEncoderLayer(norm_first=True)."""
    H, D = t.rng.choice(((2, 5), (5, 2), (3, 4), (4, 3)))
    C, p = H * D, 0.6
    B, T = t.sizes((2, 3), (5, 8))

    module_class(TransformerBlock)
    try:
        fits_block(t, t.call(TransformerBlock, C, H, p), C, H, p)
        right = True
    except (Wrong, Unfinished):
        right = False
        t.repaired.add(16)

    def make(C, H, p):
        truth = t.fill(oracle.TransformerBlock(C, H, p).double(), 1.5).eval()
        mine = t.build(TransformerBlock, (C, H, p), truth, todo=16)
        if not right:
            children_like(mine, truth)
        return mine, truth

    def build(c, p):
        mine, c.block = t.same_weights(*t.once((c.C, c.H, p), lambda: make(c.C, c.H, p)), c.dtype)
        c.n1, c.n2, c.f = c.block.norm1, c.block.norm2, c.block.feed_forward
        c.a = lambda x, mask="own": c.block.attention(x, c.mask if isinstance(mask, str) else mask)[0]
        return mine

    def case(B, T, H, mask, dtype, training, grad=True):
        c = SimpleNamespace(B=B, T=T, C=C, H=H, mask=mask, dtype=dtype, training=training, grad=grad,
                            x=t.randn(B, T, C) * 2)
        c.x[0, 0] /= 20  # where x hardly varies, the norm's eps counts
        given = "no mask" if mask is None else f"a mask of {str(mask.dtype)[6:]}"
        c.text = f"x of shape ({B}, {T}, {C}), {H} heads, {given}, {conditions(c)}"
        return c

    def run(c):
        mine = build(c, 0.0)
        judge(t, c, mine, c.block, (c.x,) if c.mask is None else (c.x, c.mask), MISTAKES_17)

    causal = torch.ones(70, 70).tril().bool()
    t.cases([case(B, T, H, some_mask(t, T), DOUBLE, True), case(B, T, H, some_mask(t, T).long(), SINGLE, True),
             case(B, T, H, None, DOUBLE, False), case(1, T + 1, D, some_mask(t, T + 1).double(), DOUBLE, True),
             case(B, T, H, some_mask(t, T), DOUBLE, False, grad=False),
             case(B, T, H, causal[:T, :T].to(torch.uint8), DOUBLE, False),
             case(T, T, H, None, DOUBLE, False, grad=False),
             case(B + 1, 1, H, None, SINGLE, False, grad=False), case(1, 70, H, causal, SINGLE, False, grad=False)],
            run, PATTERNS_BLOCKS)

    c = case(B, T, H, some_mask(t, T), DOUBLE, True)
    rarely_random(t, c, build(c, 0.0))
    c = case(16, T, H, some_mask(t, T), DOUBLE, True)
    c.p = p
    c.text += f", dropout {p}"
    mine = build(c, p)
    drops_17(t, c, mine)
    t.elsewhere(mine.eval(), (c.x, c.mask))
    return "outputs and gradients against nn.TransformerEncoderLayer, with and without a mask"


def rarely_random(t, c, mine):
    """Without dropout nothing is random. An answer that draws random numbers all the same is called 70 times: what it
    does in one call of five or more often shows except with a probability of 0.8^70 < 1e-6."""
    before = torch.get_rng_state(), random.getstate()
    first = t.call(mine.train(), c.x, c.mask)
    if torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]:
        return
    again = t.call(lambda: [mine(c.x, c.mask) for _ in range(70)])
    if not all(same(one, first) for one in again):
        raise Wrong("two calls with the same input give different results, though no dropout is asked for.",
                    name="random results", case=c)


def drops_17(t, c, mine):
    """In training with dropout p: what each part adds is 0 with probability p, else divided by 1 - p.

    Attention's last layer is made 0 for the second half of the features and the feed-forward's for the first: then
    each half of the result shows one dropout alone, and what the feed-forward was given can be read off.
    N = at least 16 * 5 * 10 = 800 numbers: the share of zeros has standard deviation sqrt(p (1-p) / N) < 0.018, so a
    band of 0.15 is 8 deviations: false alarms are rarer than 1e-14. The 16 texts come in 8 calls: a block that with
    probability p does nothing at all escapes with probability 0.4^8 < 0.001.
    """
    half = c.C // 2
    with torch.no_grad():
        for block in (mine, c.block):
            for last, silent in ((block.attention.out_proj, slice(half, None)),
                                 (block.feed_forward.project, slice(half))):
                last.weight[silent], last.bias[silent] = 0, 0
        c.attended = c.a(c.n1(c.x))
        expected = two_steps(c, lambda x: pre(c, x), lambda y, x: y + c.f(c.n2(y)))
    t.equal("output", t.call(mine.eval(), c.x, mask=c.mask), expected, MISTAKES_17, c)
    mine.train()
    c.got = t.call(lambda: torch.cat([mine(x, c.mask) for x in c.x.split(2)]))
    with torch.no_grad():
        c.thought = c.f(c.n2(torch.where(torch.arange(c.C) < half, c.got, c.x)))
    if bool((c.got == 0).any()):
        raise Wrong("numbers of the result are 0: x itself is dropped. Only what attention and feed_forward add may "
                    "be, and they do that themselves.", name="x is dropped too", case=c)
    t.equal("output", c.got, dropped(c, 1, 1), MISTAKES_17_DROPPED, c)
    nothing = c.got == c.x
    if bool(nothing.view(8, -1).all(1).any()):
        raise Wrong("in some calls nothing at all is added to x; each number should be dropped by a chance of its own.",
                    name="the same numbers dropped everywhere", case=c)
    share = float(nothing.double().mean())
    if abs(share - c.p) > 0.15:
        raise Wrong(f"with dropout {c.p} a share of {share:.3f} of what is added is dropped.",
                    name="dropout at the wrong rate", case=c)
