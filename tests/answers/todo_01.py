"""TODO 1, create_tensors(rows, n): wrong and right answers."""
import numpy as np
import torch

from answers import right, wrong


def correct(rows, n):
    return {"from_list": torch.tensor(rows, dtype=torch.float32), "zeros": torch.zeros(n, n), "ones": torch.ones(n, n),
            "count": torch.arange(n), "noise": torch.randn(n, n)}


def changed(**entries):
    """The right answer with some entries made otherwise: each is a function of rows and n."""
    def create_tensors(rows, n):
        return correct(rows, n) | {name: make(rows, n) for name, make in entries.items()}
    return create_tensors


@wrong("unfinished", named="TODO 1")
def _():
    def create_tensors(rows, n):
        raise NotImplementedError("TODO 1")
    return create_tensors


@wrong("all zero")
def _():
    def create_tensors(rows, n):
        return {name: torch.zeros(n, n) for name in ("from_list", "zeros", "ones", "count", "noise")}
    return create_tensors


@wrong("integers kept", named=True)
def _():
    return changed(from_list=lambda rows, n: torch.tensor(rows))


@wrong("float64", named="wrong dtype")
def _():
    return changed(from_list=lambda rows, n: torch.tensor(rows, dtype=torch.float64))


@wrong("transposed", named=True)
def _():
    return changed(from_list=lambda rows, n: torch.tensor(rows, dtype=torch.float32).T)


@wrong("flattened", named=True)
def _():
    return changed(from_list=lambda rows, n: torch.tensor(rows, dtype=torch.float32).flatten())


@wrong("one dimension only", named=True)
def _():
    return changed(zeros=lambda rows, n: torch.zeros(n))


@wrong("shape of rows", named=True)
def _():
    return changed(ones=lambda rows, n: torch.ones_like(torch.tensor(rows, dtype=torch.float32)))


@wrong("shape of rows", named=True)
def _():
    return changed(noise=lambda rows, n: torch.randn_like(torch.tensor(rows, dtype=torch.float32)))


@wrong("identity instead of ones", named=True)
def _():
    return changed(ones=lambda rows, n: torch.eye(n))


@wrong("zeros and ones swapped", named=True)
def _():
    return changed(zeros=lambda rows, n: torch.ones(n, n), ones=lambda rows, n: torch.zeros(n, n))


@wrong("memory that was never set", named="zeros not all zero")
def _():
    return changed(zeros=lambda rows, n: torch.empty(n, n))


@wrong("count starts at 1", named=True)
def _():
    return changed(count=lambda rows, n: torch.arange(1, n + 1))


@wrong("count one too many", named=True)
def _():
    return changed(count=lambda rows, n: torch.arange(n + 1))


@wrong("count of floats", named=True)
def _():
    return changed(count=lambda rows, n: torch.arange(0.0, n))


@wrong("uniform noise", named=True)
def _():
    return changed(noise=lambda rows, n: torch.rand(n, n))


@wrong("noise not standard normal", named=True)
def _():
    return changed(noise=lambda rows, n: torch.randn(n, n) * 0.5)


@wrong("uniform noise with the right variance", named="noise not standard normal")
def _():
    return changed(noise=lambda rows, n: (torch.rand(n, n) * 2 - 1) * 3**0.5)


@wrong("the seed set inside", named="random seed")
def _():
    def noise(rows, n):
        torch.manual_seed(0)
        return torch.randn(n, n)
    return changed(noise=noise)


@wrong("same noise on each call", named=True)
def _():
    kept = {}
    return changed(noise=lambda rows, n: kept.setdefault(n, torch.randn(n, n)))


@wrong("one tensor for the noise of all calls", named="results share memory")
def _():
    kept = {}
    return changed(noise=lambda rows, n: kept.setdefault(n, torch.empty(n, n)).normal_())


@wrong("one row of noise for all", named="noise repeats its numbers")
def _():
    return changed(noise=lambda rows, n: torch.randn(n).expand(n, n))


@wrong("no noise on the diagonal", named="noise repeats its numbers")
def _():
    return changed(noise=lambda rows, n: torch.randn(n, n).fill_diagonal_(0))


@wrong("sorted noise", named="noise not independent")
def _():
    return changed(noise=lambda rows, n: torch.randn(n, n).sort(0).values)


@wrong("noise ignores the seed", named=True)
def _():
    def noise(rows, n):
        generator = torch.Generator()
        generator.seed()
        return torch.randn(n, n, generator=generator)
    return changed(noise=noise)


@wrong("hard-coded size", named=None)
def _():
    return changed(zeros=lambda rows, n: torch.zeros(3, 3))


@wrong("size of the example", named="wrong shape")
def _():
    return changed(from_list=lambda rows, n: torch.tensor([row[:3] for row in rows[:2]], dtype=torch.float32))


@wrong("dtype guessed from the first number", named="works only for rows of one kind of number")
def _():
    return changed(from_list=lambda rows, n: torch.tensor([[type(rows[0][0])(x) for x in row] for row in rows]).float())


@wrong("the same tensor twice", named=True)
def _():
    def create_tensors(rows, n):
        zeros = torch.zeros(n, n)
        return correct(rows, n) | {"zeros": zeros, "ones": zeros.add_(1)}
    return create_tensors


@wrong("missing entry", named=True)
def _():
    def create_tensors(rows, n):
        return {name: tensor for name, tensor in correct(rows, n).items() if name != "count"}
    return create_tensors


@wrong("tuple instead of dict", named="not a dict")
def _():
    def create_tensors(rows, n):
        return tuple(correct(rows, n).values())
    return create_tensors


@wrong("nothing returned", named="return")
def _():
    def create_tensors(rows, n):
        correct(rows, n)
    return create_tensors


@wrong("lists instead of tensors", named="not a tensor")
def _():
    return changed(zeros=lambda rows, n: [[0.0] * n for _ in range(n)])


@wrong("the caller's rows are changed", named="changes its input")
def _():
    def create_tensors(rows, n):
        result = correct(rows, n)
        rows.append([0.0])
        return result
    return create_tensors


@right("float() and full")
def _():
    def create_tensors(rows, n):
        ones = torch.full((n, n), 1.0)
        return {"from_list": torch.tensor(rows).float(), "zeros": ones * 0, "ones": ones,
                "count": torch.cumsum(torch.ones(n, dtype=torch.int64), 0) - 1, "noise": torch.normal(0.0, 1.0, (n, n))}
    return create_tensors


@right("one by one, in another order")
def _():
    def create_tensors(rows, n):
        result = {}
        result["noise"] = torch.empty(n, n).normal_()
        result["count"] = torch.tensor(list(range(n)))
        result["zeros"] = torch.zeros((n, n), dtype=torch.float32)
        result["ones"] = torch.zeros(n, n) + 1
        result["from_list"] = torch.stack([torch.tensor(row, dtype=torch.float32) for row in rows])
        return result
    return create_tensors


@right("through numpy, and an extra entry")
def _():
    def create_tensors(rows, n):
        return {"from_list": torch.from_numpy(np.array(rows, dtype=np.float32)),
                "zeros": torch.from_numpy(np.zeros((n, n))).float(), "ones": torch.ones(n).expand(n, n),
                "count": torch.arange(n), "noise": torch.randn((n, n)), "extra": None}
    return create_tensors


@right("torch.Tensor(rows)")
def _():
    return changed(from_list=lambda rows, n: torch.Tensor(rows))


@right("noise by Box and Muller")
def _():
    def noise(rows, n):
        radius = torch.sqrt(-2 * torch.log(1 - torch.rand(n, n)))
        return radius * torch.cos(2 * torch.pi * torch.rand(n, n))
    return changed(noise=noise)


@right("noise row by row, by the inverse of the distribution function")
def _():
    def noise(rows, n):
        return torch.stack([torch.special.ndtri(torch.rand(n, dtype=torch.float64)).float() for _ in range(n)])
    return changed(noise=noise)
