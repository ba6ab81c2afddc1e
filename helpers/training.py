"""The recipe for training: presets, data loaders, optimizer, schedule and progress lines.

The learner's own `TinyLLM`, `TextDataset`, `train_step`, `evaluate` and `train` do the work; this file only
chooses the numbers and puts PyTorch's pieces together:

    preset = training.preset()
    model = TinyLLM(tokenizer.vocab_size, **preset.model)
    train_loader, val_loader = training.loaders(train_set, val_set, preset)
    optimizer = training.optimizer(model, preset)
    scheduler = training.scheduler(optimizer, preset, train_loader)
    progress = training.Progress(preset, train_loader)
    history = train(model, train_loader, val_loader, optimizer, preset.epochs, scheduler, on_step=progress)
"""
import dataclasses
import os
import time

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

# Presets ------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Preset:
    """The numbers of one training run. Change some with `training.preset("cpu", epochs=3)`."""

    name: str
    embed_dim: int
    num_heads: int
    num_layers: int
    block_size: int  # characters the model sees at once; also its max_len
    batch_size: int  # blocks in one step
    epochs: int  # passes over the training text
    muon_lr: float = 0.02  # highest learning rate of the blocks' matrices
    adamw_lr: float = 3e-3  # highest learning rate of everything else
    muon_decay: float = 0.1  # weight decay, as a fraction of the learning rate
    adamw_decay: float = 0.01
    warmup_steps: int = 50  # steps in which the learning rates rise from nearly nothing
    dropout: float = 0.0

    def __post_init__(self):
        for name in ("embed_dim", "num_heads", "num_layers", "block_size", "batch_size", "epochs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        for name in ("muon_lr", "adamw_lr"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be a number above 0, not {getattr(self, name)!r}")
        for name in ("muon_decay", "adamw_decay", "warmup_steps"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, but it is {getattr(self, name)!r}")

    @property
    def model(self):
        """The arguments of `TinyLLM` after `vocab_size`, as a dict."""
        return {
            "embed_dim": self.embed_dim,
            "num_heads": self.num_heads,
            "num_layers": self.num_layers,
            "max_len": self.block_size,
            "dropout": self.dropout,
        }


PRESETS = {
    # For tests, for Binder, and for a first look: a small model, one pass over the text.
    "quick": Preset("quick", embed_dim=64, num_heads=4, num_layers=2, block_size=64, batch_size=32, epochs=1),
    # The course's default: 0.6 million parameters, a few minutes on two processor cores.
    "cpu": Preset("cpu", embed_dim=128, num_heads=4, num_layers=3, block_size=64, batch_size=16, epochs=2),
}


def preset(name=None, **changes):
    """The preset called `name`: "cpu", or "quick" when TINYLLM_FAST=1 is set in the environment.

    `changes` replace single numbers: `preset("cpu", epochs=3)`. Raises `ValueError` for an unknown name, an
    unknown number, or a number that makes no sense.
    """
    if name is None:
        name = "quick" if os.environ.get("TINYLLM_FAST", "") not in ("", "0") else "cpu"
    if name not in PRESETS:
        raise ValueError(f"there is no preset called {name!r}; there are: {', '.join(PRESETS)}")
    known = [field.name for field in dataclasses.fields(Preset)]
    for change in changes:
        if change not in known:
            raise ValueError(f"a preset has no number called {change!r}; it has: {', '.join(known)}")
    return dataclasses.replace(PRESETS[name], **changes)


# Data ---------------------------------------------------------------------------------------------------------

class OnePass(Sampler):
    """One pass over the text, cut into blocks that follow each other, in a random order.

    The blocks start at `phase`, `phase + block_size`, `phase + 2 * block_size`, ... with a new random phase from
    0 to `block_size - 1` in each epoch, so that each pass cuts the text at other places. Every pass has the
    same number of blocks, whatever the phase: `len(dataset) // block_size`, at least one.
    """

    def __init__(self, dataset, block_size):
        self.windows = len(dataset)
        self.block_size = block_size
        self.blocks = max(1, self.windows // block_size)

    def __len__(self):
        return self.blocks

    def __iter__(self):
        last_phase = self.windows - (self.blocks - 1) * self.block_size  # from here on the last block would not fit
        phase = int(torch.randint(min(self.block_size, last_phase), ()))
        for block in torch.randperm(self.blocks).tolist():
            yield phase + block * self.block_size


class InOrder(Dataset):
    """The whole text once, in order, every position exactly once.

    Item k is the pair (x, y) of the block that starts at `k * block_size`. The last block is shorter where the
    text does not come out even: it is the end of the dataset's last window.
    """

    def __init__(self, dataset, block_size):
        self.dataset = dataset
        self.block_size = block_size
        self.positions = len(dataset) - 1 + block_size  # every character but the first is predicted once

    def __len__(self):
        return -(-self.positions // self.block_size)  # rounded up

    def __getitem__(self, k):
        start = k * self.block_size
        if start < len(self.dataset):
            return self.dataset[start]
        rest = self.positions - start
        x, y = self.dataset[len(self.dataset) - 1]
        return x[-rest:], y[-rest:]

    def batches(self, batch_size):
        """Lists of item numbers; a shorter last block is a batch of its own, because it cannot be stacked."""
        full = self.positions // self.block_size
        batches = [list(range(i, min(i + batch_size, full))) for i in range(0, full, batch_size)]
        return batches + ([[full]] if full < len(self) else [])


def loaders(train_set, val_set, preset):
    """Two `DataLoader`s over the learner's `TextDataset`s: (train_loader, val_loader).

    Batches are pairs (x, y) of int64 `(B, block_size)`. An epoch of `train_loader` is one pass over the text
    (`OnePass`); `val_loader` gives the whole validation text once, in order (`InOrder`), so that the validation
    loss has no noise. Raises `ValueError` when a text is shorter than a block, or when the datasets' blocks are
    longer than the model of this preset can read.
    """
    for part, dataset in (("training", train_set), ("validation", val_set)):
        try:
            windows = len(dataset)
        except ValueError:  # Python allows no negative length
            windows = 0
        if windows < 1:
            raise ValueError(f"the {part} text is too short: it must be longer than one block "
                             f"({preset.block_size} characters)")
    block_size = len(train_set[0][0])
    if len(val_set[0][0]) != block_size:
        raise ValueError(f"block_size differs: {block_size} in the training set, {len(val_set[0][0])} in the "
                         f"validation set")
    if block_size > preset.block_size:
        raise ValueError(f"block_size of the datasets is {block_size}, but the model of preset "
                         f"{preset.name!r} reads at most {preset.block_size} characters")
    in_order = InOrder(val_set, block_size)
    # Without gradients there is memory to spare: four times the batch is a little faster.
    return (DataLoader(train_set, preset.batch_size, sampler=OnePass(train_set, block_size)),
            DataLoader(in_order, batch_sampler=in_order.batches(4 * preset.batch_size)))


# Optimizer ----------------------------------------------------------------------------------------------------

def orthogonalize(matrices, coefficients, steps, eps):
    """Replace the singular values of each matrix by numbers near 1: `(N, rows, columns)` -> the same shape.

    The Newton-Schulz iteration of Muon, X <- a X + b (X X^T) X + c (X X^T)^2 X, after
    https://kellerjordan.github.io/posts/muon/. In float32, for all N matrices at once.
    """
    a, b, c = coefficients
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT  # X X^T is the smaller product when X is wide
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)  # now no singular value is above 1
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


if hasattr(torch.optim, "Muon"):  # from PyTorch 2.9 on

    class Muon(torch.optim.Muon):
        """`torch.optim.Muon` with the same numbers and the same state, in float32 and many matrices at a time.

        PyTorch's own step rounds to bfloat16 and takes one matrix after the other. Many processors have no
        bfloat16 arithmetic and imitate it: there a step of our model costs a second instead of 20 ms.
        """

        @torch.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                same_shape = {}
                for weight in group["params"]:
                    if weight.grad is not None:
                        same_shape.setdefault((weight.shape, weight.device), []).append(weight)
                for weights in same_shape.values():
                    self._update(weights, group)
            return loss

        def _update(self, weights, group):
            updates = []
            for weight in weights:
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                momentum = state["momentum_buffer"].lerp_(weight.grad, 1 - group["momentum"])
                updates.append(weight.grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum)
            updates = orthogonalize(torch.stack(updates).float(), group["ns_coefficients"], group["ns_steps"],
                                    group["eps"])
            rows, columns = weights[0].shape
            if group["adjust_lr_fn"] == "match_rms_adamw":
                scale = 0.2 * max(rows, columns) ** 0.5
            else:  # "original", also when it is None
                scale = max(1, rows / columns) ** 0.5
            for weight, update in zip(weights, updates, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.to(weight.dtype), alpha=-group["lr"] * scale)


class MuonAdamW(torch.optim.Optimizer):
    """Muon for some parameters and AdamW for the others, as one optimizer.

    The parameter groups say which is whose: `group["optimizer"]` is "muon" or "adamw". A scheduler, `zero_grad`,
    `state_dict` and `load_state_dict` work as with any optimizer.
    """

    def __init__(self, matrices, others, preset):
        self.parts = {
            "muon": Muon(matrices, lr=preset.muon_lr, weight_decay=preset.muon_decay),
            "adamw": torch.optim.AdamW(others, lr=preset.adamw_lr, weight_decay=preset.adamw_decay),
        }
        super().__init__([{**group, "optimizer": name} for name, part in self.parts.items()
                          for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for name, part in self.parts.items():
            # This object owns the groups and the state (load_state_dict may just have replaced them).
            part.param_groups = [group for group in self.param_groups if group["optimizer"] == name]
            part.state = self.state
            part.step()
        return loss


def optimizer(model, preset):
    """Muon for the weight matrices in `model.blocks`, AdamW for everything else, as one optimizer.

    Where PyTorch has no Muon (before 2.9), AdamW alone, and one printed line that says so.
    """
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if name.startswith("blocks.") and parameter.ndim == 2 else others).append(parameter)
    if matrices and others and hasattr(torch.optim, "Muon"):
        return MuonAdamW(matrices, others, preset)
    if not hasattr(torch.optim, "Muon"):
        print(f"PyTorch {torch.__version__} has no Muon optimizer (it came with 2.9): training with AdamW alone, "
              f"which learns more slowly.")
    return torch.optim.AdamW(matrices + others, lr=preset.adamw_lr, weight_decay=preset.adamw_decay)


def scheduler(optimizer, preset, train_loader):
    """Learning rates rise evenly for `preset.warmup_steps` steps, then fall evenly to zero at the last step.

    It steps once per optimizer step, for `preset.epochs` passes over `train_loader`; after that the learning
    rates stay at zero.
    """
    steps = preset.epochs * len(train_loader)
    warmup = min(preset.warmup_steps, steps // 10)

    def share(step):  # of the highest learning rate
        return max(0.0, min((step + 1) / (warmup + 1), (steps - step) / (steps - warmup)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


# Progress -----------------------------------------------------------------------------------------------------

class Progress:
    """Prints a line every few seconds while `train` runs: pass it as `on_step`.

    The loss in the line is smoothed: the average of the last steps, in which a step counts half as much as one
    that came 14 steps later (a factor of 0.95 per step).
    """

    def __init__(self, preset, train_loader, every_s=10.0):
        self.steps_per_epoch = len(train_loader)
        self.steps = preset.epochs * self.steps_per_epoch
        self.epochs = preset.epochs
        self.every_s = every_s
        self.started = None

    def __call__(self, step, loss):
        now = time.monotonic()
        begins = self.started is None or step == 0  # perhaps once more, with the same Progress
        if begins:
            # The clock starts after the first step, which is slower than the others.
            self.started, self.first_step = now, step
            self.loss = self.weight = 0.0
        self.loss = 0.95 * self.loss + 0.05 * float(loss)
        self.weight = 0.95 * self.weight + 0.05
        if begins:
            print(f"{self.steps} step{'s' * (self.steps > 1)} in {self.epochs} epoch{'s' * (self.epochs > 1)}; "
                  f"first loss {float(loss):.3f}", flush=True)
        elif step + 1 == self.steps or now - self.last_line >= self.every_s:
            speed = (step - self.last_step) / max(now - self.last_line, 1e-9)
            left = (now - self.started) / (step - self.first_step) * max(0, self.steps - step - 1)
            end = f"{_duration(left)} left" if step + 1 < self.steps else f"{_duration(now - self.started)} in all"
            print(f"epoch {step // self.steps_per_epoch + 1}/{self.epochs}  step {step + 1}/{self.steps}  "
                  f"loss {self.loss / self.weight:.3f}  {speed:.1f} steps/s  {end}", flush=True)
        else:
            return
        self.last_line, self.last_step = now, step


def _duration(seconds):
    seconds = round(seconds)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"
