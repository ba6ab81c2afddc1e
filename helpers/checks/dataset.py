"""Checks of 5_training: TODOs 25-27, TextDataset."""
from types import SimpleNamespace

import torch
from torch.utils.data import DataLoader, Dataset

from helpers.checks.compare import same
from helpers.checks.engine import Mistake, Unfinished, Wrong, check, named

KEEP_25 = "self.ids = the ids as a 1-D int64 tensor; self.block_size = block_size"
LIMITS_25 = "len(ids) <= block_size, or block_size < 1: ValueError"


def dataset_class(cls):
    if not isinstance(cls, type):
        raise Wrong("the check needs your class TextDataset.", name="not a class")
    if not issubclass(cls, Dataset):
        raise Wrong("TextDataset should be derived from torch.utils.data.Dataset.", "not a Dataset",
                    "class TextDataset(torch.utils.data.Dataset)")


def bare(cls, ids, block_size, length=None):
    """An instance as the scaffold's __init__ leaves it (and with this length, where __len__ is repaired too)."""
    if length is not None:
        cls = type(cls.__name__, (cls,), {"__len__": lambda self: length})
    dataset = cls.__new__(cls)
    dataset.ids, dataset.block_size = torch.as_tensor(ids, dtype=torch.int64), block_size
    return dataset


def gives_windows(t, dataset, ids, block_size):
    """Are items 0 and the last one right?"""
    ids = torch.as_tensor(ids, dtype=torch.int64)
    try:
        for i in (0, len(ids) - block_size - 1):
            x, y = t.call(dataset.__getitem__, i)
            if not (same(x, ids[i:i + block_size]) and same(y, ids[i + 1:i + 1 + block_size])):
                return False
        return True
    except (Wrong, Unfinished, TypeError, ValueError):
        return False


def fits_dataset(t, cls, dataset, ids, block_size, c=None):
    """Raise Wrong unless __init__ kept what the other methods need. A right __getitem__ shows it best; where there is
    none yet, the scaffold's attributes count."""
    if gives_windows(t, dataset, ids, block_size):
        return
    right = torch.as_tensor(ids, dtype=torch.int64)
    values = dict(vars(dataset))
    kept = [values["ids"]] if "ids" in values else list(values.values())
    size = [values["block_size"]] if "block_size" in values else list(values.values())
    if block_size not in [s for s in size if type(s) is int]:
        raise Wrong("block_size is not kept in self.block_size.", "block_size not kept", KEEP_25, case=c)
    tensors = [k for k in kept if type(k) is torch.Tensor]
    if any(same(k, right) for k in tensors):
        return
    if any(isinstance(k, (list, tuple)) and list(k) == right.tolist() for k in kept):
        raise Wrong("the ids are kept as a list; __getitem__ needs tensors: keep them as an int64 tensor.",
                    "ids kept as a list", KEEP_25, case=c)
    for tensor in tensors:
        if tensor.shape == right.shape and tensor.dtype != torch.int64 and bool((tensor == right).all()):
            raise Wrong(f"the ids are kept as {str(tensor.dtype)[6:]}; an embedding and the loss need int64.",
                        "ids not int64", KEEP_25, case=c)
        if 0 < tensor.dim() and tensor.dtype == torch.int64 and tensor.shape[0] < len(right):
            raise Wrong("only a part of the ids is kept.", "ids cut off", KEEP_25, case=c)
    if "ids" not in values and not tensors:
        raise Wrong("the ids are not kept in self.ids.", "ids not kept", KEEP_25, case=c)
    raise Wrong("what self.ids holds is not the ids that were given.", line=KEEP_25, case=c)


@check(25)
def todo_25(t, TextDataset):
    """TextDataset.__init__: what it keeps, for lists and tensors, and what it refuses."""
    dataset_class(TextDataset)
    n, block = t.sizes((12, 19), (3, 6))
    kept = []
    for form, change in (("a tensor", lambda ids: ids), ("a list", lambda ids: ids.tolist()),
                         ("an int32 tensor", lambda ids: ids.int()), ("a tensor", lambda ids: ids[:block + 1])):
        ids = change(t.randint(40, n))
        c = SimpleNamespace(text=f"{form} of {len(ids)} ids, block_size {block}")
        kept.append((t.call(TextDataset, ids, block), ids, c))
    for dataset, ids, c in kept:
        fits_dataset(t, TextDataset, dataset, ids, block, c)
    ids = t.randint(40, n)
    for because, args in {
        f"{n} ids with block_size {n}": (ids, n), f"{n} ids with block_size {n + 2}": (ids.tolist(), n + 2),
        "block_size 0": (ids, 0), "block_size -1": (ids, -1),
    }.items():
        try:
            t.refuses(TextDataset, *args, because=because)
        except Wrong as wrong:
            wrong.line = LIMITS_25
            raise
    fits_dataset(t, TextDataset, t.call(TextDataset, ids=ids, block_size=1), ids, 1)
    return "what is kept of lists and tensors, and what is refused"


def dataset_for(t, cls, ids, block_size, length=None):
    """The learner's dataset, with __init__ (TODO 25) and, given `length`, __len__ (TODO 26) repaired where wrong."""
    dataset_class(cls)
    try:
        dataset = t.call(cls, ids, block_size)
        fits_dataset(t, cls, dataset, ids, block_size)
    except (Wrong, Unfinished):
        t.repaired.add(25)
        dataset = bare(cls, ids, block_size)
    if length is not None:
        try:
            right = t.call(type(dataset).__len__, dataset) == length
        except (Wrong, Unfinished):
            right = False
        if not right:
            t.repaired.add(26)
            fields = dict(vars(dataset))
            dataset = bare(cls, ids, block_size, length)
            dataset.__dict__.update(fields)
    return dataset


LENGTH_26 = "len(ids) - block_size windows"
MISTAKES_26 = [
    Mistake("one window too many", "the last window would need one id more for its y", line=LENGTH_26,
            makes=lambda c: c.n - c.block + 1),
    Mistake("one window too few", "one more window fits", line=LENGTH_26, makes=lambda c: c.n - c.block - 1),
    Mistake("number of ids", "that is the number of ids, not of windows", line=LENGTH_26, makes=lambda c: c.n),
    Mistake("block_size forgotten", "that is the number of ids but one; a window takes block_size + 1 ids",
            line=LENGTH_26, makes=lambda c: c.n - 1),
    Mistake("windows that do not overlap", "the windows overlap: one starts at every position", line=LENGTH_26,
            makes=lambda c: c.n // c.block),
    Mistake("windows that do not overlap", "the windows overlap: one starts at every position", line=LENGTH_26,
            makes=lambda c: (c.n - 1) // c.block),
    Mistake("block_size returned", "that is block_size, not the number of windows", line=LENGTH_26,
            makes=lambda c: c.block),
]


@check(26)
def todo_26(t, TextDataset):
    """TextDataset.__len__ for several numbers of ids."""
    for _ in range(3):
        longer, wider = t.sizes((17, 40), (3, 7))
        for n, block in ((longer, wider), (longer, 1), (wider + 1, wider)):
            c = SimpleNamespace(n=n, block=block, text=f"{n} ids, block_size {block}")
            dataset = dataset_for(t, TextDataset, t.randint(30, n), block)
            got = t.call(type(dataset).__len__, dataset)
            if type(got) is not int or got != n - block:
                if n - block > 1 and block > 1:
                    named(MISTAKES_26, c, got)
                shown = got if type(got) is int else f"a {type(got).__name__}"
                raise Wrong(f"the length should be {n - block}, but it is {shown}.",
                            name=None if type(got) is int else "not an int", line=LENGTH_26, case=c)
    return "lengths for nine pairs of len(ids) and block_size"


ITEM_27 = "x = ids[i : i + block_size], y = ids[i + 1 : i + 1 + block_size]"
RANGE_27 = "an index outside -len .. len - 1: IndexError"


def window(c, start, length=None):
    return c.ids[start:start + (c.block if length is None else length)]


MISTAKES_27 = [
    Mistake("y not shifted", "y is the same as x; it should be one step later", line=ITEM_27,
            makes=lambda c: (window(c, c.i), window(c, c.i))),
    Mistake("x and y swapped", "x and y are swapped", line=ITEM_27,
            makes=lambda c: (window(c, c.i + 1), window(c, c.i))),
    Mistake("y shifted backwards", "y is one step earlier than x; it should be one step later", line=ITEM_27,
            makes=lambda c: (window(c, c.i), window(c, c.i - 1))),
    Mistake("y shifted too far", "y is two steps later than x", line=ITEM_27,
            makes=lambda c: (window(c, c.i), window(c, c.i + 2))),
    Mistake("y only the next id", "y should be a whole window, not the one id that follows", line=ITEM_27,
            makes=lambda c: (window(c, c.i), c.ids[c.i + c.block])),
    Mistake("y only the next id", "y should be a whole window, not the one id that follows", line=ITEM_27,
            makes=lambda c: (window(c, c.i), window(c, c.i + c.block, 1))),
    Mistake("y the following block", "y starts where x ends; it should be x's window moved by one", line=ITEM_27,
            makes=lambda c: (window(c, c.i), window(c, c.i + c.block))),
    Mistake("y one too short", "y has one id less than x", line=ITEM_27,
            makes=lambda c: (window(c, c.i), window(c, c.i + 1, c.block - 1))),
    Mistake("one id too many", "x and y have block_size + 1 ids", line=ITEM_27,
            makes=lambda c: (window(c, c.i, c.block + 1), window(c, c.i + 1, c.block + 1))),
    Mistake("one id too few", "x and y have block_size - 1 ids", line=ITEM_27,
            makes=lambda c: (window(c, c.i, c.block - 1), window(c, c.i + 1, c.block - 1))),
    Mistake("windows that do not overlap", "window i starts at i * block_size; it should start at i", line=ITEM_27,
            makes=lambda c: (window(c, c.i * c.block), window(c, c.i * c.block + 1))),
    Mistake("block_size ignored", "the windows are not block_size long", line=ITEM_27,
            makes=lambda c: (c.ids[c.i:-1], c.ids[c.i + 1:])),
    Mistake("negative index not handled", "a negative index should count from the last window, as in a list",
            line="i < 0: i = i + len(self)", makes=lambda c: (c.ids[c.given:c.given + c.block],
                                                              c.ids[c.given + 1:c.given + 1 + c.block])
            if c.given < 0 else None),
    Mistake("negative index counted from the ids", "a negative index counts windows, not ids", line=ITEM_27,
            makes=lambda c: (window(c, len(c.ids) + c.given), window(c, len(c.ids) + c.given + 1))
            if c.given < 0 else None),
]


@check(27)
def todo_27(t, TextDataset):
    """TextDataset.__getitem__: every window of a short text, negative indices, the end, a DataLoader."""
    n, block = t.sizes((13, 17), (4, 6))
    ids = t.randint(50, n)
    ids = (ids + torch.arange(n) * 50)  # all different: no window looks like another
    length = n - block
    dataset = dataset_for(t, TextDataset, ids, block, length)
    before = ids.clone()
    for given in [*range(length), *range(-length, 0)]:
        c = SimpleNamespace(ids=before, block=block, given=given, i=given % length,
                            text=f"{n} ids, block_size {block}, index {given}")
        try:
            got = t.parts(t.call(dataset.__getitem__, given), ("x", "y"))
        except Wrong as wrong:
            if wrong.error is not None and given < 0:
                raise Wrong(f"negative indices should count from the end. {wrong.says}", "negative index not handled",
                            ITEM_27, case=c) from None
            wrong.case = c
            raise
        t.equal(("x", "y"), got, (window(c, c.i), window(c, c.i + 1)), MISTAKES_27, c)
    if not torch.equal(ids, before):
        raise Wrong("it changes the ids.", name="changes its input")
    for outside in (length, -length - 1, length + n, -length - n):
        try:
            t.refuses(dataset.__getitem__, outside, because=f"index {outside} of {length} windows", error=IndexError)
        except Wrong as wrong:
            wrong.line = RANGE_27
            raise
    batch = t.call(lambda: next(iter(DataLoader(dataset, batch_size=3))))
    t.equal(("x", "y"), tuple(batch), tuple(torch.stack([ids[i + s:i + s + block] for i in range(3)]) for s in (0, 1)),
            (), SimpleNamespace(text="the first batch of a DataLoader"))
    listed = dataset_for(t, TextDataset, ids.tolist(), 2, n - 2)
    t.equal(("x", "y"), t.parts(t.call(listed.__getitem__, 1), ("x", "y")), (ids[1:3], ids[2:4]), (),
            SimpleNamespace(text="ids given as a list, block_size 2"))
    return "every window, negative indices, the end, and a DataLoader"
