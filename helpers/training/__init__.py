"""The recipe for training.

The learner's own `TinyLLM`, `TextDataset`, `train_step`, `evaluate` and `train` do the work. Here are the numbers, and
PyTorch's pieces around them:

    preset = training.preset()
    model = TinyLLM(tokenizer.vocab_size, **preset.model)
    training.initialize(model)
    session = training.Session(model, train_set, val_set, preset)
    history = session.run(train)

presets.py holds the numbers, loaders.py makes the batches, optimizers.py the optimizer and its schedule, session.py
runs it all, live.py shows it, checkpoints.py keeps it, characters.py tells the loss of single characters. Nothing here
needs anything but PyTorch.
"""
from .characters import expected, surprise
from .checkpoints import CheckpointError
from .live import curve
from .loaders import InOrder, OnePass, loaders
from .optimizers import MuonAdamW, initialize, optimizer, orthogonalize, scheduler
from .presets import PRESETS, Preset, preset, seconds
from .session import Diverged, Session

__all__ = [
    "PRESETS", "CheckpointError", "Diverged", "InOrder", "MuonAdamW", "OnePass", "Preset", "Session",
    "curve", "expected", "initialize", "loaders", "optimizer", "orthogonalize", "preset", "scheduler", "seconds",
    "surprise",
]
