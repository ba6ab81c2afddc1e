"""Checks of 3b_attention: TODOs 10-13."""
from types import SimpleNamespace

import torch

from helpers import oracle
from helpers.checks.compare import difference
from helpers.checks.engine import Mistake, Wrong, check

SINGLE, DOUBLE = torch.float32, torch.float64
FORBIDDEN = ("scaled_dot_product", "multi_head_attention", "transformer_encoder_layer")


def random_mask(t, T):
    """bool (T, T) in which every row and every column has a True and a False, unequal to its transpose: turned over
    or upside down it still is a mask, but another one."""
    while True:
        mask = torch.rand(T, T, generator=t.gen) < 0.6
        lines = torch.cat([mask, mask.T])
        if lines.any(1).all() and not lines.all(1).any() and not torch.equal(mask, mask.T):
            return mask


def attention_cases(t, B, T, C, H=1):
    """Cases with all kinds of masks, in two dtypes, with a batch of 1 and with T == C. x is float64, (B, T, C)."""
    def case(B, T, mask, dtype, C=C):
        kind = "no mask" if mask is None else f"a mask of {str(mask.dtype)[6:]}"
        heads = f", {H} heads" if H > 1 else ""
        return SimpleNamespace(B=B, T=T, C=C, H=H, D=C // H, mask=mask, dtype=dtype, x=t.randn(B, T, C) * 1.5,
                               text=f"x of shape ({B}, {T}, {C}){heads}, {str(dtype)[6:]}, {kind}")

    mask = random_mask(t, T)
    causal = torch.ones(T, T).tril()
    return [case(B, T, None, SINGLE), case(B, T, mask, SINGLE), case(B, T, causal.bool(), SINGLE),
            case(B, T, mask.long(), SINGLE), case(B, T, mask.float(), SINGLE), case(1, T, None, SINGLE),
            case(1, T, mask, SINGLE), case(B, 1, None, SINGLE), case(B, T, None, SINGLE, C + H),
            case(B, C, random_mask(t, C), SINGLE), case(B, T, None, DOUBLE), case(B, T, mask, DOUBLE),
            case(B, T, causal, DOUBLE)]


def hidden_is_zero(weights, c):
    """Where the mask is 0 the weight is exactly 0, not only nearly."""
    if c.mask is not None:
        left = (weights.detach() * (c.mask == 0)).abs().max()
        if left != 0:
            raise Wrong(f"hidden positions should have a weight of exactly 0, but one of yours is {float(left):.3g}",
                        name="hidden weights not exactly 0", line=MASK, case=c)


def attend(c, *, q="q", k="k", v="v", mask="mask", scale=None):
    """(output, weights) of case c with something done otherwise: what the mistakes below are made from."""
    q, k, v, mask = (getattr(c, a) if isinstance(a, str) else a for a in (q, k, v, mask))
    return oracle.attention(q, k, v, mask, scale)


def weighted(weigh):
    """A mistake whose weights are weigh(c) and whose output is made with those."""
    def makes(c):
        weights = weigh(c)
        return weights @ c.v, weights
    return makes


def filled(c, value):
    """Scores of c with `value` at hidden positions."""
    return c.scores.masked_fill(c.mask == 0, value)


SCORES = "scores = q @ k^T / sqrt(width of q)"
SOFTMAX = "weights = softmax(scores) over the keys, the last dimension"
MASK = "where mask is 0 the score becomes -infinity, before the softmax"
OUTPUT = "output = weights @ v"

# Mistakes of one head; with several heads each case's q, k, v and scores are those of all heads, (B, H, T, D).
ATTENTION_MISTAKES = [
    Mistake("no scale", "your weights equal softmax(q @ k^T): the scores are not divided by the square root",
            line=SCORES, makes=lambda c: attend(c, scale=1.0)),
    Mistake("scale without the root", "your scores are divided by the width itself, not by its square root",
            line=SCORES, makes=lambda c: attend(c, scale=1 / c.D)),
    Mistake("scale multiplied", "your scores are multiplied by the square root instead of divided by it", line=SCORES,
            makes=lambda c: attend(c, scale=c.D**0.5)),
    Mistake("scale from T", "your scores are divided by sqrt(T), the number of positions", line=SCORES,
            makes=lambda c: attend(c, scale=c.T**-0.5)),
    Mistake("scale from T without the root", "your scores are divided by T, the number of positions", line=SCORES,
            makes=lambda c: attend(c, scale=1 / c.T)),
    Mistake("scale from B", "your scores are divided by sqrt(B), the size of the batch", line=SCORES,
            makes=lambda c: attend(c, scale=c.B**-0.5)),
    Mistake("scale with the whole C", "your scores are divided by sqrt(C), but each head is only D = C / H wide",
            line=SCORES, makes=lambda c: attend(c, scale=c.C**-0.5)),
    Mistake("scale from H", "your scores are divided by sqrt(H), the number of heads", line=SCORES,
            makes=lambda c: attend(c, scale=c.H**-0.5)),
    Mistake("scale after softmax", "you divide by the square root after the softmax: the weights of a position should "
            "add up to 1", line=SCORES, makes=lambda c: tuple(a / c.D**0.5 for a in attend(c, scale=1.0))),
    Mistake("query and key swapped", "your weights equal softmax(k @ q^T): each key asks, each query answers",
            line=SCORES, makes=lambda c: attend(c, q="k", k="q")),
    Mistake("softmax over the queries", "your softmax runs over the queries (dim=-2): columns add up to 1, not rows",
            line=SOFTMAX, hint=2, makes=weighted(lambda c: filled(c, -torch.inf).softmax(-2))),
    Mistake("softmax over the heads or the batch", "your softmax runs over dim=1 of (B, H, T, T) or dim=0",
            line=SOFTMAX, hint=2, makes=weighted(lambda c: c.scores.softmax(-3))),
    Mistake("softmax over the batch", "your softmax runs over the batch (dim=0)", line=SOFTMAX, hint=2,
            makes=weighted(lambda c: c.scores.softmax(0))),
    Mistake("softmax over everything", "your softmax runs over all T * T scores at once: each row should add up to 1",
            line=SOFTMAX, hint=2, makes=weighted(lambda c: c.scores.flatten(-2).softmax(-1).view_as(c.scores))),
    Mistake("no softmax", "your weights equal the scores: the softmax is missing", line=SOFTMAX,
            makes=weighted(lambda c: c.scores)),
    Mistake("no softmax", "your weights equal the masked scores: the softmax is missing", line=SOFTMAX,
            makes=weighted(lambda c: filled(c, 0))),
    Mistake("log-softmax", "your weights equal log_softmax(scores)", line=SOFTMAX,
            makes=weighted(lambda c: c.scores.log_softmax(-1))),
    Mistake("sigmoid instead of softmax", "your weights equal sigmoid(scores)", line=SOFTMAX,
            makes=weighted(lambda c: filled(c, -torch.inf).sigmoid())),
    Mistake("softmax twice", "your weights went through the softmax twice", line=SOFTMAX,
            makes=weighted(lambda c: c.weights.softmax(-1))),
    Mistake("scores returned", "your second result are the scores, not the weights after the softmax", line=SOFTMAX,
            makes=lambda c: (c.output, c.scores)),
    Mistake("scores returned", "your second result are the masked scores, not the weights after the softmax",
            line=SOFTMAX, makes=lambda c: (c.output, filled(c, -torch.inf))),
    Mistake("mask ignored", "your weights are those without the mask", line=MASK, makes=lambda c: attend(c, mask=None)),
    Mistake("always causal", "your weights are causal whatever mask is given (or when none is)", line=MASK,
            makes=lambda c: attend(c, mask=torch.ones(c.T, c.T).tril())),
    Mistake("mask upside down", "your mask hides where it is 1 and shows where it is 0", line=MASK, hint=2,
            makes=lambda c: attend(c, mask=c.mask == 0)),
    Mistake("mask transposed", "your mask is transposed: row i says what position i may look at", line=MASK, hint=2,
            makes=lambda c: attend(c, mask=c.mask.T)),
    Mistake("scores times mask", "hidden scores become 0, but exp(0) is 1: they still get a weight", line=MASK, hint=2,
            makes=weighted(lambda c: filled(c, 0).softmax(-1))),
    Mistake("mask added", "your mask is added to the scores: that raises the visible ones by 1 and hides none",
            line=MASK, hint=2, makes=weighted(lambda c: (c.scores + c.mask.double()).softmax(-1))),
    Mistake("mask after softmax", "you hide weights after the softmax: the rows no longer add up to 1", line=MASK,
            hint=2, makes=weighted(lambda c: c.scores.softmax(-1) * c.mask)),
    *[Mistake("hidden scores not low enough", f"hidden scores become {value:g}: that still leaves them a weight",
              line=MASK, hint=2, makes=weighted(lambda c, value=value: filled(c, value).softmax(-1)))
      for value in (-1.0, -2.0, -5.0, -10.0, -20.0, -100.0, 1e-9, -1e-9, 1.0, 1e9)],
    Mistake("mask after the scale was forgotten", "hidden scores are right, but the others are not divided by the "
            "square root", line=SCORES, makes=weighted(lambda c: (filled(c, -torch.inf) * c.D**0.5).softmax(-1))),
    Mistake("x instead of v", "your output equals weights @ x: the values are v_proj(x)", line=OUTPUT,
            makes=lambda c: attend(c, v="x")),
    Mistake("k instead of v", "your output equals weights @ k", line=OUTPUT, makes=lambda c: attend(c, v="k")),
    Mistake("q instead of v", "your output equals weights @ q", line=OUTPUT, makes=lambda c: attend(c, v="q")),
    Mistake("weights transposed", "your output equals weights^T @ v", line=OUTPUT,
            makes=lambda c: (c.weights.mT @ c.v, c.weights)),
    Mistake("weights transposed", "the weights you return are transposed: row i belongs to query i", line=OUTPUT,
            makes=lambda c: (None, c.weights.mT)),
    Mistake("k_proj not used", "your keys are made with q_proj, so scores = q @ q^T", line=SCORES,
            makes=lambda c: attend(c, k="q")),
    Mistake("q_proj not used", "your queries are made with k_proj, so scores = k @ k^T", line=SCORES,
            makes=lambda c: attend(c, q="k")),
    Mistake("q_proj not used", "your queries are x itself", line=SCORES, makes=lambda c: attend(c, q="x")),
    Mistake("k_proj not used", "your keys are x itself", line=SCORES, makes=lambda c: attend(c, k="x")),
    Mistake("projections not used", "your queries and keys are x itself", line=SCORES,
            makes=lambda c: attend(c, q="x", k="x")),
    Mistake("projections not used", "your queries, keys and values are x itself", line=SCORES,
            makes=lambda c: attend(c, q="x", k="x", v="x")),
    Mistake("q and v exchanged", "your queries are made with v_proj and your values with q_proj", line=SCORES,
            makes=lambda c: attend(c, q="v", v="q")),
    Mistake("k and v exchanged", "your keys are made with v_proj and your values with k_proj", line=SCORES,
            makes=lambda c: attend(c, k="v", v="k")),
    Mistake("output not computed", "your output is v: the weights are not used", line=OUTPUT,
            makes=lambda c: (c.v, None)),
    Mistake("extra scale of the output", "your output is divided by the square root: that belongs to the scores",
            line=OUTPUT, makes=lambda c: (c.output / c.D**0.5, None)),
]
FINISHED_MISTAKES = [  # what is left when both results are there: c.output and c.weights are the right ones
    Mistake("results swapped", "you return (weights, output): the output comes first",
            makes=lambda c: (c.weights, c.output)),
    Mistake("residual added", "you add x to the output: that is the block's business, later",
            makes=lambda c: (c.output + c.x, None)),
    Mistake("output twice", "your second result is the output again", makes=lambda c: (c.output, c.output)),
]


# --- TODO 10: SelfAttention.__init__ -----------------------------------------------------------------------------

@check(10)
def todo_10(t, SelfAttention):
    """SelfAttention.__init__: three nn.Linear(C, C) without bias."""
    for C in t.sizes((3, 9), (10, 20)):
        t.layers(t.make(SelfAttention, C), oracle.SelfAttention(C))
    t.layers(t.make(SelfAttention, embed_dim=C), oracle.SelfAttention(C))
    return "q_proj, k_proj and v_proj are nn.Linear(C, C) without bias, each with its own weights"


# --- TODO 11: SelfAttention.forward ------------------------------------------------------------------------------

@check(11, forbids=FORBIDDEN)
def todo_11(t, SelfAttention):
    """SelfAttention.forward: output, weights and gradients against F.scaled_dot_product_attention."""
    B, T, C = t.sizes((2, 4), (5, 8), (9, 14))

    def build(C):
        truth = t.fill(oracle.SelfAttention(C).double(), 1.5)
        return t.build(SelfAttention, (C,), truth, todo=10), truth

    def run(c):
        mine, truth = t.same_weights(*t.once(c.C, lambda: build(c.C)), c.dtype)
        with torch.no_grad():
            c.q, c.k, c.v = truth.q_proj(c.x), truth.k_proj(c.x), truth.v_proj(c.x)
            c.scores = c.q @ c.k.mT / c.C**0.5
            c.output, c.weights = attend(c)
        got = t.against(mine, truth, (c.x, c.mask), names=("output", "weights"), dtype=c.dtype, case=c,
                        mistakes=ATTENTION_MISTAKES + FINISHED_MISTAKES)
        hidden_is_zero(got[1], c)
        return mine

    cases = attention_cases(t, B, T, C)
    t.cases(cases, run)
    mine = run(cases[2])
    t.elsewhere(mine, (cases[2].x.float(), cases[2].mask), ("output", "weights"))
    t.call(lambda: mine(cases[2].x.float(), mask=None))
    return "output, weights and gradients equal PyTorch's scaled_dot_product_attention, with and without masks"


# --- TODO 12: MultiHeadAttention.__init__ ------------------------------------------------------------------------

@check(12)
def todo_12(t, MultiHeadAttention):
    """MultiHeadAttention.__init__: four nn.Linear(C, C) with bias, nn.Dropout, ValueError when C % H != 0."""
    H, D, p = t.rng.randint(3, 5), t.rng.randint(6, 9), t.rng.choice([0.15, 0.25, 0.35])
    C = H * D
    t.layers(t.make(MultiHeadAttention, C, H), oracle.MultiHeadAttention(C, H))
    t.layers(t.make(MultiHeadAttention, C, H, p), oracle.MultiHeadAttention(C, H, p))
    t.layers(t.make(MultiHeadAttention, embed_dim=D, num_heads=1, dropout=p), oracle.MultiHeadAttention(D, 1, p))
    t.layers(t.make(MultiHeadAttention, D, D), oracle.MultiHeadAttention(D, D))
    for width, heads in ((C + 1, H), (D, 2 * D)):
        t.refuses(t.make, MultiHeadAttention, width, heads,
                  because=f"embed_dim={width}, num_heads={heads} (not divisible)")
    return ("q_proj, k_proj, v_proj, out_proj and dropout are as they should be; an embed_dim that does not divide is "
            "refused")


# --- TODO 13: MultiHeadAttention.forward -------------------------------------------------------------------------

def heads(c, split=oracle.split_heads, merge=oracle.merge_heads, project=True, **change):
    """(output, weights) of case c with the heads split or merged otherwise."""
    q, k, v = (split(a, c.H) for a in c.flat)
    output, weights = oracle.attention(q, k, v, change.get("mask", c.mask), change.get("scale"))
    merged = merge(output)
    return (c.truth.out_proj(merged) if project else merged), weights


def projected(mistake):
    """The same mistake for several heads: the outputs of the heads are merged and go through out_proj."""
    def makes(c):
        output, weights = mistake.makes(c)
        if output is not None:
            output = c.truth.out_proj(oracle.merge_heads(output))
        return output, weights
    return Mistake(mistake.name, mistake.says, makes, mistake.line, mistake.hint)


def interleaved(x, H):
    """Feature i goes to head i % H."""
    return x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2)


SPLIT = "(B, T, C) -> (B, T, H, D) -> transpose -> (B, H, T, D)"
MERGE = "(B, H, T, D) -> transpose -> (B, T, H, D) -> (B, T, C)"
MISTAKES_13 = [
    Mistake("heads interleaved", "feature i went to head i % H: head h should get the neighbours h*D .. (h+1)*D",
            line=SPLIT, hint=2, makes=lambda c: heads(c, split=interleaved)),
    Mistake("heads interleaved", "your heads are split and merged with feature i in head i % H", line=SPLIT, hint=2,
            makes=lambda c: heads(c, split=interleaved, merge=lambda o: o.permute(0, 2, 3, 1).flatten(2))),
    Mistake("split without transpose", "you view (B, T, C) directly as (B, H, T, D): that mixes positions", line=SPLIT,
            hint=2, makes=lambda c: heads(c, split=lambda x, H: x.reshape(c.B, H, c.T, -1))),
    Mistake("split and merge without transpose", "you view (B, T, C) directly as (B, H, T, D) and back: that mixes "
            "positions", line=SPLIT, hint=2, makes=lambda c: heads(
                c, split=lambda x, H: x.reshape(c.B, H, c.T, -1), merge=lambda o: o.reshape(c.B, c.T, -1))),
    Mistake("merge without transpose", "you view (B, H, T, D) directly as (B, T, C): that mixes heads and positions",
            line=MERGE, hint=2, makes=lambda c: heads(c, merge=lambda o: o.reshape(c.B, c.T, -1))),
    Mistake("merge interleaved", "you merge with the heads' features in turn: head 0's D features come first",
            line=MERGE, hint=2, makes=lambda c: heads(c, merge=lambda o: o.permute(0, 2, 3, 1).flatten(2))),
    Mistake("out_proj missing", "your output is the merged heads: out_proj is not applied",
            line="output = out_proj(merged heads)", makes=lambda c: heads(c, project=False)),
    Mistake("out_proj twice", "out_proj is applied twice", line="output = out_proj(merged heads)",
            makes=lambda c: (c.truth.out_proj(c.output), c.weights)),
    Mistake("bias of out_proj missing", "the bias of out_proj is not added", line="output = out_proj(merged heads)",
            makes=lambda c: (c.output - c.truth.out_proj.bias, c.weights)),
    Mistake("weights averaged over the heads", "your weights are the mean over the heads: return one map per head, "
            "(B, H, T, T)", makes=lambda c: (None, c.weights.mean(1))),
    Mistake("weights of one head", "you return the weights of the first head only",
            makes=lambda c: (None, c.weights[:, 0])),
    Mistake("weights of one head", "you return the weights of the last head only",
            makes=lambda c: (None, c.weights[:, -1])),
    Mistake("attention between heads", "your weights are (B, T, H, H): the heads of a position look at each other. "
            "Positions should look at positions: (B, H, T, T)", line=SPLIT, hint=2, makes=lambda c: (
                None, oracle.attention(*(a.transpose(1, 2) for a in (c.q, c.k, c.v)))[1])),
    Mistake("one head", "you attend with one head over all C features", makes=lambda c: (
        c.truth.out_proj(oracle.attention(*c.flat, c.mask)[0]), None)),
    Mistake("one head", "you attend with one head over all C features (scaled with D)", makes=lambda c: (
        c.truth.out_proj(oracle.attention(*c.flat, c.mask, c.D**-0.5)[0]), None)),
    *[projected(m) for m in ATTENTION_MISTAKES if m.makes and "x itself" not in m.says],
    *FINISHED_MISTAKES,
]


@check(13, forbids=FORBIDDEN, pieces={"split_heads": oracle.split_heads, "merge_heads": oracle.merge_heads,
                                      "SelfAttention": oracle.SelfAttention})
def todo_13(t, MultiHeadAttention):
    """MultiHeadAttention.forward: output, weights and gradients against nn.MultiheadAttention; dropout."""
    B, T, H, D = t.sizes((2, 4), (5, 8), (2, 4), (5, 7))
    C = H * D

    def build(C, H, dropout=0.0):
        truth = t.fill(oracle.MultiHeadAttention(C, H, dropout).double(), 1.5)
        mine = t.build(MultiHeadAttention, (C, H, dropout), truth, todo=12, embed_dim=C, num_heads=H, head_dim=C // H)
        return mine, truth

    def run(c):
        mine, c.truth = t.same_weights(*t.once((c.C, c.H), lambda: build(c.C, c.H)), c.dtype)
        with torch.no_grad():
            c.flat = [p(c.x) for p in (c.truth.q_proj, c.truth.k_proj, c.truth.v_proj)]
            c.q, c.k, c.v = (oracle.split_heads(a, c.H) for a in c.flat)
            c.scores = c.q @ c.k.mT / c.D**0.5
            c.output, c.weights = c.truth(c.x, c.mask)
        got = t.against(mine, c.truth, (c.x, c.mask), names=("output", "weights"), dtype=c.dtype, mistakes=MISTAKES_13,
                        case=c)
        hidden_is_zero(got[1], c)

    cases = attention_cases(t, B, T, C, H)
    t.cases([*cases, *attention_cases(t, B, T, C, 1)[:1], *attention_cases(t, B, T, D, D)[:1]], run)
    mine, _ = t.same_weights(*build(C, H, 0.5))
    dropout_13(t, mine, cases[2])
    t.elsewhere(mine, (cases[2].x.float(), cases[2].mask), ("output", "weights"))
    return "output, weights and gradients equal nn.MultiheadAttention's; dropout only on the output, only in training"


def dropout_13(t, mine, c):
    """Dropout 0.5: in training each output is 0 or twice its value, the weights stay; in evaluation nothing happens."""
    x = t.randn(16, 8, c.C).float()
    mine.eval()
    output, weights = (a.detach() for a in t.call(mine, x))
    if difference("output", t.call(mine, x)[0], output.double(), SINGLE):
        raise Wrong("in evaluation mode two calls give different results: dropout must be off then (use self.dropout, "
                    "or training=self.training)", name="dropout in evaluation")
    mine.train()
    noisy, seen = (a.detach() for a in t.call(mine, x))
    if difference("weights", seen, weights.double(), SINGLE):
        raise Wrong("in training mode the weights change: dropout belongs on the output of out_proj only",
                    name="dropout on the weights")
    if torch.equal(noisy, output):
        raise Wrong("in training mode with dropout=0.5 nothing is dropped: dropout(out_proj(...)) is missing",
                    name="no dropout")
    kept = noisy != 0
    if difference("output", noisy, output.double() * 2 * kept, SINGLE):
        raise Wrong("in training mode with dropout=0.5 each number of the output should be 0 or twice its value in "
                    "evaluation: dropout comes last, after out_proj", name="dropout in the wrong place")
    if (kept == kept[..., :1]).all():
        raise Wrong("whole positions are dropped: each number should be dropped by its own chance, as nn.Dropout does",
                    name="whole positions dropped")
    # 16 * 8 * C >= 1280 numbers, each dropped with probability 1/2: further than 6 standard deviations (6 * 0.5 *
    # sqrt(n)) from n / 2 happens with probability below 2e-9.
    if abs(kept.sum() - kept.numel() / 2) > 3 * kept.numel()**0.5:
        raise Wrong(f"with dropout=0.5 {int((~kept).sum())} of {kept.numel()} numbers were dropped",
                    kind="wrong dropout")
