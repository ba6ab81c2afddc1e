"""TODO 15: FeedForward.forward(x) = dropout(project(gelu(expand(x))))."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong


class Base(nn.Module):
    """TODO 14, finished."""

    def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
        super().__init__()
        hidden_dim = hidden_dim or 4 * embed_dim
        self.expand = nn.Linear(embed_dim, hidden_dim)
        self.project = nn.Linear(hidden_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)


@right("F.gelu in steps")
def _():
    class FeedForward(Base):
        def forward(self, x):
            x = self.expand(x)
            x = F.gelu(x)
            x = self.project(x)
            return self.dropout(x)
    return FeedForward


@right("the formula with erf")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = self.expand(x)
            return self.dropout(self.project(0.5 * h * (1 + torch.erf(h / math.sqrt(2)))))
    return FeedForward


@right("the normal distribution's cdf, matrix products, F.dropout that is told the mode")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = torch.einsum("btc,hc->bth", x, self.expand.weight) + self.expand.bias
            h = h * torch.special.ndtr(h)
            y = h @ self.project.weight.T + self.project.bias
            return F.dropout(y, self.dropout.p, training=self.training)
    return FeedForward


@right("position by position")
def _():
    class FeedForward(Base):
        def forward(self, x):
            columns = [self.project(F.gelu(self.expand(x[:, t]))) for t in range(x.shape[1])]
            return self.dropout(torch.stack(columns, dim=1))
    return FeedForward


@right("a Sequential made in __init__, flattened positions")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__(embed_dim, hidden_dim, dropout)
            self.rate = dropout
            self.layers = nn.Sequential(self.expand, nn.GELU(approximate="none"), self.project)

        def forward(self, x):
            B, T, C = x.shape
            y = self.layers(x.view(B * T, C)).view(B, T, C)
            return F.dropout(y, self.rate) if self.training else y
    return FeedForward


@right("dropout written out")
def _():
    class FeedForward(Base):
        def forward(self, x):
            y = self.project(F.gelu(self.expand(x)))
            if not self.training or self.dropout.p == 0:
                return y
            return torch.where(torch.rand_like(y) < self.dropout.p, 0.0, y / (1 - self.dropout.p))
    return FeedForward


@right("float64 inside")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = F.linear(x.double(), self.expand.weight.double(), self.expand.bias.double())
            y = F.linear(F.gelu(h), self.project.weight.double(), self.project.bias.double())
            return self.dropout(y.to(x.dtype))
    return FeedForward


@right("__init__ still unfinished: only TODO 14 costs")
def _():
    class FeedForward(nn.Module):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            raise NotImplementedError("TODO 14")

        def forward(self, x):
            return self.dropout(self.project(F.gelu(self.expand(x))))
    return FeedForward


@wrong("ReLU instead of GELU", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(self.project(F.relu(self.expand(x))))
    return FeedForward


@wrong("tanh GELU", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(self.project(F.gelu(self.expand(x), approximate="tanh")))
    return FeedForward


@wrong("tanh GELU written out, as in GPT-2", named="tanh GELU")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = self.expand(x)
            h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
            return self.dropout(self.project(h))
    return FeedForward


@wrong("no activation", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(self.project(self.expand(x)))
    return FeedForward


@wrong("GELU after project", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(F.gelu(self.project(self.expand(x))))
    return FeedForward


@wrong("GELU twice", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(F.gelu(self.project(F.gelu(self.expand(x)))))
    return FeedForward


@wrong("dropout before project", named="dropout before the end")
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.project(self.dropout(F.gelu(self.expand(x))))
    return FeedForward


@wrong("dropout at both places")
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(self.project(self.dropout(F.gelu(self.expand(x)))))
    return FeedForward


@wrong("dropout on the input", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.project(F.gelu(self.expand(self.dropout(x))))
    return FeedForward


@wrong("dropout not applied", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.project(F.gelu(self.expand(x)))
    return FeedForward


@wrong("F.dropout also in evaluation", named="dropout in evaluation")
def _():
    class FeedForward(Base):
        def forward(self, x):
            return F.dropout(self.project(F.gelu(self.expand(x))), self.dropout.p)
    return FeedForward


@wrong("dropout twice", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(self.dropout(self.project(F.gelu(self.expand(x)))))
    return FeedForward


@wrong("the old kind of dropout, scaled in evaluation", named="rescaled in evaluation")
def _():
    class FeedForward(Base):
        def forward(self, x):
            y = self.project(F.gelu(self.expand(x)))
            if self.training:
                return y * (torch.rand_like(y) >= self.dropout.p)
            return y * (1 - self.dropout.p)
    return FeedForward


@wrong("the same features dropped at all positions", named="the same numbers dropped everywhere")
def _():
    class FeedForward(Base):
        def forward(self, x):
            y = self.project(F.gelu(self.expand(x)))
            return y * self.dropout(torch.ones_like(y[:, :1]))
    return FeedForward


@wrong("results kept by shape", named="remembers an earlier call")
def _():
    class FeedForward(Base):
        def forward(self, x):
            known = self.__dict__.setdefault("known", {})
            key = x.shape, x.dtype, x.device
            if self.training or key not in known:
                known[key] = self.dropout(self.project(F.gelu(self.expand(x))))
            return known[key]
    return FeedForward


@wrong("saves memory without gradients", named="changes its input")
def _():
    class FeedForward(Base):
        def forward(self, x):
            y = self.dropout(self.project(F.gelu(self.expand(x))))
            return y if torch.is_grad_enabled() else x.copy_(y)
    return FeedForward


@wrong("a rounded square root of 2", named="The output is not right")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = self.expand(x)
            return self.dropout(self.project(0.5 * h * (1 + torch.erf(h / 1.414))))
    return FeedForward


@wrong("own dropout without scaling", named="dropout without scaling")
def _():
    class FeedForward(Base):
        def forward(self, x):
            y = self.project(F.gelu(self.expand(x)))
            if self.training:
                y = y * (torch.rand_like(y) >= self.dropout.p)
            return y
    return FeedForward


@wrong("residual inside", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return x + self.dropout(self.project(F.gelu(self.expand(x))))
    return FeedForward


@wrong("project missing", named=True)
def _():
    class FeedForward(Base):
        def forward(self, x):
            return self.dropout(F.gelu(self.expand(x)))
    return FeedForward


@wrong("x changed in place", named="changes its input")
def _():
    class FeedForward(Base):
        def forward(self, x):
            x.mul_(1.0).add_(0.001)
            return self.dropout(self.project(F.gelu(self.expand(x))))
    return FeedForward


@wrong("hidden values without gradient", named="gradient cut")
def _():
    class FeedForward(Base):
        def forward(self, x):
            with torch.no_grad():
                h = F.gelu(self.expand(x))
            return self.dropout(self.project(h))
    return FeedForward


@wrong("always float32", named="works only in float32")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = F.gelu(F.linear(x.float(), self.expand.weight.float(), self.expand.bias.float()))
            return self.dropout(F.linear(h, self.project.weight.float(), self.project.bias.float()))
    return FeedForward


@wrong("float32 inside, cast back at the end", named="works only in float32")
def _():
    class FeedForward(Base):
        def forward(self, x):
            h = F.gelu(self.expand(x)).float().to(x.dtype)
            return self.dropout(self.project(h))
    return FeedForward


@wrong("only the first of the batch", named="works only for a batch of 1")
def _():
    class FeedForward(Base):
        def forward(self, x):
            y = self.dropout(self.project(F.gelu(self.expand(x[0]))))
            return y.expand(x.shape)
    return FeedForward


@wrong("zeros of the right shape")
def _():
    class FeedForward(Base):
        def forward(self, x):
            return torch.zeros_like(x)
    return FeedForward


@wrong("return forgotten", named="nothing returned")
def _():
    class FeedForward(Base):
        def forward(self, x):
            x = self.dropout(self.project(F.gelu(self.expand(x))))
    return FeedForward
