"""The ladder of losses: what the simplest models reach on the same text, from guessing to tables of five characters.

A table of n-grams counts, for each n - 1 characters that occur in a row, what came next, and predicts the next
character from these counts alone. It is no neural network, learns in a second, and shows what a loss is worth.
`normal` says where other runs of the same preset ended.
"""
import dataclasses
import json
import math

import torch

from . import data, training

NORMAL = data.DATA / "normal_losses.json"  # made by `python3 -m course bands`


class NGrams:
    """Tables of 1 to `order` characters in a row, counted in ids (N,), a list or a tensor.

    What a table has never seen it asks the next shorter one about, by the rule of Witten and Bell (1991): with n(h)
    counts after the context h, of t(h) different characters, and p' from the context without its first character,

        p(c | h) = (n(h, c) + t(h) * p'(c | h)) / (n(h) + t(h))

    so that a context with many different continuations expects more new ones. Below single characters, all are equal.
    """

    def __init__(self, ids, vocab_size, order=5):
        ids = torch.as_tensor(ids)
        if len(ids) < order:
            raise ValueError(f"{len(ids)} characters are too few for tables of {order} in a row")
        if vocab_size**order >= 2**63:
            raise ValueError(f"{vocab_size} different characters are too many for tables of {order} in a row")
        self.vocab_size, self.order = vocab_size, order
        self.tables = []
        for n in range(1, order + 1):
            grams, counts = numbers(ids, n, vocab_size).unique(return_counts=True)
            contexts, place = (grams // vocab_size).unique(return_inverse=True)
            after = torch.zeros(len(contexts)).index_add(0, place, counts.float())  # n(h)
            kinds = torch.bincount(place).float()                                   # t(h)
            self.tables.append(((grams, counts.float()), (contexts, after), (contexts, kinds)))

    def probabilities(self, contexts, ids):
        """p(id | context) by tables of 1, 2, ... characters: contexts (N, order - 1) and ids (N,) -> a list of (N,)."""
        p, found = torch.full((len(ids),), 1 / self.vocab_size), []
        for n, (grams, after, kinds) in enumerate(self.tables, start=1):
            context = torch.zeros(len(ids), dtype=torch.int64)
            for column in range(self.order - n, self.order - 1):
                context = context * self.vocab_size + contexts[:, column]
            total, different = lookup(after, context), lookup(kinds, context)
            seen = (lookup(grams, context * self.vocab_size + ids) + different * p) / (total + different)
            p = torch.where(total > 0, seen, p)
            found.append(p)
        return found

    def losses(self, ids):
        """The mean loss of each table on ids (N,), in nats per character: [1-gram, 2-gram, ...].

        The first order - 1 characters are only read, so that every prediction has a full context.
        """
        ids = torch.as_tensor(ids)
        windows = ids.unfold(0, self.order, 1)  # (N - order + 1, order)
        return [float(-p.double().log().mean()) for p in self.probabilities(windows[:, :-1], windows[:, -1])]

    def write(self, ids, count, n, seed=0):
        """Go on from ids (a list of at least order - 1) by `count` characters, drawn from the table of n in a row."""
        generator, ids, every = torch.Generator().manual_seed(seed), list(ids), torch.arange(self.vocab_size)
        for _ in range(count):
            context = torch.tensor([ids[len(ids) - self.order + 1:]]).expand(self.vocab_size, -1)
            ids.append(int(torch.multinomial(self.probabilities(context, every)[n - 1], 1, generator=generator)))
        return ids


def numbers(ids, n, vocab_size):
    """Each n ids in a row as one number, in base vocab_size: (N,) -> (N - n + 1,)."""
    found = torch.zeros(len(ids) - n + 1, dtype=torch.int64)
    for i in range(n):
        found = found * vocab_size + ids[i:len(ids) - n + 1 + i]
    return found


def lookup(table, keys):
    """The values of a table (sorted keys, values) at some keys; 0 where a key is not there."""
    known, values = table
    place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
    return torch.where(known[place] == keys, values[place], 0.0)


def rungs(train_ids, val_ids, vocab_size, order=5):
    """{"uniform": loss, "1-gram": loss, ..., "5-gram": loss} on val_ids, and the tables: (dict, NGrams)."""
    tables = NGrams(train_ids, vocab_size, order)
    losses = {"uniform": math.log(vocab_size)}
    return losses | {f"{n}-gram": loss for n, loss in enumerate(tables.losses(val_ids), start=1)}, tables


def normal(text, preset, characters):
    """Between which validation losses runs end that have read so many characters: (low, high), or None if unknown.

    Measured for tiny Shakespeare with the presets "quick" and "cpu" as they are, whatever their budget: runs of a few
    lengths, two or three seeds each. Between two lengths, a straight line over the logarithm of the length; to both
    sides, three standard deviations (over seeds, taken to be the same everywhere).
    """
    changed = dataclasses.replace(preset, budget=None, epochs=1) != training.preset(preset.name, epochs=1)
    if changed or len(text) != data.TINY_SHAKESPEARE.size:
        return None
    losses = {run["characters"]: torch.tensor(run["val_losses"], dtype=torch.float64)
              for run in json.loads(NORMAL.read_text(encoding="utf-8"))
              if run["preset"] == preset.name and len(run["val_losses"]) > 1}  # measuring may have been stopped
    if not losses or not min(losses) <= characters <= max(losses):
        return None
    deviation = float(torch.stack([some.var() for some in losses.values()]).mean().sqrt())
    below = max(length for length in losses if length <= characters)
    above = min(length for length in losses if length >= characters)
    share = math.log(characters / below) / math.log(above / below) if above > below else 0.0
    middle = float(losses[below].mean().lerp(losses[above].mean(), share))
    return middle - 3 * deviation, middle + 3 * deviation
