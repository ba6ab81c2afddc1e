"""Checks of 5_training: TODOs 25-27, TextDataset."""
from collections.abc import Sized
from types import SimpleNamespace

import torch
from torch.utils.data import DataLoader, Dataset

from helpers.checks.compare import difference, dtype_name, kind_of, same, sentence
from helpers.checks.engine import Mistake, Unfinished, Wrong, check, named, raised

# ---------------------------------------------------------------------------------------------------------------
# TODO 25: __init__

KEEP_25 = "kept: the ids (one dimension, int64) and block_size"
LIMITS_25 = "block_size is at least 1 and there are more ids than block_size; otherwise a ValueError"


def dataset_class(cls):
    if not isinstance(cls, type):
        raise Wrong("the check needs your class TextDataset.", name="not a class")
    if not issubclass(cls, Dataset):
        raise Wrong("TextDataset should be derived from torch.utils.data.Dataset.", "not a Dataset")


def gives_windows(t, dataset, ids, block_size):
    """Are the items right that together hold every id?"""
    last = len(ids) - block_size - 1
    starts = [*range(0, last, block_size), last]
    try:
        items = t.call(lambda: [dataset[i] for i in starts])
        return all(same(x, ids[i:i + block_size]) and same(y, ids[i + 1:i + 1 + block_size])
                   for i, (x, y) in zip(starts, items))
    except (Wrong, Unfinished, TypeError, ValueError):
        return False


def fits_dataset(t, dataset, ids, block_size, c=None):
    """Raise Wrong unless __init__ kept what the other methods need: the scaffold's attributes, or any others with which
    a finished __getitem__ gives the right items."""
    ids = torch.as_tensor(ids, dtype=torch.int64)
    values = dict(vars(dataset))
    sizes = [values["block_size"]] if "block_size" in values else list(values.values())
    size_kept = block_size in [s for s in sizes if type(s) is int]
    kept = {"ids": values["ids"]} if "ids" in values else {
        name: value for name, value in values.items() if isinstance(value, Sized) and not isinstance(value, str)}
    if (size_kept and any(same(value, ids) for value in kept.values())) or gives_windows(t, dataset, ids, block_size):
        return
    if not size_kept:
        there = f": it is {sizes[0]}, expected {block_size}" if [type(s) for s in sizes] == [int] else ""
        raise Wrong(f"block_size is not kept in self.block_size{there}.", "block_size not kept", KEEP_25, 2, case=c)
    if not kept:
        raise Wrong("the ids are not kept in self.ids.", "ids not kept", KEEP_25, 2, case=c)
    name, value = next(iter(kept.items()))
    mistake, says = wrong_ids(f"self.{name}", value, ids)
    raise Wrong(says, mistake, KEEP_25, 2, case=c)


def wrong_ids(name, value, ids):
    """What is wrong with the ids that are kept in `name`: (the mistake's name, a sentence)."""
    if not isinstance(value, torch.Tensor):
        mistake = "ids kept as a list" if isinstance(value, list) else "not a tensor"
        return mistake, f"{name} is {kind_of(value)}, and an int64 tensor is wanted."
    if value.dim() != 1:
        return "wrong shape", f"{name} has shape {tuple(value.shape)}, and one dimension is wanted."
    if value.dtype != torch.int64:
        return "ids not int64", f"{name} has dtype {dtype_name(value.dtype)}, and the loss and an embedding need int64."
    if len(value) != len(ids):
        mistake = "ids missing" if len(value) < len(ids) else "too many ids"
        return mistake, f"{name} holds {len(value)} ids, and {len(ids)} were given."
    return "other ids kept", difference("kept ids", value, ids).text


def legal_texts(t):
    """(what it is, ids, block_size): lists and tensors, odd and even blocks, any ids, short and long texts."""
    n, block = t.sizes((12, 19), (3, 6))
    repeats = t.randint(39, n) + 1
    repeats[1] = repeats[0]
    return [
        ("a tensor", repeats, block),
        ("a list", t.randint(40, n).tolist(), block + 1),
        ("an int32 tensor", t.randint(40, n).int(), block),
        ("the shortest text", t.randint(40, block + 1), block),
        ("the same id again and again", [0] * 5, 2),
        ("large ids", [0, 300, 5001, 70000, 5001, 7], 1),
        ("a long text", t.randint(40, 3000).tolist(), 100),
    ]


def accepted(t, TextDataset, ids, block_size, c):
    """The dataset of a text that must be accepted."""
    try:
        return t.call(TextDataset, ids, block_size)
    except Wrong as wrong:
        wrong.case = c
        if isinstance(wrong.error, ValueError):
            wrong.says = f"{len(ids)} ids with block_size {block_size} are legal. {sentence(wrong.says)}"
        raise


@check(25)
def todo_25(t, TextDataset):
    """TextDataset.__init__: what it keeps, for lists and tensors, and what it refuses."""
    dataset_class(TextDataset)
    made = []
    for what, ids, block in legal_texts(t):
        c = SimpleNamespace(text=f"{what}, {len(ids)} ids, block_size {block}")
        made.append((accepted(t, TextDataset, ids, block, c), ids, block, c))
    for dataset, ids, block, c in made:  # only now: none of them may have changed an earlier one
        fits_dataset(t, dataset, ids, block, c)
    n = t.rng.randint(12, 19)
    ids = t.randint(40, n)
    for because, args in {
        f"{n} ids with block_size {n}": (ids, n), f"{n} ids with block_size {n + 2}": (ids.tolist(), n + 2),
        "block_size 0": (ids, 0), "block_size -1": (ids, -1),
    }.items():
        try:
            t.refuses(TextDataset, *args, because=because)
        except Wrong as wrong:
            wrong.line, wrong.hint = LIMITS_25, 2
            raise
    c = SimpleNamespace(text=f"ids=a tensor of {n} ids, block_size=1")
    fits_dataset(t, t.call(TextDataset, ids=ids, block_size=1), ids, 1, c)
    return "what is kept of lists and tensors, and what is refused"


# ---------------------------------------------------------------------------------------------------------------
# A dataset for the checks of the other two methods

def dataset_for(t, cls, ids, block_size, length=None):
    """The learner's dataset, with __init__ (TODO 25) and, given `length`, __len__ (TODO 26) repaired where wrong."""
    dataset_class(cls)
    try:
        dataset = t.call(cls, ids, block_size)
        fits_dataset(t, dataset, ids, block_size)
    except (Wrong, Unfinished):
        t.repaired.add(25)
        dataset = bare(cls, torch.as_tensor(ids, dtype=torch.int64), block_size)
    if length is None or gives_length(t, dataset, length):
        return dataset
    t.repaired.add(26)
    return repaired_length(dataset, length)


def bare(cls, ids, block_size):
    """An instance with the attributes of the scaffold, whatever the class's __init__ does."""
    dataset = cls.__new__(cls)
    dataset.ids, dataset.block_size = ids, block_size
    return dataset


def gives_length(t, dataset, length):
    fields = dict(vars(dataset))
    try:
        return t.call(lambda: (len(dataset), len(dataset))) == (length, length)
    except (Wrong, Unfinished):
        return False
    finally:
        vars(dataset).update(fields)  # a wrong __len__ may have changed them


def repaired_length(dataset, length):
    cls = type(dataset)
    new = cls.__new__(type(cls.__name__, (cls,), {"__len__": lambda self: length}))
    vars(new).update(vars(dataset))
    return new


def kept_ids(dataset):
    """A copy of the tensor in dataset.ids, where there is one."""
    kept = vars(dataset).get("ids")
    return kept.clone() if isinstance(kept, torch.Tensor) else None


def unchanged(dataset, before):
    """Is dataset.ids still what it was?"""
    now = kept_ids(dataset)
    return before is None or (now is not None and torch.equal(now, before))


# ---------------------------------------------------------------------------------------------------------------
# TODO 26: __len__

LENGTH_26 = "one window for each start that leaves room for block_size + 1 ids"
MISTAKES_26 = [
    Mistake("one window too many", "the last window would need one id more for its y", line=LENGTH_26,
            makes=lambda c: [n - block + 1 for n, block in c.sizes]),
    Mistake("one window too few", "one more window fits", line=LENGTH_26,
            makes=lambda c: [n - block - 1 for n, block in c.sizes]),
    Mistake("number of ids", "that is the number of ids, not of windows", line=LENGTH_26,
            makes=lambda c: [n for n, _ in c.sizes]),
    Mistake("block_size forgotten", "that is the number of ids but one; a window takes block_size + 1 ids",
            line=LENGTH_26, makes=lambda c: [n - 1 for n, _ in c.sizes]),
    Mistake("windows that do not overlap", "the windows overlap: one starts at every position", line=LENGTH_26,
            makes=lambda c: [n // block for n, block in c.sizes]),
    Mistake("windows that do not overlap", "the windows overlap: one starts at every position", line=LENGTH_26,
            makes=lambda c: [(n - 1) // block for n, block in c.sizes]),
    Mistake("block_size returned", "that is block_size, not the number of windows", line=LENGTH_26,
            makes=lambda c: [block for _, block in c.sizes]),
    Mistake("not an int", "__len__ should return an int", line=LENGTH_26,
            raises=lambda c, e: isinstance(e, TypeError) and "interpreted as an integer" in str(e)),
]


def length_of(t, dataset, c):
    """len(dataset), asked twice."""
    before = kept_ids(dataset)
    try:
        length, again = t.call(lambda: (len(dataset), len(dataset)))
    except Wrong as wrong:
        raised(MISTAKES_26, c, wrong)
    if again != length or not unchanged(dataset, before):
        raise Wrong("asking for the length changes the dataset: ids or length are not the same afterwards.",
                    "changes the dataset", LENGTH_26, case=c)
    return length


@check(26)
def todo_26(t, TextDataset):
    """TextDataset.__len__ for several numbers of ids."""
    sizes = [(2000, 7)]
    for _ in range(2):
        longer, wider = t.sizes((17, 40), (3, 7))
        sizes += [(longer, wider), (longer, 1), (wider + 1, wider)]
    cases = [SimpleNamespace(sizes=sizes, n=n, block=block, text=f"{n} ids, block_size {block}") for n, block in sizes]
    # Each id occurs three times in a row: how many different ones there are does not matter.
    lengths, error = [], None
    try:
        for c in cases:
            lengths.append(length_of(t, dataset_for(t, TextDataset, torch.arange(c.n) // 3, c.block), c))
    except Wrong as wrong:
        error = wrong
    for c, length in zip(cases, lengths):
        if length != c.n - c.block:
            named(MISTAKES_26, c, lengths)
            raise Wrong(f"the length should be {c.n - c.block}, but it is {length}.", line=LENGTH_26, case=c)
    if error is not None:
        raise error
    return "lengths for seven pairs of len(ids) and block_size"


# ---------------------------------------------------------------------------------------------------------------
# TODO 27: __getitem__

ITEM_27 = "x_t = ids_(i+t) and y_t = ids_(i+t+1), for t = 0 .. block_size - 1"
NEGATIVE_27 = "index -k is window len - k, for k = 1 .. len"
RANGE_27 = "an index outside -len .. len - 1: IndexError"


def window(c, start, length=None):
    return c.ids[start:start + (c.block if length is None else length)]


MISTAKES_27 = [
    Mistake("y not shifted", "y is the same as x; it should be one step later", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i), window(c, c.i))),
    Mistake("x and y swapped", "x and y are swapped", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i + 1), window(c, c.i))),
    Mistake("y one too short", "y has one id less than x", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i), window(c, c.i + 1, c.block - 1))),
    Mistake("y shifted backwards", "y is one step earlier than x; it should be one step later", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i), window(c, c.i - 1))),
    Mistake("y shifted too far", "y is two steps later than x", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i), window(c, c.i + 2))),
    Mistake("y only the next id", "y should be a whole window, not the one id that follows", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i), c.ids[c.i + c.block])),
    Mistake("y only the next id", "y should be a whole window, not the one id that follows", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i), window(c, c.i + c.block, 1))),
    Mistake("y the following block", "y starts where x ends; it should be x's window moved by one", line=ITEM_27,
            hint=2, makes=lambda c: (window(c, c.i), window(c, c.i + c.block))),
    Mistake("one id too many", "x and y have block_size + 1 ids", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i, c.block + 1), window(c, c.i + 1, c.block + 1))),
    Mistake("one id too few", "x and y have block_size - 1 ids", line=ITEM_27, hint=2,
            makes=lambda c: (window(c, c.i, c.block - 1), window(c, c.i + 1, c.block - 1))),
    Mistake("windows that do not overlap", "window i starts at i * block_size; it should start at i", line=ITEM_27,
            hint=2, makes=lambda c: (window(c, c.i * c.block), window(c, c.i * c.block + 1))),
    Mistake("block_size ignored", "the windows are not block_size long", line=ITEM_27, hint=2,
            makes=lambda c: (c.ids[c.i:-1], c.ids[c.i + 1:])),
    Mistake("negative index not handled", "negative indices should count from the last window, as in a list",
            line=NEGATIVE_27, hint=2, makes=lambda c: (c.ids[c.given:c.given + c.block],
                                                       c.ids[c.given + 1:c.given + 1 + c.block])
            if c.given < 0 else None),
    Mistake("negative index counted from the ids", "negative indices count windows, not ids", line=NEGATIVE_27, hint=2,
            makes=lambda c: (window(c, len(c.ids) + c.given), window(c, len(c.ids) + c.given + 1))
            if c.given < 0 else None),
]


def different_ids(t, n):
    """n different ids in no order, most of them above 255: no window looks like another."""
    return torch.randperm(n, generator=t.gen) * 97 + t.randint(97, n)


def read(t, dataset, ids, block, indices):
    """Compare the items at these indices with the truth. They are all taken first: none may change another."""
    sizes, length = f"{len(ids)} ids, block_size {block}", len(ids) - block
    cases = [SimpleNamespace(ids=ids, block=block, given=given, i=given % length, length=length,
                             text=f"{sizes}, index {given}") for given in indices]
    before, items, error = kept_ids(dataset), [], None
    try:
        t.call(lambda: items.extend(dataset[c.given] for c in cases))  # those before an error are kept
    except Wrong as wrong:
        error = wrong
    if not unchanged(dataset, before):
        raise Wrong("taking items changes the ids that the dataset keeps.", "changes the ids", ITEM_27, 2,
                    case=SimpleNamespace(text=sizes))
    for c, item in zip(cases, items):
        compare_item(t, dataset, c, item)
    if error is not None:
        legal_index_refused(cases[len(items)], error)


def compare_item(t, dataset, c, item):
    expected = window(c, c.i), window(c, c.i + 1)
    try:
        got = t.parts(item, ("x", "y"))
        if all(map(same, got, expected)):
            return
        alone = t.parts(t.call(dataset.__getitem__, c.given), ("x", "y"))
    except Wrong as wrong:
        wrong.case = c
        raise
    if all(map(same, alone, expected)):
        raise Wrong("this item alone is right, but not when others are taken too: do they share their memory?",
                    "items change each other", ITEM_27, 2, case=c)
    t.equal(("x", "y"), got, expected, MISTAKES_27, c)


def legal_index_refused(c, wrong):
    """Raise `wrong` again, and say so when it is an error at a legal index."""
    wrong.case = c
    if c.given == -1 and wrong.error is not None:
        raise Wrong(f"index -1 is legal: it is the last window. {sentence(wrong.says)}", "negative index not handled",
                    NEGATIVE_27, 2, case=c) from None
    if isinstance(wrong.error, IndexError):
        which = "the first window" if c.i == 0 else "the last window" if c.i == c.length - 1 else f"window {c.i}"
        raise Wrong(f"index {c.given} is legal: it is {which}. {sentence(wrong.says)}", "legal index refused",
                    NEGATIVE_27 if c.given < 0 else RANGE_27, 2, case=c) from None
    raise wrong


@check(27)
def todo_27(t, TextDataset):
    """TextDataset.__getitem__: every window of short texts, negative indices, the end, a DataLoader."""
    n, block = t.sizes((13, 17), (4, 6))
    length = n - block
    for _ in range(2):  # two texts of one size: nothing of the first may be left in the second
        ids = different_ids(t, n)
        dataset = dataset_for(t, TextDataset, ids.clone(), block, length)
        read(t, dataset, ids, block, [*range(length), *range(-1, -length - 1, -1)])
    for outside in (length, -length - 1, length + n, -length - n):
        try:
            t.refuses(dataset.__getitem__, outside, because=f"index {outside} of {length} windows", error=IndexError)
        except Wrong as wrong:
            wrong.line, wrong.hint = RANGE_27, 2
            raise
    batch = t.call(lambda: next(iter(DataLoader(dataset, batch_size=3))))
    t.equal(("x", "y"), tuple(batch), tuple(torch.stack([ids[i + s:i + s + block] for i in range(3)]) for s in (0, 1)),
            (), SimpleNamespace(text="the first batch of a DataLoader"))
    ids = different_ids(t, 5)
    read(t, dataset_for(t, TextDataset, ids.clone(), 1, 4), ids, 1, range(4))
    ids = different_ids(t, 300)
    read(t, dataset_for(t, TextDataset, ids.tolist(), 7, 293), ids, 7, (0, 150, 292, -1, -293))
    return "every window, negative indices, the end, and a DataLoader"
