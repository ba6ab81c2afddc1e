"""TODO 9, PositionalEncoding: wrong and right answers. `sinusoidal_table` is TODO 8's, put there by the check."""
# ruff: noqa: F821
import math

import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong


def made(forward, init=None):
    class PositionalEncoding(nn.Module):
        def __init__(self, embed_dim, max_len):
            super().__init__()
            if init:
                init(self, embed_dim, max_len)
            else:
                self.register_buffer("table", sinusoidal_table(max_len, embed_dim))

    PositionalEncoding.forward = forward
    return PositionalEncoding


def forward(self, x):
    T = x.shape[1]
    if T > self.table.shape[0]:
        raise ValueError(f"{T} positions are more than max_len={self.table.shape[0]}")
    return x + self.table[:T]


def checked(add):
    """forward with the ValueError in front."""
    def forward(self, x):
        if x.shape[1] > len(self.table):
            raise ValueError("x is longer than max_len")
        return add(self.table, x)
    return forward


@wrong("unfinished", named="TODO 9")
def _():
    def init(self, embed_dim, max_len):
        raise NotImplementedError("TODO 9")
    return made(forward, init)


@wrong("all zero", named=True)
def _():
    return made(checked(lambda table, x: torch.zeros_like(x)))


@wrong("table is a parameter", named=True)
def _():
    def init(self, C, P):
        self.table = nn.Parameter(sinusoidal_table(P, C))
    return made(forward, init)


@wrong("parameter that does not learn", named="table is a parameter")
def _():
    def init(self, C, P):
        self.table = nn.Parameter(sinusoidal_table(P, C), requires_grad=False)
    return made(forward, init)


@wrong("table is not a buffer", named=True)
def _():
    def init(self, C, P):
        self.table = sinusoidal_table(P, C)
    return made(forward, init)


@wrong("learned positions", named="missing attribute")
def _():
    def init(self, C, P):
        self.positions = nn.Embedding(P, C)

    def forward(self, x):
        return x + self.positions(torch.arange(x.shape[1], device=x.device))
    return made(forward, init)


@wrong("buffer with another name", named="missing attribute")
def _():
    def init(self, C, P):
        self.register_buffer("pe", sinusoidal_table(P, C))
    return made(lambda self, x: x + self.pe[:x.shape[1]], init)


@wrong("max_len and embed_dim swapped", named=True)
def _():
    def init(self, C, P):
        self.register_buffer("table", sinusoidal_table(P, C).T)
    return made(checked(lambda table, x: x + table.T[:x.shape[1]]), init)


@wrong("no error for a long x", named="wrong kind of error")
def _():
    return made(lambda self, x: x + self.table[:x.shape[1]])


@wrong("long x cut off", named="no error raised")
def _():
    return made(lambda self, x: x[:, :len(self.table)] + self.table[:x.shape[1]])


@wrong("refused one too early", named="works only for T < max_len")
def _():
    def forward(self, x):
        if x.shape[1] >= len(self.table):
            raise ValueError("too long")
        return x + self.table[:x.shape[1]]
    return made(forward)


@wrong("batch compared with max_len", named="works only for a batch not larger than max_len")
def _():
    def forward(self, x):
        if x.shape[0] > len(self.table):
            raise ValueError("too long")
        return x + self.table[:x.shape[1]]
    return made(forward)


@wrong("whole table", named="works only when T equals max_len")
def _():
    return made(checked(lambda table, x: x + table))


@wrong("changes its input", named=True)
def _():
    def add(table, x):
        x += table[:x.shape[1]]
        return x
    return made(checked(add))


@wrong("multiplied instead of added", named=True)
def _():
    return made(checked(lambda table, x: x * table[:x.shape[1]]))


@wrong("x missing", named=True)
def _():
    return made(checked(lambda table, x: table[:x.shape[1]].expand_as(x)))


@wrong("last rows of the table", named=True)
def _():
    return made(checked(lambda table, x: x + table[-x.shape[1]:]))


@wrong("one position for all", named=True)
def _():
    return made(checked(lambda table, x: x + table[x.shape[1] - 1]))


@wrong("batch taken for time", named=True)
def _():
    return made(checked(lambda table, x: x + table[:x.shape[0]].unsqueeze(1)))


@wrong("positions from 1", named=True)
def _():
    return made(checked(lambda table, x: x + table.roll(-1, 0)[:x.shape[1]]))


@wrong("x scaled", named=True)
def _():
    return made(checked(lambda table, x: x * math.sqrt(x.shape[-1]) + table[:x.shape[1]]))


@wrong("concatenated", named=True)
def _():
    return made(checked(lambda table, x: torch.cat([x, table[:x.shape[1]].expand_as(x)], dim=-1)))


@wrong("detached", named="gradient cut")
def _():
    return made(checked(lambda table, x: x.detach() + table[:x.shape[1]]))


@wrong("dropout", named="random results")
def _():
    return made(checked(lambda table, x: F.dropout(x + table[:x.shape[1]], 0.1)))


@wrong("table recomputed for the length", named="all zero")
def _():
    def init(self, C, P):
        self.register_buffer("table", torch.zeros(P, C))

    def forward(self, x):
        if x.shape[1] > len(self.table):
            raise ValueError("too long")
        return x + sinusoidal_table(x.shape[1], x.shape[2]).to(x)
    return made(forward, init)


@wrong("table changed by the call", named="changes its table")
def _():
    def add(table, x):
        y = x + table[:x.shape[1]]
        table[:x.shape[1]] += x.detach().mean(0)
        return y
    return made(checked(add))


@wrong("long x refused in training only", named="wrong kind of error")
def _():
    def forward(self, x):
        if self.training and x.shape[1] > len(self.table):
            raise ValueError("x is longer than max_len")
        return x + self.table[:x.shape[1]]
    return made(forward)


@wrong("embed_dim compared with max_len", named="works only for embed_dim <= max_len")
def _():
    def forward(self, x):
        if max(x.shape[1:]) > len(self.table):
            raise ValueError("x is longer than max_len")
        return x + self.table[:x.shape[1]]
    return made(forward)


@wrong("sizes of the table swapped", named="max_len and embed_dim swapped")
def _():
    def init(self, C, P):
        self.register_buffer("table", sinusoidal_table(C, P))
    return made(forward, init)


@wrong("nn.Embedding in place of a buffer", named="table is not a buffer")
def _():
    def init(self, C, P):
        self.table = nn.Embedding.from_pretrained(sinusoidal_table(P, C))

    def forward(self, x):
        return x + self.table.weight[:x.shape[1]]
    return made(forward, init)


@wrong("buffer not used", named=True)
def _():
    return made(checked(lambda table, x: x + sinusoidal_table(*table.shape)[:x.shape[1]].to(x)))


@wrong("nothing added to zeros", named=True)
def _():
    return made(checked(lambda table, x: x + table[:x.shape[1]] * (x != 0)))


@wrong("float32 whatever x is", named="works only in float32")
def _():
    return made(checked(lambda table, x: x + table[:x.shape[1]].float()))


@wrong("rows of the first call kept", named="remembers an earlier call")
def _():
    def forward(self, x):
        if x.shape[1] > len(self.table):
            raise ValueError("x is longer than max_len")
        if not hasattr(self, "rows"):
            self.rows = self.table[:x.shape[1]].clone()
        return x + self.rows
    return made(forward)


@right("table as (1, max_len, C)")
def _():
    def init(self, C, P):
        self.register_buffer("table", sinusoidal_table(P, C).unsqueeze(0))

    def forward(self, x):
        if x.shape[1] > self.table.shape[1]:
            raise ValueError("x is longer than max_len")
        return x + self.table[:, :x.shape[1]]
    return made(forward, init)


@right("usual way")
def _():
    return made(forward)


@right("not saved, and extra attributes")
def _():
    def init(self, C, P):
        self.max_len = P
        self.register_buffer("table", sinusoidal_table(P, C), persistent=False)

    def forward(self, x):
        B, T, C = x.shape
        if self.max_len < T:
            raise ValueError("x is too long")
        return self.table[:T].unsqueeze(0).expand(B, T, C) + x
    return made(forward, init)


@right("looked up by position")
def _():
    return made(checked(lambda table, x: x + F.embedding(torch.arange(x.shape[1], device=x.device), table)))


@right("table made in place")
def _():
    def init(self, C, P):
        p = torch.arange(P).unsqueeze(1)
        rate = torch.exp(torch.arange(0, C, 2) * (-math.log(10000.0) / C))
        table = torch.zeros(P, C)
        table[:, 0::2], table[:, 1::2] = torch.sin(p * rate), torch.cos(p * rate)[:, :C // 2]
        self.register_buffer("table", table)
    return made(forward, init)


@right("a copy changed in place")
def _():
    def add(table, x):
        y = x.clone()
        y += table.narrow(0, 0, x.size(1)).to(x.dtype)
        return y
    return made(checked(add))
