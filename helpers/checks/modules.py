"""Checks of 2_modules: TODOs 4 and 5."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from helpers import oracle
from helpers.checks.engine import Mistake, check

SINGLE, DOUBLE = torch.float32, torch.float64


# --- TODO 4: TwoLayerNet.__init__ --------------------------------------------------------------------------------

@check(4)
def todo_4(t, TwoLayerNet):
    """TwoLayerNet.__init__: fc1 and fc2 are nn.Linear with bias and the right sizes."""
    for _ in range(2):
        sizes = t.sizes((2, 12), (2, 12), (2, 12))
        t.layers(t.make(TwoLayerNet, *sizes), oracle.TwoLayerNet(*sizes))
    named = dict(zip(("in_features", "hidden_features", "out_features"), sizes))
    t.layers(t.make(TwoLayerNet, **named), oracle.TwoLayerNet(*sizes))
    return "fc1 and fc2 are nn.Linear with bias and the right sizes"


# --- TODO 5: TwoLayerNet.forward ---------------------------------------------------------------------------------

def net(c, between=F.relu, after=lambda y: y, before=lambda x: x):
    """The net of case c with another function between the layers, after or before them."""
    return after(c.net.fc2(between(c.net.fc1(before(c.x)))))


LINE = "fc2(relu(fc1(x)))"
MISTAKES_5 = [
    Mistake("no relu", "your output equals fc2(fc1(x)): without relu two layers are no more than one", line=LINE,
            makes=lambda c: net(c, lambda h: h)),
    Mistake("relu after fc2", "your relu comes after fc2: it belongs between the layers", line=LINE,
            makes=lambda c: net(c, lambda h: h, F.relu)),
    Mistake("relu twice", "there is a relu after fc2 too: the output should be free to be negative", line=LINE,
            makes=lambda c: net(c, after=F.relu)),
    Mistake("relu before fc1", "your relu is applied to x: it belongs between the layers", line=LINE,
            makes=lambda c: net(c, lambda h: h, before=F.relu)),
    Mistake("relu before fc1", "there is a relu on x too", line=LINE, makes=lambda c: net(c, before=F.relu)),
    Mistake("only one layer", "your output is relu(fc1(x)): fc2 is missing", line=LINE,
            makes=lambda c: F.relu(c.net.fc1(c.x))),
    Mistake("only one layer", "your output is fc1(x): relu and fc2 are missing", line=LINE,
            makes=lambda c: c.net.fc1(c.x)),
    Mistake("softmax at the end", "there is a softmax after fc2", line=LINE,
            makes=lambda c: net(c, after=lambda y: y.softmax(-1))),
    Mistake("sigmoid at the end", "there is a sigmoid after fc2", line=LINE,
            makes=lambda c: net(c, after=torch.sigmoid)),
    Mistake("residual added", "x is added to the output", line=LINE, makes=lambda c: net(c) + c.x),
    Mistake("averaged", "the output is averaged over the leading dimensions", line=LINE,
            makes=lambda c: net(c).flatten(0, -2).mean(0)),
    Mistake("leading dimensions flattened", "the leading dimensions of x are gone: nn.Linear takes any number of them",
            line=LINE, makes=lambda c: net(c).flatten(0, -2)),
    Mistake("minus relu", "your middle is min(h, 0): the half that relu drops", line=LINE,
            makes=lambda c: net(c, lambda h: h.clamp(max=0))),
    Mistake("relu cut at 1", "the middle is also cut at 1", line=LINE, makes=lambda c: net(c, lambda h: h.clamp(0, 1))),
    Mistake("bias left out", "the biases are not added", line=LINE,
            makes=lambda c: F.relu(c.x @ c.net.fc1.weight.T) @ c.net.fc2.weight.T),
    *[Mistake("another function than relu", f"you use {f.__name__} between the layers, not relu", line=LINE,
              makes=lambda c, f=f: net(c, f))
      for f in (F.gelu, torch.tanh, torch.sigmoid, F.leaky_relu, F.elu, F.silu, F.relu6, F.softplus, torch.abs, F.selu,
                torch.sin, torch.square)],
    Mistake("another function than relu", "you use softmax between the layers, not relu", line=LINE,
            makes=lambda c: net(c, lambda h: h.softmax(-1))),
]


@check(5)
def todo_5(t, TwoLayerNet):
    """TwoLayerNet.forward: outputs and gradients against nn.Sequential, with any number of leading dimensions."""
    n_in, H, n_out, A, B = t.sizes((5, 8), (9, 13), (2, 8), (2, 4), (2, 7))

    def case(shape, dtype):
        return SimpleNamespace(x=t.randn(*shape, n_in) * 2, dtype=dtype, dims=len(shape), mask=None,
                               text=f"x of shape {(*shape, n_in)}, {str(dtype)[6:]}, {H} hidden and {n_out} output "
                                    "features")

    def run(c):
        c.net = t.fill(oracle.TwoLayerNet(n_in, H, n_out).double(), 1.5)
        mine, truth = t.same_weights(t.build(TwoLayerNet, (n_in, H, n_out), c.net, todo=4), c.net, c.dtype)
        t.against(mine, truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_5, case=c)
        mine.eval()
        t.against(mine, truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_5, case=c, gradients=False)
        return mine

    cases = [case((A, B), SINGLE), case((B,), SINGLE), case((1, B), SINGLE), case((), SINGLE), case((1,), SINGLE),
             case((A, 1, B), SINGLE), case((A, B), DOUBLE)]
    t.cases(cases, run, {"for two dimensions": lambda c: c.dims == 1, "for three dimensions": lambda c: c.dims == 2,
                         "for at least one leading dimension": lambda c: c.dims > 0,
                         "for at most two dimensions": lambda c: c.dims < 2,
                         "for a first dimension of 1": lambda c: len(c.x.shape) > 1 and c.x.shape[0] == 1,
                         "in float32": lambda c: c.dtype == SINGLE, "in float64": lambda c: c.dtype == DOUBLE})
    t.elsewhere(run(cases[0]), (cases[0].x.float(),))
    return "outputs and gradients equal fc2(relu(fc1(x))), for any number of leading dimensions"
