"""TODO 14: FeedForward.__init__(embed_dim, hidden_dim=None, dropout=0.0)."""
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


@wrong("dropout missing", named=True)
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
