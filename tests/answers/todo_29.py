"""TODO 29: evaluate(model, loader) -> float."""
import itertools
import math

import torch
import torch.nn.functional as F

from answers import right, wrong


def device_of(model):
    return next(model.parameters()).device


def batch_loss(model, x, y, reduction="mean"):
    logits = model(x.to(device_of(model)))
    return F.cross_entropy(logits.flatten(0, 1), y.to(device_of(model)).flatten(), reduction=reduction)


def mean(found):
    """[(mean loss, B, T)] -> the mean over all positions."""
    return sum(loss * B * T for loss, B, T in found) / sum(B * T for _, B, T in found)


def evaluation(result=mean, mode=False, back=lambda model, training: model.train(training), target=None, check=True,
               loss=batch_loss):
    """A right evaluate with one part exchanged: most answers below are made from it."""
    @torch.no_grad()
    def evaluate(model, loader):
        training = model.training
        model.train(mode)
        found = [(loss(model, x, y).item(), *x.shape) for x, y in loader]
        back(model, training)
        if check and not found:
            raise ValueError("loader is empty")
        return result(found)
    return evaluate


@right("plain")
def _():
    @torch.no_grad()
    def evaluate(model, loader):
        device = next(model.parameters()).device
        was_training = model.training
        model.eval()
        total, positions = 0.0, 0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            logits = model(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), reduction="sum")
            total += loss.item()
            positions += y.numel()
        if was_training:
            model.train()
        if positions == 0:
            raise ValueError("loader must hold at least one batch")
        return total / positions
    return evaluate


@right("all losses side by side, inference mode, try and finally")
def _():
    def evaluate(model, loader):
        training = model.training
        model.eval()
        try:
            with torch.inference_mode():
                parts = [batch_loss(model, x, y, "none") for x, y in loader]
        finally:
            model.train(training)
        if len(parts) == 0:
            raise ValueError("loader holds nothing")
        return float(torch.cat(parts).mean())
    return evaluate


@right("log-softmax and gather, a running mean, gradients switched by hand")
def _():
    def evaluate(model, loader):
        before, model.training = (model.training, torch.is_grad_enabled()), model.training
        model.eval()
        torch.set_grad_enabled(False)
        mean, seen = torch.zeros((), device=device_of(model)), 0
        for batch in loader:
            x, y = (part.to(device_of(model)) for part in batch)
            loss = -F.log_softmax(model(x), -1).gather(2, y[..., None]).mean()
            seen += x.numel()
            mean = mean + (loss - mean) * x.numel() / seen
        torch.set_grad_enabled(before[1])
        model.train(before[0])
        if not seen:
            raise ValueError("loader is empty")
        return mean.item()
    return evaluate


@right("the loader's length asked first, loss in float32")
def _():
    def evaluate(model, loader):
        if len(loader) == 0:
            raise ValueError("loader must hold at least one batch")
        return evaluation(loss=lambda model, x, y: F.cross_entropy(model(x.to(device_of(model))).float().mT,
                                                                   y.to(device_of(model))))(model, loader)
    return evaluate


@wrong("mean of the batches' means", named=True)
def _():
    return evaluation(lambda found: sum(loss for loss, _, _ in found) / len(found))


@wrong("weighted by the batch size only", named=True)
def _():
    return evaluation(lambda found: sum(loss * B for loss, B, _ in found) / sum(B for _, B, _ in found))


@wrong("sum of the batches' losses", named="sum instead of mean")
def _():
    return evaluation(lambda found: sum(loss for loss, _, _ in found))


@wrong("divided by the number of batches", named=True)
def _():
    return evaluation(lambda found: sum(loss * B * T for loss, B, T in found) / len(found))


@wrong("divided by the number of sequences", named=True)
def _():
    return evaluation(lambda found: sum(loss * B * T for loss, B, T in found) / sum(B for _, B, _ in found))


@wrong("only the first batch", named=True)
def _():
    return evaluation(lambda found: found[0][0])


@wrong("only the last batch", named=True)
def _():
    return evaluation(lambda found: found[-1][0])


@wrong("at most 200 batches, as for an estimate", named="not all batches")
def _():
    return lambda model, loader: evaluation()(model, itertools.islice(loader, 200))


@wrong("the first loss of a model remembered", named="remembers an earlier call")
def _():
    known = {}

    def evaluate(model, loader):
        if model not in known:
            known[model] = evaluation()(model, loader)
        return known[model]
    return evaluate


@wrong("training mode", named=True)
def _():
    return evaluation(mode=True)


@wrong("perplexity returned", named=True)
def _():
    return evaluation(lambda found: math.exp(mean(found)))


@wrong("bits instead of nats", named=True)
def _():
    return evaluation(lambda found: mean(found) / math.log(2))


@wrong("x as target", named=True)
def _():
    return evaluation(loss=lambda model, x, y: batch_loss(model, x, x))


@wrong("mode not restored", named=True)
def _():
    return evaluation(back=lambda model, training: None)


@wrong("always training mode afterwards", named="mode not restored")
def _():
    return evaluation(back=lambda model, training: model.train())


@wrong("evaluation mode stays after the ValueError", named="mode not restored")
def _():
    def evaluate(model, loader):
        training = model.training
        model.eval()
        with torch.no_grad():
            found = [(batch_loss(model, x, y).item(), *x.shape) for x, y in loader]
        if not found:
            raise ValueError("loader is empty")
        model.train(training)
        return mean(found)
    return evaluate


@wrong("the model cast to double", named="changes the model")
def _():
    return lambda model, loader: evaluation()(model.double(), loader)


@wrong("the last target of each row overwritten", named="changes its input")
def _():
    def masked_loss(model, x, y):
        loss = batch_loss(model, x, y)
        y[:, -1] = 0
        return loss
    return evaluation(loss=masked_loss)


@wrong("gradients on", named=True)
def _():
    def evaluate(model, loader):
        training = model.training
        model.eval()
        found = [(batch_loss(model, x, y).item(), *x.shape) for x, y in loader]
        model.train(training)
        if not found:
            raise ValueError("loader is empty")
        return mean(found)
    return evaluate


@wrong("gradients stay off afterwards", named="global setting left changed")
def _():
    def evaluate(model, loader):
        torch.set_grad_enabled(False)
        return evaluation()(model, loader)
    return evaluate


@wrong("ZeroDivisionError for an empty loader", named="wrong kind of error")
def _():
    return evaluation(check=False)


@wrong("0.0 for an empty loader", named="no error raised")
def _():
    return evaluation(lambda found: mean(found) if found else 0.0, check=False)


@wrong("a loss of 0 taken for an empty loader")
def _():
    def evaluate(model, loader):
        loss = evaluation(lambda found: mean(found) if found else 0.0, check=False)(model, loader)
        if not loss:
            raise ValueError("loader is empty")
        return loss
    return evaluate


@wrong("a tensor returned", named="not a float")
def _():
    return evaluation(lambda found: torch.tensor(mean(found)))


@wrong("batch not moved to the model's device", named=True)
def _():
    return evaluation(loss=lambda model, x, y: F.cross_entropy(model(x).flatten(0, 1), y.flatten()))


@wrong("accuracy instead of loss")
def _():
    return evaluation(loss=lambda model, x, y: (model(x).argmax(-1) == y).double().mean())


@wrong("a step is made meanwhile")
def _():
    def evaluate(model, loader):
        training = model.training
        found = []
        for x, y in loader:
            model.eval()
            with torch.no_grad():
                found.append((batch_loss(model, x, y).item(), *x.shape))
                for parameter in model.parameters():
                    parameter.mul_(0.999)
        model.train(training)
        if not found:
            raise ValueError("loader is empty")
        return mean(found)
    return evaluate
