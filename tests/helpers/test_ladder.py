"""The ladder: tables counted by hand, and on the whole text against a second, slow way to count."""
import collections
import itertools
import json
import math
import random

import pytest
import torch

from course import bands
from helpers import data, ladder, training


def slowly(train, history, char, n, vocab_size):
    """The same rule, straight from its formula."""
    if n == 0:
        return 1 / vocab_size
    context = tuple(history[len(history) - n + 1:])
    grams = [tuple(train[i:i + n]) for i in range(len(train) - n + 1)]
    after = collections.Counter(gram[-1] for gram in grams if gram[:-1] == context)
    total, kinds, shorter = sum(after.values()), len(after), slowly(train, history, char, n - 1, vocab_size)
    return (after[char] + kinds * shorter) / (total + kinds) if total else shorter


def text(length, seed):
    rng = random.Random(seed)
    return [min(rng.randrange(6), rng.randrange(6), i % 4 + 1) for i in range(length)]


def test_losses_are_those_of_the_formula():
    train, val = text(300, 1), text(60, 2)
    tables = ladder.NGrams(train, 6, order=4)
    for n, loss in enumerate(tables.losses(val), start=1):
        logs = [math.log(slowly(train, val[:i], val[i], n, 6)) for i in range(3, len(val))]
        assert loss == pytest.approx(-sum(logs) / len(logs), rel=1e-5)


def test_probabilities_add_up_to_one_also_where_nothing_was_seen():
    tables = ladder.NGrams([0, 1, 2, 0, 1, 3] * 5, 6, order=3)
    for context in ([0, 1], [5, 5], [4, 0]):
        every = tables.probabilities(torch.tensor([context]).expand(6, -1), torch.arange(6))
        assert all(float(p.sum()) == pytest.approx(1) and (p > 0).all() for p in every)


def test_it_writes_what_it_has_read():
    tables = ladder.NGrams([0, 1, 2, 3] * 50, 4, order=3)
    written = tables.write([0, 1], 200, n=3)
    assert written[:2] == [0, 1] and len(written) == 202
    assert sum(b == (a + 1) % 4 for a, b in itertools.pairwise(written)) > 190
    assert tables.write([0, 1], 50, n=1) == tables.write([0, 1], 50, n=1) != tables.write([0, 1], 50, n=1, seed=1)


def test_rungs_go_down_from_uniform():
    losses, tables = ladder.rungs(text(5000, 3), text(500, 4), 6, order=3)
    assert list(losses) == ["uniform", "1-gram", "2-gram", "3-gram"]
    assert losses["uniform"] == math.log(6) > losses["1-gram"] > losses["2-gram"]
    assert tables.order == 3


@pytest.mark.parametrize("ids, vocab_size, says", [([0, 1], 2, "2 characters are too few for tables of 5 in a row"),
                                                   ([0] * 9, 10_000, "too many for tables of 5 in a row")])
def test_what_cannot_be_counted(ids, vocab_size, says):
    with pytest.raises(ValueError, match=says):
        ladder.NGrams(ids, vocab_size)


# Is my loss normal?

SHAKESPEARE = " " * data.TINY_SHAKESPEARE.size  # only its length is looked at


def test_normal_is_what_was_measured(tmp_path, monkeypatch):
    runs = [{"preset": "cpu", "characters": length, "val_losses": losses}
            for length, losses in ((1000, [2.0, 2.1, 2.2]), (100_000, [1.0, 1.1, 1.2]))]
    (tmp_path / "normal.json").write_text(json.dumps(runs))
    monkeypatch.setattr(ladder, "NORMAL", tmp_path / "normal.json")
    cpu = training.preset("cpu", budget="1min")
    assert ladder.normal(SHAKESPEARE, cpu, 1000) == pytest.approx((2.1 - 0.3, 2.1 + 0.3))
    assert ladder.normal(SHAKESPEARE, cpu, 10_000) == pytest.approx((1.6 - 0.3, 1.6 + 0.3))  # half way, in logarithms
    assert ladder.normal(SHAKESPEARE, cpu, 100_000) == pytest.approx((1.1 - 0.3, 1.1 + 0.3))
    other = training.preset("cpu", embed_dim=64)
    for case in ((SHAKESPEARE, cpu, 999), (SHAKESPEARE, cpu, 100_001), (SHAKESPEARE[1:], cpu, 1000),
                 (SHAKESPEARE, other, 1000), (SHAKESPEARE, training.preset("quick"), 1000)):
        assert ladder.normal(*case) is None


@pytest.mark.parametrize("name", ["quick", "cpu"])
def test_the_measured_bands_are_there_and_narrow(name):
    bands = [ladder.normal(SHAKESPEARE, training.preset(name), length) for length in (500_000, 1_000_000, 3_000_000)]
    assert all(0.005 < high - low < 0.2 for low, high in bands)
    assert bands[0][0] > bands[1][1] > bands[2][1] > 1.4


def test_bands_are_made_by_the_command(tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat; the rat ran. " * 100, encoding="utf-8")
    monkeypatch.setenv("TINYLLM_DATA", str(text))
    monkeypatch.setattr(bands, "LENGTHS", {"quick": (2048, 16_384)})
    monkeypatch.setattr(bands, "SEEDS", 2)
    monkeypatch.setattr(ladder, "NORMAL", tmp_path / "normal.json")
    assert bands.main([]) == 0
    short, long = json.loads((tmp_path / "normal.json").read_text())
    assert (short["preset"], short["characters"], long["characters"]) == ("quick", 2048, 16_384)
    assert 1.0 < max(long["val_losses"]) < min(short["val_losses"]) < 3.5
    assert len(set(short["val_losses"])) == len(set(long["val_losses"])) == 2
    monkeypatch.setattr(bands, "SEEDS", 3)  # stopped, and called again: what is there is kept
    before = ladder.NORMAL.read_text()
    (tmp_path / "normal.json").write_text(before.replace(json.dumps(long["val_losses"]), "[1.23, 1.24, 1.25]"))
    assert bands.main([]) == 0
    again = json.loads((tmp_path / "normal.json").read_text())
    assert again[0]["val_losses"][:2] == short["val_losses"] and len(again[0]["val_losses"]) == 3
    assert again[1]["val_losses"] == [1.23, 1.24, 1.25]
