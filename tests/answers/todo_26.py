"""TODO 26: TextDataset.__len__()."""
import numpy as np
import torch
from torch.utils.data import Dataset

from answers import right, wrong


class Base(Dataset):
    """TODO 25 finished, TODO 27 not."""

    def __init__(self, ids, block_size):
        if block_size < 1 or len(ids) <= block_size:
            raise ValueError("block_size does not fit")
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size

    def __getitem__(self, i):
        raise NotImplementedError("TODO 27")


def dataset(length, base=Base):
    return type("TextDataset", (base,), {"__len__": lambda self: length(self)})


@right("the difference")
def _():
    class TextDataset(Base):
        def __len__(self):
            return len(self.ids) - self.block_size
    return TextDataset


@right("number of ids from the tensor's shape")
def _():
    return dataset(lambda self: self.ids.shape[0] - self.block_size)


@right("counting the starts")
def _():
    return dataset(lambda self: sum(1 for _ in range(self.block_size, self.ids.numel())))


@right("a NumPy integer")
def _():
    return dataset(lambda self: np.int64(len(self.ids) - self.block_size))


@right("a tensor of one number")
def _():
    return dataset(lambda self: torch.tensor(len(self.ids)) - self.block_size)


@right("__init__ unfinished")
def _():
    class Unready(Dataset):
        def __init__(self, ids, block_size):
            raise NotImplementedError("TODO 25")
    return dataset(lambda self: self.ids.numel() - self.block_size, Unready)


@wrong("one window too many", named=True)
def _():
    return dataset(lambda self: len(self.ids) - self.block_size + 1)


@wrong("one window too few", named=True)
def _():
    return dataset(lambda self: len(self.ids) - self.block_size - 1)


@wrong("number of ids", named=True)
def _():
    return dataset(lambda self: len(self.ids))


@wrong("block_size forgotten", named=True)
def _():
    return dataset(lambda self: len(self.ids) - 1)


@wrong("windows that do not overlap", named=True)
def _():
    return dataset(lambda self: len(self.ids) // self.block_size)


@wrong("block_size returned", named=True)
def _():
    return dataset(lambda self: self.block_size)


@wrong("a float", named="not an int")
def _():
    return dataset(lambda self: float(len(self.ids) - self.block_size))


@wrong("a constant")
def _():
    return dataset(lambda self: 10)


@wrong("at most 1000")
def _():
    return dataset(lambda self: min(1000, len(self.ids) - self.block_size))


@wrong("nothing returned", named="not an int")
def _():
    return dataset(lambda self: None)


@wrong("ids cut to count them", named="changes the dataset")
def _():
    def length(self):
        self.ids = self.ids[self.block_size:]
        return len(self.ids)
    return dataset(length)
