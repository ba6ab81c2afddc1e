"""Check of 5_training: TODO 29, the validation loss."""
import copy
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from helpers.checks.engine import Mistake, Wrong, check, mistake_made, raised
from helpers.checks.training_parts import ERRORS, Small, away, flat, near, not_near, one_float, settings, unharmed

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
