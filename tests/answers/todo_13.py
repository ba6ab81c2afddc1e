"""TODO 13, MultiHeadAttention.forward: wrong and right answers."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong


def made(forward, **methods):
    """MultiHeadAttention with a right __init__ and this forward."""
    class MultiHeadAttention(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            if embed_dim % num_heads:
                raise ValueError("embed_dim must be divisible by num_heads")
            self.num_heads, self.head_dim = num_heads, embed_dim // num_heads
            self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(embed_dim, embed_dim) for _ in range(4))
            self.dropout = nn.Dropout(dropout)

    MultiHeadAttention.forward = forward
    for name, method in methods.items():
        setattr(MultiHeadAttention, name, method)
    return MultiHeadAttention


def attention(split=lambda y, H: y.unflatten(-1, (H, -1)).transpose(1, 2), merge=lambda o: o.transpose(1, 2).flatten(2),
              scale=lambda q, x: math.sqrt(q.shape[-1]), hide=lambda s, mask: s.masked_fill(mask == 0, -torch.inf),
              weigh=lambda s: s.softmax(-1),
              end=lambda self, merged, weights: (self.dropout(self.out_proj(merged)), weights)):
    """The usual way, with one step to change."""
    def forward(self, x, mask=None):
        q, k, v = (split(p(x), self.num_heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / scale(q, x)
        if mask is not None:
            scores = hide(scores, mask)
        weights = weigh(scores)
        return end(self, merge(weights @ v), weights)
    return made(forward)


@wrong("unfinished", named="TODO 13")
def _():
    def forward(self, x, mask=None):
        raise NotImplementedError("TODO 13")
    return made(forward)


@wrong("all zero", named=True)
def _():
    def forward(self, x, mask=None):
        B, T, C = x.shape
        return torch.zeros_like(x), torch.zeros(B, self.num_heads, T, T, dtype=x.dtype)
    return made(forward)


# --- scale and softmax -------------------------------------------------------------------------------------------

@wrong("scale with the whole C", named=True)
def _():
    return attention(scale=lambda q, x: math.sqrt(x.shape[-1]))


@wrong("no scale", named=True)
def _():
    return attention(scale=lambda q, x: 1)


@wrong("scale without the root", named=True)
def _():
    return attention(scale=lambda q, x: q.shape[-1])


@wrong("scale from H", named=True)
def _():
    return attention(scale=lambda q, x: math.sqrt(q.shape[1]))


@wrong("scale from T", named=True)
def _():
    return attention(scale=lambda q, x: math.sqrt(q.shape[2]))


@wrong("softmax over the queries", named=True)
def _():
    return attention(weigh=lambda s: s.softmax(-2))


@wrong("softmax over the heads", named=True)
def _():
    return attention(weigh=lambda s: s.softmax(1))


@wrong("no softmax", named=True)
def _():
    return attention(weigh=lambda s: s.masked_fill(s == -torch.inf, 0))


# --- heads -------------------------------------------------------------------------------------------------------

@wrong("heads interleaved", named=True)
def _():
    return attention(split=lambda y, H: y.unflatten(-1, (-1, H)).permute(0, 3, 1, 2))


@wrong("heads interleaved, both ways", named="heads interleaved")
def _():
    return attention(split=lambda y, H: y.unflatten(-1, (-1, H)).permute(0, 3, 1, 2),
                     merge=lambda o: o.permute(0, 2, 3, 1).flatten(2))


@wrong("split without transpose", named=True)
def _():
    return attention(split=lambda y, H: y.view(y.shape[0], H, y.shape[1], -1))


@wrong("split and merge without transpose", named=True)
def _():
    return attention(split=lambda y, H: y.view(y.shape[0], H, y.shape[1], -1),
                     merge=lambda o: o.reshape(o.shape[0], o.shape[2], -1))


@wrong("merge without transpose", named=True)
def _():
    return attention(merge=lambda o: o.reshape(o.shape[0], o.shape[2], -1))


@wrong("merge interleaved", named=True)
def _():
    return attention(merge=lambda o: o.permute(0, 2, 3, 1).flatten(2))


@wrong("attention between heads", named=True)
def _():
    return attention(split=lambda y, H: y.unflatten(-1, (H, -1)), merge=lambda o: o.flatten(2), hide=lambda s, mask: s)


@wrong("one head", named=True)
def _():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        output = self.dropout(self.out_proj(weights @ self.v_proj(x)))
        return output, weights.unsqueeze(1).expand(-1, self.num_heads, -1, -1)
    return made(forward)


@wrong("view needs a contiguous tensor", named="view of a non-contiguous tensor")
def _():
    return attention(merge=lambda o: o.transpose(1, 2).view(o.shape[0], o.shape[2], -1))


# --- mask --------------------------------------------------------------------------------------------------------

@wrong("mask ignored", named=True)
def _():
    return attention(hide=lambda s, mask: s)


@wrong("mask upside down", named=True)
def _():
    return attention(hide=lambda s, mask: s.masked_fill(mask != 0, -torch.inf))


@wrong("mask transposed", named=True)
def _():
    return attention(hide=lambda s, mask: s.masked_fill(mask.mT == 0, -torch.inf))


@wrong("scores times mask", named=True)
def _():
    return attention(hide=lambda s, mask: s * mask)


@wrong("hidden scores not low enough", named=True)
def _():
    return attention(hide=lambda s, mask: s.masked_fill(mask == 0, -1.0))


@wrong("mask after softmax", named=True)
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        weights = (q @ k.mT / q.shape[-1]**0.5).softmax(-1)
        if mask is not None:
            weights = weights * mask
        return self.dropout(self.out_proj((weights @ v).transpose(1, 2).flatten(2))), weights
    return made(forward)


@wrong("masks of numbers fail", named="works only for masks of bool")
def _():
    return attention(hide=lambda s, mask: s.masked_fill(~mask, -torch.inf))


@wrong("masked in training only", named="works only in training mode")
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / q.shape[-1]**0.5
        if mask is not None and self.training:
            scores = scores.masked_fill(mask == 0, -torch.inf)
        weights = scores.softmax(-1)
        return self.dropout(self.out_proj((weights @ v).transpose(1, 2).flatten(2))), weights
    return made(forward)


@wrong("first mask kept", named="remembers an earlier call")
def _():
    masks = {}

    def forward(self, x, mask=None):
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / q.shape[-1]**0.5
        if mask is not None:
            mask = masks.setdefault((self, x.shape[1]), mask)
            scores = scores.masked_fill(mask == 0, -torch.inf)
        weights = scores.softmax(-1)
        return self.dropout(self.out_proj((weights @ v).transpose(1, 2).flatten(2))), weights
    return made(forward)


@wrong("one mask per example expected", named="works only")
def _():
    def hide(s, mask):
        return s.masked_fill(mask.unsqueeze(1).expand(s.shape[0], s.shape[1], -1, -1) == 0, -torch.inf)
    return attention(hide=hide)


# --- output ------------------------------------------------------------------------------------------------------

@wrong("out_proj missing", named=True)
def _():
    return attention(end=lambda self, merged, weights: (self.dropout(merged), weights))


@wrong("weights averaged over the heads", named=True)
def _():
    return attention(end=lambda self, merged, weights: (self.dropout(self.out_proj(merged)), weights.mean(1)))


@wrong("weights of one head", named=True)
def _():
    return attention(end=lambda self, merged, weights: (self.dropout(self.out_proj(merged)), weights[:, 0]))


@wrong("no weights in evaluation mode", named="works only in training mode")
def _():
    return attention(end=lambda self, merged, weights: (
        self.dropout(self.out_proj(merged)), weights if self.training else None))


@wrong("output only", named="wrong number of results")
def _():
    return attention(end=lambda self, merged, weights: self.dropout(self.out_proj(merged)))


@wrong("results swapped", named=True)
def _():
    return attention(end=lambda self, merged, weights: (weights, self.dropout(self.out_proj(merged))))


@wrong("residual added", named=True)
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / q.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        return x + self.dropout(self.out_proj((weights @ v).transpose(1, 2).flatten(2))), weights
    return made(forward)


# --- dropout -----------------------------------------------------------------------------------------------------

@wrong("no dropout", named=True)
def _():
    return attention(end=lambda self, merged, weights: (self.out_proj(merged), weights))


@wrong("dropout on the weights", named=True)
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / q.shape[-1]**0.5
        weights = self.dropout((scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1))
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2)), weights
    return made(forward)


@wrong("dropout on the weights, clean weights returned", named="wrong dropout")
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / q.shape[-1]**0.5
        weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
        return self.out_proj((self.dropout(weights) @ v).transpose(1, 2).flatten(2)), weights
    return made(forward)


@wrong("dropout before out_proj", named="wrong dropout")
def _():
    return attention(end=lambda self, merged, weights: (self.out_proj(self.dropout(merged)), weights))


@wrong("dropout on both", named="dropout")
def _():
    return attention(end=lambda self, merged, weights: (self.dropout(self.out_proj(merged)), self.dropout(weights)))


@wrong("dropout in evaluation", named=True)
def _():
    return attention(end=lambda self, merged, weights: (F.dropout(self.out_proj(merged), self.dropout.p), weights))


def with_dropout(drop):
    """The right answer, but the output goes through drop(self, output) in training mode."""
    def end(self, merged, weights):
        output = self.out_proj(merged)
        return (drop(self, output) if self.training else output), weights
    return attention(end=end)


@wrong("dropout without rescaling", named=True)
def _():
    return with_dropout(lambda self, y: y * (torch.rand_like(y) >= self.dropout.p))


@wrong("dropout twice", named=True)
def _():
    return with_dropout(lambda self, y: self.dropout(self.dropout(y)))


@wrong("same dropout for every text", named=True)
def _():
    return with_dropout(lambda self, y: y * self.dropout(torch.ones_like(y[:1])))


@wrong("same dropout for every position", named=True)
def _():
    return with_dropout(lambda self, y: y * self.dropout(torch.ones_like(y[:, :1])))


@wrong("whole positions dropped", named="same dropout for every feature")
def _():
    return with_dropout(lambda self, y: y * self.dropout(torch.ones_like(y[..., :1])))


@wrong("hard-coded dropout", named="random results")
def _():
    return attention(end=lambda self, merged, weights: (F.dropout(self.out_proj(merged), 0.1, self.training), weights))


# --- the rest ----------------------------------------------------------------------------------------------------

@wrong("detached", named="gradient")
def _():
    return attention(weigh=lambda s: s.detach().softmax(-1))


@wrong("hard-coded device", named=True)
def _():
    def merge(o):
        B, H, T, D = o.shape
        merged = torch.zeros(B, T, H * D, dtype=o.dtype)
        for h in range(H):
            merged[..., h * D:(h + 1) * D] = o[:, h]
        return merged
    return attention(merge=merge)


@wrong("PyTorch's own layer", named=True)
def _():
    def forward(self, x, mask=None):
        layer = nn.MultiheadAttention(x.shape[-1], self.num_heads, batch_first=True, dtype=x.dtype)
        with torch.no_grad():
            layer.in_proj_weight.copy_(torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]))
            layer.in_proj_bias.copy_(torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]))
        layer.out_proj = self.out_proj
        return layer(x, x, x, attn_mask=None if mask is None else ~mask.bool(), average_attn_weights=False)
    return made(forward)


@wrong("the stand-in pasted", named="PyTorch's own layer")
def _():
    from helpers import oracle
    return oracle.MultiHeadAttention


@wrong("hard-coded number of heads", named=None)
def _():
    return attention(split=lambda y, H: y.view(y.shape[0], y.shape[1], 8, -1).transpose(1, 2))


# --- right -------------------------------------------------------------------------------------------------------

@right("usual way")
def _():
    return attention()


@right("einsum")
def _():
    def forward(self, x, mask=None):
        B, T, C = x.shape
        q, k, v = (p(x).reshape(B, T, self.num_heads, -1) for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * (C // self.num_heads)**-0.5
        if mask is not None:
            scores = scores.masked_fill(mask.eq(0), -math.inf)
        weights = scores.softmax(-1)
        return self.dropout(self.out_proj(torch.einsum("bhqk,bkhd->bqhd", weights, v).reshape(B, T, C))), weights
    return made(forward)


@right("one head after the other")
def _():
    def forward(self, x, mask=None):
        outputs, maps = [], []
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        for h in range(self.num_heads):
            part = slice(h * self.head_dim, (h + 1) * self.head_dim)
            scores = torch.bmm(q[..., part], k[..., part].transpose(1, 2)) / math.sqrt(self.head_dim)
            if mask is not None:
                scores = scores.masked_fill(mask == 0, float("-inf"))
            maps.append(F.softmax(scores, dim=-1))
            outputs.append(maps[-1] @ v[..., part])
        return self.dropout(self.out_proj(torch.cat(outputs, -1))), torch.stack(maps, 1)
    return made(forward)


@right("batch and heads in one dimension")
def _():
    def forward(self, x, mask=None):
        B, T, C = x.shape
        H, D = self.num_heads, self.head_dim
        q, k, v = (p(x).view(B, T, H, D).transpose(1, 2).reshape(B * H, T, D)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = torch.bmm(q * D**-0.5, k.transpose(1, 2))
        if mask is not None:
            scores = scores.masked_fill(mask.logical_not(), float("-inf"))
        weights = scores.softmax(-1)
        merged = torch.bmm(weights, v).view(B, H, T, D).transpose(1, 2).contiguous().view(B, T, C)
        return F.dropout(self.out_proj(merged), self.dropout.p, self.training), weights.view(B, H, T, T)
    return made(forward)


@right("the pieces of TODO 3")
def _():
    def forward(self, x, mask=None):
        q = split_heads(self.q_proj(x), self.num_heads)  # noqa: F821
        k = split_heads(self.k_proj(x), self.num_heads)  # noqa: F821
        v = split_heads(self.v_proj(x), self.num_heads)  # noqa: F821
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        return self.dropout(self.out_proj(merge_heads(weights @ v))), weights  # noqa: F821
    return made(forward)


@right("float64 inside, log-space")
def _():
    def forward(self, x, mask=None):
        q, k, v = (p(x).double().unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT / q.shape[-1]**0.5
        if mask is not None:
            scores = scores + mask.double().log()
        weights = scores.log_softmax(-1).exp()
        output = self.out_proj((weights @ v).transpose(1, 2).flatten(2).to(x.dtype))
        return self.dropout(output), weights.to(x.dtype)
    return made(forward)


@right("dropout by hand, the root as a tensor")
def _():
    def end(self, merged, weights):
        output = self.out_proj(merged)
        if self.training and self.dropout.p > 0:
            output = output * torch.bernoulli(torch.full_like(output, 1 - self.dropout.p)) / (1 - self.dropout.p)
        return output, weights
    return attention(scale=lambda q, x: torch.sqrt(torch.tensor(q.shape[-1])), end=end)


@right("TODO 12 wrong: num_heads holds the width of a head")
def _():
    class MultiHeadAttention(attention()):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__(embed_dim, num_heads, dropout)
            self.num_heads = embed_dim // num_heads
    return MultiHeadAttention


@right("TODO 12 unfinished")
def _():
    class MultiHeadAttention(attention()):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            nn.Module.__init__(self)
            self.num_heads = num_heads
            raise NotImplementedError("TODO 12")
    return MultiHeadAttention


@right("TODO 12 wrong: no bias, no dropout, shared layers")
def _():
    class MultiHeadAttention(attention()):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            nn.Module.__init__(self)
            self.num_heads = num_heads
            self.q_proj = self.k_proj = nn.Linear(embed_dim, embed_dim, bias=False)
            self.out_proj = nn.Linear(embed_dim, embed_dim)
    return MultiHeadAttention
