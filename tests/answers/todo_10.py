"""TODO 10, SelfAttention.__init__: wrong and right answers."""
import copy

import torch
from torch import nn

from answers import right, wrong


def made(make):
    class SelfAttention(nn.Module):
        def __init__(self, embed_dim):
            super().__init__()
            make(self, embed_dim)
    return SelfAttention


@wrong("unfinished", named="TODO 10")
def _():
    def make(self, C):
        raise NotImplementedError("TODO 10")
    return made(make)


@wrong("no super().__init__()", named="super().__init__() missing")
def _():
    class SelfAttention(nn.Module):
        def __init__(self, embed_dim):
            self.q_proj = nn.Linear(embed_dim, embed_dim, bias=False)
    return SelfAttention


@wrong("bias", named=True)
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(C, C), nn.Linear(C, C), nn.Linear(C, C)
    return made(make)


@wrong("bias in one", named="bias")
def _():
    def make(self, C):
        self.q_proj = nn.Linear(C, C, bias=False)
        self.k_proj = nn.Linear(C, C, bias=False)
        self.v_proj = nn.Linear(C, C)
    return made(make)


@wrong("shared layer", named=True)
def _():
    def make(self, C):
        self.q_proj = self.k_proj = self.v_proj = nn.Linear(C, C, bias=False)
    return made(make)


@wrong("shared weight", named="shared layer")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, C, bias=False) for _ in range(3))
        self.k_proj.weight = self.q_proj.weight
    return made(make)


@wrong("one layer for all three", named="missing attribute")
def _():
    def make(self, C):
        self.qkv_proj = nn.Linear(C, 3 * C, bias=False)
    return made(make)


@wrong("v_proj forgotten", named="missing attribute")
def _():
    def make(self, C):
        self.q_proj = nn.Linear(C, C, bias=False)
        self.k_proj = nn.Linear(C, C, bias=False)
    return made(make)


@wrong("hard-coded size", named="wrong in_features")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(64, 64, bias=False) for _ in range(3))
    return made(make)


@wrong("wrong output size", named="wrong out_features")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, 1, bias=False) for _ in range(3))
    return made(make)


@wrong("bare weights", named="wrong kind of layer")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Parameter(torch.randn(C, C)) for _ in range(3))
    return made(make)


@wrong("in a dict", named="missing attribute")
def _():
    def make(self, C):
        self.projections = nn.ModuleDict({name: nn.Linear(C, C, bias=False) for name in ("q_proj", "k_proj", "v_proj")})
    return made(make)


@wrong("tuple by accident", named="wrong kind of layer")
def _():
    def make(self, C):
        self.q_proj = nn.Linear(C, C, bias=False),
        self.k_proj = nn.Linear(C, C, bias=False),
        self.v_proj = nn.Linear(C, C, bias=False),
    return made(make)


@wrong("all zero", named="constant weights")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, C, bias=False) for _ in range(3))
        for p in self.parameters():
            nn.init.zeros_(p)
    return made(make)


@wrong("at least 8 features", named="wrong in_features")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(max(C, 8), max(C, 8), bias=False) for _ in range(3))
    return made(make)


@wrong("one feature refused", named=None)
def _():
    def make(self, C):
        if C < 2:
            raise ValueError("embed_dim must be larger than 1")
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, C, bias=False) for _ in range(3))
    return made(make)


@wrong("out_proj of several heads too", named="extra weights")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(C, C, bias=False) for _ in range(4))
    return made(make)


@wrong("scale that learns", named="extra weights")
def _():
    def make(self, C):
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(C, C, bias=False) for _ in range(3))
        self.scale = nn.Parameter(torch.tensor(C**-0.5))
    return made(make)


@right("with extra attributes")
def _():
    def make(self, C):
        self.embed_dim, self.scale = C, C**-0.5
        self.v_proj = nn.Linear(C, C, bias=False)
        self.k_proj = nn.Linear(C, C, bias=False)
        self.q_proj = nn.Linear(C, C, bias=False)
        self.softmax = nn.Softmax(dim=-1)
    return made(make)


@right("loop with setattr, own start values")
def _():
    def make(self, C):
        for name in "qkv":
            setattr(self, f"{name}_proj", nn.Linear(C, C, bias=False))
            nn.init.xavier_uniform_(getattr(self, f"{name}_proj").weight)
    return made(make)


@right("in a dict, and under their names")
def _():
    def make(self, C):
        self.projections = nn.ModuleDict({name: nn.Linear(C, C, bias=False) for name in ("q_proj", "k_proj", "v_proj")})
        for name, layer in self.projections.items():
            setattr(self, name, layer)
    return made(make)


@right("copies of one layer")
def _():
    def make(self, C):
        layer = nn.Linear(C, C, bias=False)
        self.q_proj, self.k_proj, self.v_proj = layer, copy.deepcopy(layer), copy.deepcopy(layer)
        self.v_proj.reset_parameters()
    return made(make)
