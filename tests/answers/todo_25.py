"""TODO 25: TextDataset.__init__(ids, block_size)."""
import numpy as np
import torch
from torch.utils.data import Dataset

from answers import right, wrong


def refuse(ids, block_size):
    if block_size < 1:
        raise ValueError("block_size must be at least 1")
    if len(ids) <= block_size:
        raise ValueError("ids must be longer than block_size")


class Windows(Dataset):
    """TODOs 26 and 27, finished."""

    def __len__(self):
        return len(self.ids) - self.block_size

    def __getitem__(self, i):
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        i %= len(self)
        return self.ids[i:i + self.block_size], self.ids[i + 1:i + 1 + self.block_size]


class Unfinished(Dataset):
    """TODOs 26 and 27, not written yet."""

    def __len__(self):
        raise NotImplementedError("TODO 26")

    def __getitem__(self, i):
        raise NotImplementedError("TODO 27")


def dataset(make, base=Windows):
    return type("TextDataset", (base,), {"__init__": lambda self, ids, block_size: make(self, ids, block_size)})


def keeps(change, refuse=refuse):
    """A dataset that keeps what `change` makes of the ids."""
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = change(torch.as_tensor(ids, dtype=torch.int64)), block_size
    return dataset(make)


@right("as_tensor, the rest unfinished")
def _():
    class TextDataset(Unfinished):
        def __init__(self, ids, block_size):
            super().__init__()
            if block_size < 1 or len(ids) <= block_size:
                raise ValueError(f"block_size {block_size} does not fit {len(ids)} ids")
            self.ids = torch.as_tensor(ids, dtype=torch.int64)
            self.block_size = block_size
    return TextDataset


@right("a copy, checked after it")
def _():
    def make(self, ids, block_size):
        self.ids = ids.clone().long() if isinstance(ids, torch.Tensor) else torch.LongTensor(ids)
        self.block_size, self.length = block_size, self.ids.numel() - block_size
        if block_size <= 0 or self.length <= 0:
            raise ValueError("the text is too short, or block_size makes no sense")
    return dataset(make)


@right("all windows made at once, other names")
def _():
    class TextDataset(Dataset):
        def __init__(self, ids, block_size):
            refuse(ids, block_size)
            self.windows = torch.as_tensor(ids).long().unfold(0, block_size + 1, 1)

        def __len__(self):
            return len(self.windows)

        def __getitem__(self, i):
            return self.windows[i][:-1], self.windows[i][1:]
    return TextDataset


@right("a list kept, tensors made later")
def _():
    class TextDataset(Dataset):
        def __init__(self, ids, block_size):
            refuse(ids, block_size)
            self.ids, self.block_size = [int(i) for i in ids], block_size

        def __len__(self):
            return len(self.ids) - self.block_size

        def __getitem__(self, i):
            i = range(len(self))[i]
            return tuple(torch.tensor(self.ids[i + s:i + s + self.block_size]) for s in (0, 1))
    return TextDataset


@right("properties, the rest unfinished")
def _():
    class TextDataset(Unfinished):
        ids = property(lambda self: self._ids)
        block_size = property(lambda self: self._block_size)

        def __init__(self, ids, block_size):
            refuse(ids, block_size)
            self._ids, self._block_size = torch.from_numpy(np.array(ids, dtype=np.int64)), block_size
    return TextDataset


@wrong("ids kept as a list", named=True)
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = ids, block_size
    return dataset(make, Unfinished)


@wrong("ids not converted, the rest finished", named="ids kept as a list")
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = ids, block_size
    return dataset(make)


@wrong("ids as floats", named="ids not int64")
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.float32), block_size
    return dataset(make)


@wrong("dtype kept", named="ids not int64")
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = torch.as_tensor(ids), block_size
    return dataset(make)


@wrong("block_size not kept", named=True)
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids = torch.as_tensor(ids, dtype=torch.int64)
    return dataset(make, Unfinished)


@wrong("last id cut off", named="ids missing")
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64)[:-1], block_size
    return dataset(make)


@wrong("text of block_size ids accepted", named="no error raised")
def _():
    def make(self, ids, block_size):
        if block_size < 1 or len(ids) < block_size:
            raise ValueError("too short")
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return dataset(make)


@wrong("block_size + 1 ids refused")
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size + 1)
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return dataset(make)


@wrong("block_size 0 accepted", named="no error raised")
def _():
    def make(self, ids, block_size):
        if block_size < 0 or len(ids) <= block_size:
            raise ValueError("too short")
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return dataset(make)


@wrong("nothing refused", named="no error raised")
def _():
    def make(self, ids, block_size):
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return dataset(make)


@wrong("not a Dataset", named=True)
def _():
    def make(self, ids, block_size):
        refuse(ids, block_size)
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return dataset(make, object)


@wrong("kept for all datasets together")
def _():
    class TextDataset(Windows):
        def __init__(self, ids, block_size):
            refuse(ids, block_size)
            TextDataset.ids, TextDataset.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return TextDataset


@wrong("ids squeezed into 16 bits", named="other ids kept")
def _():
    return keeps(lambda ids: ids.to(torch.int16).long())


@wrong("a batch of one", named="wrong shape")
def _():
    return keeps(lambda ids: ids[None])


@wrong("a NumPy array", named="not a tensor")
def _():
    return keeps(lambda ids: ids.numpy())


@wrong("first 1000 ids", named="ids missing")
def _():
    return keeps(lambda ids: ids[:1000])


@wrong("ids that follow themselves dropped", named="ids missing")
def _():
    return keeps(lambda ids: ids.unique_consecutive())


@wrong("counts different ids to see if the text is long enough", named="are legal")
def _():
    return keeps(lambda ids: ids, lambda ids, block_size: refuse({int(i) for i in ids}, block_size))


@wrong("error without words", named="error without a sentence")
def _():
    def silent(ids, block_size):
        if not 1 <= block_size < len(ids):
            raise ValueError
    return keeps(lambda ids: ids, silent)
