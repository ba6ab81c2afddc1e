"""TODO 27: TextDataset.__getitem__(i) -> (x, y)."""
import torch
from torch.utils.data import Dataset

from answers import right, wrong


class Base(Dataset):
    """TODOs 25 and 26, finished."""

    def __init__(self, ids, block_size):
        if block_size < 1 or len(ids) <= block_size:
            raise ValueError("block_size does not fit")
        self.ids, self.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size

    def __len__(self):
        return len(self.ids) - self.block_size


def start(self, i):
    if i < -len(self) or i >= len(self):
        raise IndexError(f"index {i} of {len(self)} windows")
    return i + len(self) if i < 0 else i


def dataset(item, base=Base, start=start):
    """A dataset whose item i is item(self, the start of window i)."""
    return type("TextDataset", (base,), {"__getitem__": lambda self, i: item(self, start(self, i))})


def pair(self, i):
    return self.ids[i:i + self.block_size], self.ids[i + 1:i + 1 + self.block_size]


@right("two slices")
def _():
    class TextDataset(Base):
        def __getitem__(self, i):
            if i < 0:
                i += len(self)
            if not 0 <= i < len(self):
                raise IndexError("index out of range")
            x = self.ids[i:i + self.block_size]
            y = self.ids[i + 1:i + self.block_size + 1]
            return x, y
    return TextDataset


@right("one chunk, range for the index, copies, a list of two")
def _():
    class TextDataset(Base):
        def __getitem__(self, i):
            begin = range(len(self))[i]
            chunk = self.ids[begin:begin + self.block_size + 1].clone()
            return [chunk[:-1], chunk[1:]]
    return TextDataset


@right("narrow and unfold")
def _():
    class TextDataset(Base):
        def __getitem__(self, i):
            row = self.ids.unfold(0, self.block_size + 1, 1)[i]
            return row.narrow(0, 0, self.block_size), row.narrow(0, 1, self.block_size)
    return TextDataset


@right("all windows cut in advance, a bare IndexError")
def _():
    class TextDataset(Base):
        def __init__(self, ids, block_size):
            super().__init__(ids, block_size)
            self.windows = [pair(self, i) for i in range(len(self))]

        def __getitem__(self, i):
            if i not in range(-len(self), len(self)):
                raise IndexError
            return self.windows[i]
    return TextDataset


@right("picked one by one; __len__ unfinished")
def _():
    class Unready(Base):
        def __len__(self):
            raise NotImplementedError("TODO 26")
    return dataset(lambda self, i: tuple(torch.stack([self.ids[i + k + s] for k in range(self.block_size)])
                                         for s in (0, 1)), Unready)


@wrong("y not shifted", named=True)
def _():
    return dataset(lambda self, i: (pair(self, i)[0], pair(self, i)[0]))


@wrong("x and y swapped", named=True)
def _():
    return dataset(lambda self, i: pair(self, i)[::-1])


@wrong("y shifted too far", named=True)
def _():
    return dataset(lambda self, i: (pair(self, i)[0], self.ids[i + 2:i + 2 + self.block_size]))


@wrong("y only the next id", named=True)
def _():
    return dataset(lambda self, i: (pair(self, i)[0], self.ids[i + self.block_size]))


@wrong("y the following block", named=True)
def _():
    return dataset(lambda self, i: (pair(self, i)[0], self.ids[i + self.block_size:i + 2 * self.block_size]))


@wrong("y one too short", named=True)
def _():
    return dataset(lambda self, i: (pair(self, i)[0], pair(self, i)[1][:-1]))


@wrong("one id too many", named=True)
def _():
    return dataset(lambda self, i: (self.ids[i:i + self.block_size + 1], self.ids[i + 1:i + self.block_size + 2]))


@wrong("windows that do not overlap", named=True)
def _():
    return dataset(lambda self, i: pair(self, i * self.block_size))


@wrong("block_size ignored", named=True)
def _():
    return dataset(lambda self, i: (self.ids[i:-1], self.ids[i + 1:]))


@wrong("block_size hard-coded")
def _():
    return dataset(lambda self, i: (self.ids[i:i + 8], self.ids[i + 1:i + 9]))


@wrong("negative index not handled", named=True)
def _():
    def as_is(self, i):
        if i >= len(self):
            raise IndexError(i)
        return i
    return dataset(pair, start=as_is)


@wrong("negative index refused", named="negative index not handled")
def _():
    def strict(self, i):
        if not 0 <= i < len(self):
            raise IndexError(i)
        return i
    return dataset(pair, start=strict)


@wrong("no IndexError at the end", named="no error raised")
def _():
    return dataset(pair, start=lambda self, i: i % len(self))


@wrong("ValueError instead of IndexError", named="wrong kind of error")
def _():
    def other(self, i):
        if not -len(self) <= i < len(self):
            raise ValueError(i)
        return i % len(self)
    return dataset(pair, start=other)


@wrong("last window refused")
def _():
    def short(self, i):
        if i >= len(self) - 1:
            raise IndexError(i)
        return i % len(self)
    return dataset(pair, start=short)


@wrong("lists instead of tensors", named="not a tensor")
def _():
    return dataset(lambda self, i: tuple(part.tolist() for part in pair(self, i)))


@wrong("floats", named="wrong dtype")
def _():
    return dataset(lambda self, i: tuple(part.float() for part in pair(self, i)))


@wrong("only x")
def _():
    return dataset(lambda self, i: pair(self, i)[0])


@wrong("one tensor of two rows", named="wrong number of results")
def _():
    return dataset(lambda self, i: torch.stack(pair(self, i)))


@wrong("first window refused from the end", named="legal index refused")
def _():
    def strict(self, i):
        if not -len(self) < i < len(self):
            raise IndexError(i)
        return i % len(self)
    return dataset(pair, start=strict)


@wrong("only -1 counts from the end", named="legal index refused")
def _():
    def last(self, i):
        if not -1 <= i < len(self):
            raise IndexError(i)
        return i % len(self)
    return dataset(pair, start=last)


@wrong("squeezed", named="wrong shape")
def _():
    return dataset(lambda self, i: tuple(part.squeeze() for part in pair(self, i)))


@wrong("sorted")
def _():
    return dataset(lambda self, i: tuple(part.sort().values for part in pair(self, i)))


@wrong("last answer hidden in the text", named="changes the ids")
def _():
    def hide(self, i):
        x, y = (part.clone() for part in pair(self, i))
        self.ids[i + self.block_size] = 0
        return x, y
    return dataset(hide)


@wrong("one buffer for all items", named="items change each other")
def _():
    def fill(self, i):
        buffer = self.__dict__.setdefault("buffer", torch.empty(2, self.block_size, dtype=torch.int64))
        return tuple(buffer.copy_(torch.stack(pair(self, i))))
    return dataset(fill)


@wrong("remembered for all datasets")
def _():
    known = {}
    return dataset(lambda self, i: known.setdefault((i, len(self)), pair(self, i)))
