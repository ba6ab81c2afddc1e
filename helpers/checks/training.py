"""Checks of 5_training: TODOs 28-30, the training loop."""
import collections
import copy
import itertools
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import oracle
from helpers.checks.compare import kind_of, same
from helpers.checks.engine import Mistake, Wrong, check, mistake_made, raised
from helpers.checks.guard import Elsewhere, Faraway

# --- What all three checks use -----------------------------------------------------------------------------------

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


def shown(right, mine):
    """Two numbers, with as many digits as it takes to see that they differ."""
    for digits in range(4, 17):
        texts = f"{right:.{digits}g}", f"{mine:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts


def not_near(right, mine, line="", case=None):
    texts = shown(right, mine)
    return Wrong(f"expected a loss of {texts[0]}, yours is {texts[1]}.", line=line, case=case)


DEVICE = "move x and y to the model's device"


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


# --- TODO 28: train_step -----------------------------------------------------------------------------------------

def norm(gradients):
    return torch.stack([g.norm() for g in gradients]).norm()


def norm_clip(gradients, limit):
    factor = torch.clamp(limit / (norm(gradients) + 1e-6), max=1.0)
    return [g * factor for g in gradients]


def one_step(c, *, loss=mean_loss, clip=norm_clip, limit=None, cleared=None, factor=1.0, shown="before"):
    """(loss, parameters) after train_step on case c with something done otherwise."""
    model = copy.deepcopy(c.start).train()
    optimizer = c.optimizer(model)
    value = loss(model(c.x), c.y)
    parameters = list(model.parameters())
    gradients = [factor * g for g in torch.autograd.grad(value, parameters)]
    if cleared is not None:  # only so many of them
        gradients[cleared:] = [g + s for g, s in zip(gradients[cleared:], c.stale[cleared:])]
    for parameter, gradient in zip(parameters, clip(gradients, c.limit if limit is None else limit)):
        parameter.grad = gradient
    optimizer.step()
    if shown == "after":
        value = loss(model(c.x), c.y)
    return value.detach(), flat(model)


LOSS_28 = "loss = mean cross-entropy over all B*T positions"
CLEAR_28 = "clear the old gradients before backward"
CLIP_28 = "the norm of all gradients together is at most max_grad_norm"
STEP_28 = "backward, clip, step: once each, in this order"
RETURN_28 = "return the loss before the step, as a float"
TRAIN_28 = "training mode"


def only(*where):
    return lambda logits, y: mean_loss(logits[where], y[where])


MISTAKES_28 = [
    Mistake("gradients not cleared", "gradients from before the call are added to the new ones: clear them before "
            "backward", line=CLEAR_28, makes=lambda c: one_step(c, cleared=0)),
    Mistake("only the first group cleared", "old gradients are cleared in the optimizer's first group of parameters "
            "only", line=CLEAR_28, makes=lambda c: one_step(c, cleared=1)),
    Mistake("gradients not clipped", "the gradient's norm is not clipped, or only when the step is already made",
            line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: g)),
    Mistake("max_grad_norm ignored", "the gradient is clipped at 1.0 and not at max_grad_norm", line=CLIP_28,
            makes=lambda c: one_step(c, limit=1.0)),
    Mistake("clipped by value", "each number of the gradient is clipped; the norm of all of them is meant",
            line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: [x.clamp(-limit, limit) for x in g])),
    Mistake("each parameter clipped alone", "each parameter's gradient is clipped by itself; the norm of all together "
            "is meant", line=CLIP_28,
            makes=lambda c: one_step(c, clip=lambda g, limit: [norm_clip([x], limit)[0] for x in g])),
    Mistake("each group clipped alone", "each of the optimizer's groups of parameters is clipped by itself; the norm "
            "of all gradients together is meant", line=CLIP_28, makes=lambda c: one_step(
                c, clip=lambda g, limit: norm_clip(g[:1], limit) + norm_clip(g[1:], limit))),
    Mistake("only the first group clipped", "only the optimizer's first group of parameters is clipped; the norm of "
            "all gradients together is meant", line=CLIP_28,
            makes=lambda c: one_step(c, clip=lambda g, limit: norm_clip(g[:1], limit) + g[1:])),
    Mistake("small gradients made larger", "gradients shorter than max_grad_norm are made longer; they should "
            "only ever be made shorter", line=CLIP_28,
            makes=lambda c: one_step(c, clip=lambda g, limit: [x * limit / norm(g) for x in g])),
    Mistake("clipped by another norm", "the gradient's largest number is compared with max_grad_norm; its Euclidean "
            "norm is meant", line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: [
                x * torch.clamp(limit / max(y.abs().max() for y in g), max=1.0) for x in g])),
    Mistake("no gradient at the step", "the step changes nothing: the gradients are cleared after backward, or none "
            "reaches the parameters (detach, no_grad, .data or .item() on the way from the logits to the loss)",
            line=STEP_28, makes=lambda c: (None, flat(c.start))),
    Mistake("gradients twice as large", "the gradients are twice as large as they should be: is backward called "
            "twice?", line=STEP_28, makes=lambda c: one_step(c, factor=2.0)),
    Mistake("step uphill", "the step goes uphill", line=STEP_28, makes=lambda c: (None, one_step(c, factor=-1.0)[1])),
    Mistake("loss after the step", "you return the loss after the step; return the one that the step was made from",
            line=RETURN_28, makes=lambda c: one_step(c, shown="after")),
    Mistake("sum instead of mean", "the loss is the sum over all positions; take the mean", line=LOSS_28,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits, y) * y.numel())),
    Mistake("sum over positions", "the loss is divided by the batch size only; take the mean over all B*T positions",
            line=LOSS_28, makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits, y) * y.shape[1])),
    Mistake("only the last position", "the loss is that of the last position; all B*T positions count", line=LOSS_28,
            makes=lambda c: one_step(c, loss=only(slice(None), slice(-1, None)))),
    Mistake("only the first of the batch", "the loss is that of the first sequence of the batch", line=LOSS_28,
            makes=lambda c: one_step(c, loss=only(slice(0, 1)))),
    Mistake("shifted once more", "y is already one step later than x: do not shift again", line=LOSS_28,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits[:, :-1], y[:, 1:]))),
    Mistake("x as target", "the loss compares with x; the targets are y", line=LOSS_28,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits, c.x))),
    Mistake("softmax before the loss", "cross_entropy takes logits and applies log-softmax itself", line=LOSS_28,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits.softmax(-1), y))),
    Mistake("logits reshaped, not transposed", "cross_entropy wants (B, V, T): transpose, do not reshape", line=LOSS_28,
            makes=lambda c: one_step(c, loss=lambda logits, y: F.cross_entropy(
                logits.reshape(logits.shape[0], logits.shape[2], logits.shape[1]), y))),
    Mistake("id 0 left out", "positions with target 0 are left out of the loss", line=LOSS_28,
            makes=lambda c: one_step(c, loss=lambda logits, y: F.cross_entropy(
                logits.flatten(0, 1), y.flatten(), ignore_index=0))),
]
ERRORS = [
    Mistake("ids made into floats", "the ids are no whole numbers any more when they are used: change their device, "
            "not their dtype", line=DEVICE, raises=lambda c, e: "scalar type" in str(e) and "Long" in str(e)),
    Mistake("logits not flattened", "cross_entropy wants (positions, V) and (positions,), or (B, V, T) and (B, T)",
            line=LOSS_28, raises=lambda c, e: "Expected target size" in str(e) or "batch_size" in str(e)),
]


def noted(c, model, optimizer):
    """Raise Wrong for what the model and the optimizer noted themselves; asked when the numbers are wrong."""
    if not model.calls:
        raise Wrong("the model is never called.", case=c)
    if any(False in modes for modes, gradients in model.calls if gradients):
        raise Wrong("the model is in evaluation mode when it is called.", "evaluation mode", TRAIN_28, case=c)
    if len(optimizer.rates) == 0:
        raise Wrong("the optimizer's step is never called.", "no step", STEP_28, case=c)
    if len(optimizer.rates) > 1:
        raise Wrong(f"the optimizer's step is called {len(optimizer.rates)} times.", "two steps", STEP_28, case=c)


@check(28)
def todo_28(t, train_step):
    """train_step: loss and parameters after a step, clipped and not, with old gradients, with and without momentum."""
    V, C, B, T = t.sizes((7, 9), (3, 4), (2, 6), (5, 10))

    def batch(V, B, T):
        return t.randint(V - 1, B, T), t.randint(V - 1, B, T)  # the largest id does not occur

    def case(V, B, T, clip, training=True, momentum=0.0):
        """`clip` gives max_grad_norm, from the gradient's norm; None: it is not given."""
        x, y = batch(V, B, T)
        y[0, :3] = 0
        c = SimpleNamespace(start=Small(t, V, C), x=x, y=y, training=training, default=clip is None,
                            optimizer=lambda model: Descent(model, 0.5, momentum))
        c.stale = [t.randn(*p.shape) for p in c.start.parameters()]
        length = loss = 0.0
        # Weights with which the gradient's norm is long enough (its square is above each limit below, and half of it
        # above 1.0), and the loss is not nearly the same when it is rounded to four digits.
        while length < 3 or near(round(loss, 4), loss):
            t.fill(c.start, 2.0)
            t.fill(c.start.table, 8.0)
            model = copy.deepcopy(c.start).train()
            value = mean_loss(model(x), y)
            length, loss = float(norm(torch.autograd.grad(value, list(model.parameters())))), value.item()
        c.limit = 1.0 if c.default else clip(length)
        c.text = f"x and y of shape ({B}, {T}), V = {V}, SGD{' with momentum' if momentum else ''}, gradient norm " \
                 f"{length:.3f}, max_grad_norm {'not given' if c.default else format(c.limit, '.3f')}"
        return c

    def step(c, model, batch, optimizer, expected, mistakes=()):
        """One train_step of the learner's: are the loss and the parameters after it the expected ones?"""
        model.calls.clear()
        optimizer.rates.clear()
        try:
            got = t.call(train_step, model, batch, optimizer, **({} if c.default else {"max_grad_norm": c.limit}))
        except Wrong as wrong:
            raised(ERRORS, c, wrong)
        if type(got) is float:
            one_float(got, RETURN_28)
        unharmed(model, settings(c.start), c)
        number = torch.tensor(got, dtype=torch.float64) if type(got) is float else expected[0]
        # Clipping with and without PyTorch's 1e-6 in the denominator is the same to 1e-6.
        tolerance = max(1e-9, 1e-5 * float((expected[1] - flat(c.start)).abs().max()))
        right = near(float(number), float(expected[0]))
        if not right or not same(flat(model), expected[1], tolerance=tolerance):
            noted(c, model, optimizer)
            t.name_it(mistakes, c, (number, flat(model)), tolerance, expected)
            if not right:
                raise not_near(float(expected[0]), float(number), LOSS_28, c)
            t.equal("parameter vector after the step", flat(model), expected[1], (), c, tolerance=tolerance)
        one_float(got, RETURN_28)
        if c.training and not all(part.training for part in model.modules()):
            raise Wrong("the model was in training mode before the step and is left in evaluation mode.",
                        "evaluation mode afterwards", TRAIN_28, case=c)

    def run(c):
        model, expected = copy.deepcopy(c.start).train(c.training), one_step(c)
        for parameter, gradient in zip(model.parameters(), c.stale):
            parameter.grad = gradient.clone()
        optimizer = c.optimizer(model)
        step(c, model, [c.x, c.y] if c.training else (c.x, c.y), optimizer, expected, MISTAKES_28)
        return model, optimizer

    def again(c, model, optimizer):
        """A second step with the same model and optimizer, and a batch of one position."""
        second, truth = batch(V, 1, 1), copy.deepcopy(c.start)
        steps = c.optimizer(truth)
        oracle.train_step(truth, (c.x, c.y), steps, c.limit)
        loss = oracle.train_step(truth, second, steps, c.limit)
        c.text = f"a second step, x and y of shape (1, 1), V = {V}, SGD with momentum, max_grad_norm {c.limit:.3f}"
        step(c, model, second, optimizer, (torch.tensor(loss, dtype=torch.float64), flat(truth)))

    # Of at most 81 numbers that are not 0, the largest is above a tenth of their norm.
    first = case(V, B, T, lambda norm: min(0.5, norm / 10))
    run(first)
    run(case(V + 3, 1, T + 1, lambda norm: norm * 2.5, training=False))
    run(case(V, B + 1, 1, None))
    c = case(V, B, T, lambda norm: norm / 2, momentum=0.9)
    again(c, *run(c))
    away(t, lambda model: train_step(model, (first.x, first.y), Descent(model, 0.5)), first.start)
    return "loss and parameters, clipped and not, with and without momentum"


# --- TODO 29: evaluate -------------------------------------------------------------------------------------------

MEAN_29 = "mean over all positions of all batches: sum of (loss * positions) / sum of positions"
MODE_29 = "evaluation mode and no gradients inside; the old mode again at the end"
RETURN_29 = "return the mean, as a float"


def losses(c, target="y"):
    """[(mean loss, B, T)] of all batches, in evaluation mode. Small looks at each position alone: one call will do."""
    x, y = (torch.cat([batch[i].flatten() for batch in c.batches]) for i in (0, 1))
    with torch.no_grad():
        found = F.cross_entropy(copy.deepcopy(c.start).double().eval()(x), y if target == "y" else x, reduction="none")
    shapes = [x.shape for x, _ in c.batches]
    return [(float(loss.mean()), B, T) for loss, (B, T) in zip(found.split([B * T for B, T in shapes]), shapes)]


def weighted(found, weight=lambda loss, B, T: B * T):
    total = sum(weight(*one) for one in found)
    return sum(one[0] * weight(*one) for one in found) / total if total else None


MISTAKES_29 = [
    Mistake("mean of the batches' means", "each batch counts the same; a batch counts by its number of positions",
            line=MEAN_29, makes=lambda c: weighted(losses(c), lambda *one: 1)),
    Mistake("weighted by the batch size only", "each batch counts by its number of sequences; it should by its number "
            "of positions, B * T",
            line=MEAN_29, makes=lambda c: weighted(losses(c), lambda loss, B, T: B)),
    Mistake("sum instead of mean", "you return the sum of the batches' losses", line=MEAN_29,
            makes=lambda c: sum(one[0] for one in losses(c))),
    Mistake("sum instead of mean", "you return the sum over all positions", line=MEAN_29,
            makes=lambda c: sum(loss * B * T for loss, B, T in losses(c))),
    Mistake("divided by the number of batches", "the sum over all positions is divided by the number of batches",
            line=MEAN_29, makes=lambda c: sum(loss * B * T for loss, B, T in losses(c)) / len(c.batches)),
    Mistake("divided by the number of sequences", "the sum over all positions is divided by the number of sequences",
            line=MEAN_29, makes=lambda c: sum(loss * B * T for loss, B, T in losses(c)) / sum(
                B for _, B, _ in losses(c))),
    Mistake("only the first batch", "only the first batch counts: is return inside the loop?", line=MEAN_29,
            makes=lambda c: losses(c)[0][0]),
    Mistake("only the last batch", "only the last batch counts", line=MEAN_29, makes=lambda c: losses(c)[-1][0]),
    Mistake("last batch left out", "the last batch is left out", line=MEAN_29,
            makes=lambda c: weighted(losses(c)[:-1])),
    Mistake("not all batches", "only the first 200 batches count", line=MEAN_29,
            makes=lambda c: weighted(losses(c)[:200])),
    Mistake("x as target", "the loss compares with x; the targets are y", line=MEAN_29,
            makes=lambda c: weighted(losses(c, target="x"))),
    Mistake("perplexity returned", "you return exp(loss); return the loss", line=MEAN_29,
            makes=lambda c: math.exp(weighted(losses(c)))),
    Mistake("bits instead of nats", "you return the loss in bits; PyTorch's and ours is in nats", line=MEAN_29,
            makes=lambda c: weighted(losses(c)) / math.log(2)),
    Mistake("remembers an earlier call", "you return the loss of the call before: it was the same model with other "
            "weights, or with another loader", line=MEAN_29, makes=lambda c: c.earlier),
]


@check(29)
def todo_29(t, evaluate):
    """evaluate: the mean over unequal batches, modes, gradients, an empty loader."""
    V, C = t.sizes((7, 9), (3, 4))
    earlier = None

    def batches(*shapes):
        return [(t.randint(V, *shape), t.randint(V, *shape)) for shape in shapes]

    def restored(model, training, c, when="afterwards"):
        if model.training != training or model.dropout.training != training:
            modes = ("training", "evaluation") if training else ("evaluation", "training")
            raise Wrong(f"the model was in {modes[0]} mode before, and is in {modes[1]} mode {when}.",
                        "mode not restored", MODE_29, case=c)

    def run(model, found, training, loader=None, loose=1):
        """evaluate(model, loader) is the mean over `found`, the loader's batches."""
        nonlocal earlier
        model.train(training).calls.clear()
        kind = "list" if loader is None else "DataLoader"
        shapes = ", ".join(str(tuple(x.shape)) for x, _ in found[:4]) + (", ..." if len(found) > 4 else "")
        c = SimpleNamespace(start=copy.deepcopy(model), batches=found, earlier=earlier)
        c.text = f"a {kind} of {len(found)} batch{'es' if len(found) > 1 else ''} of shape {shapes}, model in " \
                 f"{'training' if training else 'evaluation'} mode"
        right = earlier = weighted(losses(c))
        try:
            got = t.call(evaluate, model, found if loader is None else loader)
        except Wrong as wrong:
            raised(ERRORS, c, wrong)
        unharmed(model, settings(c.start), c)
        if any(True in modes for modes, _ in model.calls):
            raise Wrong("the model is called in training mode.", "training mode", MODE_29, case=c)
        one_float(got, RETURN_29)
        if not near(got, right, loose):
            for mistake in MISTAKES_29:
                made = mistake.makes(c)
                if made is not None and near(got, made, loose) and not near(made, right, loose):
                    raise mistake_made(mistake, c)
            raise not_near(right, got, MEAN_29, c)
        if any(gradients for _, gradients in model.calls):
            raise Wrong("the model is called with gradients switched on: that costs memory and time.", "gradients on",
                        MODE_29, case=c)
        restored(model, training, c)
        if not torch.equal(flat(model), flat(c.start)):
            raise Wrong("evaluate changes the model's weights.", "weights changed", MODE_29, case=c)
        return c

    small, middle, large = t.sizes((1, 2), (3, 5), (6, 9))
    model, unequal = Small(t, V, C), batches((middle, large), (small, large + 4), (2, middle))
    first = run(model, unequal, True)
    t.fill(model, 2.0)  # the same model and loader, but other weights
    run(model, unequal, False)
    # Longer than what a limit "for an estimate" lets through: nanoGPT's is 200.
    run(model, batches(*[(1, 1 + i % 3) for i in range(210)]), True, loose=10)
    x, y = batches((9, 6))[0]
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    run(Small(t, V, C).float(), list(zip(x.split(4), y.split(4))), True, loader, loose=10)
    # A model that is sure of id 0: its loss is exactly 0 where that is right, and 50.12345 where it is wrong.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.top.bias[0] = 50.12345
    for target in (1, 0):
        run(model, [(t.randint(V, 1, 1), torch.tensor([[target]]))], False)
    for because, loader in (("an empty loader", []), ("a DataLoader without items", DataLoader([]))):
        model.train()
        t.refuses(evaluate, model, loader, because=because)
        restored(model, True, None, f"after the ValueError for {because}")
    away(t, lambda model: evaluate(model, unequal), first.start)
    return "the mean over unequal batches, modes, gradients and an empty loader"


# --- TODO 30: train ----------------------------------------------------------------------------------------------

LOOP_30 = "for each epoch: one train_step for each batch of train_loader; then evaluate on val_loader"
SCHEDULER_30 = "the scheduler steps once after each train_step"
ON_STEP_30 = "on_step is told step and loss after each step; step = 0, 1, 2, ... to the end"
HISTORY_30 = "return a dict of two lists: train_loss, one per step, and val_loss, one per epoch"


class Reshuffled:
    """A loader whose batches come in another order, and are others, in each epoch."""

    def __init__(self, epochs):
        self.epochs, self.started = epochs, 0

    def __len__(self):
        return len(self.epochs[0])

    def __iter__(self):
        self.started += 1
        return iter(self.epochs[(self.started - 1) % len(self.epochs)])


def set_up(c):
    """Fresh (model, train_loader, optimizer, scheduler) for case c."""
    model = copy.deepcopy(c.start)
    optimizer = Descent(model, 0.3, momentum=0.5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.8**step) if c.scheduled else None
    return model, Reshuffled(c.batches), optimizer, scheduler


RATES, STEPS, TOLD = "learning rates (of each step, and after the last)", "on_step's steps", "on_step's losses"


def training_run(c, *, schedule="step", validate="epoch", number="all", epochs=None, on="val", store="step",
                 told="loss", again=True, twice=False, weights=None):
    """What one run of train leaves behind, as lists of numbers, with something done otherwise. The weights before, and
    after each step, go into the list `weights`."""
    model, loader, optimizer, scheduler = set_up(c)
    weights = [] if weights is None else weights
    weights.append(flat(model))
    if not again:
        loader.epochs = loader.epochs[:1]
    out = {"train_loss": [], "val_loss": [], RATES: [], STEPS: [], TOLD: []}

    def check_now():
        out["val_loss"].append(oracle.evaluate(model, c.val if on == "val" else loader))

    count = 0
    for epoch in range(c.epochs if epochs is None else epochs):
        if validate == "before":
            check_now()
        first = len(out["train_loss"])
        for i, batch in enumerate(loader):
            if scheduler and (schedule == "before" or (schedule == "once more" and not count)):
                scheduler.step()
            loss = oracle.train_step(model, batch, optimizer)
            weights.append(flat(model))
            if twice:
                optimizer.step()
            for _ in range({"step": 1, "once more": 1, "twice": 2}.get(schedule, 0) if scheduler else 0):
                scheduler.step()
            out["train_loss"].append(loss)
            if c.told:
                out[STEPS].append({"all": count, "epoch": i, "one": count + 1, "epochs": epoch}[number])
                out[TOLD].append(loss)
            count += 1
            if validate == "step":
                check_now()
        if store == "epoch":
            steps = out["train_loss"][first:]
            out["train_loss"][first:] = [sum(steps) / len(steps)] if steps else []
        if store == "last":
            out["train_loss"][first:] = out["train_loss"][-1:]
        if scheduler and schedule == "epoch":
            scheduler.step()
        if validate == "epoch":
            check_now()
    if validate == "end":
        check_now()
    out[RATES] = rates(optimizer)
    if told == "nothing":
        out[STEPS], out[TOLD] = [], []
    if told == "swapped":
        out[STEPS], out[TOLD] = out[TOLD], out[STEPS]
    return out


def rates(optimizer):
    return [*optimizer.rates, optimizer.param_groups[0]["lr"]]


MISTAKES_30 = [
    Mistake("scheduler steps once per epoch", "the scheduler steps once per epoch; it should after each optimizer "
            "step", line=SCHEDULER_30, makes=lambda c: training_run(c, schedule="epoch")),
    Mistake("scheduler steps too early", "the scheduler steps before the optimizer does; it should after it",
            line=SCHEDULER_30, makes=lambda c: training_run(c, schedule="before")),
    Mistake("scheduler steps too early", "the scheduler steps once before the first step", line=SCHEDULER_30,
            makes=lambda c: training_run(c, schedule="once more")),
    Mistake("scheduler steps twice", "the scheduler steps twice after each step", line=SCHEDULER_30,
            makes=lambda c: training_run(c, schedule="twice")),
    Mistake("two optimizer steps per batch", "train_step makes the optimizer's step already; you make a second one",
            line=LOOP_30, makes=lambda c: training_run(c, twice=True)),
    Mistake("scheduler ignored", "the scheduler never steps", line=SCHEDULER_30,
            makes=lambda c: training_run(c, schedule="never")),
    Mistake("validated after each step", "the validation loss is taken after each step; once per epoch is meant",
            line=LOOP_30, makes=lambda c: training_run(c, validate="step")),
    Mistake("validated only once", "the validation loss is taken once at the end; once per epoch is meant",
            line=LOOP_30, makes=lambda c: training_run(c, validate="end")),
    Mistake("never validated", "val_loss stays empty", line=LOOP_30,
            makes=lambda c: training_run(c, validate="never")),
    Mistake("validated before the epoch", "the validation loss is taken before the epoch's steps; it belongs after "
            "them", line=LOOP_30, makes=lambda c: training_run(c, validate="before")),
    Mistake("validated on the training data", "val_loss is measured on train_loader", line=LOOP_30,
            makes=lambda c: training_run(c, on="train")),
    Mistake("on_step counts from 0 in each epoch", "step starts again in each epoch; it should go on", line=ON_STEP_30,
            makes=lambda c: training_run(c, number="epoch")),
    Mistake("on_step counts from 1", "step starts at 1; it should start at 0", line=ON_STEP_30,
            makes=lambda c: training_run(c, number="one")),
    Mistake("on_step gets the epoch", "on_step gets the number of the epoch, not of the step", line=ON_STEP_30,
            makes=lambda c: training_run(c, number="epochs")),
    Mistake("on_step's arguments swapped", "on_step gets (loss, step); it takes (step, loss)", line=ON_STEP_30,
            makes=lambda c: training_run(c, told="swapped")),
    Mistake("on_step never called", "on_step is never called", line=ON_STEP_30,
            makes=lambda c: training_run(c, told="nothing")),
    Mistake("one train_loss per epoch", "train_loss has one mean per epoch; keep one loss per step", line=HISTORY_30,
            makes=lambda c: training_run(c, store="epoch")),
    Mistake("one train_loss per epoch", "train_loss has only the last loss of each epoch; keep one per step",
            line=HISTORY_30, makes=lambda c: training_run(c, store="last")),
    Mistake("one epoch only", "there is one epoch whatever epochs says: is return inside the loop, or the loader used "
            "up?", line=LOOP_30, makes=lambda c: training_run(c, epochs=1)),
    Mistake("one epoch too few", "there is one epoch too few", line=LOOP_30,
            makes=lambda c: training_run(c, epochs=c.epochs - 1)),
    Mistake("one epoch too many", "there is one epoch too many", line=LOOP_30,
            makes=lambda c: training_run(c, epochs=c.epochs + 1)),
    Mistake("on_step may be None", "on_step is None when it is not given: ask before you call it", line=ON_STEP_30,
            raises=lambda c, e: not c.told and "'NoneType' object is not callable" in str(e)),
    Mistake("scheduler may be None", "scheduler is None when it is not given: ask before you use it", line=SCHEDULER_30,
            raises=lambda c, e: not c.scheduled and "'NoneType' object has no attribute 'step'" in str(e)),
    Mistake("the same batches in each epoch", "the batches are collected once; go through train_loader anew in each "
            "epoch, so that it can shuffle", line=LOOP_30, makes=lambda c: training_run(c, again=False)),
]


def alike(got, right):
    return len(got) == len(right) and all(near(a, b, 3) for a, b in zip(got, right))


def unlike(what, got, right):
    """A sentence on how the numbers in the list `got` are not those in `right`."""
    if len(got) != len(right):
        return f"{what}: expected {len(right)} numbers, yours are {len(got)}."
    i, a, b = next((i, a, b) for i, (a, b) in enumerate(zip(right, got)) if not near(b, a, 3))
    a, b = shown(a, b) if isinstance(b, (int, float)) else (f"{a:.4g}", kind_of(b))
    return f"{what}, entry {i} (counted from 0): expected {a}, yours is {b}."


def two_lists(history, c):
    """Raise Wrong if `history` is not a dict with the two lists of floats (more in it does no harm)."""
    if not isinstance(history, dict):
        raise Wrong(f"it should return a dict, but it returns {kind_of(history)}.",
                    "nothing returned" if history is None else "not a dict", HISTORY_30, case=c)
    if not {"train_loss", "val_loss"} <= set(history):
        there = "the keys are " + ", ".join(ascii(key) for key in history) if history else "the dict is empty"
        raise Wrong(f"{there}; they should be 'train_loss' and 'val_loss'.", "wrong keys", HISTORY_30, case=c)
    for key in ("train_loss", "val_loss"):
        values = history[key]
        if not isinstance(values, (list, tuple)):
            raise Wrong(f"{key} should be a list, but it is {kind_of(values)}.", "not a list", HISTORY_30, case=c)
        bad = [v for v in values if type(v) is not float]
        if bad:
            raise Wrong(f"{key} should hold floats, but it holds {kind_of(bad[0])}.", "not floats", HISTORY_30, case=c)


def note_taker(model, notes, weights):
    """An on_step that notes what it is told, and the model's weights at that moment."""
    def on_step(step, loss):
        notes.append((step, loss))
        weights.append(flat(model))
        return True  # whatever it returns, training goes on
    return on_step


@check(30, pieces={"train_step": oracle.train_step, "evaluate": oracle.evaluate})
def todo_30(t, train):
    """train: histories, learning rates, on_step and the trained weights, against the same run with PyTorch's steps."""
    V, C = t.sizes((6, 8), (3, 4))

    def batch(B, T):
        return t.randint(V, B, T), t.randint(V, B, T)

    def case(epochs, n, scheduled=False, told=False, by_name=True, start=None):
        c = SimpleNamespace(start=start or Small(t, V, C), epochs=epochs, scheduled=scheduled, told=told,
                            by_name=by_name, batches=[[batch(2, 5) for _ in range(n)] for _ in range(max(epochs, 1))],
                            val=[batch(2, 5), batch(1, 3)])
        c.text = f"{epochs} epoch{'' if epochs == 1 else 's'} of {n} batch{'' if n == 1 else 'es'}, " \
                 f"{'a' if scheduled else 'no'} scheduler, {'with' if told else 'without'} on_step"
        return c

    def trained(c):
        """Run the learner's train -> (what it leaves behind, as training_run does; the model; its weights when on_step
        was called)."""
        model, loader, optimizer, scheduler = set_up(c)
        notes, weights = [], []
        kwargs = {"scheduler": scheduler} if c.scheduled else {}
        kwargs |= {"on_step": note_taker(model, notes, weights)} if c.told else {}
        extra = () if c.by_name else tuple(kwargs.values())
        kept = [(x.clone(), y.clone()) for x, y in itertools.chain(*c.batches)]
        try:
            history = t.call(train, model, loader, c.val, optimizer, c.epochs, *extra, **(kwargs if c.by_name else {}))
        except Wrong as wrong:
            raised(MISTAKES_30, c, wrong)
        for was, now in zip(kept, itertools.chain(*c.batches)):
            if not all(map(torch.equal, was, now)):
                raise Wrong("it changes a batch of train_loader in place.", "changes its input", case=c)
        two_lists(history, c)
        unharmed(model, settings(c.start), c)
        return {**history, RATES: rates(optimizer), STEPS: [step for step, _ in notes],
                TOLD: [loss for _, loss in notes]}, model, weights

    def run(c, right, steps):
        got, model, weights = trained(c)
        wrong = [key for key in right if not alike(got[key], right[key])]
        for mistake in MISTAKES_30 if wrong else ():
            made = mistake.makes(c) if mistake.makes else {}
            if made and all(alike(got[key], made[key]) for key in made):
                raise mistake_made(mistake, c)
        if wrong:  # the right number of steps with wrong learning rates: that is the reason for wrong losses
            key = RATES if RATES in wrong and len(got[RATES]) == len(right[RATES]) else wrong[0]
            line = ON_STEP_30 if key in (STEPS, TOLD) else SCHEDULER_30 if key == RATES and c.scheduled else LOOP_30
            raise Wrong(unlike(key, got[key], right[key]), line=line, case=c)
        t.equal("parameter vector after training", flat(model), steps[-1], (), c, tolerance=1e-5)
        if any(type(step) is not int for step in got[STEPS]):
            raise Wrong("on_step should get step as an int.", "step is no int", ON_STEP_30, case=c)
        for i, mine in enumerate(weights):
            if not same(mine, steps[i + 1], tolerance=1e-5):
                made = next((n for n, right in enumerate(steps) if same(mine, right, tolerance=1e-5)), "other")
                name = None if made == "other" else f"on_step called too {'early' if made <= i else 'late'}"
                raise Wrong(f"on_step is not called right after step {i}: the model's weights are those after {made} "
                            f"steps, not after {i + 1}.", name, ON_STEP_30, case=c)

    def expected(c):
        steps = []
        return training_run(c, weights=steps), steps

    for c in (case(3, 2, scheduled=True, told=True), case(2, 2, told=True), case(2, 1, scheduled=True, by_name=False),
              case(0, 2, told=True)):
        run(c, *expected(c))
    # Many epochs, in which the validation loss rises and falls: nothing may stop there, or go back to the best.
    rises_and_falls = last_is_best = False
    while last_is_best or not rises_and_falls:
        c = case(12, 1, start=t.fill(nn.Embedding(V, V).double()))
        right, steps = expected(c)
        rises = [b > a for a, b in itertools.pairwise(right["val_loss"])]
        rises_and_falls = (True, False) in itertools.pairwise(rises)
        last_is_best = right["val_loss"][-1] == min(right["val_loss"])
    run(c, right, steps)
    # Many batches: no limit may be left from trying out. They are counted only, because a second run takes time.
    c = case(1, 110, told=True, start=nn.Embedding(V, V).double())
    got, _, _ = trained(c)
    for key, line in (("train_loss", LOOP_30), (STEPS, ON_STEP_30)):
        if len(got[key]) != 110:
            raise Wrong(f"{key}: expected 110 numbers, yours are {len(got[key])}.", line=line, case=c)
    return "histories, learning rates, on_step and weights of six runs"
