"""A run's state in a file: written so that at every moment one whole checkpoint is there, read so that nothing can run.

The newest state is `checkpoint.pt`, the one before it `previous.pt`. Whoever is killed while writing leaves both, or
the previous one alone.
"""
import os
from pathlib import Path

import torch

FORMAT = "TinyLLM training run"
VERSION = 1


class CheckpointError(ValueError):
    """One sentence: which file, what is wrong with it, what to do."""


def save(folder, state):
    """Write `state` (a dict of tensors, numbers, texts, lists and dicts) as the newest checkpoint in `folder`.

    Raises `OSError` where that is impossible (a full disk); the checkpoints that were there are still there then.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    newest, temporary = folder / "checkpoint.pt", folder / f".checkpoint.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            try:
                torch.save({"format": FORMAT, "version": VERSION, **state}, file)
            except RuntimeError as error:  # what PyTorch says when a disk is full
                raise OSError(str(error).splitlines()[0]) from error
            file.flush()
            os.fsync(file.fileno())
        if newest.exists():
            os.replace(newest, folder / "previous.pt")
        os.replace(temporary, newest)
    finally:
        temporary.unlink(missing_ok=True)


def load(folder):
    """The newest checkpoint in `folder` that can be read, or None where there is none.

    When the newest cannot be read, one printed line says why and the previous one is taken. Raises `CheckpointError`
    when that cannot be read either.
    """
    wrong = []
    for path in (Path(folder) / "checkpoint.pt", Path(folder) / "previous.pt"):
        try:
            state = read(path)
        except FileNotFoundError:
            continue
        except CheckpointError as error:
            wrong.append(str(error))
            continue
        if wrong:
            print(f"{wrong[0]} Going on from the checkpoint before it, {path.name}.")
        return state
    if wrong:
        raise CheckpointError(" ".join(wrong))
    return None


def read(path):
    """The state in one file. Raises `FileNotFoundError`, or `CheckpointError` for a file that is no checkpoint."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        # weights_only: a file may bring numbers and texts, but no code. Onto the processor: it may come from a machine
        # with a graphics card; load_state_dict moves the numbers where they belong.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each kind of damage raises another type
        raise CheckpointError(f"{path} cannot be read as a checkpoint: it is damaged, was only half written, or is a "
                              f"file of another kind ({type(error).__name__}). Move it away to start anew.") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this course's training. Move it away to start anew.")
    if state.get("version") != VERSION:
        raise CheckpointError(f"{path} was written by another version of the course (its checkpoints have version "
                              f"{state.get('version')}, this course reads {VERSION}). Move it away to start anew.")
    return state
