"""Check of 5_training: TODO 30, the training loop."""
import copy
import itertools
from types import SimpleNamespace

import torch
from torch import nn

from helpers import oracle
from helpers.checks.compare import kind_of, same, two_numbers
from helpers.checks.engine import Mistake, Wrong, check, mistake_made, raised
from helpers.checks.training_parts import Descent, Small, flat, near, settings, unharmed

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

    def __iter__(self):  # an epoch starts with its first batch: tqdm asks for an iterator more than once
        self.started += 1
        yield from self.epochs[(self.started - 1) % len(self.epochs)]


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
    a, b = two_numbers(a, b) if isinstance(b, (int, float)) else (f"{a:.4g}", kind_of(b))
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
