"""Checks of 5_training: TODOs 28-30, the training loop."""
import collections
import copy
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import oracle
from helpers.checks.compare import same
from helpers.checks.engine import Mistake, Wrong, check, mistake_made, raised
from helpers.checks.guard import Faraway

# --- TODO 28: train_step -----------------------------------------------------------------------------------------

class Small(nn.Module):
    """A small language model, float64. Half of it is dropped in training mode, for certain, so that the mode shows in
    the numbers. Notes how it is called."""

    def __init__(self, t, V, C):
        super().__init__()
        self.embedding, self.head, self.other = nn.Embedding(V, C), nn.Linear(C, V), nn.Linear(C, V)
        self.dropout = nn.Dropout(1.0)
        self.calls = []
        t.fill(self.double(), 2.0)

    def forward(self, ids):
        self.calls.append((self.training or self.dropout.training, torch.is_grad_enabled()))
        x = self.embedding(ids)
        return self.head(x) + self.dropout(self.other(x))  # (B, T, V)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).clone()


def mean_loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def norm_clip(gradients, limit):
    length = torch.stack([g.norm() for g in gradients]).norm()
    return [g * torch.clamp(limit / (length + 1e-6), max=1.0) for g in gradients]


def one_step(c, *, loss=mean_loss, clip=norm_clip, limit=None, clear=True, training=True, steps=1, shown="before",
             sign=1.0):
    """(loss, parameters) after train_step on case c with something done otherwise."""
    model = copy.deepcopy(c.start).train(training)
    optimizer = c.optimizer(model)
    value = loss(model(c.x), c.y)
    parameters = list(model.parameters())
    gradients = [sign * g for g in torch.autograd.grad(value, parameters)]
    if not clear:
        gradients = [g + s for g, s in zip(gradients, c.stale)]
    for parameter, gradient in zip(parameters, clip(gradients, c.limit if limit is None else limit)):
        parameter.grad = gradient
    for _ in range(steps):
        optimizer.step()
    if shown == "after":
        value = loss(model(c.x), c.y)
    return value.detach(), flat(model)


LOSS_28 = "loss = F.cross_entropy over all B*T positions (their mean)"
CLEAR_28, CLIP_28 = "optimizer.zero_grad()", "torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)"
STEP_28, RETURN_28 = "loss.backward(), clip, optimizer.step(), in this order", "return loss.item()"
TRAIN_28, DEVICE_28 = "model.train()", "x, y = x.to(device), y.to(device)"


def only(*where):
    return lambda logits, y: mean_loss(logits[where], y[where])


MISTAKES_28 = [
    Mistake("gradients not cleared", "gradients from before the call are added to the new ones: clear them before "
            "backward", line=CLEAR_28, makes=lambda c: one_step(c, clear=False)),
    Mistake("gradients not clipped", "the gradient's norm is not clipped, or only when the step is already made",
            line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: g)),
    Mistake("max_grad_norm ignored", "the gradient is clipped at 1.0 whatever max_grad_norm says", line=CLIP_28,
            makes=lambda c: one_step(c, limit=1.0)),
    Mistake("clipped by value", "each number of the gradient is clipped; the norm of all of them is meant",
            line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: [x.clamp(-limit, limit) for x in g])),
    Mistake("each parameter clipped alone", "each parameter's gradient is clipped by itself; the norm of all together "
            "is meant", line=CLIP_28,
            makes=lambda c: one_step(c, clip=lambda g, limit: [norm_clip([x], limit)[0] for x in g])),
    Mistake("small gradients made larger", "the gradient is always brought to max_grad_norm; it should only be made "
            "smaller, never larger", line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: [
                x * limit / torch.stack([y.norm() for y in g]).norm() for x in g])),
    Mistake("clipped by another norm", "the gradient's largest number is compared with max_grad_norm; its Euclidean "
            "norm is meant", line=CLIP_28, makes=lambda c: one_step(c, clip=lambda g, limit: [
                x * torch.clamp(limit / max(y.abs().max() for y in g), max=1.0) for x in g])),
    Mistake("no step", "the parameters stay as they are: is optimizer.step() missing, or are the gradients cleared "
            "between backward and step?", line=STEP_28, makes=lambda c: (None, flat(c.start))),
    Mistake("two steps", "optimizer.step() is called twice", line=STEP_28, makes=lambda c: one_step(c, steps=2)),
    Mistake("step uphill", "the step goes uphill", line=STEP_28, makes=lambda c: (None, one_step(c, sign=-1.0)[1])),
    Mistake("loss after the step", "you return the loss after the step; return the one that the step was made from",
            line=RETURN_28, makes=lambda c: one_step(c, shown="after")),
    Mistake("evaluation mode", "the model is not in training mode", line=TRAIN_28,
            makes=lambda c: one_step(c, training=False)),
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
    Mistake("logits not flattened", "cross_entropy wants (positions, V) and (positions,), or (B, V, T) and (B, T)",
            line=LOSS_28, raises=lambda c, e: "Expected target size" in str(e) or "batch_size" in str(e)),
]


def loss_is_float(got):
    if type(got) is not float:
        hint = " Use .item()." if isinstance(got, torch.Tensor) else ""
        there = "None" if got is None else f"a {type(got).__name__}"
        raise Wrong(f"it should return a Python float, but it returns {there}.{hint}",
                    "nothing returned" if got is None else "not a float", RETURN_28)
    if not math.isfinite(got):
        raise Wrong(f"it returns {got}.", name="NaN or infinite numbers")


class Descent(torch.optim.Optimizer):
    """Gradient descent, plain or with momentum, or by Adam's rule (Kingma and Ba 2015, without the bias correction).

    PyTorch's own optimizers load its compiler when the first of a process is made, which takes seconds: a check has no
    time for that, and needs only what all optimizers have.
    """

    def __init__(self, parameters, lr, momentum=0.0, adam=False):
        self.defaults, self.state = {"lr": lr}, collections.defaultdict(dict)
        self.param_groups = [{"params": list(parameters), "lr": lr}]
        self.momentum, self.adam = momentum, adam
        self.rates = []  # the learning rate of each step

    def zero_grad(self, set_to_none=True):
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None if set_to_none or parameter.grad is None else torch.zeros_like(parameter)

    def step(self, closure=None):
        loss = None if closure is None else closure()
        rate = self.param_groups[0]["lr"]
        self.rates.append(rate)
        with torch.no_grad():
            for parameter in self.param_groups[0]["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                mean = state["mean"] = self.momentum * state.get("mean", 0) + parameter.grad
                square = state["square"] = 0.9 * state.get("square", 0) + 0.1 * parameter.grad**2
                parameter -= rate * (mean / (square.sqrt() + 1e-8) if self.adam else mean)
        return loss


@check(28)
def todo_28(t, train_step):
    """train_step: loss and parameters after a step, for three optimizers, clipped and not, with old gradients."""
    V, C, B, T = t.sizes((7, 9), (3, 4), (2, 6), (5, 10))

    def run(c):
        model = copy.deepcopy(c.start).train(c.training)
        for parameter, gradient in zip(model.parameters(), c.stale):
            parameter.grad = gradient.clone()
        optimizer, expected = c.optimizer(model), one_step(c)
        arguments = {} if c.default else {"max_grad_norm": c.limit}
        batch = [c.x, c.y] if c.training else (c.x, c.y)
        try:
            got = t.call(train_step, model, batch, optimizer, **arguments)
        except Wrong as wrong:
            raised(MISTAKES_28, c, wrong)
        if not model.calls:
            raise Wrong("the model is never called.", case=c)
        # Clipping with and without PyTorch's 1e-6 in the denominator is the same to 1e-6.
        tolerance = max(1e-9, 1e-5 * float((expected[1] - flat(c.start)).abs().max()))
        number = torch.tensor(got, dtype=torch.float64) if type(got) is float else expected[0]
        t.equal(("loss", "parameter vector after the step"), (number, flat(model)), expected, MISTAKES_28, c,
                tolerance=tolerance)
        loss_is_float(got)
        return model, optimizer

    def case(optimizer, text, part, training=True, default=False):
        c = SimpleNamespace(x=t.randint(V, B, T), y=t.randint(V, B, T), start=Small(t, V, C), optimizer=optimizer,
                            training=training, default=default, limit=0.0)
        c.y[0, :3] = 0
        c.stale = [t.randn(*p.shape) for p in c.start.parameters()]
        gradients = torch.autograd.grad(mean_loss(c.start.train()(c.x), c.y), list(c.start.parameters()))
        length = float(torch.stack([g.norm() for g in gradients]).norm())
        c.start.calls.clear()
        if default or part < 1:  # a norm above 1, so that clipping at the default of 1.0 shows
            with torch.no_grad():
                c.start.embedding.weight *= 8.0
            gradients = torch.autograd.grad(mean_loss(c.start(c.x), c.y), list(c.start.parameters()))
            length = float(torch.stack([g.norm() for g in gradients]).norm())
            c.start.calls.clear()
        c.limit = 1.0 if default else part * length
        c.text = f"x and y of shape ({B}, {T}), V = {V}, {text}, gradient norm {length:.3f}, max_grad_norm " \
                 f"{'not given' if default else format(c.limit, '.3f')}"
        return c

    def sgd(model):
        return Descent(model.parameters(), 0.5)

    run(case(sgd, "SGD", 0.3))
    run(case(sgd, "SGD", 3.0, training=False))
    run(case(sgd, "SGD", 1.0, default=True))
    for make, text in ((lambda m: Descent(m.parameters(), 0.2, momentum=0.9), "SGD with momentum"),
                       (lambda m: Descent(m.parameters(), 0.05, adam=True), "Adam")):
        c = case(make, text, 0.5)
        model, optimizer = run(c)
        expected = copy.deepcopy(c.start)
        steps = make(expected)
        for _ in range(2):  # and once more with the same model and optimizer
            oracle.train_step(expected, (c.x, c.y), steps, c.limit)
        t.call(train_step, model, (c.x, c.y), optimizer, c.limit)
        t.equal("parameter vector after a second step", flat(model), flat(expected), (), c,
                tolerance=1e-5 * float((flat(expected) - flat(c.start)).abs().max()))
    away(t, lambda model: train_step(model, (c.x, c.y), sgd(model)), c)
    return "loss and parameters for SGD, momentum and Adam, clipped and not"


def away(t, run, c):
    """The same with a model that lives on another device than the batches."""
    model = copy.deepcopy(c.start)
    Faraway.send(*model.parameters(), *model.buffers())
    try:
        t.elsewhere(lambda: run(model), ())
    except Wrong:
        raise Wrong("the batches are not moved to the model's device.", "batch not moved to the model's device",
                    DEVICE_28) from None


# --- TODO 29: evaluate -------------------------------------------------------------------------------------------

MEAN_29 = "mean over all positions of all batches: sum of (loss * positions) / sum of positions"
MODE_29 = "model.eval() and no gradients inside; the old mode again at the end"


def losses(c, training=False, target="y"):
    """[(mean loss, B, T)] of all batches."""
    model = copy.deepcopy(c.start).train(training)
    with torch.no_grad():
        return [(float(mean_loss(model(x), y if target == "y" else x)), *x.shape) for x, y in c.batches]


def weighted(found, weight=lambda loss, B, T: B * T):
    return sum(one[0] * weight(*one) for one in found) / sum(weight(*one) for one in found)


MISTAKES_29 = [
    Mistake("mean of the batches' means", "each batch counts the same; a batch counts by its number of positions",
            line=MEAN_29, makes=lambda c: weighted(losses(c), lambda *one: 1)),
    Mistake("weighted by the batch size only", "a batch counts by its number of positions, B * T, not by B alone",
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
    Mistake("training mode", "the model is in training mode, so its dropout is active", line=MODE_29,
            makes=lambda c: weighted(losses(c, training=True))),
    Mistake("x as target", "the loss compares with x; the targets are y", line=MEAN_29,
            makes=lambda c: weighted(losses(c, target="x"))),
    Mistake("perplexity returned", "you return exp(loss); return the loss", line=MEAN_29,
            makes=lambda c: math.exp(weighted(losses(c)))),
    Mistake("bits instead of nats", "you return the loss in bits; PyTorch's and ours is in nats", line=MEAN_29,
            makes=lambda c: weighted(losses(c)) / math.log(2)),
]


def close(got, made, tolerance=1e-5):
    return isinstance(got, float) and isinstance(made, float) and abs(got - made) <= tolerance * (1 + abs(made))


@check(29)
def todo_29(t, evaluate):
    """evaluate: the mean over unequal batches, modes, gradients, an empty loader."""
    V, C = t.sizes((7, 9), (3, 4))

    def case(shapes, training, loader=lambda batches: batches, what="a list of"):
        c = SimpleNamespace(start=Small(t, V, C), training=training,
                            batches=[(t.randint(V, *shape), t.randint(V, *shape)) for shape in shapes])
        c.loader = loader(c.batches)
        c.text = f"{what} {len(shapes)} batches of shapes {', '.join(map(str, shapes))}, model in " \
                 f"{'training' if training else 'evaluation'} mode"
        return c

    def windows(batches):
        return DataLoader(TensorDataset(*batches[0]), batch_size=4)

    sizes = t.sizes((1, 2), (3, 5), (6, 9), (10, 12))
    cases = [case([(sizes[1], sizes[2]), (sizes[0], sizes[2] + 4), (2, sizes[1])], training)
             for training in (True, False)]
    cases.append(case([(9, 6)], True, windows, "a DataLoader (batch_size 4) of"))
    cases.append(case([(1, 5)], False))
    for c in cases:
        model = copy.deepcopy(c.start).train(c.training)
        x, y = c.batches[0]
        c.batches = [(x[i:i + 4], y[i:i + 4]) for i in range(0, len(x), 4)] if len(x) == 9 else c.batches
        try:
            got = t.call(evaluate, model, c.loader)
        except Wrong as wrong:
            raised(MISTAKES_28[-1:], c, wrong)
        if any(training for training, _ in model.calls):
            raise Wrong("the model is called in training mode, so its dropout is active.", "training mode", MODE_29,
                        case=c)
        loss_is_float(got)
        right = weighted(losses(c))
        if not close(got, right):
            for mistake in MISTAKES_29:
                made = mistake.makes(c) if len(c.batches) > 1 or mistake.line == MODE_29 else None
                if close(got, made) and not close(made, right):
                    raise mistake_made(mistake, c)
            raise Wrong(f"expected {right:.6f}, yours is {got:.6f}.", line=MEAN_29, case=c)
        if any(gradients for _, gradients in model.calls):
            raise Wrong("the model is called with gradients switched on: that costs memory and time.", "gradients on",
                        MODE_29, case=c)
        if model.training != c.training or model.dropout.training != c.training:
            raise Wrong(f"the model was in {'training' if c.training else 'evaluation'} mode before, and is in the "
                        "other mode afterwards.", "mode not restored", MODE_29, case=c)
        if not torch.equal(flat(model), flat(c.start)):
            raise Wrong("evaluate changes the model's weights.", "weights changed", MEAN_29, case=c)
    c = cases[0]
    for because, loader in (("an empty loader", []), ("a DataLoader without items", DataLoader([]))):
        t.refuses(evaluate, copy.deepcopy(c.start), loader, because=because)
    away(t, lambda model: evaluate(model, c.loader), c)
    return "the mean over unequal batches, modes, gradients and an empty loader"


# --- TODO 30: train ----------------------------------------------------------------------------------------------

LOOP_30 = "for each epoch: for each batch of train_loader: train_step; then evaluate on val_loader"
SCHEDULER_30 = "scheduler.step() after each train_step"
ON_STEP_30 = "on_step(step, loss), step = 0, 1, 2, ... to the end"
HISTORY_30 = '{"train_loss": one per step, "val_loss": one per epoch}'


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
    optimizer = Descent(model.parameters(), 0.3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.8**step) if c.scheduled else None
    return model, Reshuffled(c.batches), optimizer, scheduler


def training_run(c, *, schedule="step", validate="epoch", number="all", epochs=None, on="val", store="step",
                 told="loss", again=True, twice=False):
    """What one run of train leaves behind, as lists of numbers, with something done otherwise."""
    model, loader, optimizer, scheduler = set_up(c)
    if not again:
        loader.epochs = loader.epochs[:1]
    out = {"train_loss": [], "val_loss": [], "learning rates": [], "on_step's steps": [], "on_step's losses": []}

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
            if twice:
                optimizer.step()
            if scheduler and schedule in ("step", "once more"):
                scheduler.step()
            out["train_loss"].append(loss)
            if c.told:
                out["on_step's steps"].append({"all": count, "epoch": i, "one": count + 1, "epochs": epoch}[number])
                out["on_step's losses"].append(loss)
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
    out["learning rates"] = optimizer.rates
    if told == "nothing":
        out["on_step's steps"], out["on_step's losses"] = [], []
    if told == "swapped":
        out["on_step's steps"], out["on_step's losses"] = out["on_step's losses"], out["on_step's steps"]
    return out


MISTAKES_30 = [
    Mistake("scheduler steps once per epoch", "scheduler.step() comes once per epoch; it belongs after each optimizer "
            "step", line=SCHEDULER_30, makes=lambda c: training_run(c, schedule="epoch")),
    Mistake("scheduler steps too early", "scheduler.step() comes before the optimizer's step; it belongs after it",
            line=SCHEDULER_30, makes=lambda c: training_run(c, schedule="before")),
    Mistake("scheduler steps too early", "scheduler.step() is called once before the first step", line=SCHEDULER_30,
            makes=lambda c: training_run(c, schedule="once more")),
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
    Mistake("on_step or scheduler may be None", "scheduler and on_step are None when they are not given: ask before "
            "you use them", line=ON_STEP_30,
            raises=lambda c, e: isinstance(e, (TypeError, AttributeError)) and "NoneType" in str(e)),
    Mistake("the same batches in each epoch", "the batches are collected once; go through train_loader anew in each "
            "epoch, so that it can shuffle", line=LOOP_30, makes=lambda c: training_run(c, again=False)),
]


def alike(got, right):
    return len(got) == len(right) and all(
        isinstance(a, (int, float)) and abs(a - b) <= 1e-6 * (1 + abs(b)) for a, b in zip(got, right))


@check(30, pieces={"train_step": oracle.train_step, "evaluate": oracle.evaluate})
def todo_30(t, train):
    """train: histories, learning rates, on_step and the trained weights, against the same run with PyTorch's steps."""
    V, C = t.sizes((6, 8), (3, 4))
    n = 2  # batches per epoch: each known mistake trains anew

    def case(epochs, scheduled, told, by_name=True):
        def batch():
            return t.randint(V, 2, 5), t.randint(V, 2, 5)
        c = SimpleNamespace(start=Small(t, V, C), epochs=epochs, scheduled=scheduled, told=told, by_name=by_name,
                            batches=[[batch() for _ in range(n)] for _ in range(max(epochs, 1))],
                            val=[batch(), (t.randint(V, 1, 3), t.randint(V, 1, 3))],
                            text=f"{epochs} epochs of {n} batches, {'a' if scheduled else 'no'} scheduler, "
                                 f"{'with' if told else 'without'} on_step")
        return c

    for c in (case(3, True, True), case(2, False, False), case(2, True, False, by_name=False), case(0, False, True)):
        model, loader, optimizer, scheduler = set_up(c)
        notes, weights = [], []
        kwargs = {"scheduler": scheduler} if c.scheduled else {}
        kwargs |= {"on_step": note_taker(model, notes, weights)} if c.told else {}
        extra = () if c.by_name else tuple(kwargs.values())
        try:
            history = t.call(train, model, loader, c.val, optimizer, c.epochs, *extra, **(kwargs if c.by_name else {}))
        except Wrong as wrong:
            raised(MISTAKES_30, c, wrong)
        if not isinstance(history, dict):
            there = "None" if history is None else f"a {type(history).__name__}"
            raise Wrong(f"it should return a dict, but it returns {there}.",
                        "nothing returned" if history is None else "not a dict", HISTORY_30, case=c)
        for key in ("train_loss", "val_loss"):
            if key not in history:
                shown = ", ".join(ascii(k) for k in history)
                raise Wrong(f"the key {key} is missing; yours are {shown}.", "wrong keys", HISTORY_30, case=c)
            if not isinstance(history[key], (list, tuple)):
                raise Wrong(f"{key} should be a list, but it is a {type(history[key]).__name__}.", "not a list",
                            HISTORY_30, case=c)
            bad = next((v for v in history[key] if type(v) is not float), None)
            if bad is not None:
                raise Wrong(f"{key} should hold floats, but it holds a {type(bad).__name__}.", "not floats", HISTORY_30,
                            case=c)
        got = {"train_loss": history["train_loss"], "val_loss": history["val_loss"], "learning rates": optimizer.rates,
               "on_step's steps": [step for step, _ in notes], "on_step's losses": [loss for _, loss in notes]}
        right = training_run(c)
        for key, expected in right.items():
            if alike(got[key], expected):
                continue
            for mistake in MISTAKES_30:
                made = mistake.makes(c) if mistake.makes else {}
                if made and all(alike(got[k], made[k]) for k in made):
                    raise mistake_made(mistake, c)
            shown = [", ".join(f"{v:.4g}" if isinstance(v, (int, float)) else type(v).__name__ for v in values[:6])
                     for values in (expected, got[key])]
            raise Wrong(f"{key}: expected {len(expected)} numbers ({shown[0]} ...), yours are {len(got[key])} "
                        f"({shown[1]} ...).", line=LOOP_30, case=c)
        final = training_weights(c)
        t.equal("weights after training", flat(model), final[-1], (), c, tolerance=1e-6)
        if c.told and notes and not all(same(a, b, tolerance=1e-6) for a, b in zip(weights, final)):
            raise Wrong("on_step is called before the optimizer's step.", "on_step called too early", ON_STEP_30,
                        case=c)
    return "histories, learning rates, on_step and weights of four runs"


def note_taker(model, notes, weights):
    """An on_step that notes what it is told, and the model's weights at that moment."""
    def on_step(step, loss):
        notes.append((step, loss))
        weights.append(flat(model))
    return on_step


def training_weights(c):
    """The weights after each step, and at the end."""
    model, loader, optimizer, scheduler = set_up(c)
    found = []
    for _ in range(c.epochs):
        for batch in loader:
            oracle.train_step(model, batch, optimizer)
            found.append(flat(model))
            if scheduler:
                scheduler.step()
    return [*found, flat(model)]
