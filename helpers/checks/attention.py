"""Checks of 3b_attention: TODOs 10-13."""
import contextlib
import dataclasses
from functools import cached_property

import torch
from torch import nn

from helpers import oracle
from helpers.checks import compare
from helpers.checks.compare import difference, dtype_name
from helpers.checks.engine import DOUBLE, SINGLE, Mistake, Wrong, check

FORBIDDEN = ("scaled_dot_product", "multi_head_attention", "transformer_encoder_layer")
RESULTS = ("output", "weights")
MASKS = (torch.bool, torch.uint8, torch.int64, torch.float32)  # what a mask may be made of; not wider than x
LONG = 66  # positions of the longest cases: above 64, but few enough for an answer that loops over all pairs


# --- cases, for TODOs 11 and 13 ----------------------------------------------------------------------------------

@dataclasses.dataclass(eq=False)
class Case:
    """One input of a module. The steps from x to the results are computed only when a mistake is to be named."""
    x: torch.Tensor                    # (B, T, C), float64
    mask: torch.Tensor | None = None   # (T, T)
    dtype: torch.dtype = SINGLE        # what x and the module are cast to
    H: int | None = None               # the number of heads, None for SelfAttention
    training: bool = True
    backward: bool = True              # are gradients compared too?
    truth: nn.Module | None = None     # the stand-in, once the case runs

    B = property(lambda self: self.x.shape[0])
    T = property(lambda self: self.x.shape[1])
    C = property(lambda self: self.x.shape[2])
    D = property(lambda self: self.C // (self.H or 1))

    @property
    def text(self):
        heads = f", {self.H} heads" if self.H else ""
        mode = "" if self.training else ", in evaluation mode"
        kind = "no mask" if self.mask is None else f"a mask of {dtype_name(self.mask.dtype)}"
        return f"x of shape {tuple(self.x.shape)}{heads}, {dtype_name(self.dtype)}{mode}, {kind}"

    @property
    def inputs(self):
        """No mask is given in both ways: as None, and as no argument at all."""
        return (self.x,) if self.mask is None and self.dtype == SINGLE else (self.x, self.mask)

    @cached_property
    def flat(self):
        """Queries, keys and values before they are split into heads, (B, T, C) each."""
        return [p(self.x).detach() for p in (self.truth.q_proj, self.truth.k_proj, self.truth.v_proj)]

    def split(self, a):
        return oracle.split_heads(a, self.H) if self.H else a

    q = cached_property(lambda self: self.split(self.flat[0]))  # (B, T, C), or (B, H, T, D) with heads
    k = cached_property(lambda self: self.split(self.flat[1]))
    v = cached_property(lambda self: self.split(self.flat[2]))
    own = property(lambda self: self.split(self.x))             # x in place of one of them
    scores = cached_property(lambda self: self.q @ self.k.mT / self.D**0.5)
    results = cached_property(lambda self: [r.detach() for r in self.truth(self.x, self.mask)])
    output = property(lambda self: self.results[0])
    weights = property(lambda self: self.results[1])


def random_mask(t, T):
    """bool (T, T) in which every row and every column has a True and a False, unequal to its transpose: turned over
    or upside down it still is a mask, but another one."""
    while True:
        mask = torch.rand(T, T, generator=t.gen) < 0.6
        lines = torch.cat([mask, mask.T])
        if lines.any(1).all() and not lines.all(1).any() and not torch.equal(mask, mask.T):
            return mask


def attention_cases(t, B, T, C, H=None):
    """Cases with every kind of mask, in two dtypes and modes, for a batch of 1, T == C, T > C and a long text.

    Cases with the same C use one module. Their order shows what it keeps from call to call: a mask, another of the same
    size, no mask and another x, ...
    """
    def case(mask=None, *, B=B, T=T, C=C, **other):
        mask = None if mask is None else mask.clone()  # so that one case cannot spoil the mask of the next
        return Case(random_x(t, B, T, C), mask, H=H, **other)

    mask, causal = random_mask(t, T), torch.ones(T, T).tril()
    # In float64 the width of a head is 16: then its root is exact, also for who keeps it as a buffer in float32.
    narrow, exact = 3 * (H or 1), 16 * (H or 1)
    same = {"backward": False}  # gradients as in another case
    return [case(), case(mask), case(causal.bool()), case(**same), *[case(mask.to(d), **same) for d in MASKS[1:]],
            case(training=False, **same), case(mask, training=False), case(B=1), case(T=1), case(C=C + (H or 1)),
            case(random_mask(t, C), T=C, **same), case(T=narrow + 1, C=narrow), case(B=1, T=LONG, C=narrow, **same),
            case(random_mask(t, LONG), B=1, T=LONG, C=narrow, **same), case(mask, C=exact),
            case(C=exact, dtype=DOUBLE), case(causal, C=exact, dtype=DOUBLE)]


def random_x(t, B, T, C):
    return t.randn(B, T, C) * 1.5


PATTERNS = {  # what the cases that pass may have in common
    "in training mode": lambda c: c.training,
    "in evaluation mode": lambda c: not c.training,
    "for few positions": lambda c: c.T < LONG,
    "for T up to C": lambda c: c.T <= c.C,
    **compare.PATTERNS,
}


def right_in_all(t, cases, modules, mistakes):
    """Compare results and gradients with the truth in all cases; modules(c) gives the learner's module and the truth's
    for case c, with the same weights whenever it is asked."""
    def run(c):
        mine, c.truth = t.same_weights(*t.once((c.C, c.H), lambda: modules(c)), c.dtype)
        mine.train(c.training)
        mask = None if c.mask is None else c.mask.clone()
        try:
            got = t.against(mine, c.truth, c.inputs, names=RESULTS, dtype=c.dtype, mistakes=mistakes, case=c,
                            gradients=c.backward)
        except Wrong as wrong:
            if wrong.kind == "changes its input" and mask is not None and not torch.equal(mask, c.mask):
                wrong.says = "it changes the mask in place: the caller's mask is not the same after the call"
            raise
        hidden_is_zero(got[1], c)

    try:
        t.cases(cases, run, PATTERNS)
    except Wrong as wrong:
        if wrong.name not in ("changes its input", "random results", "remembers an earlier call"):
            t.forgets(run, wrong.case)
            compare_like_cases(wrong, run)
        raise


def compare_like_cases(wrong, run):
    """Where the failed case is right in the other mode, or with its mask in another dtype, let the message say so."""
    def passes(**change):
        try:
            run(dataclasses.replace(case, **change))
        except Wrong:
            return False
        return True

    case, right = wrong.case, ""
    if wrong.name and wrong.name.startswith("works only"):
        return
    if passes(training=not case.training):
        right = f"in {'evaluation' if case.training else 'training'} mode"
    elif case.mask is not None:
        kinds = [dtype_name(d) for d in MASKS if d != case.mask.dtype and passes(mask=case.mask.to(d))]
        right = f"for masks of {', '.join(kinds)}" if kinds else ""
    if right:
        wrong.name = f"works only {right}"
        wrong.says = f"your answer is right {right}, but not in general: {wrong.says}"


def hidden_is_zero(weights, c):
    """Where the mask is 0 the weight is exactly 0, not only nearly."""
    if c.mask is not None:
        left = (weights.detach() * (c.mask == 0)).abs().max()
        if left != 0:
            raise Wrong(f"hidden positions should have a weight of exactly 0, but one of yours is {float(left):.3g}",
                        name="hidden weights not exactly 0", line=MASK, hint=1 if c.H else 2, case=c)


def right_without_gradients(t, mine, truth, c):
    """One call under torch.no_grad(), with the mask by its name."""
    def call(x, mask):
        with torch.no_grad():
            return mine(x, mask=mask), torch.is_grad_enabled()

    mine.eval()
    x = c.x.to(SINGLE)
    got, switched_on = t.call(call, x, c.mask)
    if switched_on:
        raise Wrong("called under torch.no_grad(), it leaves gradients switched on", kind="global setting left changed")
    t.equal(RESULTS, t.parts(got, RESULTS), truth.eval()(x.double(), c.mask), dtype=SINGLE)


# --- mistakes ----------------------------------------------------------------------------------------------------

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


# Lines of the formula. Hint 2 of TODO 11 names what the scale and the mask need, hint 1 explains who asks whom and what
# adds up to 1. The hints of TODO 13 are others, see `with_heads`.
SCORES = "scores = q k^T / sqrt(width of q)"
SOFTMAX = "weights = softmax(scores) over the keys, the last dimension"
MASK = "where mask is 0 the score becomes -infinity, before the softmax"
OUTPUT = "output = averages of the values v, with the weights"

# Mistakes of one head; with several heads each case's q, k, v and scores are those of all heads, (B, H, T, D).
ATTENTION_MISTAKES = [
    Mistake("no scale", "your weights equal softmax(q k^T): the scores are not divided by the square root",
            line=SCORES, hint=2, makes=lambda c: attend(c, scale=1.0)),
    Mistake("scale without the root", "your scores are divided by the width itself, not by its square root",
            line=SCORES, hint=2, makes=lambda c: attend(c, scale=1 / c.D)),
    Mistake("scale multiplied", "your scores are multiplied by the square root instead of divided by it", line=SCORES,
            hint=2, makes=lambda c: attend(c, scale=c.D**0.5)),
    Mistake("scale from T", "your scores are divided by sqrt(T), the number of positions", line=SCORES, hint=2,
            makes=lambda c: attend(c, scale=c.T**-0.5)),
    Mistake("scale from T without the root", "your scores are divided by T, the number of positions", line=SCORES,
            hint=2, makes=lambda c: attend(c, scale=1 / c.T)),
    Mistake("scale from B", "your scores are divided by sqrt(B), the size of the batch", line=SCORES, hint=2,
            makes=lambda c: attend(c, scale=c.B**-0.5)),
    Mistake("scale with the whole C", "your scores are divided by sqrt(C), but each head is only D = C / H wide",
            line=SCORES, hint=2, makes=lambda c: attend(c, scale=c.C**-0.5)),
    Mistake("scale from H", "your scores are divided by sqrt(H), the number of heads", line=SCORES, hint=2,
            makes=lambda c: attend(c, scale=c.H**-0.5)),
    Mistake("scale after softmax", "you divide by the square root after the softmax: the weights of a position should "
            "add up to 1", line=SCORES, hint=1, makes=lambda c: tuple(a / c.D**0.5 for a in attend(c, scale=1.0))),
    Mistake("query and key swapped", "your weights equal softmax(k q^T): each key asks, each query answers",
            line=SCORES, makes=lambda c: attend(c, q="k", k="q")),
    Mistake("softmax over the queries", "your softmax runs over the queries: columns add up to 1, not rows",
            line=SOFTMAX, makes=weighted(lambda c: filled(c, -torch.inf).softmax(-2))),
    Mistake("softmax over the batch", "your softmax runs over the batch: weights add up to 1 over the texts, not over "
            "the keys", line=SOFTMAX, makes=weighted(lambda c: c.scores.softmax(0))),
    Mistake("softmax over the heads", "your softmax runs over the heads: weights add up to 1 over the heads, not over "
            "the keys", line=SOFTMAX, makes=weighted(lambda c: c.scores.softmax(1) if c.H else None)),
    Mistake("softmax over everything", "your softmax runs over all T * T scores at once: each row should add up to 1",
            line=SOFTMAX, makes=weighted(lambda c: c.scores.flatten(-2).softmax(-1).view_as(c.scores))),
    Mistake("no softmax", "your weights equal the scores: the softmax is missing", line=SOFTMAX,
            makes=weighted(lambda c: c.scores)),
    Mistake("no softmax", "your weights equal the masked scores: the softmax is missing", line=SOFTMAX,
            makes=weighted(lambda c: filled(c, 0))),
    Mistake("log-softmax", "your weights are the logarithms of the right ones", line=SOFTMAX,
            makes=weighted(lambda c: c.scores.log_softmax(-1))),
    Mistake("sigmoid instead of softmax", "your weights equal sigmoid(scores)", line=SOFTMAX,
            makes=weighted(lambda c: filled(c, -torch.inf).sigmoid())),
    Mistake("softmax twice", "your weights went through the softmax twice", line=SOFTMAX,
            makes=weighted(lambda c: c.weights.softmax(-1))),
    Mistake("scores returned", "your second result are the scores, not the weights after the softmax", line=SOFTMAX,
            makes=lambda c: (c.output, c.scores)),
    Mistake("scores returned", "your second result are the masked scores, not the weights after the softmax",
            line=SOFTMAX, makes=lambda c: (c.output, filled(c, -torch.inf))),
    Mistake("mask ignored", "your weights are those without the mask", line=MASK, hint=2,
            makes=lambda c: attend(c, mask=None)),
    Mistake("always causal", "your weights are causal whatever mask is given (or when none is)", line=MASK, hint=2,
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
            "square root", line=SCORES, hint=2,
            makes=weighted(lambda c: (filled(c, -torch.inf) * c.D**0.5).softmax(-1))),
    Mistake("x instead of v", "your values are x itself: they should come from v_proj", line=OUTPUT,
            makes=lambda c: attend(c, v="own")),
    Mistake("k instead of v", "your values are the keys: they should come from v_proj", line=OUTPUT,
            makes=lambda c: attend(c, v="k")),
    Mistake("q instead of v", "your values are the queries: they should come from v_proj", line=OUTPUT,
            makes=lambda c: attend(c, v="q")),
    Mistake("weights transposed", "your output equals weights^T v: row i of the weights belongs to query i",
            line=OUTPUT, makes=lambda c: (c.weights.mT @ c.v, c.weights)),
    Mistake("weights transposed", "the weights you return are transposed: row i belongs to query i", line=OUTPUT,
            makes=lambda c: (None, c.weights.mT)),
    Mistake("k_proj not used", "your keys are made with q_proj, so scores = q q^T", line=SCORES,
            makes=lambda c: attend(c, k="q")),
    Mistake("q_proj not used", "your queries are made with k_proj, so scores = k k^T", line=SCORES,
            makes=lambda c: attend(c, q="k")),
    Mistake("q_proj not used", "your queries are x itself", line=SCORES, makes=lambda c: attend(c, q="own")),
    Mistake("k_proj not used", "your keys are x itself", line=SCORES, makes=lambda c: attend(c, k="own")),
    Mistake("projections not used", "your queries and keys are x itself", line=SCORES,
            makes=lambda c: attend(c, q="own", k="own")),
    Mistake("projections not used", "your queries, keys and values are x itself", line=SCORES,
            makes=lambda c: attend(c, q="own", k="own", v="own")),
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
    def right(C, *args, **named):
        module, like = t.make(SelfAttention, *args, **named), oracle.SelfAttention(C)
        t.layers(module, like)
        no_other_weights(module, like)

    small, large = t.sizes((2, 7), (9, 40))
    for C in (large, small, 1):
        right(C, C)
    right(small, embed_dim=small)
    return "q_proj, k_proj and v_proj are nn.Linear(C, C) without bias, each with its own weights"


def no_other_weights(module, like):
    """All weights belong to the layers that `like` has: any other would never be used, nor learn."""
    asked = [name for name, part in like.named_children() if list(part.parameters())]
    known = {id(p) for name in asked for p in getattr(module, name).parameters()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in known:
            raise Wrong(f"{name} is not asked for: only {', '.join(asked[:-1])} and {asked[-1]} have weights here.",
                        name="extra weights")


# --- TODO 11: SelfAttention.forward ------------------------------------------------------------------------------

@check(11, forbids=FORBIDDEN)
def todo_11(t, SelfAttention):
    """SelfAttention.forward: output, weights and gradients against F.scaled_dot_product_attention."""
    # No size is one that is often written into code (2, 4, 8, 16, 64), so that no such number looks like B, T or C.
    B, T, C = 3, t.rng.randint(5, 7), t.rng.randint(10, 14)
    truths = {}

    def modules(c):
        if c.C not in truths:
            truths[c.C] = t.fill(oracle.SelfAttention(c.C).double(), 1.5)
        return t.build(SelfAttention, (c.C,), truths[c.C], todo=10), truths[c.C]

    cases = attention_cases(t, B, T, C)
    right_in_all(t, cases, modules, ATTENTION_MISTAKES + FINISHED_MISTAKES)
    masked = cases[1]
    mine, truth = t.same_weights(*modules(masked))
    right_without_gradients(t, mine, truth, masked)
    t.elsewhere(mine, (masked.x.float(), masked.mask), RESULTS)
    return "output, weights and gradients equal PyTorch's scaled_dot_product_attention, with and without masks"


# --- TODO 12: MultiHeadAttention.__init__ ------------------------------------------------------------------------

@check(12)
def todo_12(t, MultiHeadAttention):
    """MultiHeadAttention.__init__: four nn.Linear(C, C) with bias, nn.Dropout, ValueError when C % H != 0."""
    def right(*args, **named):
        module, like = t.make(MultiHeadAttention, *args, **named), oracle.MultiHeadAttention(*args, **named)
        t.layers(module, like)
        no_other_weights(module, like)
        right_num_heads(module, like.num_heads)
        return module

    H, D, p = t.rng.randint(3, 5), t.rng.randint(6, 9), t.rng.choice([0.15, 0.25, 0.35])
    C = H * D
    module, other = right(C, H), right(C, D)            # the same layers for other numbers of heads
    right(C, H, dropout=0.75)
    right(embed_dim=D, num_heads=1, dropout=p)
    right(D, D, p)                                      # heads of width 1
    right(3 * t.rng.choice([5, 7]), 3)                  # all odd
    right(2 * H * D, 2 * D)                             # more than 8 heads
    num_heads_kept(module, H, other, D)
    for width, heads in ((C + 1, H), (C + H - 1, H), (D, 2 * D)):
        t.refuses(t.make, MultiHeadAttention, width, heads,
                  because=f"embed_dim={width}, num_heads={heads} (not divisible)")
    return ("q_proj, k_proj, v_proj, out_proj and dropout are as they should be; an embed_dim that does not divide is "
            "refused")


def right_num_heads(module, H, says=""):
    """An attribute num_heads, when there is one, is the whole number H."""
    found = getattr(module, "num_heads", H)
    if isinstance(found, float) or found != H:
        shown = repr(found) if isinstance(found, (int, float)) else compare.kind_of(found)
        raise Wrong(f"num_heads is {shown}, expected {H}{says}.", name="wrong num_heads")


def num_heads_kept(module, H, other, others):
    """forward can tell how many heads there are: two modules that differ in nothing else hold different things. Under
    which name is free, the contract fixes none."""
    def held(module):
        usual = vars(nn.Module())
        return {f"{name}.{key}": value for name, part in module.named_modules()
                for key, value in [*vars(part).items(), *part.named_buffers(recurse=False)] if key not in usual}

    def alike(a, b):
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
            return torch.equal(a, b)
        return a is b or compare.holds(lambda: a == b)

    right_num_heads(module, H, " as before: making another module changed it. Keep it in self")
    mine, theirs = held(module), held(other)
    if mine.keys() == theirs.keys() and all(alike(mine[key], theirs[key]) for key in mine):
        raise Wrong(f"a module for num_heads={H} and one for num_heads={others} hold the same: forward cannot tell how "
                    "many heads it has to make.", name="num_heads not kept")


# --- TODO 13: MultiHeadAttention.forward -------------------------------------------------------------------------

def heads(c, split=oracle.split_heads, merge=oracle.merge_heads, project=True):
    """(output, weights) of case c with the heads split or merged otherwise."""
    output, weights = oracle.attention(*(split(a, c.H) for a in c.flat), c.mask)
    merged = merge(output)
    return (c.truth.out_proj(merged) if project else merged), weights


def with_heads(mistake):
    """The same mistake for several heads: the outputs of the heads are merged and go through out_proj. In TODO 13 hint
    1 says what stays as in TODO 11, hint 2 goes from the projections to the scale and to the end."""
    def makes(c):
        output, weights = mistake.makes(c)
        if output is not None:
            output = c.truth.out_proj(oracle.merge_heads(output))
        return output, weights
    return dataclasses.replace(mistake, makes=makes, hint=1 if mistake.line in (SOFTMAX, MASK) else 2)


def interleaved(x, H):
    """Feature i goes to head i % H."""
    return x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2)


SPLIT = "(B, T, C) -> (B, T, H, D) -> transpose -> (B, H, T, D)"
MERGE = "(B, H, T, D) -> transpose -> (B, T, H, D) -> (B, T, C)"
PROJECT = "the merged heads go through out_proj, then through dropout"
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
    Mistake("out_proj missing", "your output is the merged heads: out_proj is not applied", line=PROJECT, hint=2,
            makes=lambda c: heads(c, project=False)),
    Mistake("out_proj twice", "out_proj is applied twice", line=PROJECT, hint=2,
            makes=lambda c: (c.truth.out_proj(c.output), c.weights)),
    Mistake("bias of out_proj missing", "the bias of out_proj is not added", line=PROJECT, hint=2,
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
    *[with_heads(mistake) for mistake in ATTENTION_MISTAKES],
    *FINISHED_MISTAKES,
]


@check(13, forbids=FORBIDDEN, pieces={"split_heads": oracle.split_heads, "merge_heads": oracle.merge_heads,
                                      "SelfAttention": oracle.SelfAttention})
def todo_13(t, MultiHeadAttention):
    """MultiHeadAttention.forward: output, weights and gradients against nn.MultiheadAttention; dropout."""
    # Sizes as in TODO 11, all different: (B, H) is (3, 5) or (5, 3), (T, D) is (6, 7) or (7, 6).
    (B, H), (T, D) = t.rng.sample((3, 5), 2), t.rng.sample((6, 7), 2)
    C = H * D
    truths = {}

    def modules(c, dropout=0.0):
        key = c.C, c.H, dropout
        if key not in truths:
            truths[key] = t.fill(oracle.MultiHeadAttention(*key).double(), 1.5)
        mine = t.build(MultiHeadAttention, key, truths[key], todo=12, embed_dim=c.C, num_heads=c.H, head_dim=c.D)
        if getattr(mine, "num_heads", c.H) != c.H:
            t.repaired.add(12)
        with contextlib.suppress(Exception):  # where it is a property
            mine.num_heads = c.H
        return mine, truths[key]

    cases = attention_cases(t, B, T, C, H)
    cases += [Case(random_x(t, B, T, C), H=1), Case(random_x(t, B, T, D), H=D)]  # one head; heads of width 1
    right_in_all(t, cases, modules, MISTAKES_13)
    masked = cases[1]
    mine, truth = t.same_weights(*modules(masked, 0.5))
    right_dropout(t, mine, truth)
    right_without_gradients(t, mine, truth, masked)
    t.elsewhere(mine, (masked.x.float(), masked.mask), RESULTS)
    return "output, weights and gradients equal nn.MultiheadAttention's; dropout only on the output, only in training"


def right_dropout(t, mine, truth):
    """Dropout 0.5: in training each output is 0 or twice its value, the weights stay; in evaluation nothing happens."""
    def run(training):
        return [r.detach() for r in t.parts(t.call(mine.train(training), x), RESULTS)]

    x = t.randn(16, 8, truth.embed_dim).to(SINGLE)
    output, weights = (r.detach() for r in truth.eval()(x.double()))
    calm = run(training=False)
    if difference("output", run(training=False)[0], calm[0].double(), SINGLE):
        raise Wrong("in evaluation mode two calls give different results: dropout must be off then, as nn.Dropout is",
                    name="dropout in evaluation")
    t.equal(RESULTS, calm, (output, weights), dtype=SINGLE)
    noisy, seen = run(training=True)
    if difference("weights", seen, weights, SINGLE):
        if same(seen, weights * 2 * (seen != 0)):
            raise Wrong("in training mode the weights go through dropout: only the output of out_proj should",
                        name="dropout on the weights")
        raise Wrong("in training mode with dropout=0.5 the weights are others than in evaluation mode: dropout should "
                    "change the output only", name="dropout before the weights")
    kept = noisy != 0
    if not same(noisy, output * 2 * kept):
        raise dropped_otherwise(noisy, output, truth)
    # The same choice along a whole dimension: by chance with a probability below 2**-1000, as one of the 16 texts (or
    # 8 positions, or C features) would have to agree with the others at all of their 128 places or more.
    for dim, what in enumerate(("text", "position", "feature")):
        if (kept == kept.narrow(dim, 0, 1)).all():
            raise Wrong(f"in training mode the same numbers are dropped for every {what}: each number should be "
                        "dropped by its own chance, as nn.Dropout does", name=f"same dropout for every {what}")
    # 16 * 8 * C >= 1920 numbers, each dropped with probability 1/2: further than 6 standard deviations (6 * 0.5 *
    # sqrt(n)) from n / 2 happens with probability below 2e-9.
    if abs(kept.sum() - kept.numel() / 2) > 3 * kept.numel()**0.5:
        raise Wrong(f"with dropout=0.5 {int((~kept).sum())} of {kept.numel()} numbers were dropped",
                    kind="wrong dropout")


def same(got, expected):
    return compare.same(got, expected, SINGLE)


def dropped_otherwise(noisy, output, truth):
    """The Wrong for numbers that are not 0 or twice their value."""
    bias = truth.out_proj.bias.detach()
    for name, says, made in (
            ("no dropout", "nothing is dropped: the last step, dropout, is missing", output),
            ("dropout without rescaling", "the numbers that are not dropped should be twice their value in evaluation "
             "mode, so that the mean stays; yours stay as they are", output * (noisy != 0)),
            ("dropout twice", "the output goes through dropout twice: a number is 0 or four times its value in "
             "evaluation mode", output * 4 * (noisy != 0)),
            ("bias added after dropout", "the bias of out_proj is never dropped: it is added after dropout",
             bias + (output - bias) * 2 * ((noisy - bias).abs() > 1e-6))):
        if same(noisy, made):
            return Wrong(f"in training mode with dropout=0.5 {says}", name=name, line=PROJECT, hint=2)
    return Wrong("in training mode with dropout=0.5 each number of the output should be 0 or twice its value in "
                 "evaluation mode, because dropout is the last step, after out_proj; yours has other numbers",
                 name="wrong dropout", line=PROJECT, hint=2)
