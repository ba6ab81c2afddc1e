"""Check of 5_training: TODO 28, one training step."""
import copy
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from helpers import oracle
from helpers.checks.compare import same
from helpers.checks.engine import Mistake, Wrong, check, raised
from helpers.checks.training_parts import (
    ERRORS,
    LOSS,
    Descent,
    Small,
    away,
    flat,
    mean_loss,
    near,
    not_near,
    one_float,
    settings,
    unharmed,
)

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
    Mistake("sum instead of mean", "the loss is the sum over all positions; take the mean", line=LOSS,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits, y) * y.numel())),
    Mistake("sum over positions", "the loss is divided by the batch size only; take the mean over all B*T positions",
            line=LOSS, makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits, y) * y.shape[1])),
    Mistake("only the last position", "the loss is that of the last position; all B*T positions count", line=LOSS,
            makes=lambda c: one_step(c, loss=only(slice(None), slice(-1, None)))),
    Mistake("only the first of the batch", "the loss is that of the first sequence of the batch", line=LOSS,
            makes=lambda c: one_step(c, loss=only(slice(0, 1)))),
    Mistake("shifted once more", "y is already one step later than x: do not shift again", line=LOSS,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits[:, :-1], y[:, 1:]))),
    Mistake("x as target", "the loss compares with x; the targets are y", line=LOSS,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits, c.x))),
    Mistake("softmax before the loss", "cross_entropy takes logits and applies log-softmax itself", line=LOSS,
            makes=lambda c: one_step(c, loss=lambda logits, y: mean_loss(logits.softmax(-1), y))),
    Mistake("logits reshaped, not transposed", "cross_entropy wants (B, V, T): transpose, do not reshape", line=LOSS,
            makes=lambda c: one_step(c, loss=lambda logits, y: F.cross_entropy(
                logits.reshape(logits.shape[0], logits.shape[2], logits.shape[1]), y))),
    Mistake("id 0 left out", "positions with target 0 are left out of the loss", line=LOSS,
            makes=lambda c: one_step(c, loss=lambda logits, y: F.cross_entropy(
                logits.flatten(0, 1), y.flatten(), ignore_index=0))),
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
                raise not_near(float(expected[0]), float(number), LOSS, c)
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
