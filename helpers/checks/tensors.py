"""Checks of 1_tensors: TODOs 1-3."""
import itertools
import random
import sys
from types import SimpleNamespace

import torch

from helpers import oracle
from helpers.checks.compare import kind_of, same
from helpers.checks.engine import Mistake, Wrong, check

SINGLE, DOUBLE, LOW = torch.float32, torch.float64, torch.bfloat16
DTYPES = {
    "in float32": lambda c: c.dtype == SINGLE,
    "in float64": lambda c: c.dtype == DOUBLE,
    "in float32 and float64": lambda c: c.dtype != LOW,
    "in float32 and bfloat16": lambda c: c.dtype != DOUBLE,
}


def entries(result, names):
    """The dict's values in the order of `names`."""
    if not isinstance(result, dict):
        raise Wrong("it returns None. Is the line with return missing?" if result is None else
                    f"it should return a dict, but it returns {kind_of(result)}.", kind="not a dict")
    missing = [name for name in names if name not in result]
    if missing:
        there = ", ".join(str(key) for key in result) or "nothing"
        raise Wrong(f"the dict has no entry {missing[0]!r} (it has {there}).", kind="missing entry")
    return tuple(result[name] for name in names)


def twice(run, first, second, names, right):
    """Two calls with other numbers of the same sizes, which passed before: the second result (a tuple) must be `right`
    and must leave the first one's as it was. -> both results."""
    one = run(first)
    kept = [part.detach().clone() for part in one]
    two = run(second)
    if not all(map(torch.equal, one, kept)):
        raise Wrong("the result of one call changes when the function is called again: each call should make tensors "
                    "of its own.", name="results share memory")
    for name, mine, expected in zip(names, two, right):
        if not same(mine, expected):
            raise Wrong(f"called again with other numbers of the same sizes, it no longer gets the {name} right: "
                        "something is kept from call to call.", name="remembers an earlier call")
    return one, two


# --- TODO 1: create_tensors --------------------------------------------------------------------------------------

def only(place, count, makes):
    """A mistake in one of `count` results: the others are free."""
    return lambda c: tuple(makes(c) if i == place else None for i in range(count))


EXACT_1 = ("from_list", "zeros", "ones", "count")
WHOLE, BROKEN, MIXED = "whole numbers", "fractions", "whole numbers and fractions"
MISTAKES_1 = [
    Mistake("integers kept", "from_list keeps whole numbers as int64: it should hold float32",
            line="from_list: float32", hint=2,
            makes=only(0, 4, lambda c: torch.tensor(c.rows).long() if c.kind == WHOLE else None)),
    Mistake("transposed", "from_list is transposed: each list is a row", line="from_list: (R, K)", hint=2,
            makes=only(0, 4, lambda c: torch.tensor(c.rows).float().T)),
    Mistake("flattened", "from_list has lost its rows", line="from_list: (R, K)", hint=2,
            makes=only(0, 4, lambda c: torch.tensor(c.rows).float().flatten())),
    Mistake("one dimension only", "zeros has n numbers in one row: it should be n by n", line="zeros: (n, n)",
            makes=only(1, 4, lambda c: torch.zeros(c.n))),
    Mistake("one dimension only", "ones has n numbers in one row: it should be n by n", line="ones: (n, n)",
            makes=only(2, 4, lambda c: torch.ones(c.n))),
    Mistake("shape of rows", "zeros has the shape of rows: it should be n by n", line="zeros: (n, n)",
            makes=only(1, 4, lambda c: torch.zeros(c.R, c.K))),
    Mistake("shape of rows", "ones has the shape of rows: it should be n by n", line="ones: (n, n)",
            makes=only(2, 4, lambda c: torch.ones(c.R, c.K))),
    Mistake("identity instead of ones", "ones is the identity matrix", line="ones: every number is 1", hint=2,
            makes=only(2, 4, lambda c: torch.eye(c.n))),
    Mistake("zeros and ones swapped", "zeros holds ones", line="zeros: every number is 0", hint=2,
            makes=only(1, 4, lambda c: torch.ones(c.n, c.n))),
    Mistake("zeros and ones swapped", "ones holds zeros", line="ones: every number is 1", hint=2,
            makes=only(2, 4, lambda c: torch.zeros(c.n, c.n))),
    Mistake("count starts at 1", "count runs from 1 to n: it should start at 0", line="count: 0..n-1", hint=2,
            makes=only(3, 4, lambda c: torch.arange(1, c.n + 1))),
    Mistake("count one too many", "count runs to n: it should end at n-1", line="count: 0..n-1", hint=2,
            makes=only(3, 4, lambda c: torch.arange(c.n + 1))),
    Mistake("count one too few", "count starts at 1 and ends at n-1: the 0 is missing", line="count: 0..n-1", hint=2,
            makes=only(3, 4, lambda c: torch.arange(1, c.n))),
    Mistake("count backwards", "count runs downwards", line="count: 0..n-1", hint=2,
            makes=only(3, 4, lambda c: torch.arange(c.n).flip(0))),
    Mistake("count of floats", "count holds float32: it counts, so int64", line="count: int64", hint=2,
            makes=only(3, 4, lambda c: torch.arange(c.n).float())),
    Mistake("count of int32", "count holds int32, expected int64", line="count: int64", hint=2,
            makes=only(3, 4, lambda c: torch.arange(c.n).int())),
    Mistake("zeros of integers", "zeros holds int64, expected float32", line="zeros: float32", hint=2,
            makes=only(1, 4, lambda c: torch.zeros(c.n, c.n).long())),
    Mistake("ones of integers", "ones holds int64, expected float32", line="ones: float32", hint=2,
            makes=only(2, 4, lambda c: torch.ones(c.n, c.n).long())),
]


def rows_of(t, R, K, kind):
    """R lists of K numbers, whole ones up to 999 in size; MIXED ones begin with a whole number."""
    def number(place):
        if kind == WHOLE or (kind == MIXED and place % 2 == 0):
            return t.rng.randint(-999, 999)
        return t.rng.choice([-1, 1]) * t.rng.uniform(1, 9)
    return [[number(i + j) for j in range(K)] for i in range(R)]


@check(1)
def todo_1(t, create_tensors):
    """create_tensors: five tensors, their values, shapes and dtypes; the noise is standard normal."""
    R, K, n = t.sizes((6, 9), (6, 9), (12, 15))
    cases = [SimpleNamespace(rows=rows_of(t, R, K, kind), R=R, K=K, n=n, kind=kind,
                             text=f"{R} {'rows' if R > 1 else 'row'} of {K} {kind}, n = {n}")
             for R, K, n, kind in ((R, K, n, BROKEN), (R, K, 130, WHOLE),  # 130: more than int8 can count
                                   (1, K, 3, WHOLE), (R, 1, n + 1, BROKEN), (R, K, n + 2, MIXED), (R, K, 1, WHOLE))]

    def make(rows, n):
        return entries(t.call(create_tensors, rows, n), (*EXACT_1, "noise"))

    def right(rows, n):
        return torch.tensor(rows).float(), torch.zeros(n, n), torch.ones(n, n), torch.arange(n)

    def run(c):
        garbage = [torch.full((c.n, c.n), 7.0) for _ in range(9)]
        del garbage  # so that memory which was never set is not zero by luck
        made = make(c.rows, c.n)
        own_numbers(c, dict(zip(("zeros", "ones", "noise"), (made[1], made[2], made[4]))))
        t.equal(EXACT_1, made[:4], right(c.rows, c.n), MISTAKES_1, c, dtype="exact", tolerance=0)
        noise_fits(t, c, made[4])

    t.cases(cases, run, {"for floats": lambda c: c.kind != WHOLE, "for n = 1": lambda c: c.n == 1,
                         "for rows of one kind of number": lambda c: c.kind != MIXED})
    first, second = cases[0].rows, rows_of(t, R, K, BROKEN)
    one, two = twice(lambda rows: make(rows, n), first, second, EXACT_1, right(second, n))
    if torch.equal(one[4], two[4]):
        raise Wrong("noise is the same on each call: draw it fresh, and set no random seed inside the function",
                    name="same noise on each call")
    standard_normal(make(first, 60)[4].detach().double())
    follows_the_seed(t, lambda: make(first, 5)[4])
    return "from_list, zeros, ones and count are exact; noise is standard normal and new on each call"


def own_numbers(c, made):
    """zeros, ones and noise are three tensors, and zeros was really set."""
    for first, second in itertools.combinations(made, 2):
        if made[first] is made[second] and isinstance(made[first], torch.Tensor):
            raise Wrong(f"{first} and {second} are one and the same tensor: what is written into one stands in the "
                        "other as well", name="the same tensor twice", case=c)
    zeros, ones = made["zeros"], torch.ones(c.n, c.n)
    fits = type(zeros) is torch.Tensor and zeros.layout == torch.strided and zeros.dtype == SINGLE
    if fits and zeros.shape == ones.shape and zeros.any() and not torch.equal(zeros, ones):
        raise Wrong("zeros holds numbers other than 0: each of them should be set to 0", name="zeros not all zero",
                    line="zeros: every number is 0", hint=2, case=c)


def noise_fits(t, c, noise):
    """noise: float32 (n, n), finite numbers."""
    if isinstance(noise, torch.Tensor) and tuple(noise.shape) == (c.R, c.K) != (c.n, c.n):
        raise Wrong("noise has the shape of rows: it should be n by n", name="shape of rows", line="noise: (n, n)")
    t.equal("noise", noise, noise.double() if type(noise) is torch.Tensor and noise.shape == (c.n, c.n) and
            noise.is_floating_point() else torch.zeros(c.n, c.n).double(), dtype=SINGLE)


def standard_normal(noise):
    """Are these 60 x 60 numbers standard normal, each drawn for itself?

    A right answer fails with probability below 1e-7, the sum of these:
    - Two of the N = 3600 float32 numbers have the same size by chance in less than one pair on average (0.8 where the
      numbers come from 2**24 equally likely ones). More than 10 repeats: 1e-9 (Poisson).
    - The mean has standard deviation 1/60 and the mean square sqrt(2/3600): further than 6 of them off happens with
      2e-9 each (the mean square's distribution is a little skewed: 3e-8). The mean fourth power (expected 3) has
      sqrt(96 / 3600) = 0.16: 1.5 off is 9 of them.
    - All 3600 below 2.4 in size: (1 - 0.0164)**3600 = 1e-26. Beyond 1 in size: expected 1142, standard deviation 28,
      so 170 off is 6 of them, 2e-9 again (a Laplace distribution would have 875 there).
    - The mean product of the 60 * 59 pairs of neighbours has standard deviation 1 / sqrt(3540) = 0.0168, and 0.101
      is 6 of them: 3e-9 for those in a row, and for those in a column.
    - The mean of a quarter, 900 numbers, has 1/30: 0.2 is 6 of them, 2e-9 for each of four.
    """
    N = noise.numel()
    mean, square, largest = float(noise.mean()), float((noise**2).mean()), float(noise.abs().max())
    if noise.min() >= 0 and largest <= 1:
        raise Wrong("noise holds numbers between 0 and 1 (as torch.rand does): it should be standard normal",
                    name="uniform noise", line="noise: standard normal", hint=2)
    sizes = noise.abs().unique().numel()
    if sizes < N - 10:
        raise Wrong(f"of the {N} numbers of noise, {N - sizes} repeat an earlier one, up to the sign: standard normal "
                    "numbers, each drawn for itself, hardly ever do", name="noise repeats its numbers")
    if abs(mean) > 6 / 60 or abs(square - 1) > 6 * 2**0.5 / 60 or largest < 2.4 \
            or abs(int((noise.abs() > 1).sum()) - 1142) > 170 or abs(float((noise**4).mean()) - 3) > 1.5:
        raise Wrong(f"noise is not standard normal: over {N} numbers the mean is {mean:.3f} (expected about 0) and the "
                    f"mean square {square:.3f} (expected about 1)", name="noise not standard normal")
    for where, table in (("a row", noise), ("a column", noise.T)):
        alike = float((table[:, 1:] * table[:, :-1]).mean())
        if abs(alike) > 0.101:
            raise Wrong(f"neighbours in {where} of noise depend on each other (their mean product is {alike:.2f}, "
                        "expected about 0): each number should be drawn for itself", name="noise not independent")
    quarters = noise.reshape(2, 30, 2, 30).mean((1, 3)).flatten()
    if quarters.abs().max() > 0.2:
        raise Wrong(f"noise is not alike everywhere: the means of its quarters are "
                    f"{', '.join(f'{float(q):.2f}' for q in quarters)} (expected about 0)",
                    name="noise not standard normal")


def follows_the_seed(t, noise):
    """The same numbers after the same seed, whichever of three generators they come from."""
    def seeded():
        torch.manual_seed(t.seed)
        random.seed(t.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(t.seed % 2**32)
        return noise()
    if not torch.equal(seeded(), seeded()):
        raise Wrong("noise is another one each time although torch.manual_seed was called before: use PyTorch's own "
                    "random numbers", name="noise ignores the seed")


# --- TODO 2: tensor_operations -----------------------------------------------------------------------------------

NAMES_2 = ("sum", "product", "scores", "row_mean")
SUM, PRODUCT = "sum: a plus b, number by number", "product: a times b, number by number"
SCORES = "scores_ij = sum over k of a_ik b_jk"
MEAN, MEAN_SHAPE = "row_mean: the mean of each row of a", "row_mean: (R, 1)"
MISTAKES_2 = [
    Mistake("sum over everything", "sum adds up all numbers: it should stay a table", line=SUM, hint=2,
            makes=only(0, 4, lambda c: (c.a + c.b).sum())),
    Mistake("only a summed", "sum adds up the numbers of a", line=SUM, hint=2, makes=only(0, 4, lambda c: c.a.sum())),
    Mistake("minus instead of plus", "sum is a minus b", line=SUM, hint=2, makes=only(0, 4, lambda c: c.a - c.b)),
    Mistake("product summed", "product is one number: it should stay a table", line=PRODUCT,
            makes=only(1, 4, lambda c: (c.a * c.b).sum())),
    Mistake("matrix product instead of elementwise", "product holds dot products of rows: these belong in scores",
            line=PRODUCT, makes=only(1, 4, lambda c: c.a @ c.b.T)),
    Mistake("a twice", "product is a times itself", line=PRODUCT, makes=only(1, 4, lambda c: c.a * c.a)),
    Mistake("product after the change", "product uses a after it was changed",
            makes=only(1, 4, lambda c: (c.a + c.b) * c.b)),
    Mistake("scores transposed", "scores has rows and columns exchanged: row i belongs to row i of a", line=SCORES,
            hint=2, makes=only(2, 4, lambda c: c.b @ c.a.T)),
    Mistake("wrong factor transposed", "scores multiplies columns with columns, which gives (K, K)", line=SCORES,
            makes=only(2, 4, lambda c: c.a.T @ c.b)),
    Mistake("scores of a with itself", "scores compares a with itself", line=SCORES, hint=2,
            makes=only(2, 4, lambda c: c.a @ c.a.T)),
    Mistake("only matching rows", "scores compares row i of a with row i of b only", line=SCORES,
            makes=only(2, 4, lambda c: (c.a * c.b).sum(-1))),
    Mistake("scores elementwise", "scores is a times b number by number: it should be the matrix product", line=SCORES,
            makes=only(2, 4, lambda c: c.a * c.b)),
    Mistake("scores scaled", "scores is divided by sqrt(K): that comes later", line=SCORES, hint=2,
            makes=only(2, 4, lambda c: c.a @ c.b.T / c.a.shape[1]**0.5)),
    Mistake("dimension not kept", "row_mean has lost its last dimension, which should stay with size 1",
            line=MEAN_SHAPE, hint=2, makes=only(3, 4, lambda c: c.a.mean(-1))),
    Mistake("mean over the rows", "row_mean is the mean over the first dimension, one number per column", line=MEAN,
            hint=2, makes=only(3, 4, lambda c: c.a.mean(0))),
    Mistake("mean over the rows", "row_mean is the mean over the first dimension, one number per column", line=MEAN,
            hint=2, makes=only(3, 4, lambda c: c.a.mean(0, keepdim=True))),
    Mistake("mean over the rows", "row_mean is the mean over the first dimension, one number per column", line=MEAN,
            hint=2, makes=only(3, 4, lambda c: c.a.mean(0)[:, None])),
    Mistake("mean over everything", "row_mean is one number for all of a", line=MEAN_SHAPE, hint=2,
            makes=only(3, 4, lambda c: c.a.mean())),
    Mistake("mean over everything", "row_mean is one number for all of a", line=MEAN, hint=2,
            makes=only(3, 4, lambda c: c.a.mean().expand(len(c.a), 1))),
    Mistake("mean of b", "row_mean is the mean of b, not of a", line=MEAN, hint=2,
            makes=only(3, 4, lambda c: c.b.mean(-1, keepdim=True))),
    Mistake("mean of the sum", "row_mean is the mean of a plus b, not of a", line=MEAN, hint=2,
            makes=only(3, 4, lambda c: (c.a + c.b).mean(-1, keepdim=True))),
    Mistake("sum instead of mean", "row_mean is the sum of each row, not divided by K", line=MEAN, hint=2,
            makes=only(3, 4, lambda c: c.a.sum(-1, keepdim=True))),
    Mistake("divided by the number of rows", "row_mean is divided by R: each row has K numbers", line=MEAN, hint=2,
            makes=only(3, 4, lambda c: c.a.sum(-1, keepdim=True) / len(c.a))),
    Mistake("row as a row", "row_mean has shape (1, R), expected (R, 1)", line=MEAN_SHAPE, hint=2,
            makes=only(3, 4, lambda c: c.a.mean(-1)[None])),
]


def operations(a, b):
    """PyTorch's own results, in the order of NAMES_2."""
    return torch.add(a, b), torch.mul(a, b), torch.einsum("ik,jk->ij", a, b), torch.mean(a, -1, keepdim=True)


@check(2)
def todo_2(t, tensor_operations):
    """tensor_operations: the four results and their gradients against PyTorch's."""
    R, K = t.sizes((4, 5), (7, 9))  # K - 1 is never R, so that dividing by one is not taken for dividing by the other

    def case(R, K, dtype=SINGLE, contiguous=True):
        # a and b in one tensor, so that gradients for both are compared
        x = t.randn(2, R, K) if contiguous else t.randn(2, K, R).mT
        kind = f"{str(dtype)[6:]}{'' if contiguous else ', transposed views'}"
        return SimpleNamespace(x=x, a=x[0], b=x[1], dtype=dtype, contiguous=contiguous,
                               text=f"a and b of shape ({R}, {K}), {kind}")

    def both(x):
        return entries(tensor_operations(x[0], x[1]), NAMES_2)

    def plain(pair):
        """Called as a learner does, with two tensors that ask for no gradient."""
        results = entries(t.call(tensor_operations, *pair), NAMES_2)
        if any(x.requires_grad for x in pair):
            raise Wrong("it switches requires_grad on for the caller's tensor.", kind="changes its input")
        return results

    def run(c):
        if c.dtype != LOW:
            t.against(both, lambda x: operations(*x), (c.x,), names=NAMES_2, dtype=c.dtype, mistakes=MISTAKES_2, case=c,
                      through=4)
            return
        # K products, K - 1 sums and a division, each rounded to 8 binary digits: off by 2**-8 of the sizes added up.
        a, b = c.a.to(LOW), c.b.to(LOW)
        right, sizes = operations(a.double(), b.double()), operations(a.double().abs(), b.double().abs())
        got = entries(t.call(tensor_operations, a, b), NAMES_2)
        for name, mine, expected, size in zip(NAMES_2, got, right, sizes):
            t.equal(name, mine, expected, dtype=LOW, tolerance=(a.shape[1] + 2) * 2**-8 * size)

    # No two of the same shape: an answer that remembers results by shape is told so by `twice`.
    cases = [case(R, K), case(K, R), case(1, K), case(R, 1), case(K, K), case(3 * R, 3 * K), case(R, K + 1, DOUBLE),
             case(R, K + 2, LOW), case(R, K + 3, contiguous=False)]
    t.cases(cases, run, {
        "for square matrices": lambda c: c.a.shape[0] == c.a.shape[1], "for one row": lambda c: len(c.a) == 1,
        **DTYPES, "on contiguous tensors": lambda c: c.contiguous})
    first, second = (tuple(t.randn(2, R, K, dtype=SINGLE).unbind()) for _ in range(2))
    twice(plain, first, second, NAMES_2, operations(*second))
    t.elsewhere(both, (cases[0].x,), NAMES_2)
    return "sum, product, scores and row_mean, and their gradients"


# --- TODO 3: split_heads and merge_heads -------------------------------------------------------------------------

SPLIT = "(B, T, C) -> (B, T, H, D) -> (B, H, T, D)"
MERGE = "(B, H, T, D) -> (B, T, H, D) -> (B, T, C)"
SPLIT_MISTAKES = [
    Mistake("not transposed", "split_heads gives (B, T, H, D): heads and positions still have to change places",
            line=SPLIT, makes=lambda c: c.x.unflatten(-1, (c.H, c.D))),
    Mistake("split without transpose", "split_heads views (B, T, C) directly as (B, H, T, D): that mixes positions",
            line=SPLIT, makes=lambda c: c.x.reshape(c.B, c.H, c.T, c.D)),
    Mistake("heads interleaved", "split_heads gives feature i to head i % H: head h should get the neighbours h*D .. "
            "(h+1)*D", line=SPLIT, makes=lambda c: c.x.unflatten(-1, (c.D, c.H)).permute(0, 3, 1, 2)),
    Mistake("heads in reverse order", "split_heads numbers the heads from the end", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.H).flip(1)),
    Mistake("features before positions", "split_heads gives (B, H, D, T)", line=SPLIT, hint=2,
            makes=lambda c: oracle.split_heads(c.x, c.H).mT),
    Mistake("heads first", "split_heads gives (H, B, T, D)", line=SPLIT, hint=2,
            makes=lambda c: oracle.split_heads(c.x, c.H).transpose(0, 1)),
    Mistake("D heads", "split_heads makes D heads of width H", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.D)),
    Mistake("D heads", "split_heads makes D heads of width H, not transposed", line=SPLIT,
            makes=lambda c: c.x.unflatten(-1, (c.D, c.H))),
    *(Mistake("num_heads ignored", f"split_heads makes {heads} although num_heads is another number", line=SPLIT,
              makes=lambda c, H=H: oracle.split_heads(c.x, H))
      for H, heads in enumerate(("one head", "2 heads", "3 heads", "4 heads"), start=1)),
    Mistake("positions split", "split_heads cuts the positions into heads, not the features", line=SPLIT,
            makes=lambda c: c.x.reshape(c.B, c.H, -1, c.C)),
    Mistake("dimension of size 1 lost", "split_heads drops a dimension of size 1: the result has four dimensions, "
            "whatever their sizes", line=SPLIT, hint=2, makes=lambda c: oracle.split_heads(c.x, c.H).squeeze()),
    Mistake("batch and heads in one dimension", "split_heads gives (B * H, T, D)", line=SPLIT, hint=2,
            makes=lambda c: oracle.split_heads(c.x, c.H).flatten(0, 1)),
    Mistake("one head kept", "split_heads gives the first head only", line=SPLIT, makes=lambda c: c.x[..., :c.D]),
]
MERGE_MISTAKES = [
    Mistake("merge without transpose", "merge_heads views (B, H, T, D) directly as (B, T, C): that mixes heads and "
            "positions", line=MERGE, hint=2, makes=lambda c: c.x.reshape(c.B, c.T, c.C)),
    Mistake("merge interleaved", "merge_heads takes one feature of each head in turn", line=MERGE, hint=2,
            makes=lambda c: c.x.permute(0, 2, 3, 1).reshape(c.B, c.T, c.C)),
    Mistake("heads added up", "merge_heads adds the heads up: they go side by side", line=MERGE, hint=2,
            makes=lambda c: c.x.sum(1)),
    Mistake("heads averaged", "merge_heads averages the heads: they go side by side", line=MERGE, hint=2,
            makes=lambda c: c.x.mean(1)),
    Mistake("not flattened", "merge_heads gives (B, T, H, D): the last two dimensions still have to become one",
            line=MERGE, hint=2, makes=lambda c: c.x.transpose(1, 2)),
    Mistake("merged along the positions", "merge_heads puts the heads one after the other in time, (B, H * T, D)",
            line=MERGE, hint=2, makes=lambda c: c.x.reshape(c.B, -1, c.D)),
    Mistake("heads in reverse order", "merge_heads takes the heads from the end", line=MERGE, hint=2,
            makes=lambda c: oracle.merge_heads(c.x.flip(1))),
    Mistake("features before positions", "merge_heads mixes positions and features", line=MERGE, hint=2,
            makes=lambda c: c.x.transpose(1, 3).reshape(c.B, c.T, c.C)),
    Mistake("features before positions", "merge_heads gives (B, C, T)", line=MERGE, hint=2,
            makes=lambda c: oracle.merge_heads(c.x).mT),
    Mistake("dimension of size 1 lost", "merge_heads drops a dimension of size 1: the result has three dimensions, "
            "whatever their sizes", line=MERGE, hint=2, makes=lambda c: oracle.merge_heads(c.x).squeeze()),
    Mistake("one head kept", "merge_heads keeps the first head only", line=MERGE, hint=2, makes=lambda c: c.x[:, 0]),
    Mistake("remembers an earlier call", "merge_heads gives back what split_heads was given in an earlier call",
            makes=lambda c: c.seen),
]
CONTIGUOUS, TRANSPOSED, PART = "contiguous", "a transposed view", "a part of a larger tensor"
PATTERNS_3 = {
    "for a batch of 1": lambda c: c.B == 1,
    "for one head": lambda c: c.H == 1,
    "for heads of width 1": lambda c: c.D == 1,
    "for one position": lambda c: c.T == 1,
    "when T equals H": lambda c: c.T == c.H,
    "when H equals D": lambda c: c.H == c.D,
    "when T equals D": lambda c: c.T == c.D,
    "for a batch of 1 or one head": lambda c: 1 in (c.B, c.H),
    "for an even number of features": lambda c: c.C % 2 == 0,
    **DTYPES,
    "on the output of split_heads (a transposed view)": lambda c: c.layout == TRANSPOSED,
    "on contiguous tensors": lambda c: c.layout == CONTIGUOUS,
    "on tensors that are no part of a larger one": lambda c: c.layout != PART,
}


def laid_out(t, shape, dtype, layout):
    """Random numbers of a shape, in one of three layouts: a transposed view is what split_heads itself gives, a part
    of a larger tensor is what chunk(3, dim=-1) gives."""
    if layout == TRANSPOSED:
        B, first, second, *rest = shape
        return t.randn(B, second, first, *rest, dtype=dtype).transpose(1, 2)
    if layout == PART:
        return t.randn(*shape[:-1], 3 * shape[-1], dtype=dtype).chunk(3, dim=-1)[1]
    return t.randn(*shape, dtype=dtype)


@check(3)
def todo_3(t, split_heads, merge_heads):
    """split_heads and merge_heads: exact values, gradients, inverse of each other, ValueError."""
    B, T = t.sizes((2, 4), (13, 15))
    H, D = t.rng.choice([(6, 8), (6, 10), (12, 5), (12, 7)])  # C can be dealt out to 1, 2, 3 or 4 heads, too
    special = [(1, T, H, D), (B, T, 1, D), (B, T, D, 1), (B, 1, H, D),
               (B, D, D, H), (B, T, H, H), (B, 12, 6, 2), (B, B, B, D),  # T = H, H = D, T = C, B = T = H
               (B, T, 16, 3), (B, T, 7, 3)]  # many heads, an odd number of features
    # Each has another T: an answer that remembers results by shape is told so by `twice`. Gradients are compared where
    # rounding and the copy that `against` makes (a part becomes whole) do no harm.
    kinds = [(T, SINGLE, CONTIGUOUS, True), (T + 1, DOUBLE, CONTIGUOUS, True), (T + 2, SINGLE, TRANSPOSED, True),
             (T + 3, LOW, CONTIGUOUS, False), (T + 4, SINGLE, PART, False)]
    sizes = [*((B, T, H, D, *kind) for T, *kind in kinds), *((*size, SINGLE, CONTIGUOUS, False) for size in special)]

    def split_case(B, T, H, D, dtype, layout, gradients):
        x = laid_out(t, (B, T, H * D), dtype, layout)
        return SimpleNamespace(B=B, T=T, H=H, D=D, C=H * D, x=x, args=(x, H), dtype=dtype, layout=layout,
                               gradients=gradients, text=f"split_heads, x of shape ({B}, {T}, {H * D}), {layout}, "
                               f"num_heads {H}, {str(dtype)[6:]}")

    def merge_case(B, T, H, D, dtype, layout, gradients, seen=None):
        x = laid_out(t, (B, H, T, D), dtype, layout)
        return SimpleNamespace(B=B, T=T, H=H, D=D, C=H * D, x=x, args=(x,), dtype=dtype, layout=layout,
                               gradients=gradients, seen=seen,
                               text=f"merge_heads, x of shape ({B}, {H}, {T}, {D}), {layout}, {str(dtype)[6:]}")

    def compared(function, truth, mistakes):
        name = f"result of {truth.__name__}"

        def run(c):
            if c.gradients:
                t.against(function, truth, c.args, names=(name,), dtype=c.dtype, mistakes=mistakes, case=c)
            else:
                t.equal(name, t.call(function, *c.args), truth(*c.args), mistakes, c, dtype=c.dtype, tolerance=0)
        return run

    splits = [split_case(*size) for size in sizes]
    t.cases(splits, compared(split_heads, oracle.split_heads, SPLIT_MISTAKES), PATTERNS_3)
    merges = [merge_case(*size, seen=split.x) for size, split in zip(sizes, splits)]
    merges.append(merge_case(1, T + 2, H, D, SINGLE, TRANSPOSED, False))
    t.cases(merges, compared(merge_heads, oracle.merge_heads, MERGE_MISTAKES), PATTERNS_3)
    for C, heads in ((H * D + 1, H), (H * D + 2, H), (H * D + H - 1, H), (D, 2 * D)):
        t.refuses(split_heads, t.randn(B, T, C), heads, because=f"C = {C} and num_heads = {heads} (not divisible)")
    x, other = t.randn(B, T, H * D, dtype=SINGLE), t.randn(B, T, H * D, dtype=SINGLE)
    twice(lambda x: (t.call(split_heads, x, H),), x, other, ("result of split_heads",), (oracle.split_heads(other, H),))
    heads = [oracle.split_heads(each, H) for each in (x, other)]
    twice(lambda x: (t.call(merge_heads, x),), *heads, ("result of merge_heads",), (other,))
    if not same(t.call(merge_heads, t.call(split_heads, x, H)), x, SINGLE, tolerance=0):
        raise Wrong("merge_heads(split_heads(x, num_heads)) should be exactly x", kind="not the inverse")
    t.elsewhere(split_heads, (x, H))
    t.elsewhere(merge_heads, (heads[0],))
    return "split_heads and merge_heads: values, gradients, exact inverse, ValueError"
