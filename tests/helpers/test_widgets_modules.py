"""The explorers of phase 2: each parameter is counted, each number belongs to the step that is chosen."""
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import widgets
from helpers.plots.modules import parts_of
from tests.helpers.test_widgets import finding


def tree():
    inner = nn.Sequential(nn.ReLU(), nn.Linear(3, 4, bias=False))
    return nn.Sequential(nn.Linear(2, 3), inner)


def test_parts_are_counted_with_their_own_parts():
    assert [(part.level, part.name, part.kind, part.count) for part in parts_of(tree())] == [
        (0, "", "Sequential", 21), (1, "0", "Linear", 9), (1, "1", "Sequential", 12), (2, "0", "ReLU", 0),
        (2, "1", "Linear", 12)]
    assert parts_of(tree())[1].shapes == {"weight": (3, 2), "bias": (3,)}
    shared = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    shared[1].weight = shared[0].weight
    assert parts_of(shared)[0].count == 9 + 3 + 3  # a shared parameter is one parameter


def test_the_tree_opens_level_by_level():
    explorer = widgets.module_tree(tree())
    assert explorer.controls["levels"].max == 2
    assert finding(explorer, levels=1) == ("Sequential has 21 parameters. Of its 4 parts, 2 lie on the open levels. "
                                           "The largest on level 1 is 1, with 57% of the parameters.")
    assert [explorer.draw(levels, True).count("display: flex") for levels in (0, 1, 2)] == [1, 3, 5]
    assert "weight (4, 3)" in explorer.draw(2, True) and "weight" not in explorer.draw(2, False)
    assert "Linear has 6 parameters. Of its 0 parts" in finding(widgets.module_tree(nn.Linear(1, 3)))


X = torch.tensor([[2.0], [0.0], [1.0]])
KEPT = [torch.zeros(3, 1), X / 2, X]


def test_the_fit_belongs_to_the_chosen_step():
    explorer = widgets.fit_history(X, X, KEPT, every=10)
    assert explorer.controls["step"].max == explorer.controls["step"].value == 20
    assert f"After 0 steps the mean squared error is {F.mse_loss(KEPT[0], X):.3g}." in finding(explorer, step=0)
    assert "is 0.417. The worst miss (dashed) is 1, at x = 2.00." in finding(explorer, step=10)
    assert "The worst miss (dashed) is 0," in finding(explorer, step=20)
    assert "mean squared error is 0.417" in explorer.figure(step=10).alt
    line = re.findall(r'<path d="M([^"]*)" fill="none" stroke="#D55E00" stroke-width="3"', explorer.draw(step=10))[0]
    across = [float(point.split()[0]) for point in line.split("L")]
    assert across == sorted(across)  # x need not be in order


def test_one_prediction_or_a_flat_one_is_drawn():
    assert "After 0 steps" in finding(widgets.fit_history(X, torch.ones(3), [torch.ones(3)], every=5))
    with pytest.raises(ValueError, match="the same length N"):
        widgets.fit_history(X, X, [torch.zeros(2)], every=1)
    with pytest.raises(ValueError, match="the same length N"):
        widgets.fit_history(X, X, [], every=1)
