"""TODO 2, tensor_operations(a, b): wrong and right answers."""
import torch

from answers import right, wrong


def changed(**entries):
    """The right answer with some entries made otherwise: each is a function of a and b."""
    def tensor_operations(a, b):
        result = {"sum": a + b, "product": a * b, "scores": a @ b.T, "row_mean": a.mean(dim=-1, keepdim=True)}
        return result | {name: make(a, b) for name, make in entries.items()}
    return tensor_operations


@wrong("unfinished", named="TODO 2")
def _():
    def tensor_operations(a, b):
        raise NotImplementedError("TODO 2")
    return tensor_operations


@wrong("all zero", named=True)
def _():
    def tensor_operations(a, b):
        return {"sum": a * 0, "product": a * 0, "scores": torch.zeros(len(a), len(a), dtype=a.dtype),
                "row_mean": torch.zeros(len(a), 1, dtype=a.dtype)}
    return tensor_operations


@wrong("sum over everything", named=True)
def _():
    return changed(sum=lambda a, b: torch.sum(a + b))


@wrong("changes its input", named=True)
def _():
    def total(a, b):
        a += b
        return a
    return changed(sum=total)


@wrong("matrix product instead of elementwise", named=True)
def _():
    return changed(product=lambda a, b: a @ b.T)


@wrong("product summed", named=True)
def _():
    return changed(product=lambda a, b: (a * b).sum())


@wrong("scores transposed", named=True)
def _():
    return changed(scores=lambda a, b: b @ a.T)


@wrong("wrong factor transposed", named=True)
def _():
    return changed(scores=lambda a, b: a.T @ b)


@wrong("no transpose", named="shapes do not fit")
def _():
    return changed(scores=lambda a, b: a @ b)


@wrong("only matching rows", named=True)
def _():
    return changed(scores=lambda a, b: (a * b).sum(-1))


@wrong("dimension not kept", named=True)
def _():
    return changed(row_mean=lambda a, b: a.mean(-1))


@wrong("mean over the rows", named=True)
def _():
    return changed(row_mean=lambda a, b: a.mean(0, keepdim=True))


@wrong("mean over everything", named=True)
def _():
    return changed(row_mean=lambda a, b: a.mean())


@wrong("mean of b", named=True)
def _():
    return changed(row_mean=lambda a, b: b.mean(-1, keepdim=True))


@wrong("sum instead of mean", named=True)
def _():
    return changed(row_mean=lambda a, b: a.sum(-1, keepdim=True))


@wrong("detached", named="gradient cut")
def _():
    return changed(product=lambda a, b: a.detach() * b.detach())


@wrong("through numpy", named="requires grad")
def _():
    return changed(scores=lambda a, b: torch.tensor(a.numpy() @ b.numpy().T))


@wrong("hard-coded dtype", named="float64")
def _():
    return changed(sum=lambda a, b: a.float() + b.float())


@wrong("hard-coded device", named=True)
def _():
    def scores(a, b):
        result = torch.zeros(len(a), len(b), dtype=a.dtype)
        for i in range(len(a)):
            for j in range(len(b)):
                result[i, j] = (a[i] * b[j]).sum()
        return result
    return changed(scores=scores)


@wrong("missing entry", named=True)
def _():
    def tensor_operations(a, b):
        return {"sum": a + b, "product": a * b, "scores": a @ b.T, "mean": a.mean(-1, keepdim=True)}
    return tensor_operations


@right("functions of torch")
def _():
    def tensor_operations(a, b):
        return {"sum": torch.add(a, b), "product": torch.mul(a, b), "scores": torch.matmul(a, b.transpose(0, 1)),
                "row_mean": torch.mean(a, 1, True)}
    return tensor_operations


@right("einsum and unsqueeze")
def _():
    def tensor_operations(a, b):
        return {"row_mean": (a.sum(-1) / a.shape[-1]).unsqueeze(-1), "scores": torch.einsum("rk,sk->rs", a, b),
                "product": torch.einsum("rk,rk->rk", a, b), "sum": b + a}
    return tensor_operations


@right("loops")
def _():
    def tensor_operations(a, b):
        scores = torch.stack([torch.stack([(row * other).sum() for other in b]) for row in a])
        row_mean = torch.stack([row.mean() for row in a]).reshape(-1, 1)
        return {"sum": a + b, "product": a * b, "scores": scores, "row_mean": row_mean}
    return tensor_operations


@right("copies changed in place")
def _():
    def tensor_operations(a, b):
        total = a.clone()
        total += b
        return {"sum": total, "product": a.clone().mul_(b), "scores": (b @ a.T).T,
                "row_mean": a @ a.new_full((a.shape[1], 1), 1 / a.shape[1])}
    return tensor_operations


@right("float64 inside")
def _():
    return changed(scores=lambda a, b: (a.double() @ b.double().T).to(a.dtype))
