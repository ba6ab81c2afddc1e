"""TODO 17: TransformerBlock.forward(x, mask=None), pre-norm."""
import copy

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong
from helpers.oracle import FeedForward, MultiHeadAttention


class Base(nn.Module):
    """TODO 16, finished."""

    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
        self.feed_forward = FeedForward(embed_dim, 4 * embed_dim, dropout)


def block(run):
    """A block whose forward is run(self, x, mask): the answers below differ only there."""
    class TransformerBlock(Base):
        def forward(self, x, mask=None):
            return run(self, x, mask)
    return TransformerBlock


@right("two lines")
def _():
    class TransformerBlock(Base):
        def forward(self, x, mask=None):
            x = x + self.attention(self.norm1(x), mask)[0]
            return x + self.feed_forward(self.norm2(x))
    return TransformerBlock


@right("in steps, pair taken apart, mask by name")
def _():
    class TransformerBlock(Base):
        def forward(self, x, mask=None):
            residual = x
            normed = self.norm1(x)
            attended, _weights = self.attention(normed, mask=mask)
            x = residual + attended
            residual = x
            return self.feed_forward(self.norm2(x)).add(residual)
    return TransformerBlock


@right("functional norms, addition the other way round, a copy changed in place")
def _():
    class TransformerBlock(Base):
        def forward(self, x, mask=None):
            C = x.shape[-1]
            h = F.layer_norm(x, (C,), self.norm1.weight, self.norm1.bias, self.norm1.eps)
            y = x.clone()
            y += self.attention(h, mask)[0]
            mean, variance = y.mean(-1, keepdim=True), y.var(-1, keepdim=True, correction=0)
            h = (y - mean) / torch.sqrt(variance + self.norm2.eps) * self.norm2.weight + self.norm2.bias
            return torch.stack((self.feed_forward(h), y)).sum(0)
    return TransformerBlock


@right("a loop over the two halves, extra attributes")
def _():
    class TransformerBlock(Base):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__(embed_dim, num_heads, dropout)
            self.seen = 0
            self.halves = nn.ModuleList([nn.ModuleList([self.norm1, self.attention]),
                                         nn.ModuleList([self.norm2, self.feed_forward])])

        def forward(self, x, mask=None):
            self.seen += 1
            for norm, layer in self.halves:
                out = layer(norm(x), mask) if layer is self.attention else layer(norm(x))
                x = torch.add(x, out[0] if isinstance(out, tuple) else out)
            return x
    return TransformerBlock


@right("only __init__ is wrong: one norm twice, dropout forgotten")
def _():
    class TransformerBlock(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            self.norm1 = self.norm2 = nn.LayerNorm(embed_dim)
            self.attention = MultiHeadAttention(embed_dim, 1)
            self.feed_forward = FeedForward(embed_dim, embed_dim)

        def forward(self, x, mask=None):
            x = x + self.attention(self.norm1(x), mask)[0]
            return x + self.feed_forward(self.norm2(x))
    return TransformerBlock


@right("__init__ unfinished")
def _():
    class TransformerBlock(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            raise NotImplementedError("TODO 16")

        def forward(self, x, mask=None):
            x = x + self.attention(self.norm1(x), mask)[0]
            return x + self.feed_forward(self.norm2(x))
    return TransformerBlock


@wrong("post-norm", named=True)
def _():
    def run(self, x, mask):
        x = self.norm1(x + self.attention(x, mask)[0])
        return self.norm2(x + self.feed_forward(x))
    return block(run)


@wrong("no residual around attention", named=True)
def _():
    def run(self, x, mask):
        x = self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("no residual around the feed-forward", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return self.feed_forward(self.norm2(x))
    return block(run)


@wrong("no residual", named=True)
def _():
    def run(self, x, mask):
        x = self.attention(self.norm1(x), mask)[0]
        return self.feed_forward(self.norm2(x))
    return block(run)


@wrong("norm1 used twice", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm1(x))
    return block(run)


@wrong("norms swapped", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm2(x), mask)[0]
        return x + self.feed_forward(self.norm1(x))
    return block(run)


@wrong("residual from the normalised x", named=True)
def _():
    def run(self, x, mask):
        x = self.norm1(x)
        x = x + self.attention(x, mask)[0]
        x = self.norm2(x)
        return x + self.feed_forward(x)
    return block(run)


@wrong("residual from the normalised x, first half only", named="residual from the normalised x")
def _():
    def run(self, x, mask):
        x = self.norm1(x)
        x = x + self.attention(x, mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("mask not passed on", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x))[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("mask upside down", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), None if mask is None else mask == 0)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("a causal mask of its own", named="own causal mask")
def _():
    def run(self, x, mask):
        mask = torch.ones(x.shape[1], x.shape[1], device=x.device).tril()
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("sublayers swapped", named=True)
def _():
    def run(self, x, mask):
        x = x + self.feed_forward(self.norm1(x))
        return x + self.attention(self.norm2(x), mask)[0]
    return block(run)


@wrong("both layers read the same x", named=True)
def _():
    def run(self, x, mask):
        return x + self.attention(self.norm1(x), mask)[0] + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("residual from the block's input", named=True)
def _():
    def run(self, x, mask):
        y = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(y))
    return block(run)


@wrong("norms not used", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(x, mask)[0]
        return x + self.feed_forward(x)
    return block(run)


@wrong("norm2 not used", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(x)
    return block(run)


@wrong("norm after the layer", named=True)
def _():
    def run(self, x, mask):
        x = x + self.norm1(self.attention(x, mask)[0])
        return x + self.norm2(self.feed_forward(x))
    return block(run)


@wrong("feed-forward missing", named=True)
def _():
    def run(self, x, mask):
        return x + self.attention(self.norm1(x), mask)[0]
    return block(run)


@wrong("attention's pair not taken apart", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("the weights instead of the output")
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[1]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("+= on the caller's x", named="changes its input")
def _():
    def run(self, x, mask):
        x += self.attention(self.norm1(x), mask)[0]
        x += self.feed_forward(self.norm2(x))
        return x
    return block(run)


@wrong("returns the weights too", named="wrong number of results")
def _():
    def run(self, x, mask):
        attended, weights = self.attention(self.norm1(x), mask)
        x = x + attended
        return x + self.feed_forward(self.norm2(x)), weights
    return block(run)


@wrong("one more dropout, always on")
def _():
    def run(self, x, mask):
        x = x + F.dropout(self.attention(self.norm1(x), mask)[0], 0.1)
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("one more norm at the end", named=True)
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return self.norm2(x + self.feed_forward(self.norm2(x)))
    return block(run)


@wrong("parts switched to evaluation", named="mode changed")
def _():
    def run(self, x, mask):
        attention, feed_forward = copy.copy(self.attention).eval(), copy.copy(self.feed_forward).eval()
        x = x + attention(self.norm1(x), mask)[0]
        return x + feed_forward(self.norm2(x))
    return block(run)


@wrong("feed-forward written out, its dropout forgotten", named="dropout not used")
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward.project(F.gelu(self.feed_forward.expand(self.norm2(x))))
    return block(run)


def with_dropout(run):
    """A block that keeps a dropout layer of its own, as in many tutorials; its forward is run(self, x, mask)."""
    class TransformerBlock(Base):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__(embed_dim, num_heads, dropout)
            self.dropout = nn.Dropout(dropout)

        def forward(self, x, mask=None):
            return run(self, x, mask)
    return TransformerBlock


@wrong("a dropout of its own on both branches", named="one more dropout")
def _():
    def run(self, x, mask):
        x = x + self.dropout(self.attention(self.norm1(x), mask)[0])
        return x + self.dropout(self.feed_forward(self.norm2(x)))
    return with_dropout(run)


@wrong("a dropout of its own on the feed-forward's branch", named="one more dropout")
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.dropout(self.feed_forward(self.norm2(x)))
    return with_dropout(run)


@wrong("a dropout of its own on the norm's result")
def _():
    def run(self, x, mask):
        x = x + self.attention(self.dropout(self.norm1(x)), mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return with_dropout(run)


@wrong("a dropout of its own at the end", named="x is dropped too")
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        return self.dropout(x + self.feed_forward(self.norm2(x)))
    return with_dropout(run)


@right("a dropout of its own that is not used, both layers written out with their rates")
def _():
    def run(self, x, mask):
        p, f = self.attention.dropout.p, self.feed_forward
        at_rest = copy.copy(self.attention)
        at_rest._modules = {**self.attention._modules, "dropout": nn.Identity()}
        x = x + F.dropout(at_rest(self.norm1(x), mask)[0], p, self.training)
        return x + F.dropout(f.project(F.gelu(f.expand(self.norm2(x)))), f.dropout.p, self.training)
    return with_dropout(run)


@wrong("the whole block skipped now and then")
def _():
    def run(self, x, mask):
        if self.training and torch.rand(()) < 0.2:
            return x
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("mask required", named="works only with a mask")
def _():
    class TransformerBlock(Base):
        def forward(self, x, mask):
            x = x + self.attention(self.norm1(x), mask)[0]
            return x + self.feed_forward(self.norm2(x))
    return TransformerBlock


@wrong("first mask kept", named="remembers an earlier call")
def _():
    def run(self, x, mask):
        if mask is not None and (not hasattr(self, "mask") or self.mask.shape != mask.shape):
            self.mask = mask
        x = x + self.attention(self.norm1(x), None if mask is None else self.mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("masks of whole numbers dropped", named="mask not passed on")
def _():
    def run(self, x, mask):
        seen = mask if mask is None or mask.dtype == torch.bool or mask.is_floating_point() else None
        x = x + self.attention(self.norm1(x), seen)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("each position always sees itself")
def _():
    def run(self, x, mask):
        if mask is not None:
            mask = mask.bool() | torch.eye(len(mask), dtype=torch.bool, device=mask.device)
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("the caller's mask changed", named="changes its input")
def _():
    def run(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)[0]
        if mask is not None:
            mask.zero_()
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("+= without gradients only", named="changes its input")
def _():
    def run(self, x, mask):
        y = x if not torch.is_grad_enabled() else x.clone()
        y += self.attention(self.norm1(x), mask)[0]
        return y + self.feed_forward(self.norm2(y))
    return block(run)


@wrong("gradient cut at the residual", named="wrong gradient")
def _():
    def run(self, x, mask):
        x = x.detach() + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))
    return block(run)


@wrong("PyTorch's encoder layer", named="PyTorch's own layer")
def _():
    def run(self, x, mask):
        layer = nn.TransformerEncoderLayer(x.shape[-1], 1, batch_first=True, norm_first=True, dtype=x.dtype)
        return layer(x)
    return block(run)


@wrong("the course's stand-in", named="PyTorch's own layer")
def _():
    from helpers import oracle
    return oracle.TransformerBlock


@wrong("input returned", named=True)
def _():
    return block(lambda self, x, mask: x)
