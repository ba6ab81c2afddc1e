"""TODO 28: train_step(model, batch, optimizer, max_grad_norm=1.0) -> float."""
import torch
import torch.nn.functional as F

from answers import right, wrong


def move(model, batch):
    device = next(model.parameters()).device
    return [part.to(device) for part in batch]


def mean_loss(logits, y):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))


def step(move=move, loss=mean_loss, clear=lambda model, optimizer: optimizer.zero_grad(), mode=True,
         clip=lambda model, limit: torch.nn.utils.clip_grad_norm_(model.parameters(), limit), steps=1,
         give=lambda loss: loss.item()):
    """A right train_step with one part exchanged: most answers below are made from it."""
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        model.train(mode)
        value = loss(model(x), y)
        clear(model, optimizer)
        value.backward()
        clip(model, max_grad_norm)
        for _ in range(steps):
            optimizer.step()
        return give(value)
    return train_step


@right("plain")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        device = next(model.parameters()).device
        x, y = batch
        x, y = x.to(device), y.to(device)
        model.train()
        optimizer.zero_grad()
        logits = model(x)
        B, T, V = logits.shape
        loss = F.cross_entropy(logits.view(B * T, V), y.view(B * T))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()
        return loss.item()
    return train_step


@right("transposed logits, set_to_none=False, cleared at the end too, detached")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        model.train()
        x, y = (part.to(next(model.parameters()).device, non_blocking=True) for part in batch)
        optimizer.zero_grad(set_to_none=False)
        loss = torch.nn.CrossEntropyLoss()(model(x).transpose(1, 2), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm=max_grad_norm)
        optimizer.step()
        model.zero_grad()
        return float(loss.detach())
    return train_step


@right("log-softmax and gather, clipped by hand, gradients set to None")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        for parameter in model.parameters():
            parameter.grad = None
        x, y = move(model, batch)
        model.train(True)
        chances = F.log_softmax(model(x), dim=-1)
        loss = -chances.gather(-1, y.unsqueeze(-1)).mean()
        value = loss.item()
        loss.backward()
        total = sum(parameter.grad.pow(2).sum() for parameter in model.parameters()) ** 0.5
        if total > max_grad_norm:
            for parameter in model.parameters():
                parameter.grad.mul_(max_grad_norm / total)
        optimizer.step()
        return value
    return train_step


@right("autograd.grad, sum divided by the number of positions")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        model.train()
        x, y = move(model, batch)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum") / y.numel()
        parameters = list(model.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        optimizer.step()
        return loss.tolist()
    return train_step


@right("loss in float32, a closure for the optimizer")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        model.train()

        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x).float().mT, y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
            return loss
        return optimizer.step(closure).item()
    return train_step


@wrong("gradients not cleared", named=True)
def _():
    return step(clear=lambda model, optimizer: None)


@wrong("gradients cleared only after the step", named="gradients not cleared")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        loss = step(clear=lambda model, optimizer: None)(model, batch, optimizer, max_grad_norm)
        optimizer.zero_grad()
        return loss
    return train_step


@wrong("only the first group cleared", named=True)
def _():
    def clear(model, optimizer):
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = None
    return step(clear=clear)


@wrong("gradients not clipped", named=True)
def _():
    return step(clip=lambda model, limit: None)


@wrong("clipped after the step", named="gradients not clipped")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        model.train()
        loss = mean_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        return loss.item()
    return train_step


@wrong("clipped before backward", named="gradients not clipped")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        model.train()
        optimizer.zero_grad()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        loss = mean_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()
    return train_step


@wrong("max_grad_norm ignored", named=True)
def _():
    return step(clip=lambda model, limit: torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))


@wrong("max_grad_norm never below 1", named="max_grad_norm ignored")
def _():
    return step(clip=lambda model, limit: torch.nn.utils.clip_grad_norm_(model.parameters(), max(limit, 1.0)))


@wrong("clipped by value", named=True)
def _():
    return step(clip=lambda model, limit: torch.nn.utils.clip_grad_value_(model.parameters(), limit))


@wrong("each parameter clipped alone", named=True)
def _():
    return step(clip=lambda model, limit: [torch.nn.utils.clip_grad_norm_(p, limit) for p in model.parameters()])


@wrong("each group clipped alone", named=True)
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        def clip(model, limit):
            for group in optimizer.param_groups:
                torch.nn.utils.clip_grad_norm_(group["params"], limit)
        return step(clip=clip)(model, batch, optimizer, max_grad_norm)
    return train_step


@wrong("small gradients made larger", named=True)
def _():
    def clip(model, limit):
        total = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
        for p in model.parameters():
            p.grad *= limit / total
    return step(clip=clip)


@wrong("no step", named=True)
def _():
    return step(steps=0)


@wrong("logits detached", named="no gradient at the step")
def _():
    return step(loss=lambda logits, y: mean_loss(logits.detach().requires_grad_(), y))


@wrong("backward twice", named="gradients twice as large")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        model.train()
        loss = mean_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()
        return loss.item()
    return train_step


@wrong("cleared between backward and step", named="no gradient at the step")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        model.train()
        loss = mean_loss(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.zero_grad()
        optimizer.step()
        return loss.item()
    return train_step


@wrong("two steps", named=True)
def _():
    return step(steps=2)


@wrong("loss after the step", named=True)
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        step()(model, batch, optimizer, max_grad_norm)
        x, y = move(model, batch)
        with torch.no_grad():
            return mean_loss(model(x), y).item()
    return train_step


@wrong("evaluation mode", named=True)
def _():
    return step(mode=False)


@wrong("evaluation mode afterwards", named=True)
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        loss = step()(model, batch, optimizer, max_grad_norm)
        model.eval()
        return loss
    return train_step


@wrong("mode left as it is", named="evaluation mode")
def _():
    def train_step(model, batch, optimizer, max_grad_norm=1.0):
        x, y = move(model, batch)
        optimizer.zero_grad()
        loss = mean_loss(model(x), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()
        return loss.item()
    return train_step


@wrong("sum instead of mean", named=True)
def _():
    return step(loss=lambda logits, y: F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum"))


@wrong("only the last position", named=True)
def _():
    return step(loss=lambda logits, y: F.cross_entropy(logits[:, -1], y[:, -1]))


@wrong("shifted once more", named=True)
def _():
    return step(loss=lambda logits, y: mean_loss(logits[:, :-1], y[:, 1:]))


@wrong("softmax before the loss", named=True)
def _():
    return step(loss=lambda logits, y: mean_loss(logits.softmax(-1), y))


@wrong("logits reshaped, not transposed", named=True)
def _():
    return step(loss=lambda logits, y: F.cross_entropy(logits.reshape(y.shape[0], -1, y.shape[1]), y))


@wrong("logits not flattened", named=True)
def _():
    return step(loss=lambda logits, y: F.cross_entropy(logits, y))


@wrong("id 0 taken for padding", named="id 0 left out")
def _():
    return step(loss=lambda logits, y: F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=0))


@wrong("the number of classes taken from the targets")
def _():
    return step(loss=lambda logits, y: mean_loss(logits[..., : int(y.max()) + 1], y))


@wrong("label smoothing")
def _():
    return step(loss=lambda logits, y: F.cross_entropy(logits.flatten(0, 1), y.flatten(), label_smoothing=0.1))


@wrong("a tensor returned", named="not a float")
def _():
    return step(give=lambda loss: loss)


@wrong("nothing returned", named=True)
def _():
    return step(give=lambda loss: None)


@wrong("batch not moved to the model's device", named=True)
def _():
    return step(move=lambda model, batch: batch)


@wrong("batch moved to cuda if there is one", named="batch not moved to the model's device")
def _():
    return step(move=lambda model, batch: [part.to("cuda" if torch.cuda.is_available() else "cpu") for part in batch])


@wrong("only x moved", named="batch not moved to the model's device")
def _():
    return step(move=lambda model, batch: (batch[0].to(next(model.parameters()).device), batch[1]))


@wrong("ids made into floats", named=True)
def _():
    return step(move=lambda model, batch: [part.to(next(model.parameters())) for part in batch])


@wrong("loss given through numpy", named="hard-coded device")
def _():
    return step(give=lambda loss: loss.detach().numpy().item())
