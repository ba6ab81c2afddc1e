"""The explorers of positions: what they say is what the learner's own code does."""
import base64
import io
import re

import matplotlib
import numpy as np
import torch
from PIL import Image

from course import solution
from course.bench import widgets as bench
from helpers import widgets
from tests.helpers.test_widgets import finding


def test_the_hands_of_the_clock_point_where_the_table_says():
    explorer = bench.EXAMPLES["positions"]()
    explorer.widget()
    explorer.controls["position"].value = 5
    told = finding(explorer)
    assert told.startswith("Position 5 in 32 dimensions: the fastest hand has turned by 57.3 degrees since position 4, "
                           "the slowest of the 16 by 0.01 degrees.")  # 1 and 1 / 10000 ** (30 / 32) of a radian
    assert told.endswith("The row begins -0.96, 0.28, 0.32, -0.95.")
    assert explorer.picture.value.count("<circle") == 8 and "hand 0 points to 286 degrees" in explorer.picture.value
    assert "l-28.8 -8.5" in explorer.picture.value  # sin 5 and -cos 5, times the radius 30
    explorer.controls["position"].value = 0
    assert "the fastest hand turns by 57.3 degrees up to position 1" in finding(explorer)
    assert "hand 0 points to 0 degrees" in explorer.picture.value
    explorer.controls["embed_dim"].value = 2
    assert explorer.picture.value.count("<circle") == 1 and "the slowest of the 1 by 57" in finding(explorer)


def test_the_same_position_is_drawn_in_each_width():
    explorer = bench.EXAMPLES["positions"]()
    explorer.widget()
    explorer.controls["position"].value = 5
    code = re.findall(r'src="data:image/png;base64,([^"]*)"', explorer.picture.value)[-1]
    dots = np.array(Image.open(io.BytesIO(base64.b64decode(code))))[::5]  # 5 dots tall
    assert dots.shape == (7, 128, 3)
    for C, row in zip((2, 4, 8, 16, 32, 64, 128), dots):
        table = (solution.pieces().sinusoidal_table(64, C)[5] + 1) / 2
        expected = (matplotlib.colormaps["viridis"](table.numpy())[:, :3] * 255).round()
        assert abs(row[::128 // C] - expected).max() <= 1
        assert (row == np.repeat(row[::128 // C], 128 // C, axis=0)).all()


def test_waves_tell_their_length():
    explorer = bench.EXAMPLES["waves"]()
    explorer.widget()
    assert finding(explorer) == ("At position 21: dimension 0 is 0.84, dimension 4 is 0.35 and dimension 8 is 0.86. "
                                 "A full turn takes 6.28, 19.9 and 62.8 positions.")
    for name in ("d0", "d1", "d2"):
        explorer.controls[name].value = 31  # three times the same: one name, one number, and a figure all the same
    assert finding(explorer).startswith("At position 21: dimension 31 is 1.00. A full turn takes 3.53e+04 positions.")
    assert "over 64 positions: dimension 31 runs" in explorer.figure(**explorer.values).alt
    odd = widgets.waves(solution.pieces().sinusoidal_table(9, 3))  # its last sine has no cosine
    assert "A full turn takes 6.28 and 2.92e+03 positions." in odd.html()


def test_similar_positions_are_found():
    explorer = bench.EXAMPLES["position_similarity"]()
    explorer.widget()
    for C in (32, 2):
        explorer.controls["embed_dim"].value = C
        table = solution.pieces().sinusoidal_table(64, C)
        like = torch.cosine_similarity(table[:, None], table, dim=-1)
        for position in (0, 10, 63):
            explorer.controls["position"].value = position
            told, far = finding(explorer), (torch.arange(64) - position).abs() > 5
            best = torch.where(far, like[position], -2).argmax().item()
            assert f"more than 5 away, {best} is the most alike: {like[position, best]:.2f}." in told
            side = position + 4 if position < 60 else position - 4
            assert f"{like[position, side]:.2f} at distance 4" in told and "nowhere farther than 0.00" in told
    explorer.controls["position"].value = 10
    assert "54 is the most alike: 1.00" in finding(explorer)  # one hand: 44 steps are nearly 7 full turns
