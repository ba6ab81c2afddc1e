"""TODO 11, SelfAttention.forward: wrong and right answers."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong


def made(forward):
    """SelfAttention with a right __init__ and this forward."""
    class SelfAttention(nn.Module):
        def __init__(self, embed_dim):
            super().__init__()
            self.q_proj = nn.Linear(embed_dim, embed_dim, bias=False)
            self.k_proj = nn.Linear(embed_dim, embed_dim, bias=False)
            self.v_proj = nn.Linear(embed_dim, embed_dim, bias=False)

    SelfAttention.forward = forward
    return SelfAttention


def with_mask(hide):
    """The right forward, but the masked weights are hide(scores, mask)."""
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).transpose(-2, -1) / math.sqrt(x.shape[-1])
        weights = scores.softmax(dim=-1) if mask is None else hide(scores, mask)
        return weights @ self.v_proj(x), weights
    return made(forward)


def with_weights(weigh):
    """The right forward, but the weights are weigh(q, k, hide) with hide(scores) for the mask."""
    def forward(self, x, mask=None):
        def hide(scores):
            return scores if mask is None else scores.masked_fill(mask == 0, float("-inf"))
        weights = weigh(self.q_proj(x), self.k_proj(x), hide)
        return weights @ self.v_proj(x), weights
    return made(forward)


def with_end(end):
    """The right weights, but forward returns end(self, x, weights)."""
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).transpose(-2, -1) / math.sqrt(x.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        return end(self, x, scores.softmax(dim=-1))
    return made(forward)


@wrong("unfinished", named="TODO 11")
def _():
    def forward(self, x, mask=None):
        raise NotImplementedError("TODO 11")
    return made(forward)


@wrong("all zero", named=True)
def _():
    def forward(self, x, mask=None):
        B, T, C = x.shape
        return torch.zeros_like(x), torch.zeros(B, T, T, dtype=x.dtype)
    return made(forward)


# --- the scale ---------------------------------------------------------------------------------------------------

@wrong("no scale", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT).softmax(-1))


@wrong("scale without the root", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / k.shape[-1]).softmax(-1))


@wrong("scale multiplied", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT * math.sqrt(k.shape[-1])).softmax(-1))


@wrong("scale from T", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / math.sqrt(k.shape[1])).softmax(-1))


@wrong("scale after softmax", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT).softmax(-1) / math.sqrt(q.shape[-1]))


@wrong("hard-coded scale", named=None)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / 8).softmax(-1))


# --- scores and softmax ------------------------------------------------------------------------------------------

@wrong("query and key swapped", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(k @ q.mT / q.shape[-1]**0.5).softmax(-1))


@wrong("softmax over the queries", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / q.shape[-1]**0.5).softmax(1))


@wrong("softmax over the batch", named="softmax over the")
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / q.shape[-1]**0.5).softmax(0))


@wrong("no softmax", named=True)
def _():
    return with_weights(lambda q, k, hide: q @ k.mT / q.shape[-1]**0.5)


@wrong("sigmoid instead of softmax", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / q.shape[-1]**0.5).sigmoid())


@wrong("log-softmax", named=True)
def _():
    return with_weights(lambda q, k, hide: F.log_softmax(q @ k.mT / q.shape[-1]**0.5, dim=-1))


@wrong("softmax twice", named=True)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / q.shape[-1]**0.5).softmax(-1).softmax(-1))


@wrong("no transpose", named="shapes do not fit")
def _():
    return with_weights(lambda q, k, hide: hide(q @ k).softmax(-1))


@wrong("k.T turns all dimensions", named=None)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.T / q.shape[-1]**0.5).softmax(-1))


@wrong("q_proj used twice", named="k_proj not used")
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.q_proj(x).mT / x.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("projections not used", named=True)
def _():
    def forward(self, x, mask=None):
        scores = x @ x.mT / x.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        return weights @ x, weights
    return made(forward)


# --- the mask ----------------------------------------------------------------------------------------------------

@wrong("mask ignored", named=True)
def _():
    return with_mask(lambda scores, mask: scores.softmax(-1))


@wrong("mask upside down", named=True)
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask.bool(), -torch.inf).softmax(-1))


@wrong("mask transposed", named=True)
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask.T == 0, -torch.inf).softmax(-1))


@wrong("mask after softmax", named=True)
def _():
    return with_mask(lambda scores, mask: scores.softmax(-1) * mask)


@wrong("scores times mask", named=True)
def _():
    return with_mask(lambda scores, mask: (scores * mask).softmax(-1))


@wrong("mask added", named=True)
def _():
    return with_mask(lambda scores, mask: (scores + mask.to(scores.dtype)).softmax(-1))


@wrong("filled with 1e-9", named="they still get a weight")
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask == 0, 1e-9).softmax(-1))


@wrong("hidden scores not low enough", named=True)
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask == 0, -10.0).softmax(-1))


@wrong("filled with -50", named="not exactly 0")
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask == 0, -50.0).softmax(-1))


@wrong("filled with infinity", named="NaN")
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask == 0, torch.inf).softmax(-1))


@wrong("zero times infinity", named="NaN")
def _():
    return with_mask(lambda scores, mask: (scores + (1 - mask.to(scores.dtype)) * -torch.inf).softmax(-1))


@wrong("mask after softmax with -inf", named=None)
def _():
    return with_mask(lambda scores, mask: scores.softmax(-1).masked_fill(mask == 0, -torch.inf))


@wrong("masks of numbers fail", named="works only for masks of bool")
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(~mask, -torch.inf).softmax(-1))


@wrong("masks of bool fail", named=None)
def _():
    return with_mask(lambda scores, mask: (scores + (1 - mask) * -1e9).softmax(-1))


@wrong("masks of int not seen", named="works only for masks of bool, float32")
def _():
    def hide(scores, mask):
        seen = mask.dtype == torch.bool or mask.is_floating_point()
        return (scores.masked_fill(mask == 0, -torch.inf) if seen else scores).softmax(-1)
    return with_mask(hide)


@right("log of a mask in its own dtype")
def _():
    return with_mask(lambda scores, mask: (scores + mask.log()).softmax(-1))


@wrong("a mask hides in later calls too", named="remembers an earlier call")
def _():
    def forward(self, x, mask=None):
        if mask is not None:
            self.mask = mask
        mask = getattr(self, "mask", None)
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        if mask is not None and len(mask) == x.shape[1]:
            scores = scores.masked_fill(mask == 0, -torch.inf)
        weights = scores.softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("mask without a default", named="missing 1 required positional argument")
def _():
    def forward(self, x, mask):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("always causal", named=True)
def _():
    def forward(self, x, mask=None):
        B, T, C = x.shape
        mask = torch.tril(torch.ones(T, T, device=x.device))
        weights = (self.q_proj(x) @ self.k_proj(x).mT / C**0.5).masked_fill(mask == 0, -torch.inf).softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("mask needed", named="works only with a mask")
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        weights = scores.masked_fill(mask == 0, -torch.inf).softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("truth of a mask", named="works only without a mask")
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        if mask:
            scores = scores.masked_fill(mask == 0, -torch.inf)
        weights = scores.softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("masked_fill without underscore thrown away", named="mask ignored")
def _():
    def hide(scores, mask):
        scores.masked_fill(mask == 0, -torch.inf)
        return scores.softmax(-1)
    return with_mask(hide)


# --- the output --------------------------------------------------------------------------------------------------

@wrong("x instead of v", named=True)
def _():
    return with_end(lambda self, x, weights: (weights @ x, weights))


@wrong("k instead of v", named=True)
def _():
    return with_end(lambda self, x, weights: (weights @ self.k_proj(x), weights))


@wrong("weights transposed", named=True)
def _():
    return with_end(lambda self, x, weights: (weights.mT @ self.v_proj(x), weights))


@wrong("results swapped", named=True)
def _():
    return with_end(lambda self, x, weights: (weights, weights @ self.v_proj(x)))


@wrong("output only", named="wrong number of results")
def _():
    return with_end(lambda self, x, weights: weights @ self.v_proj(x))


@wrong("nothing returned", named=True)
def _():
    return with_end(lambda self, x, weights: None)


@wrong("residual added", named=True)
def _():
    return with_end(lambda self, x, weights: (x + weights @ self.v_proj(x), weights))


@wrong("scores returned", named=True)
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -torch.inf)
        return scores.softmax(-1) @ self.v_proj(x), scores
    return made(forward)


@wrong("dropout", named="random results")
def _():
    return with_end(lambda self, x, weights: (F.dropout(weights, 0.1) @ self.v_proj(x), weights))


# --- devices, dtypes, gradients, sizes ---------------------------------------------------------------------------

@wrong("detached weights", named="gradient")
def _():
    return with_end(lambda self, x, weights: (weights.detach() @ self.v_proj(x), weights))


@wrong("no gradient in evaluation mode", named="works only in training mode")
def _():
    return with_end(lambda self, x, weights: (
        (weights if self.training else weights.detach()) @ self.v_proj(x), weights))


@wrong("changes x where no gradient forbids it", named="changes its input")
def _():
    def end(self, x, weights):
        output = weights @ self.v_proj(x)
        return (output if torch.is_grad_enabled() else x.copy_(output)), weights
    return with_end(end)


@wrong("gradients switched on", named=True)
def _():
    def end(self, x, weights):
        torch.set_grad_enabled(True)
        return weights @ self.v_proj(x), weights
    return with_end(end)


@wrong("a table for 64 positions", named="shapes do not fit")
def _():
    def hide(scores, mask):
        hidden = torch.zeros(64, 64, dtype=scores.dtype, device=scores.device)[:len(mask), :len(mask)]
        return (scores + hidden.masked_fill(mask == 0, -torch.inf)).softmax(-1)
    return with_mask(hide)


@wrong("hard-coded device", named=True)
def _():
    def hide(scores, mask):
        low = torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype)
        return torch.where(mask == 0, low, scores).softmax(-1)
    return with_mask(hide)


@wrong("hard-coded dtype", named=None)
def _():
    return with_weights(lambda q, k, hide: hide((q.float() @ k.float().mT) / q.shape[-1]**0.5).softmax(-1).to(q.dtype))


@wrong("output always float32", named=None)
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / q.shape[-1]**0.5).softmax(-1, dtype=torch.float32))


@wrong("works only for a batch of 1", named=True)
def _():
    def forward(self, x, mask=None):
        q, k, v = self.q_proj(x).squeeze(0), self.k_proj(x).squeeze(0), self.v_proj(x).squeeze(0)
        scores = torch.mm(q, k.mT) / x.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        return (weights @ v).unsqueeze(0), weights.unsqueeze(0)
    return made(forward)


@wrong("changes the mask", named="changes its input")
def _():
    def hide(scores, mask):
        hidden = mask == 0
        mask.fill_(1)
        return scores.masked_fill(hidden, -torch.inf).softmax(-1)
    return with_mask(hide)


@wrong("changes x", named="changes its input")
def _():
    def forward(self, x, mask=None):
        x -= x.mean()
        weights = (self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5).softmax(-1)
        return weights @ self.v_proj(x), weights
    return made(forward)


@wrong("PyTorch's own layer", named=True)
def _():
    def forward(self, x, mask=None):
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        seen = None if mask is None else mask.bool()
        scores = q @ k.mT / x.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(~seen, -torch.inf)).softmax(-1)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=seen), weights
    return made(forward)


@wrong("the stand-in pasted", named="PyTorch's own layer")
def _():
    from helpers import oracle
    return oracle.SelfAttention


# --- right -------------------------------------------------------------------------------------------------------

@right("usual way")
def _():
    return with_end(lambda self, x, weights: (weights @ self.v_proj(x), weights))


@right("einsum")
def _():
    def forward(self, x, mask=None):
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        scores = torch.einsum("bqc,bkc->bqk", q, k) * q.size(-1)**-0.5
        if mask is not None:
            scores = torch.where(mask.bool(), scores, torch.tensor(float("-inf"), dtype=scores.dtype, device=x.device))
        weights = F.softmax(scores, dim=2)
        return torch.einsum("bqk,bkc->bqc", weights, v), weights
    return made(forward)


@right("loops over examples and positions")
def _():
    def forward(self, x, mask=None):
        B, T, C = x.shape
        all_weights = []
        for b in range(B):
            q, k = self.q_proj(x[b]), self.k_proj(x[b])
            rows = []
            for i in range(T):
                row = k @ q[i] / C**0.5
                if mask is not None:
                    row = row.masked_fill(mask[i] == 0, float("-inf"))
                rows.append(torch.softmax(row, 0))
            all_weights.append(torch.stack(rows))
        weights = torch.stack(all_weights)
        return torch.bmm(weights, self.v_proj(x)), weights
    return made(forward)


@right("float64 inside")
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).double() for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.transpose(1, 2) / math.sqrt(x.shape[2])
        if mask is not None:
            scores = scores.masked_fill(mask.bool().logical_not(), float("-inf"))
        weights = scores.softmax(2)
        return (weights @ v).to(x.dtype), weights.to(x.dtype)
    return made(forward)


@right("exp and sum, shifted by the maximum")
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        powers = torch.exp(scores - scores.max(-1, keepdim=True).values)
        if mask is not None:
            powers = powers * mask.to(powers.dtype)
        weights = powers / powers.sum(-1, keepdim=True)
        return weights @ self.v_proj(x), weights
    return made(forward)


@right("exp and sum, as in the formula")
def _():
    def weigh(q, k, hide):
        powers = hide(q @ k.mT / q.shape[-1]**0.5).exp()
        return powers / powers.sum(-1, keepdim=True)
    return with_weights(weigh)


@right("the root as a tensor")
def _():
    return with_weights(lambda q, k, hide: hide(q @ k.mT / torch.sqrt(torch.tensor(k.shape[-1]))).softmax(-1))


@right("log-space")
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        if mask is not None:
            scores = scores + torch.log(mask.to(scores.dtype))
        weights = torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True))
        return weights @ self.v_proj(x), weights
    return made(forward)


@right("-1e9")
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask == 0, -1e9).softmax(-1))


@right("lowest number of the dtype")
def _():
    return with_mask(lambda scores, mask: scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min).softmax(-1))


@right("renormalised after softmax")
def _():
    def hide(scores, mask):
        weights = scores.softmax(-1) * mask.to(scores.dtype)
        return weights / weights.sum(-1, keepdim=True)
    return with_mask(hide)


@right("queries scaled first, scores filled in place")
def _():
    def forward(self, x, mask=None):
        scores = (self.q_proj(x) / math.sqrt(x.size(-1))) @ self.k_proj(x).transpose(-1, -2)
        if mask is not None:
            scores.masked_fill_(mask.to(torch.bool).logical_not().unsqueeze(0), -math.inf)
        weights = torch.softmax(scores, -1)
        return torch.matmul(weights, self.v_proj(x)), weights
    return made(forward)


@right("a finished block of helpers, detached weights")
def _():
    class Attend(nn.Module):
        def forward(self, q, k, v, mask):
            scores = torch.baddbmm(q.new_zeros(1), q, k.mT, alpha=q.shape[-1]**-0.5)
            if mask is not None:
                scores = scores.masked_fill(mask.eq(0), float("-inf"))
            weights = nn.Softmax(dim=-1)(scores)
            return weights @ v, weights

    class SelfAttention(nn.Module):
        def __init__(self, embed_dim):
            super().__init__()
            self.attend = Attend()
            self.q_proj, self.k_proj, self.v_proj = (nn.Linear(embed_dim, embed_dim, bias=False) for _ in range(3))

        def forward(self, x, mask=None):
            output, weights = self.attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), mask)
            return output, weights.detach()
    return SelfAttention


@right("TODO 10 unfinished")
def _():
    class SelfAttention(nn.Module):
        def __init__(self, embed_dim):
            super().__init__()
            raise NotImplementedError("TODO 10")

        def forward(self, x, mask=None):
            scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
            weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
            return weights @ self.v_proj(x), weights
    return SelfAttention


@right("TODO 10 wrong: with bias, and the scale from __init__")
def _():
    class SelfAttention(nn.Module):
        def __init__(self, embed_dim):
            super().__init__()
            self.q_proj = self.k_proj = self.v_proj = nn.Linear(embed_dim, embed_dim)
            self.scale = embed_dim**-0.5

        def forward(self, x, mask=None):
            scores = self.q_proj(x) @ self.k_proj(x).mT * self.scale
            weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
            return weights @ self.v_proj(x), weights
    return SelfAttention
