"""The explorers of attention: what they say is what the learner's own code does."""
import html
import re

import pytest
import torch

from course import solution
from course.bench import widgets as bench
from helpers import widgets
from tests.helpers.test_widgets import finding


def heads_of(count, seed):
    """What a notebook gives `widgets.attention`: look(text, masked) through untrained attention with `count` heads."""
    pieces = solution.pieces()
    torch.manual_seed(seed)
    embed = torch.nn.Sequential(pieces.TokenEmbedding(128, 16), pieces.PositionalEncoding(16, 60))
    layer = pieces.MultiHeadAttention(16, count) if count > 1 else pieces.SelfAttention(16)

    def look(text, masked):
        x = embed(torch.tensor([[ord(c) for c in text]]))
        return layer(x, torch.ones(len(text), len(text)).tril() if masked else None)[1][0]
    return look


def test_without_the_mask_weight_looks_ahead():
    look = heads_of(1, seed=3)
    explorer = widgets.attention(look, "to be or not")
    explorer.widget()
    assert list(explorer.controls) == ["text", "query", "masked"]  # one head: nothing to choose
    assert explorer.controls["query"].value == 6  # something before it, something ahead
    assert finding(explorer).endswith("No weight looks ahead.")
    explorer.controls["masked"].value = False
    ahead = look("to be or not", False).triu(1)
    leaked = f"{ahead.sum() / 12:.0%} of the weight looks ahead."
    assert finding(explorer).endswith(
        f"Ahead of itself it looks with {ahead[6].sum():.0%} of its weight; over all rows of this map, {leaked}")
    assert 0.3 < ahead.sum() / 12 < 0.6 and leaked in explorer.figure(**explorer.values).alt


def test_attention_before_and_after():
    looks = {"before": heads_of(2, seed=0), "after": heads_of(2, seed=1)}
    explorer = widgets.attention(looks, "abcabc", longest=8, alphabet="abc")
    explorer.widget()
    explorer.controls["head"].value, explorer.controls["query"].value = 1, 4
    for name in ("after", "before"):  # what the loop made is seen first
        row = looks[name]("abcabc", True)[1, 4]
        assert explorer.controls["which"].value == name
        assert f"position {row.argmax()}: {row.max():.0%} of its weight in head 1" in finding(explorer)
        explorer.controls["which"].value = "before"
    explorer.controls["text"].value = "abd"
    assert "'d' has no place here: the only characters are a b c" in html.unescape(explorer.picture.value)
    explorer.controls["text"].value = "abcabcabc"
    assert "must have 1 to 8 characters; it has 9" in explorer.picture.value
    explorer.controls["text"].value = "a" * 8
    assert explorer.picture.value.count("<img") == 2


def test_the_map_s_rows_and_columns_have_letters_where_they_fit():
    for text, count in (("to be", 2), ("to be or not to be", 0)):  # 170 pixels for each head
        explorer = widgets.attention(heads_of(2, seed=0), text)
        explorer.widget()
        lists = re.findall(r'<div aria-hidden="true".*?>((?:<(div|span) style="[^"]*">[^<]*</\2>)*)</div>',
                           explorer.picture.value)
        letters = ["".join(re.findall(">([^<]*)<", found)) for found, _ in lists]
        assert letters == [text.replace(" ", "\u2423")] * 2 * count  # beside the rows, below the columns, of each head


def test_weights_of_another_shape_are_told():
    with pytest.raises(ValueError, match=r"T = 5, not \(2, 5, 4\)"):
        widgets.attention(lambda text: torch.zeros(2, 5, 4), "to be")


def test_sharpness_is_counted_from_what_the_cell_gives():
    explorer = bench.EXAMPLES["sharpness"]()
    explorer.widget()
    means = {}
    for divide in (False, True):
        explorer.controls["divide"].value = divide
        for C in (1, 64, 1024):
            explorer.controls["C"].value = C
            size, share, mean, slope = re.fullmatch(
                r".*size ([\d.]+)\. The best.*gets (\d+)% of this.*, and (\d+)% on average.*is ([\d.]+) on average.*",
                finding(explorer)).groups()
            assert float(size) == pytest.approx(1 if divide else C**0.5, rel=0.35)
            drawn = [float(p) for p in re.findall(r">([\d.]+)%</text>", explorer.picture.value)]
            assert sum(drawn) == pytest.approx(100, abs=0.5) and max(drawn) == pytest.approx(float(share), abs=0.6)
            means[divide, C] = int(mean), float(slope)
    assert means[False, 1024] > (95, 0) and means[False, 1024][1] < 0.05  # all on one key: nothing left to learn from
    assert max(abs(means[True, 64][i] - means[True, 1024][i]) for i in (0, 1)) < 4  # divided: C does not matter
