"""What the checks of the training loop share (TODOs 28-30): a small model, an optimizer, losses compared."""
import collections
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers.checks.compare import kind_of, two_numbers
from helpers.checks.engine import Mistake, Wrong
from helpers.checks.guard import Elsewhere, Faraway


class Small(nn.Module):
    """A small language model, float64. A part of it is dropped in training mode, for certain, so that the mode shows
    in the numbers. Notes how it is called."""

    def __init__(self, t, V, C):
        super().__init__()
        self.table, self.side, self.top = nn.Embedding(V, C), nn.Linear(C, V), nn.Linear(C, V)
        self.dropout = nn.Dropout(1.0)
        self.calls = []  # of each call the modes of its parts, and whether gradients were on
        t.fill(self.double(), 2.0)

    def forward(self, ids):
        self.calls.append(({self.training, self.dropout.training}, torch.is_grad_enabled()))
        x = self.table(ids)
        return self.dropout(self.side(x)) + self.top(x)  # (B, T, V)


class Descent(torch.optim.Optimizer):
    """Gradient descent, with or without momentum. As in training.optimizer, there are two groups of parameters with
    learning rates of their own: the first parameter, and all others.

    PyTorch's own optimizers load its compiler when the first of a process is made, which takes seconds: a check has no
    time for that, and needs only what all optimizers have.
    """

    def __init__(self, model, lr, momentum=0.0):
        first, *others = model.parameters()
        self.defaults, self.state = {"lr": lr}, collections.defaultdict(dict)
        self.param_groups = [{"params": [first], "lr": lr}, {"params": others, "lr": lr / 2}]
        self.momentum = momentum
        self.rates = []  # the learning rate of each step

    def zero_grad(self, set_to_none=True):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None if set_to_none or parameter.grad is None else torch.zeros_like(parameter)

    def step(self, closure=None):
        loss = None if closure is None else closure()
        self.rates.append(self.param_groups[0]["lr"])
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is None:
                        continue
                    change = parameter.grad
                    if self.momentum:
                        state = self.state[parameter]
                        change = state["mean"] = self.momentum * state.get("mean", 0) + change
                    parameter.sub_(change, alpha=group["lr"])
        return loss


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).clone()


def mean_loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def settings(model):
    """What neither a step nor a measurement may change."""
    return {"dtype": {p.dtype for p in model.parameters()},
            "dropout rate": [part.p for part in model.modules() if isinstance(part, nn.Dropout)],
            "requires_grad": [p.requires_grad for p in model.parameters()]}


def unharmed(model, before, case):
    """Raise Wrong if the model's settings are not those that it had `before`."""
    for what, now in settings(model).items():
        if now != before[what]:
            raise Wrong(f"it changes the model's {what}: after the call it is another than before.",
                        "changes the model", case=case)


def one_float(got, line):
    """Raise Wrong if `got` is not one finite float."""
    if type(got) is not float:
        raise Wrong(f"it should return a Python float, but it returns {kind_of(got)}.",
                    "nothing returned" if got is None else "not a float", line)
    if not math.isfinite(got):
        raise Wrong(f"it returns {got}.", name="NaN or infinite numbers")


def near(got, right, loose=1):
    """Are two losses the same, up to what float32 explains?"""
    return isinstance(got, (int, float)) and abs(got - right) <= loose * (4e-6 + 4e-7 * abs(right))


def not_near(right, mine, line="", case=None):
    texts = two_numbers(right, mine)
    return Wrong(f"expected a loss of {texts[0]}, yours is {texts[1]}.", line=line, case=case)


LOSS = "loss = mean cross-entropy over all B*T positions"
DEVICE = "move x and y to the model's device"
ERRORS = [
    Mistake("ids made into floats", "the ids are no whole numbers any more when they are used: change their device, "
            "not their dtype", line=DEVICE, raises=lambda c, e: "scalar type" in str(e) and "Long" in str(e)),
    Mistake("logits not flattened", "cross_entropy wants (positions, V) and (positions,), or (B, V, T) and (B, T)",
            line=LOSS, raises=lambda c, e: "Expected target size" in str(e) or "batch_size" in str(e)),
]


def away(t, run, model):
    """run(model), with a model that lives on another device than the batches."""
    model = copy.deepcopy(model)
    Faraway.send(*model.parameters(), *model.buffers())
    try:
        t.call(run, model, mode=Faraway(), keep_inputs=False)
    except Elsewhere as where:
        if "numpy" in str(where):
            raise Wrong("it does not work with a model on a graphics card: numpy cannot read the tensors there.",
                        "hard-coded device") from None
        raise Wrong("the batches are not moved to the model's device.", "batch not moved to the model's device",
                    DEVICE) from None
    except Wrong:
        return  # it failed for a reason that only the pretence has
