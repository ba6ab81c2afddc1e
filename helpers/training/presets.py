"""The numbers of a training run, and the sets of them that were tried out."""
import dataclasses
import os
import re

import torch


def seconds(budget):
    """A time budget as seconds: 90, "90s", "2min" and "1.5 h" are understood. Raises `ValueError` for others."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*(s|sec|min|m|h)?\s*", str(budget).lower())
    try:
        found = float(match[1]) * {"m": 60, "h": 3600}.get((match[2] or "s")[0], 1)
    except (TypeError, ValueError):
        raise ValueError(f"budget must be a time such as 90, '90s', '2min' or '1h', not {budget!r}") from None
    if not 0 < found < float("inf"):
        raise ValueError(f"budget must be longer than 0 seconds, not {budget!r}")
    return found


@dataclasses.dataclass(frozen=True)
class Preset:
    """The numbers of one training run. Change some with `training.preset("cpu", epochs=3)`."""

    name: str
    embed_dim: int
    num_heads: int
    num_layers: int
    block_size: int  # characters the model sees at once; also its max_len
    batch_size: int  # blocks in one step
    budget: float | None  # seconds of training, with as many passes over the text as that allows; None: `epochs` counts
    epochs: int = 1  # passes over the training text, where there is no budget
    muon_lr: float = 0.02  # highest learning rate of the blocks' matrices
    adamw_lr: float = 6e-3  # highest learning rate of everything else
    muon_decay: float = 0.03  # weight decay, as a fraction of the learning rate
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
        object.__setattr__(self, "budget", None if self.budget is None else seconds(self.budget))

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
    # For tests, for Binder, and for a first look: a small model, half a minute.
    "quick": Preset("quick", embed_dim=64, num_heads=4, num_layers=2, block_size=64, batch_size=16, budget=30),
    # The default on a processor: 0.4 million parameters, under five minutes on any machine. Two layers, because in so
    # short a time a smaller model that reads more comes further than a larger one that reads less.
    "cpu": Preset("cpu", embed_dim=128, num_heads=4, num_layers=2, block_size=128, batch_size=8, budget=290),
    # The default on a graphics card: 10.7 million parameters. Dropout, because it reads the text many times.
    "gpu": Preset("gpu", embed_dim=384, num_heads=6, num_layers=6, block_size=256, batch_size=64, budget=55,
                  dropout=0.3),
}


def preset(name=None, **changes):
    """The preset called `name`; without a name the one that fits this machine.

    That is "gpu" where PyTorch finds a graphics card (CUDA), else "cpu". It is "quick" on Binder, where a printed line
    says why, and when TINYLLM_FAST=1 is set in the environment. `changes` replace single numbers:
    `preset(budget="2min")`, or `preset("cpu", epochs=3)`, which takes the budget away. Raises `ValueError` for an
    unknown name, an unknown number, or a number that makes no sense.
    """
    if name is None:
        fast, binder = os.environ.get("TINYLLM_FAST", "") not in ("", "0"), "BINDER_REPO_URL" in os.environ
        name = "quick" if fast or binder else "gpu" if torch.cuda.is_available() else "cpu"
        if binder:
            print('This is the preset "quick", because Binder lends you one processor and not much time. The full '
                  'recipe is training.preset("cpu").')
    if name not in PRESETS:
        raise ValueError(f"there is no preset called {name!r}; there are: {', '.join(PRESETS)}")
    known = [field.name for field in dataclasses.fields(Preset)]
    for change in changes:
        if change not in known:
            raise ValueError(f"a preset has no number called {change!r}; it has: {', '.join(known)}")
    if "epochs" in changes:
        changes = {"budget": None} | changes
    return dataclasses.replace(PRESETS[name], **changes)
