"""helpers.plots: the words say what the picture shows, the pixels come from the data, and nothing is left behind."""
import base64
import html
import io
import itertools
import json
import math
import re
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import nn
from torch.nn import functional as F

from helpers import inside, plots
from helpers.plots import base

ROOT = Path(__file__).parents[2]


def table(T, C):
    """A sinusoidal table (T, C)."""
    angles = torch.arange(T)[:, None] / 10000 ** (torch.arange(C) // 2 * 2 / C)
    return torch.where(torch.arange(C) % 2 == 0, angles.sin(), angles.cos())


def weights(*shape):
    """Causal attention weights (..., T, T)."""
    scores = torch.randn(*shape, generator=torch.Generator().manual_seed(1)) * 2
    return scores.masked_fill(torch.ones(shape[-2:]).triu(1).bool(), -math.inf).softmax(-1)


X = torch.linspace(-2, 2, 30)[:, None]
TEXT = ("First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\n"
        "First Citizen:\nYou are all resolved rather to die")
CHARS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LOGITS = torch.linspace(-3, 4, 65)
IDS = torch.tensor([CHARS.index(c) for c in TEXT])
HISTORY = {"train_loss": [4 - i / 50 for i in range(100)], "val_loss": [3.0, 2.25, 2.5]}

LOSSES = torch.linspace(1, 4, len(TEXT) - 1)
# For the 4 characters "at e" of the text "?at e".
MOMENTS = [(0, [4.0, 1.0, 4.0, 3.0]), (10, [2.0, 1.0, 3.5, 3.0]), (20, [2.0, 1.0, 2.5, 1.5]), (50, [2.0, 1.0, 2, 1])]
# Every figure, small and large.
FIGURES = {
    "tensor_grid": lambda: plots.tensor_grid(torch.tensor([[1.5, -2.0, 0.25], [0.0, 3.0, 4.0]]), "a $ b $ c"),
    "tensor_grid 1-D": lambda: plots.tensor_grid(torch.arange(5)),
    "tensor_grid 0-D": lambda: plots.tensor_grid(torch.tensor(True)),
    "tensor_grid large": lambda: plots.tensor_grid(torch.randn(40, 50) * 1e6),
    "split_heads": lambda: plots.split_heads(torch.arange(24.0).reshape(2, 12), 3),
    "split_heads large": lambda: plots.split_heads(torch.randn(2, 9, 32), 8),
    "strides": lambda: plots.strides(torch.arange(18).reshape(1, 3, 2, 3).transpose(1, 2), "split_heads"),
    "strides table": lambda: plots.strides(torch.arange(6.0).reshape(2, 3).T, "table.T"),
    "broadcasting": lambda: plots.broadcasting(torch.tensor([1, 2, 3]), torch.tensor([[10.0], [20]]), ("row", "b $")),
    "fit": lambda: plots.fit(X, X.sin(), X),
    "module_tree": lambda: plots.module_tree(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 4)))),
    "module_tree long": lambda: plots.module_tree(nn.ModuleList([nn.Linear(1, 1) for _ in range(50)]), levels=1),
    "positional_encoding": lambda: plots.positional_encoding(table(64, 128)),
    "positional_waves": lambda: plots.positional_waves(table(50, 16)),
    "positional_waves five": lambda: plots.positional_waves(table(200, 64), (0, 5, 10, 20, 63)),
    "position_similarity": lambda: plots.position_similarity(table(32, 16)),
    "similarity": lambda: plots.similarity(torch.eye(3) + 0.1, "a \n"),
    "similarity large": lambda: plots.similarity(torch.randn(65, 8), CHARS),
    "attention_map": lambda: plots.attention_map(weights(5, 5), "to be"),
    "attention_map 30": lambda: plots.attention_map(weights(30, 30), TEXT[:30]),
    "attention_map 60": lambda: plots.attention_map(weights(60, 60), TEXT[:60]),
    "attention_map 128": lambda: plots.attention_map(weights(128, 128), (TEXT * 2)[:128]),
    "attention_heads": lambda: plots.attention_heads(weights(4, 9, 9), "to be or "),
    "attention_heads 5": lambda: plots.attention_heads(weights(5, 40, 40), TEXT[:40]),
    "causal_mask": lambda: plots.causal_mask(torch.ones(6, 6).tril().bool()),
    "expected_and_yours": lambda: plots.expected_and_yours(
        "mask", torch.ones(6, 6).tril().bool(), torch.ones(6, 6).tril(-1).bool()),
    "expected_and_yours heads": lambda: plots.expected_and_yours("weights", torch.full((2, 3, 4, 4), 0.25), torch.cat(
        [torch.full((2, 2, 4, 4), 0.25), torch.eye(4).expand(2, 1, 4, 4)], 1)),
    "expected_and_yours shapes": lambda: plots.expected_and_yours("table", table(30, 12), table(12, 30)),
    "scale_effect": lambda: plots.scale_effect(),
    "gelu_relu": lambda: plots.gelu_relu(),
    "layer_norm": lambda: plots.layer_norm(torch.randn(2, 5, 8) * 4, F.layer_norm(torch.randn(2, 5, 8), (8,))),
    "residual_gradients": lambda: plots.residual_gradients([1, 1, 1, 1], [0, 1e-9, 1e-5, 1e-1]),
    "next_characters": lambda: plots.next_characters(LOGITS, CHARS),
    "temperature": lambda: plots.temperature(LOGITS, CHARS, (0, 0.5, 1, 2)),
    "logit_lens": lambda: plots.logit_lens(LOGITS * torch.tensor([[0.0], [-1], [1]]), CHARS, ["at first", *"bc"]),
    "architecture": lambda: plots.architecture(),
    "shifted_pair": lambda: plots.shifted_pair(IDS[:8], IDS[1:9], CHARS),
    "shifted_pair long": lambda: plots.shifted_pair(IDS[:40], IDS[1:41], CHARS),
    "loss_curves": lambda: plots.loss_curves(HISTORY, 1.25, {"uniform": 4.17, "2-gram": 2.49}),
    "loss_curves one step": lambda: plots.loss_curves({"train_loss": [4.2], "val_loss": []}),
    "surprise": lambda: plots.surprise([0.5, 1.5, 4.0], "a \n", ceiling=4.0, mean=1.25),
    "surprise 256": lambda: plots.surprise(torch.linspace(0, 12, 256), (TEXT * 3)[:256]),
    "learned_when": lambda: plots.learned_when(MOMENTS, "?at e"),
    "learned_when long": lambda: plots.learned_when([(50 * i, LOSSES * 0.9 ** i) for i in range(30)], TEXT, True),
    "embedding_map": lambda: plots.embedding_map([[3.0, 4.0], [4.0, 3.0], [0.0, -1.0]], "ae "),
    "embedding_map 65": lambda: plots.embedding_map(torch.randn(65, 8), CHARS),
}


@pytest.fixture(scope="module")
def figures():
    """All of them, drawn once (which is the slow part), with what a notebook would get in `bundle`."""
    drawn = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")      # a warning is red text in the notebook, and costs a grade
        for name, draw in FIGURES.items():
            drawn[name] = draw()
            drawn[name].bundle = base.bundle(drawn[name], drawn[name].alt)
    return drawn


def test_every_public_function_is_here():
    drawn = {name.split()[0] for name in FIGURES}
    assert drawn == set(plots.__all__) - {"Picture", "show", "visible"}


# ---- the words ------------------------------------------------------------------------------------------------------

SAID = [     # a figure, and what its description must say: numbers worked out by hand
    ("tensor_grid", ["shape (2, 3)", "float32", "from -2 to 4", "1.50 -2.00 0.25; 0.00 3.00 4.00"]),
    ("tensor_grid 1-D", ["shape (5,)", "int64", "0 1 2 3 4"]),
    ("tensor_grid large", ["shape (40, 50)", "first 12 rows and 12 columns"]),
    ("split_heads", ["3 heads", "D = 4", "head 0 gets 0 to 3, head 1 gets 4 to 7 and head 2 gets 8 to 11"]),
    ("strides", ["shape (1, 2, 3, 3), strides (18, 3, 6, 1)", "not in the order of memory: 0 1 2 6 7 8 12 13 14 3 4"]),
    ("strides table", ["shape (3, 2), strides (1, 3)", "memory: 0 3 1 4 2 5. Memory holds 0 1 2 3 4 5."]),
    ("broadcasting", ["has the shape (2, 3): row is used 2 times, b $ 3 times", "reads 11 12 13; 21 22 23."]),
    ("module_tree", ["has 25 parameters: 0 (Linear) 9; 1 (Sequential) 16. 5 parts drawn."]),
    ("module_tree long", ["ModuleList has 100 parameters", "24 parts drawn. 27 more are not drawn."]),
    ("positional_encoding", ["64 positions in 128 dimensions", "dimension 0 has 20 sign changes"]),    # 63 / pi = 20.05
    ("positional_waves", ["dimension 0 runs between -1.00 and 1.00 with 15 sign changes"]),            # 49 / pi = 15.6
    ("similarity", ["mean over all pairs is 0.19"]),    # (1.1 * 0.1 * 2 + 0.01) / (1.1 ** 2 + 2 * 0.01) = 0.23 / 1.23
    ("causal_mask", ["21 of 36 cells visible", "row 0 sees 1", "row 5 sees 6", "It is the causal mask"]),
    ("expected_and_yours", ["expected mask beside yours: 6 numbers of 36 differ, most at row 0, column 0: expected 1"]),
    ("expected_and_yours heads", ["the map [0, 2]", "16 numbers of 16 differ", "expected 0.25, yours 1."]),
    ("expected_and_yours shapes", ["a map of 30 x 12 and one of 12 x 30."]),
    ("gelu_relu", ["-0.17 at x = -0.75", "x = 3 they differ by 0.004"]),
    ("residual_gradients", ["without it is 0 at layer 0 and 0.1 at layer 3", "with residuals it is 1 at layer 0"]),
    ("logit_lens", ["'z', the best in the end with 10.4%, has 1.5% at first", "b newline 10.4%, c 'z' 10.4%"]),
    ("shifted_pair", ["x reads 'First Ci', y reads 'irst Cit'", "at 7 of 7 positions"]),
    ("loss_curves", ["from 4.00 to 2.03 in 100 steps", "ended at 2.50 after 3 epochs", "best was 2.25, after epoch 2",
                     "uniform: 4.17 (1.67 above", "2-gram: 2.49 (0.01 below", "floor (entropy): 1.25 (1.25 below"]),
    ("surprise", ["mean of 3 characters is 2.00", "whole text it is 1.25", "newline at place 2 with 4.00"]),
    ("learned_when", ["space from 4.00 to 2.00, half of it by step 20",
                      "vowels from 3.50 to 1.50, half of it by step 10", "consonants from 1.00 to 1.00."]),
    ("embedding_map", ["Map of 3 characters", "holds 100%", "vowels 0.96, all -0.15"]),    # 24 / 25; that - 0.8 - 0.6
]


@pytest.mark.parametrize("name, said", SAID, ids=[name for name, _ in SAID])
def test_description_states_the_numbers(figures, name, said):
    for words in said:
        assert words in figures[name].alt


def test_every_description_is_a_sentence_in_ascii(figures):
    for name, fig in figures.items():
        assert fig.alt.isascii() and fig.alt.isprintable() and fig.alt.endswith(".") and re.search(r"\d", fig.alt), name


def test_attention_map_names_the_character_looked_at():
    w = torch.tensor([[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0.1, 0.2, 0.7, 0, 0], [0.05, 0.9, 0, 0.05, 0],
                      [0.2, 0.1, 0.1, 0.6, 0]])
    alt = plots.attention_map(w, "to be").alt
    assert "for 'to be': row 'e' (position 4) looks most at 'b' (position 3), weight 0.60." in alt
    assert "sharpest row: 'b' (position 3) looks most at 'o' (position 1), weight 0.90." in alt     # not row 0
    assert "No row looks ahead." in alt and "instead of 1" not in alt
    assert "row 't' (position 0)" not in alt
    even = torch.full((3, 3), 0.2) + 0.4 * torch.eye(3)
    assert "20% of the weight looks ahead" in plots.attention_map(even, "a b").alt
    assert "space (position 1) looks most at newline (position 0)" in plots.attention_map(
        torch.tensor([[1, 0], [0.8, 0.2]]), "\n ").alt


def test_attention_map_does_not_hide_wrong_weights():
    assert "rows add up to 0.50 to 0.50 instead of 1" in plots.attention_map(torch.full((2, 2), 0.25), "ab").alt
    assert "4 of 4 weights" in plots.attention_map(torch.full((2, 2), math.nan), "ab").alt
    assert "smallest value is -1.00" in plots.attention_map(torch.tensor([[2.0, -1], [0, 1]]), "ab").alt


def test_attention_heads_name_their_habit():
    T = 4
    first, before = torch.zeros(T, T), torch.zeros(T, T)
    first[:, 0] = 1
    before[0, 0] = 1
    before[range(1, T), range(T - 1)] = 1
    alt = plots.attention_heads(torch.stack([torch.eye(T), before, first]), "abcd").alt
    assert "Head 0 puts 100% of its weight on the character itself." in alt
    assert "Head 1 puts 100% of its weight on the character before." in alt
    assert "Head 2 puts 100% of its weight on the first character." in alt


def test_masks_that_are_not_causal_are_told_so():
    assert "not the causal mask: 3 of the visible cells lie ahead" in plots.causal_mask(torch.ones(3, 3)).alt
    assert "not the causal mask: 0 of" in plots.causal_mask(torch.ones(3, 3).tril(-1) + torch.eye(3) * 0).alt


def test_next_characters_and_temperature_agree_with_softmax():
    logits = torch.tensor([0.0, math.log(2), math.log(5)])
    assert "newline 62.5%, 'b' 25.0%, space 12.5%. The 3 shown hold 100.0%" in plots.next_characters(logits, " b\n").alt
    assert "The 1 shown hold 62.5%" in plots.next_characters(logits, " b\n", top=1).alt
    alt = plots.temperature(logits, " b\n", (0, 0.5, 1)).alt
    entropy = -sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8))
    assert "100.0% at temperature 0 (entropy 0.00" in alt and f"62.5% at temperature 1 (entropy {entropy:.2f}" in alt
    assert f"{25 / 30:.1%} at temperature 0.5" in alt       # squares: 1, 4, 25
    ruled_out = plots.next_characters(torch.tensor([0.0, -math.inf]), "ab")
    assert "'a' 100.0%, 'b' 0.0%" in ruled_out.alt


def test_fit_similarity_and_distance_are_computed():
    x = torch.tensor([0.0, 1.0, 2.0])
    alt = plots.fit(x, x, torch.tensor([0.0, 4.0, 2.0])).alt
    assert "mean squared error is 3; the worst miss is 3, at x = 1.00" in alt
    alt = plots.similarity(torch.tensor([[1.0, 0], [2, 0], [-3, 0.0]]), "abc").alt
    assert "most alike are 'a' and 'b' (1.00), least alike 'a' and 'c' (-1.00)" in alt
    alt = plots.position_similarity(table(20, 8)).alt
    unit = F.normalize(table(20, 8), dim=-1)
    assert f"{(unit[0] @ unit[1]).item():.2f} at 1, {(unit[0] @ unit[4]).item():.2f} at 4" in alt
    assert "differ by at most 0.00" in alt      # only the distance counts


def test_layer_norm_gives_means_and_deviations():
    before = torch.tensor([[1.0, 3], [10, 20]])
    alt = plots.layer_norm(before, F.layer_norm(before, (2,))).alt
    assert "before, means run from 2.00 to 15.00 and standard deviations from 1.00 to 5.00" in alt
    assert re.search(r"after, means run from -?0.00 to 0.00 and standard deviations from 1.00 to 1.00", alt)


def test_scale_effect_grows_without_the_scale_only(figures):
    found = re.findall(r"(0\.\d\d) and (0\.\d\d) at C = (\d+)", figures["scale_effect"].alt)
    raw, scaled = ([float(row[i]) for row in found] for i in (0, 1))
    assert [int(row[2]) for row in found] == [4, 64, 1024] and raw == sorted(raw) and raw[-1] > 0.95
    assert max(scaled) - min(scaled) < 0.05
    assert figures["scale_effect"].alt == plots.scale_effect().alt      # and does not touch the random state


def test_loss_that_stops_being_a_number_is_told():
    alt = plots.loss_curves({"train_loss": [4.0, math.nan, 3.0], "val_loss": [math.nan]}).alt
    assert "stopped being a finite number at step 2" in alt and "best" not in alt


def test_architecture_counts_the_parameters_of_the_real_thing():
    V, C, H, N = 65, 32, 4, 3
    block = nn.TransformerEncoderLayer(C, H, 4 * C)      # the same parts: attention, two linears, two norms
    model = nn.ModuleList([nn.Embedding(V, C), nn.LayerNorm(C), nn.Linear(C, V), *[block] * N])
    total = sum(p.numel() for part in model for p in part.parameters())
    fig = plots.architecture(V, C, H, N, block_size=50)
    drawn = [text.get_text() for text in fig.findobj(Text)]
    assert f"{total:,} parameters" in fig.alt and "3 transformer blocks" in fig.alt and "(B, T, 65)" in fig.alt
    assert "3 \u00d7" in drawn and {"(B, T)", "(B, T, C)", "(B, T, V)"} <= set(drawn)
    assert any(f"{total:,} parameters" in text for text in drawn) and any("at most 50" in text for text in drawn)


def test_architecture_of_a_model_has_its_shapes_and_shares():
    shape = (1, 5, 32)
    names = ["token_embedding", "positional_encoding",
             *(f"blocks.{i}.{part}" for i in range(2) for part in ("norm1", "attention", "norm2", "feed_forward")),
             "final_norm", "head"]
    measured = {name: inside.Part(None, 100 * i, shape, (1, 5, 9) if name == "head" else shape)
                for i, name in enumerate(names)}
    fig = plots.architecture(anatomy=inside.Anatomy((1, 5), measured, 2, 4, 50, 8000))
    drawn = [text.get_text() for text in fig.findobj(Text)]
    assert {"(1, 5)", str(shape), "(1, 5, 9)"} <= set(drawn) and not any("(B" in text for text in drawn)
    assert any("300 parameters, 3.8%" in text for text in drawn)  # attention of block 0: number 3 of the list
    assert "logits (1, 5, 9)" in fig.alt and "8,000 parameters, 55% of them in the blocks" in fig.alt  # 4,400


# ---- the picture ----------------------------------------------------------------------------------------------------

def maps(fig):
    return [image for ax in fig.axes for image in ax.images]


def test_maps_hold_the_data():
    w, t, x = weights(5, 5), table(10, 6), torch.randn(2, 3, 8)
    assert np.allclose(maps(plots.attention_map(w, "to be"))[0].get_array(), w)
    assert np.allclose(maps(plots.positional_encoding(t))[0].get_array(), t)
    assert np.allclose(maps(plots.tensor_grid(t))[0].get_array(), t)
    assert np.allclose(maps(plots.causal_mask(torch.ones(4, 4).tril()))[0].get_array(), np.tri(4))
    heads = weights(3, 5, 5)
    assert np.allclose([image.get_array() for image in maps(plots.attention_heads(heads, "to be"))], heads)
    whole, *parts = maps(plots.split_heads(x, 4))
    assert np.allclose(whole.get_array(), x[0]) and len(parts) == 4
    for h, part in enumerate(parts):
        assert np.allclose(part.get_array(), x[0][:, 2 * h:2 * h + 2])


def test_whole_numbers_are_written_without_a_point():
    for x, numbers in ((torch.arange(4), ["0", "1", "2", "3"]), (torch.arange(4.0), ["0.0", "1.0", "2.0", "3.0"])):
        assert [text.get_text() for text in plots.split_heads(x.reshape(1, 4), 2).axes[0].texts] == numbers


def test_what_is_ruled_out_keeps_its_order():
    logits = torch.tensor([-torch.inf, 1, -torch.inf, 2, -torch.inf])
    labels = plots.next_characters(logits, "abcde").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == list("dbace")


def test_maps_show_the_data_as_colours():
    """The pixels of the PNG, not only the array behind them: row is query, column is key, the largest is brightest."""
    w = torch.zeros(4, 4)
    w[3, 1] = 1
    w[:3, 0] = 1
    pixels = np.array(picture(plots.attention_map(w, "abcd"))).astype(int)
    yellow = np.argwhere(abs(pixels - [253, 231, 37]).sum(-1) < 12)
    purple = np.argwhere(abs(pixels - [68, 1, 84]).sum(-1) < 12)
    below = yellow[yellow[:, 0] > purple.max(0)[0] - 20]  # in the last row; the colour bar is purple there
    assert len(below)
    cell = np.ptp(below[:, 1]) + 1  # row 3 is yellow in column 1 only
    assert abs(below[:, 1].mean() - yellow.min(0)[1] - 1.5 * cell) < cell / 4


def test_lines_and_bars_hold_the_data():
    t = table(30, 8)
    waves = [line for line in plots.positional_waves(t, (0, 3)).axes[0].lines if len(line.get_xdata()) == 30]
    assert np.allclose([line.get_ydata() for line in waves], t[:, [0, 3]].T)
    bars = plots.next_characters(torch.tensor([0.0, math.log(3)]), "ab").axes[0].patches
    assert np.allclose([bar.get_width() for bar in bars], [0.75, 0.25])
    lines = plots.loss_curves({"train_loss": [4, 3, 2, 1.0], "val_loss": [3.5, 2.5]}, floor=0.5).axes[0].lines
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]
    assert ([1, 2, 3, 4], [4, 3, 2, 1]) in drawn and ([2, 4], [3.5, 2.5]) in drawn and ([0, 1], [0.5, 0.5]) in drawn
    short = plots.loss_curves({"train_loss": [4, 3, 2, 1.0], "val_loss": [3.5, 2.5]}, epoch_steps=3).axes[0].lines
    assert [3, 4] in [list(line.get_xdata()) for line in short]  # the second epoch ended after one step
    gelu = plots.gelu_relu().axes[0].lines[2]
    assert np.allclose(gelu.get_ydata(), F.gelu(torch.as_tensor(gelu.get_xdata())))
    fitted = plots.fit(X.flip(0), X.flip(0).sin(), X.flip(0)).axes[0].lines
    assert np.allclose(fitted[1].get_xdata(), X[:, 0]) and np.allclose(fitted[0].get_ydata(), X[:, 0].sin())


def test_attention_colours_run_from_0_to_1_unless_all_are_small():
    assert maps(plots.attention_map(weights(5, 5), "to be"))[0].get_clim() == (0, 1)
    fig = plots.attention_map(torch.full((20, 20), 0.05), TEXT[:20])
    assert maps(fig)[0].get_clim()[1] < 0.2
    assert any("colours end at" in ax.get_ylabel() for ax in fig.axes)
    assert fig.axes[0].get_xlabel() == "key character (looked at)"
    assert fig.axes[0].get_ylabel() == "query character (looking)"


def ticks(axis):
    return dict(zip([*axis.get_ticklocs(), *axis.get_ticklocs(minor=True)],
                    [label.get_text() for label in [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]]))


def test_characters_are_on_the_axes_and_blanks_are_visible(figures):
    fig = plots.attention_map(weights(6, 6), "a \n$\t\u4e2d")     # the last is in none of the fonts
    for axis in (fig.axes[0].xaxis, fig.axes[0].yaxis):
        assert list(ticks(axis).values()) == ["a", "\u2423", r"\n", r"\$", r"\t", r"\u4e2d"]
    for name, T in (("attention_map 30", 30), ("attention_map 60", 60)):      # none is left out
        assert ticks(figures[name].axes[0].yaxis) == {i: plots.visible(c) for i, c in enumerate(TEXT[:T])}
    thin = ticks(figures["attention_map 128"].axes[0].xaxis)
    assert 30 <= len(thin) < 60 and all(label == f"{i} {plots.visible((TEXT * 2)[i])}" for i, label in thin.items())


def test_text_is_at_least_9_points(figures):
    for name, fig in figures.items():
        texts = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
        assert len(texts) > 1, name
        for text in texts:
            assert text.get_fontsize() >= 9, (name, text.get_text())


def test_tick_labels_do_not_touch(figures):
    for name, fig in figures.items():
        for ax in fig.axes:
            for axis in (ax.xaxis, ax.yaxis):
                for labels in (axis.get_ticklabels(), axis.get_ticklabels(minor=True)):
                    boxes = [t.get_window_extent() for t in labels if t.get_visible() and t.get_text()]
                    side = ("x0", "x1") if axis is ax.xaxis else ("y0", "y1")
                    spans = sorted((getattr(b, side[0]), getattr(b, side[1])) for b in boxes if b.width)
                    for (_, end), (start, _) in itertools.pairwise(spans):
                        assert start > end - 2.5, (name, ax.get_title())      # a line box is taller than its letters


def luminance(colour):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
    return float(np.dot(channels, [0.2126, 0.7152, 0.0722]))


def test_palette_has_3_to_1_on_white():
    """Contrast as WCAG 2 defines it."""
    assert base.COLOURS == ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
    for colour in (*base.COLOURS, "#767676", "#444444"):
        assert 1.05 / (luminance(colour) + 0.05) >= 3
    assert len(set(base.LINES)) == len(set(base.MARKERS)) == len(base.COLOURS)


def test_numbers_in_cells_are_readable():
    fig = plots.tensor_grid(torch.linspace(0, 1, 144).reshape(12, 12))
    image = maps(fig)[0]
    for text in fig.axes[0].texts:
        x, y = text.get_position()
        cell = luminance(image.cmap(image.norm(image.get_array()[y, x])))
        dark, light = sorted([cell, luminance(text.get_color())])
        assert (light + 0.05) / (dark + 0.05) >= 4


def test_every_line_has_its_own_look_and_label():
    ax = plots.positional_waves(table(200, 64), (0, 5, 10, 20, 63)).axes[0]
    lines = [line for line in ax.lines if len(line.get_xdata()) == 100]
    for looks in ({line.get_color() for line in lines}, {line.get_marker() for line in lines},
                  {str(line._dash_pattern) for line in lines}, {text.get_text() for text in ax.texts}):
        assert len(looks) == 5
    heights = sorted(text.xyann[1] for text in ax.texts)
    assert min(b - a for a, b in itertools.pairwise(heights)) > 0.04      # the labels do not touch


# ---- any tensor, and wrong ones -------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_dtype_with_gradients_and_strides(dtype):
    w = weights(5, 5).to(dtype).T.contiguous().T.requires_grad_()
    before = w.detach().clone()
    assert np.allclose(maps(plots.attention_map(w, "to be"))[0].get_array(), before.double())
    assert w.requires_grad and torch.equal(w, before)
    for t in (w, w.detach()[0]):
        assert "tensor of shape" in plots.tensor_grid(t).alt
    assert "shape (2,)" in plots.tensor_grid([torch.tensor(1.0, requires_grad=True), torch.tensor(2.0)]).alt


WRONG = {
    "t must be a tensor of numbers of shape () or (N,) or (R, K)": lambda: plots.tensor_grid(torch.zeros(2, 2, 2)),
    "t must be a tensor": lambda: plots.tensor_grid("words"),
    "t must be a tensor of": lambda: plots.tensor_grid(torch.zeros(2, 0)),
    "weights must be a tensor of numbers of shape (T, T); this one has shape (3, 4)":
        lambda: plots.attention_map(torch.zeros(3, 4), "abc"),
    "weights must be a tensor of numbers of shape (H, T, T)": lambda: plots.attention_heads(weights(3, 3), "abc"),
    "text must have 3 characters": lambda: plots.attention_map(weights(3, 3), "ab"),
    "text must be a str": lambda: plots.attention_heads(weights(2, 3, 3), 7),
    "num_heads must be a whole number of at least 1": lambda: plots.split_heads(torch.zeros(2, 4), 0),
    "features that num_heads divides": lambda: plots.split_heads(torch.zeros(2, 4), 3),
    "x must be a tensor": lambda: plots.split_heads(torch.zeros(4), 2),
    "t must have 2 to 4 dimensions and 1 to 24 numbers": lambda: plots.strides(torch.zeros(3), "row"),
    "this one has shape (5, 5)": lambda: plots.strides(torch.zeros(5, 5), "table"),
    "left and right do not fit together: The size": lambda: plots.broadcasting(torch.zeros(2, 3), torch.zeros(2)),
    "right must be a tensor of numbers of shape (N,)": lambda: plots.broadcasting(torch.zeros(2), torch.zeros(1, 1, 2)),
    "x, y and prediction must have the same length": lambda: plots.fit(torch.zeros(3), torch.zeros(2), torch.zeros(3)),
    "prediction must be a tensor of numbers of shape (N,) or (N, 1); this one has shape (3, 2)":
        lambda: plots.fit(torch.zeros(3), torch.zeros(3), torch.zeros(3, 2)),
    "prediction holds 1 value": lambda: plots.fit(torch.zeros(1), torch.zeros(1), torch.tensor([math.inf])),
    "table must be a tensor of numbers of shape (T, C)": lambda: plots.positional_encoding(torch.zeros(3)),
    "dims must be 1 to 5 different dimensions below 4": lambda: plots.positional_waves(torch.zeros(3, 4), (4,)),
    "each of dims must be a whole number": lambda: plots.positional_waves(torch.zeros(3, 4), (0.5,)),
    "dims must be a list": lambda: plots.positional_waves(torch.zeros(3, 4), 2),
    "table must be": lambda: plots.position_similarity(None),
    "labels must have 3 characters": lambda: plots.similarity(torch.zeros(3, 2), "ab"),
    "mask must hold True and False": lambda: plots.causal_mask(torch.full((2, 2), 0.5)),
    "mask must be a tensor of numbers of shape (T, T)": lambda: plots.causal_mask(torch.ones(2, 3)),
    "embed_dims must hold 1 to 4": lambda: plots.scale_effect(()),
    "each of embed_dims": lambda: plots.scale_effect((0,)),
    "before and after must have the same shape": lambda: plots.layer_norm(torch.zeros(2, 3), torch.zeros(3, 2)),
    "with_residual and without": lambda: plots.residual_gradients([1.0], [1.0, 2.0]),
    "not negative": lambda: plots.residual_gradients([1.0], [-1.0]),
    "logits must be a tensor of numbers of shape (V,)": lambda: plots.next_characters(torch.zeros(1, 3), "abc"),
    "chars must have 3 characters, one for each logit": lambda: plots.next_characters(torch.zeros(3), "ab"),
    "logits must be numbers": lambda: plots.next_characters(torch.tensor([math.nan, 0]), "ab"),
    "top must be a whole number of at least 1, not 0": lambda: plots.next_characters(torch.zeros(3), "abc", top=0),
    "temperatures must be 1 to 4 numbers that are not negative": lambda: plots.temperature(torch.zeros(2), "ab", (-1,)),
    "logits must be a tensor of numbers of shape (D, V)": lambda: plots.logit_lens(torch.zeros(3), "abc", ["x"]),
    "depths must have 2 characters, one for each depth": lambda: plots.logit_lens(torch.zeros(2, 3), "abc", ["x"]),
    "temperatures must be": lambda: plots.temperature(torch.zeros(2), "ab", ()),
    "embed_dim must be divisible by num_heads": lambda: plots.architecture(embed_dim=10, num_heads=4),
    "num_layers must be a whole number": lambda: plots.architecture(num_layers=2.5),
    "x and y must have the same length": lambda: plots.shifted_pair([0, 1], [1], "ab"),
    "x and y must hold ids from 0 to 1": lambda: plots.shifted_pair([0, 1], [1, 2], "ab"),
    "history must be a dict": lambda: plots.loss_curves({"train_loss": [], "val_loss": []}),
    "history['val_loss'] must be": lambda: plots.loss_curves({"train_loss": [1.0], "val_loss": ["x"]}),
    "floor and each of baselines must be": lambda: plots.loss_curves(HISTORY, floor=[1.0, 2.0]),
    "fig must be a matplotlib Figure": lambda: plots.show(3),
    "text must have 2 characters, one for each loss": lambda: plots.surprise([1.0, 2.0], "abc"),
    "moments must be a list of pairs": lambda: plots.learned_when([], "abc"),
    "text after its first character must have 4": lambda: plots.learned_when(MOMENTS, "abc"),
    "vectors must be at least two": lambda: plots.embedding_map([[1.0, 2.0]], "a"),
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_input_gets_a_sentence(words):
    with pytest.raises(ValueError) as error:
        WRONG[words]()
    assert words in str(error.value) and str(error.value).endswith(".") and str(error.value).isascii()


# ---- display --------------------------------------------------------------------------------------------------------

def picture(fig):
    data, _ = getattr(fig, "bundle", None) or base.bundle(fig, fig.alt)
    return Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_small_and_on_white(figures, name):
    data, metadata = figures[name].bundle
    assert len(data["text/html"]) + len(data["image/png"]) < 150_000
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    width, corners = metadata["image/png"]["width"], [(x, y) for x in (0, -1) for y in (0, -1)]
    assert {image.convert("RGB").getpixel((x % image.width, y % image.height)) for x, y in corners} == {(255, 255, 255)}
    assert len(image.getcolors()) > 8
    scale = image.width / width     # 1.5 pixels of the PNG on one of the screen; 1 for what is too rich otherwise
    assert min(abs(scale - 1.5), abs(scale - 1)) < 0.01 and width <= 860


def test_colours_survive_the_small_palette(figures):
    pixels = np.array(picture(figures["architecture"])).reshape(-1, 3)
    for colour in (base.BLUE, base.ORANGE, base.GREEN, "#DCEBF6", "#FBE4D5", "#D8F0E7"):
        wanted = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
        assert (abs(pixels.astype(int) - wanted).max(1) <= 2).sum() > 100, colour


def test_outside_a_notebook_the_description_is_printed():
    code = ("import sys, torch; from helpers import plots\n"
            "assert plots.show(plots.causal_mask(torch.ones(2, 2).tril())) is None\n"
            "plots.show(plots.gelu_relu(), alt='caf\\u00e9')\n"
            "assert 'matplotlib.pyplot' not in sys.modules and 'IPython' not in sys.modules")
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0, run.stderr
    first, second = run.stdout.splitlines()
    assert first.startswith("Mask for 2 positions: 3 of 4 cells visible") and second == r"caf\xe9" and run.stderr == ""


def test_a_kernel_shows_each_figure_once_with_its_words(tmp_path):
    import nbclient
    import nbformat
    cells = [
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import torch, warnings; warnings.simplefilter('error')\n"
        "from helpers import plots; mask = torch.ones(2, 2).tril()",
        "plots.show(plots.causal_mask(mask))",
        "plots.show(plots.causal_mask(mask), alt='a \"quoted\" <alt>')",
        "plots.causal_mask(mask)",      # forgot to call show: shown with its words all the same
        "import matplotlib.pyplot as plt; before = dict(plt.rcParams); plt.style.use('dark_background')\n"
        "dark = dict(plt.rcParams); fig = plots.causal_mask(mask); plots.show(fig)\n"
        "assert dict(plt.rcParams) == dark and plt.get_fignums() == []",
        "plots.causal_mask(mask)",
        "fig, ax = plt.subplots(); ax.plot([1, 2]); fig.alt = 'my own'\n"
        "plots.show(fig); assert plt.get_fignums() == []",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3",
                            resources={"metadata": {"path": tmp_path}}).execute()
    words = "Mask for 2 positions: 3 of 4 cells visible; row 0 sees 1, row 1 sees 2."
    said = [None, words, 'a "quoted" <alt>', words, words, words, "my own"]
    shown = []
    for cell, expected in list(zip(notebook.cells, said))[1:]:
        assert len(cell.outputs) == 1, cell.source      # one bundle, no second picture, nothing on stderr
        data = cell.outputs[0]["data"]
        assert set(data) == {"text/html", "image/png", "text/plain"}
        alt = html.unescape(re.match(r'<img alt="([^"]*)" ', data["text/html"]).group(1))
        assert alt.startswith(expected) and data["text/plain"] == alt
        assert f'src="data:image/png;base64,{data["image/png"].strip()}"' in data["text/html"]
        shown.append(data["image/png"])
    assert len({shown[i] for i in (0, 1, 2, 3, 4)}) == 1      # the dark style changed nothing
    assert json.dumps(notebook.cells[0].outputs) == "[]"


def test_pyplot_and_its_settings_are_left_alone():
    import matplotlib.pyplot as plt
    settings, opened = dict(matplotlib.rcParams), plt.get_fignums()
    for draw in FIGURES.values():
        assert isinstance(draw(), Figure)
    assert plt.get_fignums() == opened and dict(matplotlib.rcParams) == settings


def test_settings_of_the_notebook_do_not_change_a_figure(figures):
    with matplotlib.rc_context({"axes.unicode_minus": False, "font.size": 20, "axes.facecolor": "black",
                                "savefig.transparent": True, "savefig.facecolor": "red", "image.cmap": "jet"}):
        fig = plots.gelu_relu()
        assert base.bundle(fig, fig.alt)[0] == figures["gelu_relu"].bundle[0]


def test_the_random_state_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    plots.scale_effect()
    plots.attention_map(weights(3, 3), "abc")
    assert torch.equal(torch.get_rng_state(), before)
