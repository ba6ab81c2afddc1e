"""TODO 12, MultiHeadAttention.__init__: wrong and right answers."""
import torch
from torch import nn

from answers import right, wrong


def made(make, check=True):
    class MultiHeadAttention(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            if check and embed_dim % num_heads:
                raise ValueError(f"embed_dim={embed_dim} is not divisible by num_heads={num_heads}")
            self.num_heads = num_heads
            make(self, embed_dim, num_heads, dropout)
    return MultiHeadAttention


def finished(self, C, H, dropout):
    self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(C, C) for _ in range(4))
    self.dropout = nn.Dropout(dropout)


@wrong("unfinished", named="TODO 12")
def _():
    def make(self, C, H, dropout):
        raise NotImplementedError("TODO 12")
    return made(make)


@wrong("no super().__init__()", named="super().__init__() missing")
def _():
    class MultiHeadAttention(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            self.q_proj = nn.Linear(embed_dim, embed_dim)
    return MultiHeadAttention


@wrong("no bias", named=True)
def _():
    def make(self, C, H, dropout):
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(C, C, bias=False) for _ in range(4))
        self.dropout = nn.Dropout(dropout)
    return made(make)


@wrong("projections of one head's width", named="wrong out_features")
def _():
    def make(self, C, H, dropout):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, C // H) for _ in range(3))
        self.out_proj = nn.Linear(C, C)
        self.dropout = nn.Dropout(dropout)
    return made(make)


@wrong("out_proj of one head's width", named="wrong in_features")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.out_proj = nn.Linear(C // H, C)
    return made(make)


@wrong("out_proj forgotten", named="missing attribute")
def _():
    def make(self, C, H, dropout):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, C) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
    return made(make)


@wrong("one list of heads", named="missing attribute")
def _():
    def make(self, C, H, dropout):
        self.heads = nn.ModuleList(nn.Linear(C, C // H) for _ in range(H))
        self.out_proj = nn.Linear(C, C)
        self.dropout = nn.Dropout(dropout)
    return made(make)


@wrong("shared layer", named=True)
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.k_proj = self.q_proj
    return made(make)


@wrong("dropout ignored", named="wrong p")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.dropout = nn.Dropout()
    return made(make)


@wrong("hard-coded dropout", named="wrong p")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.dropout = nn.Dropout(0.1)
    return made(make)


@wrong("dropout kept as a number", named="wrong kind of layer")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        del self.dropout
        self.dropout = dropout
    return made(make)


@wrong("another default", named="wrong p")
def _():
    class MultiHeadAttention(made(finished)):
        def __init__(self, embed_dim, num_heads, dropout=0.1):
            super().__init__(embed_dim, num_heads, dropout)
    return MultiHeadAttention


@wrong("no ValueError", named="no error raised")
def _():
    return made(finished, check=False)


@wrong("assert instead of ValueError", named="wrong kind of error")
def _():
    def make(self, C, H, dropout):
        assert C % H == 0, "embed_dim must be divisible by num_heads"
        finished(self, C, H, dropout)
    return made(make, check=False)


@wrong("divided the wrong way round", named=None)
def _():
    def make(self, C, H, dropout):
        if H % C:
            raise ValueError("num_heads must be divisible by embed_dim")
        finished(self, C, H, dropout)
    return made(make, check=False)


@wrong("only even sizes refused", named=None)
def _():
    def make(self, C, H, dropout):
        if C < H:
            raise ValueError("embed_dim must not be smaller than num_heads")
        finished(self, C, H, dropout)
    return made(make, check=False)


@wrong("odd sizes refused", named=None)
def _():
    def make(self, C, H, dropout):
        if C % 2:
            raise ValueError("embed_dim must be even")
        finished(self, C, H, dropout)
    return made(make)


@wrong("more than 8 heads refused", named=None)
def _():
    def make(self, C, H, dropout):
        if H > 8:
            raise ValueError("num_heads must not be larger than 8")
        finished(self, C, H, dropout)
    return made(make)


@wrong("dropout of at most one half", named="wrong p")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, min(dropout, 0.5))
    return made(make)


@wrong("num_heads not kept", named=True)
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        del self.num_heads
    return made(make)


@wrong("width of a head as num_heads", named="wrong num_heads")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.num_heads = C // H
    return made(make)


@wrong("num_heads divided with /", named="wrong num_heads")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.num_heads = C / (C // H)
    return made(make)


@wrong("num_heads kept in the class", named="wrong num_heads")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        del self.num_heads
        type(self).num_heads = H
    return made(make)


@wrong("a norm of its own", named="extra weights")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        self.norm = nn.LayerNorm(C)
    return made(make)


@right("usual way")
def _():
    return made(finished)


@right("other order, extra attributes")
def _():
    class MultiHeadAttention(nn.Module):
        def __init__(self, embed_dim, num_heads, dropout=0.0):
            super().__init__()
            self.head_dim, rest = divmod(embed_dim, num_heads)
            if rest != 0:
                raise ValueError("the heads must have equal widths")
            self.dropout = nn.Dropout(p=dropout, inplace=False)
            self.out_proj = nn.Linear(embed_dim, embed_dim, bias=True)
            for name in ("v_proj", "k_proj", "q_proj"):
                setattr(self, name, nn.Linear(embed_dim, self.head_dim * num_heads))
            self.register_buffer("scale", torch.tensor(self.head_dim**-0.5))
    return MultiHeadAttention


@right("num_heads under another name")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        del self.num_heads
        self.shape = (H, C // H)
    return made(make)


@right("own start values")
def _():
    def make(self, C, H, dropout):
        finished(self, C, H, dropout)
        for layer in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return made(make)
