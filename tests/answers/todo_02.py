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


@wrong("divided by K - 1", named="off by a factor")
def _():
    return changed(row_mean=lambda a, b: a.sum(-1, keepdim=True) / max(1, a.shape[1] - 1))


@wrong("detached", named="gradient cut")
def _():
    return changed(product=lambda a, b: a.detach() * b.detach())


@wrong("through numpy", named="requires grad")
def _():
    return changed(scores=lambda a, b: torch.tensor(a.numpy() @ b.numpy().T))


@wrong("hard-coded dtype", named="float64")
def _():
    return changed(sum=lambda a, b: a.float() + b.float())


@wrong("only float64 kept", named="works only in float32 and float64")
def _():
    return changed(scores=lambda a, b: a @ b.T if a.dtype == torch.float64 else a.float() @ b.float().T)


@wrong("float32 inside", named="works only in float32 and bfloat16")
def _():
    return changed(scores=lambda a, b: (a.float() @ b.float().T).to(a.dtype))


@wrong("view of a transposed table", named="works only on contiguous tensors")
def _():
    return changed(sum=lambda a, b: (a.view(-1) + b.view(-1)).view(a.shape))


@wrong("at most ten features")
def _():
    return changed(row_mean=lambda a, b: a[:, :10].mean(-1, keepdim=True))


@wrong("remembers an earlier call", named=True)
def _():
    kept = {}
    return changed(scores=lambda a, b: kept.setdefault((a.shape, a.dtype, a.device), a @ b.T))


@wrong("results share memory", named=True)
def _():
    kept = {}

    def product(a, b):
        if a.requires_grad:
            return a * b
        return kept.setdefault((a.shape, a.dtype, a.device), torch.empty_like(a)).copy_(a * b)
    return changed(product=product)


@wrong("requires_grad switched on", named="changes its input")
def _():
    def total(a, b):
        return a + b if a.requires_grad else (a.requires_grad_() + b).detach()
    return changed(sum=total)


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


@right("vmap over the rows")
def _():
    return changed(scores=lambda a, b: torch.vmap(lambda row: b @ row)(a))


@right("broadcasting, feature by feature")
def _():
    return changed(scores=lambda a, b: sum(a[:, k:k + 1] * b[:, k] for k in range(a.shape[1])),
                   row_mean=lambda a, b: sum(a[:, k:k + 1] for k in range(a.shape[1])) / a.shape[1])
