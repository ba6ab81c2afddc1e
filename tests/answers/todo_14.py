"""TODO 14: FeedForward.__init__(embed_dim, hidden_dim=None, dropout=0.0)."""
import torch
from torch import nn

from answers import right, wrong


class Base(nn.Module):
    """The other method of the class, finished."""

    def forward(self, x):
        return self.dropout(self.project(nn.functional.gelu(self.expand(x))))


@right("plain, forward not written yet")
def _():
    class FeedForward(nn.Module):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)

        def forward(self, x):
            raise NotImplementedError("TODO 15")
    return FeedForward


@right("is None, extra attributes, other initial weights")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super(FeedForward, self).__init__()
            if hidden_dim is None:
                hidden_dim = embed_dim * 4
            self.embed_dim, self.hidden_dim, self.activation = embed_dim, hidden_dim, nn.GELU()
            self.dropout = nn.Dropout(p=dropout)
            self.project = nn.Linear(hidden_dim, embed_dim, bias=True)
            self.expand = nn.Linear(embed_dim, hidden_dim, bias=True)
            nn.init.normal_(self.expand.weight, std=0.02)
            nn.init.zeros_(self.project.weight)
    return FeedForward


@right("a Sequential around the parts, a subclass of Linear, add_module")
def _():
    class Layer(nn.Linear):
        pass

    class FeedForward(nn.Module):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0, **extra):
            nn.Module.__init__(self)
            width = 4 * embed_dim if hidden_dim is None else hidden_dim
            self.add_module("expand", Layer(embed_dim, width))
            self.add_module("project", Layer(width, embed_dim))
            self.add_module("dropout", nn.Dropout(dropout, inplace=False))
            self.layers = nn.Sequential(self.expand, nn.GELU(), self.project, self.dropout)

        def forward(self, x):
            return self.layers(x)
    return FeedForward


@wrong("hidden_dim ignored", named=True)
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            self.expand = nn.Linear(embed_dim, 4 * embed_dim)
            self.project = nn.Linear(4 * embed_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("hidden size 2 C", named="hidden size")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 2 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("hidden size C", named="hidden size")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("hidden_dim taken as a factor", named="hidden size")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = (hidden_dim or 4) * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("hidden_dim=None not handled", named=True)
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("no bias", named=True)
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim, bias=False)
            self.project = nn.Linear(hidden_dim, embed_dim, bias=False)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("project does not come back to C", named=True)
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, hidden_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("expand and project swapped", named=True)
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.project = nn.Linear(embed_dim, hidden_dim)
            self.expand = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("dropout kept as a number", named="dropout is a number")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = dropout
    return FeedForward


@wrong("nn.Dropout() without its argument", named="dropout not passed on")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout()
    return FeedForward


@wrong("dropout missing", named="missing attribute")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
    return FeedForward


@wrong("super().__init__() missing", named=True)
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("sizes of the paper hard-coded", named="hard-coded sizes")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=512, dropout=0.0):
            super().__init__()
            self.expand = nn.Linear(embed_dim, 512)
            self.project = nn.Linear(512, embed_dim)
            self.dropout = nn.Dropout(dropout)
    return FeedForward


@wrong("one set of layers for all instances", named="weights shared between instances")
def _():
    made = {}

    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            key = embed_dim, hidden_dim
            if key not in made:
                made[key] = nn.Linear(embed_dim, hidden_dim), nn.Linear(hidden_dim, embed_dim)
            self.expand, self.project = made[key]
            self.dropout = nn.Dropout(dropout)
    return FeedForward


def made(change):
    """The right class, then changed by change(self, C, hidden, p): the answers below differ only there."""
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
            change(self, embed_dim, hidden_dim, dropout)
    return FeedForward


@right("checks its arguments, keeps a buffer")
def _():
    def change(self, C, hidden, p):
        if hidden < 1 or not 0 <= p <= 1:
            raise ValueError("hidden_dim must be at least 1, dropout between 0 and 1")
        self.register_buffer("calls", torch.zeros(()))
    return made(change)


@wrong("other names", named="The attribute expand is missing (there is dropout, fc1, fc2)")
def _():
    def change(self, C, hidden, p):
        self.fc1, self.fc2 = self.expand, self.project
        del self.expand, self.project
    return made(change)


@wrong("never narrower than C")
def _():
    def change(self, C, hidden, p):
        if hidden < C:
            self.expand, self.project = nn.Linear(C, C), nn.Linear(C, C)
    return made(change)


@wrong("dropout of 0.1 unless another is given", named="default dropout")
def _():
    class FeedForward(made(lambda *sizes: None)):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.1):
            super().__init__(embed_dim, hidden_dim, dropout)
    return FeedForward


@wrong("dropout of at most 0.5", named="dropout not passed on")
def _():
    def change(self, C, hidden, p):
        self.dropout = nn.Dropout(min(p, 0.5))
    return made(change)


@wrong("dropout in a plain list: it stays on in evaluation", named="not registered")
def _():
    def change(self, C, hidden, p):
        self.hidden = [self.dropout]
        del self.dropout
        self.__dict__["dropout"] = self.hidden[0]
    return made(change)


@wrong("a norm that nobody asked for", named="more weights than asked for")
def _():
    def change(self, C, hidden, p):
        self.norm = nn.LayerNorm(C)
    return made(change)


@wrong("project is expand turned over", named="shared weights")
def _():
    def change(self, C, hidden, p):
        self.project.weight.data = self.expand.weight.data.T
    return made(change)


@wrong("the random seed set", named="sets the random seed")
def _():
    def change(self, C, hidden, p):
        torch.manual_seed(0)
        self.expand.reset_parameters()
    return made(change)


@wrong("all weights zero", named="weights all equal")
def _():
    class FeedForward(Base):
        def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
            super().__init__()
            hidden_dim = hidden_dim or 4 * embed_dim
            self.expand = nn.Linear(embed_dim, hidden_dim)
            self.project = nn.Linear(hidden_dim, embed_dim)
            self.dropout = nn.Dropout(dropout)
            for parameter in self.parameters():
                nn.init.zeros_(parameter)
    return FeedForward
