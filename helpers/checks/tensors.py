"""Checks of 1_tensors: TODOs 1-3."""
import random
import sys
from types import SimpleNamespace

import torch

from helpers import oracle
from helpers.checks.compare import kind_of, same
from helpers.checks.engine import Mistake, Wrong, check

SINGLE, DOUBLE = torch.float32, torch.float64


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


# --- TODO 1: create_tensors --------------------------------------------------------------------------------------

def only(place, count, makes):
    """A mistake in one of `count` results: the others are free."""
    return lambda c: tuple(makes(c) if i == place else None for i in range(count))


EXACT_1 = ("from_list", "zeros", "ones", "count")
MISTAKES_1 = [
    Mistake("integers kept", "from_list keeps whole numbers as int64: ask for dtype=torch.float32",
            line="from_list: float32", makes=only(0, 4, lambda c: torch.tensor(c.rows).long() if c.whole else None)),
    Mistake("transposed", "from_list is transposed: each list is a row", line="from_list: (R, K)",
            makes=only(0, 4, lambda c: torch.tensor(c.rows).float().T)),
    Mistake("flattened", "from_list has lost its rows", line="from_list: (R, K)",
            makes=only(0, 4, lambda c: torch.tensor(c.rows).float().flatten())),
    Mistake("one dimension only", "zeros has n numbers in one row: it should be n by n", line="zeros: (n, n)",
            makes=only(1, 4, lambda c: torch.zeros(c.n))),
    Mistake("one dimension only", "ones has n numbers in one row: it should be n by n", line="ones: (n, n)",
            makes=only(2, 4, lambda c: torch.ones(c.n))),
    Mistake("shape of rows", "zeros has the shape of rows: it should be n by n", line="zeros: (n, n)",
            makes=only(1, 4, lambda c: torch.zeros(c.R, c.K))),
    Mistake("shape of rows", "ones has the shape of rows: it should be n by n", line="ones: (n, n)",
            makes=only(2, 4, lambda c: torch.ones(c.R, c.K))),
    Mistake("identity instead of ones", "ones is the identity matrix", line="ones: every number is 1",
            makes=only(2, 4, lambda c: torch.eye(c.n))),
    Mistake("zeros and ones swapped", "zeros holds ones", makes=only(1, 4, lambda c: torch.ones(c.n, c.n))),
    Mistake("zeros and ones swapped", "ones holds zeros", makes=only(2, 4, lambda c: torch.zeros(c.n, c.n))),
    Mistake("count starts at 1", "count runs from 1 to n: it should start at 0", line="count: 0..n-1",
            makes=only(3, 4, lambda c: torch.arange(1, c.n + 1))),
    Mistake("count one too many", "count runs to n: it should end at n-1", line="count: 0..n-1",
            makes=only(3, 4, lambda c: torch.arange(c.n + 1))),
    Mistake("count one too few", "count starts at 1 and ends at n-1: the 0 is missing", line="count: 0..n-1",
            makes=only(3, 4, lambda c: torch.arange(1, c.n))),
    Mistake("count backwards", "count runs downwards", line="count: 0..n-1",
            makes=only(3, 4, lambda c: torch.arange(c.n).flip(0))),
    Mistake("count of floats", "count holds float32: it counts, so int64", line="count: int64",
            makes=only(3, 4, lambda c: torch.arange(c.n).float())),
    Mistake("count of int32", "count holds int32, expected int64", line="count: int64",
            makes=only(3, 4, lambda c: torch.arange(c.n).int())),
    Mistake("zeros of integers", "zeros holds int64, expected float32", line="zeros: float32",
            makes=only(1, 4, lambda c: torch.zeros(c.n, c.n).long())),
    Mistake("ones of integers", "ones holds int64, expected float32", line="ones: float32",
            makes=only(2, 4, lambda c: torch.ones(c.n, c.n).long())),
]


@check(1)
def todo_1(t, create_tensors):
    """create_tensors: five tensors, their values, shapes and dtypes; the noise is standard normal."""
    R, K, n = t.sizes((2, 5), (2, 5), (6, 9))
    cases = []
    for rows, width, size, whole in ((R, K, n, False), (R, K, n + 1, True), (1, K, 2, True), (R, 1, 1, False)):
        number = (lambda: t.rng.randint(-9, 9)) if whole else (lambda: t.rng.choice([-1, 1]) * t.rng.uniform(1, 9))
        cases.append(SimpleNamespace(
            rows=[[number() for _ in range(width)] for _ in range(rows)], R=rows, K=width, n=size, whole=whole,
            text=f"{rows} rows of {width} {'whole ' if whole else ''}numbers, n = {size}"))

    def run(c):
        garbage = [torch.full((c.n, c.n), 7.0) for _ in range(9)]
        del garbage  # so that memory which was never set is not zero by luck
        got = entries(t.call(create_tensors, c.rows, c.n), (*EXACT_1, "noise"))
        right = torch.tensor(c.rows).float(), torch.zeros(c.n, c.n), torch.ones(c.n, c.n), torch.arange(c.n)
        t.equal(EXACT_1, got[:4], right, MISTAKES_1, c, dtype="exact", tolerance=0)
        standard_normal(t, create_tensors, c, got[4])

    t.cases(cases, run, {"for square rows": lambda c: c.R == c.K, "for floats": lambda c: not c.whole,
                         "for n = 1": lambda c: c.n == 1})
    return "from_list, zeros, ones and count are exact; noise is standard normal and new on each call"


def standard_normal(t, create_tensors, c, noise):
    """noise: float32 (n, n), standard normal, another one on each call, the same one after the same seed."""
    if isinstance(noise, torch.Tensor) and tuple(noise.shape) == (c.R, c.K) != (c.n, c.n):
        raise Wrong("noise has the shape of rows: it should be n by n", name="shape of rows", line="noise: (n, n)")
    t.equal("noise", noise, noise.double() if type(noise) is torch.Tensor and noise.shape == (c.n, c.n) and
            noise.is_floating_point() else torch.zeros(c.n, c.n).double(), dtype=SINGLE)

    def again(n):
        return t.call(create_tensors, c.rows, n)["noise"].detach().double()

    if torch.equal(again(8), again(8)):
        raise Wrong("noise is the same on each call: draw it fresh, and set no seed inside the function",
                    name="same noise on each call")
    n = 60
    noise = again(n)
    # N = 3600 numbers. Their mean has standard deviation 1/60 and their mean square sqrt(2/3600): further than 6
    # standard deviations off happens with probability 2e-9 each (the mean square's distribution is a little skewed:
    # 3e-8). The mean fourth power (expected 3) has standard deviation sqrt(96 / 3600) = 0.16: 1.5 off is 9 of them.
    # All 3600 below 2.4 in size: (1 - 0.0164)**3600 = 1e-26. Beyond 1 in size: expected 1142,
    # standard deviation 28, so 170 off is 6 of them, 2e-9 again (a Laplace distribution would have 875 there).
    mean, square, largest = float(noise.mean()), float((noise**2).mean()), float(noise.abs().max())
    if noise.min() >= 0 and largest <= 1:
        raise Wrong("noise holds numbers between 0 and 1, all equally likely (torch.rand): it should be standard "
                    "normal", name="uniform noise", line="noise: standard normal")
    if abs(mean) > 6 / n or abs(square - 1) > 6 * 2**0.5 / n or largest < 2.4 \
            or abs(int((noise.abs() > 1).sum()) - 1142) > 170 or abs(float((noise**4).mean()) - 3) > 1.5:
        raise Wrong(f"noise is not standard normal: over {n * n} numbers the mean is {mean:.3f} (expected about 0) and "
                    f"the mean square {square:.3f} (expected about 1)", name="noise not standard normal")

    if noise.unique().numel() < 3400:  # float32 gives two of 3600 numbers the same value now and then: about one pair
        raise Wrong("noise repeats its numbers: each should be drawn for itself", name="noise repeats its numbers")

    def seeded():
        torch.manual_seed(t.seed)
        random.seed(t.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(t.seed % 2**32)
        return again(5)
    if not torch.equal(seeded(), seeded()):
        raise Wrong("noise is another one each time although torch.manual_seed was called before: use PyTorch's own "
                    "random numbers", name="noise ignores the seed")


# --- TODO 2: tensor_operations -----------------------------------------------------------------------------------

NAMES_2 = ("sum", "product", "scores", "row_mean")
MISTAKES_2 = [
    Mistake("sum over everything", "sum adds up all numbers: it should be a + b, number by number", line="sum = a + b",
            makes=only(0, 4, lambda c: (c.a + c.b).sum())),
    Mistake("only a summed", "sum adds up the numbers of a: it should be a + b", line="sum = a + b",
            makes=only(0, 4, lambda c: c.a.sum())),
    Mistake("minus instead of plus", "sum is a - b", line="sum = a + b", makes=only(0, 4, lambda c: c.a - c.b)),
    Mistake("product summed", "product is one number: it should be elementwise", line="product: elementwise",
            makes=only(1, 4, lambda c: (c.a * c.b).sum())),
    Mistake("matrix product instead of elementwise", "product equals a @ b.T: that is the entry scores",
            line="product: elementwise", makes=only(1, 4, lambda c: c.a @ c.b.T)),
    Mistake("a twice", "product is a * a", line="product: elementwise", makes=only(1, 4, lambda c: c.a * c.a)),
    Mistake("product after the change", "product uses a after it was changed",
            makes=only(1, 4, lambda c: (c.a + c.b) * c.b)),
    Mistake("scores transposed", "scores equals b @ a.T: row i belongs to row i of a", line="scores = a @ b.T",
            makes=only(2, 4, lambda c: c.b @ c.a.T)),
    Mistake("wrong factor transposed", "scores equals a.T @ b, which is (K, K)", line="scores = a @ b.T",
            makes=only(2, 4, lambda c: c.a.T @ c.b)),
    Mistake("scores of a with itself", "scores equals a @ a.T", line="scores = a @ b.T",
            makes=only(2, 4, lambda c: c.a @ c.a.T)),
    Mistake("only matching rows", "scores compares row i of a with row i of b only", line="scores = a @ b.T",
            makes=only(2, 4, lambda c: (c.a * c.b).sum(-1))),
    Mistake("scores elementwise", "scores equals a * b: it should be the matrix product a @ b.T",
            line="scores = a @ b.T", makes=only(2, 4, lambda c: c.a * c.b)),
    Mistake("scores scaled", "scores is divided by sqrt(K): that comes later", line="scores = a @ b.T",
            makes=only(2, 4, lambda c: c.a @ c.b.T / c.a.shape[1]**0.5)),
    Mistake("dimension not kept", "row_mean has lost its last dimension: keepdim=True keeps it",
            line="row_mean: (R, 1)", makes=only(3, 4, lambda c: c.a.mean(-1))),
    Mistake("mean over the rows", "row_mean is the mean over the first dimension, one number per column",
            line="row_mean: mean over the last dimension", makes=only(3, 4, lambda c: c.a.mean(0))),
    Mistake("mean over the rows", "row_mean is the mean over the first dimension, one number per column",
            line="row_mean: mean over the last dimension", makes=only(3, 4, lambda c: c.a.mean(0, keepdim=True))),
    Mistake("mean over the rows", "row_mean is the mean over the first dimension, one number per column",
            line="row_mean: mean over the last dimension", makes=only(3, 4, lambda c: c.a.mean(0)[:, None])),
    Mistake("mean over everything", "row_mean is one number for all of a", line="row_mean: (R, 1)",
            makes=only(3, 4, lambda c: c.a.mean())),
    Mistake("mean over everything", "row_mean is one number for all of a", line="row_mean: (R, 1)",
            makes=only(3, 4, lambda c: c.a.mean().expand(len(c.a), 1))),
    Mistake("mean of b", "row_mean is the mean of b, not of a", line="row_mean: mean of a",
            makes=only(3, 4, lambda c: c.b.mean(-1, keepdim=True))),
    Mistake("mean of the sum", "row_mean is the mean of a + b, not of a", line="row_mean: mean of a",
            makes=only(3, 4, lambda c: (c.a + c.b).mean(-1, keepdim=True))),
    Mistake("sum instead of mean", "row_mean is the sum of each row, not divided by K", line="row_mean: mean of a",
            makes=only(3, 4, lambda c: c.a.sum(-1, keepdim=True))),
    Mistake("divided by the number of rows", "row_mean is divided by R: each row has K numbers",
            line="row_mean: mean of a", makes=only(3, 4, lambda c: c.a.sum(-1, keepdim=True) / len(c.a))),
    Mistake("row as a row", "row_mean has shape (1, R), expected (R, 1)", line="row_mean: (R, 1)",
            makes=only(3, 4, lambda c: c.a.mean(-1)[None])),
]


@check(2)
def todo_2(t, tensor_operations):
    """tensor_operations: the four results and their gradients against PyTorch's."""
    R, K = t.sizes((2, 5), (6, 9))

    def case(R, K, dtype):
        x = t.randn(2, R, K)  # a and b in one tensor, so that gradients for both are compared
        return SimpleNamespace(x=x, a=x[0], b=x[1], dtype=dtype, text=f"a and b of shape ({R}, {K}), {str(dtype)[6:]}")

    def mine(x):
        return entries(tensor_operations(x[0], x[1]), NAMES_2)

    def truth(x):
        return (torch.add(x[0], x[1]), torch.mul(x[0], x[1]), torch.einsum("ik,jk->ij", x[0], x[1]),
                torch.mean(x[0], -1, keepdim=True))

    cases = [case(R, K, SINGLE), case(K, R, SINGLE), case(1, K, SINGLE), case(R, 1, SINGLE), case(K, K, SINGLE),
             case(R, K, DOUBLE)]
    t.cases(cases, lambda c: t.against(mine, truth, (c.x,), names=NAMES_2, dtype=c.dtype, mistakes=MISTAKES_2, case=c,
                                       through=4),
            {"for square matrices": lambda c: c.a.shape[0] == c.a.shape[1], "for one row": lambda c: len(c.a) == 1,
             "in float32": lambda c: c.dtype == SINGLE, "in float64": lambda c: c.dtype == DOUBLE})
    t.elsewhere(mine, (cases[0].x,), NAMES_2)
    return "sum, product, scores and row_mean, and their gradients"


# --- TODO 3: split_heads and merge_heads -------------------------------------------------------------------------

SPLIT = "(B, T, C) -> (B, T, H, D) -> (B, H, T, D)"
MERGE = "(B, H, T, D) -> (B, T, H, D) -> (B, T, C)"
SPLIT_MISTAKES = [
    Mistake("not transposed", "split_heads gives (B, T, H, D): heads and positions still have to change places",
            line=SPLIT, makes=lambda c: c.x.unflatten(-1, (c.H, c.D))),
    Mistake("split without transpose", "split_heads views (B, T, C) directly as (B, H, T, D): that mixes positions",
            line=SPLIT, hint=2, makes=lambda c: c.x.reshape(c.B, c.H, c.T, c.D)),
    Mistake("heads interleaved", "split_heads gives feature i to head i % H: head h should get the neighbours h*D .. "
            "(h+1)*D", line=SPLIT, hint=2, makes=lambda c: c.x.unflatten(-1, (c.D, c.H)).permute(0, 3, 1, 2)),
    Mistake("heads in reverse order", "split_heads numbers the heads from the end", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.H).flip(1)),
    Mistake("features before positions", "split_heads gives (B, H, D, T)", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.H).mT),
    Mistake("heads first", "split_heads gives (H, B, T, D)", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.H).transpose(0, 1)),
    Mistake("D heads", "split_heads makes D heads of width H", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.D)),
    Mistake("D heads", "split_heads makes D heads of width H, not transposed", line=SPLIT,
            makes=lambda c: c.x.unflatten(-1, (c.D, c.H))),
    Mistake("positions split", "split_heads cuts the positions into heads, not the features", line=SPLIT,
            makes=lambda c: c.x.reshape(c.B, c.H, -1, c.C)),
    Mistake("batch and heads in one dimension", "split_heads gives (B * H, T, D)", line=SPLIT,
            makes=lambda c: oracle.split_heads(c.x, c.H).flatten(0, 1)),
    Mistake("a list of heads", "split_heads gives the first head only", line=SPLIT, makes=lambda c: c.x[..., :c.D]),
]
MERGE_MISTAKES = [
    Mistake("merge without transpose", "merge_heads views (B, H, T, D) directly as (B, T, C): that mixes heads and "
            "positions", line=MERGE, hint=2, makes=lambda c: c.x.reshape(c.B, c.T, c.C)),
    Mistake("merge interleaved", "merge_heads takes one feature of each head in turn", line=MERGE, hint=2,
            makes=lambda c: c.x.permute(0, 2, 3, 1).reshape(c.B, c.T, c.C)),
    Mistake("heads added up", "merge_heads adds the heads up: they go side by side", line=MERGE,
            makes=lambda c: c.x.sum(1)),
    Mistake("heads averaged", "merge_heads averages the heads: they go side by side", line=MERGE,
            makes=lambda c: c.x.mean(1)),
    Mistake("not flattened", "merge_heads gives (B, T, H, D): the last two dimensions still have to become one",
            line=MERGE, makes=lambda c: c.x.transpose(1, 2)),
    Mistake("merged along the positions", "merge_heads puts the heads one after the other in time, (B, H * T, D)",
            line=MERGE, makes=lambda c: c.x.reshape(c.B, -1, c.D)),
    Mistake("heads in reverse order", "merge_heads takes the heads from the end", line=MERGE,
            makes=lambda c: oracle.merge_heads(c.x.flip(1))),
    Mistake("features before positions", "merge_heads mixes positions and features", line=MERGE,
            makes=lambda c: c.x.transpose(1, 3).reshape(c.B, c.T, c.C)),
    Mistake("features before positions", "merge_heads gives (B, C, T)", line=MERGE,
            makes=lambda c: oracle.merge_heads(c.x).mT),
    Mistake("one head kept", "merge_heads keeps the first head only", line=MERGE, makes=lambda c: c.x[:, 0]),
]
PATTERNS_3 = {
    "for a batch of 1": lambda c: c.B == 1,
    "for one head": lambda c: c.H == 1,
    "for heads of width 1": lambda c: c.D == 1,
    "for one position": lambda c: c.T == 1,
    "when T equals H": lambda c: c.T == c.H,
    "when H equals D": lambda c: c.H == c.D,
    "when T equals D": lambda c: c.T == c.D,
    "for a batch of 1 or one head": lambda c: 1 in (c.B, c.H),
    "in float32": lambda c: c.dtype == SINGLE,
    "on the output of split_heads (a transposed view)": lambda c: not c.contiguous,
    "on contiguous tensors": lambda c: c.contiguous,
}


@check(3)
def todo_3(t, split_heads, merge_heads):
    """split_heads and merge_heads: exact values, gradients, inverse of each other, ValueError."""
    B, T, H, D = t.sizes((2, 4), (5, 7), (2, 4), (5, 8))
    sizes = [(B, T, H, D), (1, T, H, D), (B, T, 1, D), (B, T, D, 1), (B, 1, H, D), (B, D, D, H), (B, T, H, H)]

    def split_case(B, T, H, D, dtype):
        return SimpleNamespace(B=B, T=T, H=H, D=D, C=H * D, dtype=dtype, x=t.randn(B, T, H * D), contiguous=True,
                               text=f"split_heads, x of shape ({B}, {T}, {H * D}), num_heads {H}, {str(dtype)[6:]}")

    def merge_case(B, T, H, D, dtype, contiguous):
        x = t.randn(B, H, T, D) if contiguous else t.randn(B, T, H, D).transpose(1, 2)
        kind = "contiguous" if contiguous else "a transposed view"
        return SimpleNamespace(B=B, T=T, H=H, D=D, C=H * D, dtype=dtype, x=x, contiguous=contiguous,
                               text=f"merge_heads, x of shape ({B}, {H}, {T}, {D}), {kind}, {str(dtype)[6:]}")

    splits = [*(split_case(*s, SINGLE) for s in sizes), split_case(*sizes[0], DOUBLE)]
    t.cases(splits, lambda c: t.against(split_heads, oracle.split_heads, (c.x, c.H), names=("result of split_heads",),
                                        dtype=c.dtype, mistakes=SPLIT_MISTAKES, case=c), PATTERNS_3)
    for C, heads in ((H * D + 1, H), (D, 2 * D)):
        t.refuses(split_heads, torch.zeros(B, T, C), heads, because=f"C = {C} and num_heads = {heads} (not divisible)")
    merges = [merge_case(*s, SINGLE, contiguous) for s in sizes for contiguous in (False, True)]
    merges.append(merge_case(*sizes[0], DOUBLE, True))
    t.cases(merges, lambda c: t.against(merge_heads, oracle.merge_heads, (c.x,), names=("result of merge_heads",),
                                        dtype=c.dtype, mistakes=MERGE_MISTAKES, case=c), PATTERNS_3)
    x = splits[0].x
    back = t.call(merge_heads, t.call(split_heads, x, splits[0].H))
    if not same(back, x, DOUBLE, tolerance=0):
        raise Wrong("merge_heads(split_heads(x, num_heads)) should be exactly x", kind="not the inverse")
    t.elsewhere(split_heads, (x, splits[0].H))
    t.elsewhere(merge_heads, (merges[0].x,))
    return "split_heads and merge_heads: values, gradients, exact inverse, ValueError"
