"""Checks of 2_modules: TODOs 4 and 5."""
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from helpers import oracle
from helpers.checks.engine import DOUBLE, HALF, SINGLE, Mistake, check

# (in, hidden, out) of special kinds: the notebook's own, all alike, hidden the smallest, and wide.
NARROW, SQUARE, THIN, WIDE = (1, 16, 1), (4, 4, 4), (3, 1, 2), (10, 100, 5)


def rough(t, mine, truth, x, case):
    """In bfloat16 only the dtype and the rough size of the numbers can be compared: 8 bits are left after each of
    some ten operations."""
    x = x.to(HALF) if x.is_floating_point() else x
    expected = truth(x.double() if x.is_floating_point() else x).detach()
    t.equal("output", t.call(mine, x), expected, (), case, HALF, tolerance=0.1 * float(expected.abs().max()))


# --- TODO 4: TwoLayerNet.__init__ --------------------------------------------------------------------------------

@check(4)
def todo_4(t, TwoLayerNet):
    """TwoLayerNet.__init__: fc1 and fc2 are nn.Linear with bias and the right sizes, new in each instance."""
    for sizes in (t.sizes((2, 12), (2, 12), (2, 12)), NARROW, SQUARE, THIN, WIDE):
        t.layers(t.make(TwoLayerNet, *sizes), oracle.TwoLayerNet(*sizes))
    named = dict(zip(("in_features", "hidden_features", "out_features"), sizes))
    t.layers(t.make(TwoLayerNet, **named), oracle.TwoLayerNet(*sizes))
    return "fc1 and fc2 are nn.Linear with bias and the right sizes"


# --- TODO 5: TwoLayerNet.forward ---------------------------------------------------------------------------------

def net(c, between=F.relu, after=lambda y: y, before=lambda x: x):
    """The net of case c with another function between the layers, after or before them."""
    return after(c.net.fc2(between(c.net.fc1(before(c.x)))))


MISTAKES_5 = [Mistake(name, says, makes, "net(x) = relu(x W1^T + b1) W2^T + b2", hint=2) for name, says, makes in [
    ("no relu", "your output is that of the two layers without relu: then two layers are no more than one",
     lambda c: net(c, lambda h: h)),
    ("relu after fc2", "your relu comes after fc2: it belongs between the layers",
     lambda c: net(c, lambda h: h, F.relu)),
    ("relu twice", "there is a relu after fc2 too: the output should be free to be negative",
     lambda c: net(c, after=F.relu)),
    ("relu before fc1", "your relu is applied to x: it belongs between the layers",
     lambda c: net(c, lambda h: h, before=F.relu)),
    ("relu before fc1", "there is a relu on x too", lambda c: net(c, before=F.relu)),
    ("only one layer", "your output is that of fc1 and relu: fc2 is missing", lambda c: F.relu(c.net.fc1(c.x))),
    ("only one layer", "your output is that of fc1: relu and fc2 are missing", lambda c: c.net.fc1(c.x)),
    ("fc1 used twice", "fc1 is used a second time in place of fc2", lambda c: c.net.fc1(F.relu(c.net.fc1(c.x)))),
    ("softmax at the end", "there is a softmax after fc2", lambda c: net(c, after=lambda y: y.softmax(-1))),
    ("sigmoid at the end", "there is a sigmoid after fc2", lambda c: net(c, after=torch.sigmoid)),
    ("residual added", "x is added to the output", lambda c: net(c) + c.x),
    ("averaged", "the output is averaged over the leading dimensions",
     lambda c: net(c).flatten(0, -2).mean(0) if min(c.x.shape) > 1 else None),
    ("leading dimensions flattened", "the leading dimensions of x are gone: nn.Linear takes any number of them",
     lambda c: net(c).flatten(0, -2) if min(c.x.shape) > 1 else None),
    ("minus relu", "your middle is min(h, 0): the half that relu drops", lambda c: net(c, lambda h: h.clamp(max=0))),
    ("relu cut at 1", "the middle is also cut at 1", lambda c: net(c, lambda h: h.clamp(0, 1))),
    ("bias left out", "the biases are not added", lambda c: F.relu(c.x @ c.net.fc1.weight.T) @ c.net.fc2.weight.T),
    *[("another function than relu", f"you use {f.__name__} between the layers, not relu", lambda c, f=f: net(c, f))
      for f in (F.gelu, torch.tanh, torch.sigmoid, F.leaky_relu, F.elu, F.silu, F.relu6, F.softplus, torch.abs, F.selu,
                torch.sin, torch.square)],
    ("another function than relu", "you use softmax between the layers, not relu",
     lambda c: net(c, lambda h: h.softmax(-1))),
]]


def near_the_bend(c):
    """Move biases of fc1 so that the first example has inner numbers close to 0, on both sides: a bend that is not
    quite relu's shows with every seed."""
    with torch.no_grad():
        inner = c.net.fc1(c.x.reshape(-1, c.x.shape[-1])[0])
        close = inner.new_tensor([0.005, -0.005, 0.05, -0.05][:len(inner)])
        c.net.fc1.bias[:len(close)] += close - inner[:len(close)]


@check(5)
def todo_5(t, TwoLayerNet):
    """TwoLayerNet.forward: outputs and gradients against nn.Sequential, with any number of leading dimensions, in both
    modes; one net for all cases of a size, with other weights in each case."""
    n_in, H, n_out, A, B = t.sizes((5, 8), (9, 13), (2, 8), (2, 4), (2, 7))

    def case(shape, dtype=SINGLE, mode="training", sizes=(n_in, H, n_out), scale=2, turned=False):
        x = t.randn(*shape, sizes[0]) * scale
        if turned:
            x = x.transpose(0, 1).contiguous().transpose(0, 1)  # the same numbers, otherwise in memory
        return SimpleNamespace(
            x=x, sizes=sizes, dtype=dtype, mode=mode, dims=len(shape), turned=turned,
            text=f"x of shape {tuple(x.shape)}{' (not contiguous)' if turned else ''}, {str(dtype)[6:]}, {sizes[1]} "
                 f"hidden and {sizes[2]} output features, in {mode} mode")

    def build(sizes):
        truth = oracle.TwoLayerNet(*sizes).double()
        return t.build(TwoLayerNet, sizes, truth, todo=4), truth

    def run(c):
        mine, c.net = t.once(c.sizes, lambda: build(c.sizes))
        t.fill(c.net, 1.5)  # other weights in each case: what is kept from an earlier call does not fit
        near_the_bend(c)
        t.same_weights(mine.train(c.mode == "training"), c.net, c.dtype)
        if c.dtype == HALF:
            rough(t, mine, c.net, c.x, c)
        else:
            t.against(mine, c.net, (c.x,), dtype=c.dtype, mistakes=MISTAKES_5, case=c)
        return mine

    cases = [case((A, B)), case((A, B), mode="evaluation"), case((A, B), DOUBLE), case((A, B), HALF, "evaluation"),
             case((B,)), case((1, B), mode="evaluation"), case(()), case((1,), mode="evaluation"), case((2, 1, A, B)),
             case((A, B), turned=True), case((12,), sizes=NARROW), case((A,), mode="evaluation", sizes=SQUARE),
             case((A, B), sizes=THIN), case((12, B), sizes=WIDE, scale=20)]
    t.cases(cases, run, {"for two dimensions": lambda c: c.dims == 1, "for three dimensions": lambda c: c.dims == 2,
                         "for at least one leading dimension": lambda c: c.dims > 0,
                         "for at most two dimensions": lambda c: c.dims < 2,
                         "for at most three dimensions": lambda c: c.dims < 3,
                         "for a first dimension of 1": lambda c: len(c.x.shape) > 1 and c.x.shape[0] == 1,
                         "in float32": lambda c: c.dtype == SINGLE, "in float64": lambda c: c.dtype == DOUBLE,
                         "in float32 and float64": lambda c: c.dtype != HALF})
    t.elsewhere(run(cases[0]), (cases[0].x.float(),))
    return "outputs and gradients are those of fc1, relu and fc2, for any number of leading dimensions"
