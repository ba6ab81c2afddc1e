"""TODO 30: train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None) -> dict."""
import copy
import itertools

import torch
import torch.nn.functional as F

from answers import right, wrong
from helpers.oracle import evaluate, train_step


@right("plain")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        history = {"train_loss": [], "val_loss": []}
        step = 0
        for _ in range(epochs):
            for batch in train_loader:
                loss = train_step(model, batch, optimizer)
                history["train_loss"].append(loss)
                if scheduler is not None:
                    scheduler.step()
                if on_step is not None:
                    on_step(step, loss)
                step += 1
            history["val_loss"].append(evaluate(model, val_loader))
        return history
    return train


@right("on_step before the scheduler, step from the history's length")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        train_losses, val_losses = [], []
        for _ in range(1, epochs + 1):
            for x, y in train_loader:
                train_losses += [train_step(model, (x, y), optimizer)]
                if on_step:
                    on_step(step=len(train_losses) - 1, loss=train_losses[-1])
                if scheduler:
                    scheduler.step()
            val_losses.append(evaluate(model, val_loader))
        return dict(train_loss=train_losses, val_loss=val_losses)
    return train


@right("a progress bar")
def _():
    from tqdm.auto import tqdm  # asks the loader for two iterators

    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        losses, val_losses = [], []
        for _ in range(epochs):
            for batch in tqdm(train_loader):
                losses.append(train_step(model, batch, optimizer))
                if scheduler is not None:
                    scheduler.step()
                if on_step is not None:
                    on_step(len(losses) - 1, losses[-1])
            val_losses.append(evaluate(model, val_loader))
        return {"train_loss": losses, "val_loss": val_losses}
    return train


@right("everything written out, without train_step and evaluate")
def _():
    def loss_of(model, x, y, reduction):
        return F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction=reduction)

    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=lambda step, loss: None):
        history = {"val_loss": [], "train_loss": []}
        on_step = on_step or (lambda step, loss: None)
        for epoch in range(epochs):
            for i, (x, y) in enumerate(train_loader):
                model.train()
                loss = loss_of(model, x, y, "mean")
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                if scheduler:
                    scheduler.step()
                history["train_loss"].append(loss.item())
                on_step(epoch * len(train_loader) + i, loss.item())
            model.eval()
            with torch.no_grad():
                total = sum(loss_of(model, x, y, "sum").item() for x, y in val_loader)
            history["val_loss"].append(total / sum(y.numel() for _, y in val_loader))
            model.train()
        return history
    return train


def loop(schedule="step", validate="epoch", number=lambda step, i, epoch: step, tell=True, swap=False, store="step",
         on="val", epochs=lambda epochs: epochs, once=False, early=False, give=lambda history: history,
         after_epoch=lambda history, model: None, batches=lambda loader: loader):
    """A right train with one part exchanged: the wrong answers below are made from it."""
    def train(model, train_loader, val_loader, optimizer, n, scheduler=None, on_step=None):
        history = {"train_loss": [], "val_loss": []}
        step = 0
        if once:
            train_loader = list(train_loader)

        def check():
            history["val_loss"].append(evaluate(model, val_loader if on == "val" else train_loader))

        for epoch in range(epochs(n)):
            losses = []
            if validate == "before":
                check()
            for i, batch in enumerate(batches(train_loader)):
                if early and on_step:
                    on_step(step, 0.0)
                loss = train_step(model, batch, optimizer)
                losses.append(loss)
                for _ in range({"step": 1, "twice": 2}.get(schedule, 0) if scheduler else 0):
                    scheduler.step()
                if on_step and tell and not early:
                    told = (number(step, i, epoch), loss)
                    on_step(*(told[::-1] if swap else told))
                if validate == "step":
                    check()
                step += 1
            if scheduler and schedule == "epoch":
                scheduler.step()
            history["train_loss"] += losses if store == "step" else [sum(losses) / len(losses)]
            if validate == "epoch":
                check()
            if after_epoch(history, model):
                break
        if validate == "end":
            check()
        return give(history)

    def public(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        return train(model, train_loader, val_loader, optimizer, epochs, scheduler, on_step)
    return public


@wrong("scheduler steps once per epoch", named=True)
def _():
    return loop(schedule="epoch")


@wrong("scheduler steps twice", named=True)
def _():
    return loop(schedule="twice")


@wrong("scheduler steps before each step but the first")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        def batches(loader):
            for batch in loader:
                if scheduler and optimizer.rates:
                    scheduler.step()
                yield batch
        return loop(schedule="never", batches=batches)(
            model, train_loader, val_loader, optimizer, epochs, scheduler, on_step)
    return train


@wrong("scheduler ignored", named=True)
def _():
    return loop(schedule="never")


@wrong("validated after each step", named=True)
def _():
    return loop(validate="step")


@wrong("validated only once", named=True)
def _():
    return loop(validate="end")


@wrong("never validated", named=True)
def _():
    return loop(validate="never")


@wrong("validated before the epoch", named=True)
def _():
    return loop(validate="before")


@wrong("validated on the training data", named=True)
def _():
    return loop(on="train")


@wrong("on_step counts from 0 in each epoch", named=True)
def _():
    return loop(number=lambda step, i, epoch: i)


@wrong("on_step counts from 1", named=True)
def _():
    return loop(number=lambda step, i, epoch: step + 1)


@wrong("on_step gets the epoch", named=True)
def _():
    return loop(number=lambda step, i, epoch: epoch)


@wrong("on_step's arguments swapped", named=True)
def _():
    return loop(swap=True)


@wrong("on_step never called", named=True)
def _():
    return loop(tell=False)


@wrong("on_step called for all steps at the end", named="on_step called too late")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        history = loop()(model, train_loader, val_loader, optimizer, epochs, scheduler)
        for step, loss in enumerate(history["train_loss"]):
            if on_step:
                on_step(step, loss)
        return history
    return train


@wrong("on_step called before the step")
def _():
    return loop(early=True)


@wrong("one train_loss per epoch", named=True)
def _():
    return loop(store="epoch")


@wrong("one epoch only", named=True)
def _():
    return loop(epochs=lambda n: min(n, 1))


@wrong("one epoch too few", named=True)
def _():
    return loop(epochs=lambda n: n - 1)


@wrong("stops when the validation loss rises")
def _():
    def stop(history, model):
        return len(history["val_loss"]) > 1 and history["val_loss"][-1] > history["val_loss"][-2]
    return loop(after_epoch=stop)


@wrong("the best weights restored at the end")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        kept = {"weights": copy.deepcopy(model.state_dict())}

        def keep(history, model):
            if history["val_loss"][-1] == min(history["val_loss"]):
                kept["weights"] = copy.deepcopy(model.state_dict())
        history = loop(after_epoch=keep)(model, train_loader, val_loader, optimizer, epochs, scheduler, on_step)
        model.load_state_dict(kept["weights"])
        return history
    return train


@wrong("at most 100 batches, left from trying out")
def _():
    return loop(batches=lambda loader: itertools.islice(loader, 100))


@wrong("return inside the loop", named="one epoch only")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        for _ in range(epochs):
            return loop()(model, train_loader, val_loader, optimizer, 1, scheduler, on_step)
        return {"train_loss": [], "val_loss": []}
    return train


@wrong("the same batches in each epoch", named=True)
def _():
    return loop(once=True)


@wrong("other keys", named="wrong keys")
def _():
    return loop(give=lambda history: {"train": history["train_loss"], "val": history["val_loss"]})


@right("one more key")
def _():
    return loop(give=lambda history: {**history, "epochs": len(history["val_loss"])})


@right("tuples in the history")
def _():
    return loop(give=lambda history: {key: tuple(values) for key, values in history.items()})


@wrong("a pair returned", named="not a dict")
def _():
    return loop(give=lambda history: (history["train_loss"], history["val_loss"]))


@wrong("nothing returned", named=True)
def _():
    return loop(give=lambda history: None)


@wrong("tensors in the history", named="not floats")
def _():
    return loop(give=lambda history: {key: [torch.tensor(v) for v in values] for key, values in history.items()})


@wrong("on_step=None not handled", named="on_step may be None")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        history = {"train_loss": [], "val_loss": []}
        for _ in range(epochs):
            for batch in train_loader:
                history["train_loss"].append(train_step(model, batch, optimizer))
                on_step(len(history["train_loss"]) - 1, history["train_loss"][-1])
                if scheduler:
                    scheduler.step()
            history["val_loss"].append(evaluate(model, val_loader))
        return history
    return train


@wrong("scheduler before the first step", named="scheduler steps too early")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        if scheduler:
            scheduler.step()
        return loop()(model, train_loader, val_loader, optimizer, epochs, scheduler, on_step)
    return train


@wrong("a second step per batch", named="two optimizer steps per batch")
def _():
    def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
        history = {"train_loss": [], "val_loss": []}
        for _ in range(epochs):
            for batch in train_loader:
                history["train_loss"].append(train_step(model, batch, optimizer))
                optimizer.step()
                if scheduler:
                    scheduler.step()
                if on_step:
                    on_step(len(history["train_loss"]) - 1, history["train_loss"][-1])
            history["val_loss"].append(evaluate(model, val_loader))
        return history
    return train
