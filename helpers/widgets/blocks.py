"""Explorers of phase 3c: what a transformer block is made of."""
import math

import torch
import torch.nn.functional as F

from .. import inside, plots
from ..plots.base import BLUE, ORANGE, spoken, two_digits
from . import base, charts


def gelu_relu():
    """GELU beside ReLU: value and slope of both at a chosen x. Twin: `plots.gelu_relu`."""
    bends = {"GELU": (F.gelu, BLUE, "", False), "ReLU": (F.relu, ORANGE, "8 5", True)}
    grid = torch.linspace(-4, 4, 81)

    def draw(x):
        at = axes()
        said = []
        for name, (bend, colour, dash, square) in bends.items():
            here = torch.tensor(x, requires_grad=True)
            value = bend(here)
            slope = torch.autograd.grad(value, here)[0].item()
            at.line(zip(grid.tolist(), bend(grid).tolist()), colour, dash)
            at.words(4, bend(torch.tensor(4.0)).item(), name, down=-8 if square else 16)
            ends = [(x + d, value.item() + d * slope) for d in (-0.7, 0.7)]
            at.line(ends, "currentColor", width=1.5)
            at.dot(x, value.item(), colour, 6, square)
            said.append(f"{name} gives {value.item():.3f} with slope {slope:.3f}")
        said = f"At x = {x:.1f}, {said[0]}; {said[1]}."
        if slope == 0:
            said += " Where the slope is 0, no gradient comes through: a unit with ReLU learns nothing from this input."
        return base.drawing(at.svg(f"GELU and ReLU from -4 to 4, and a piece of the tangent at x. {said}"), said)

    def axes():
        return charts.Axes((-4, 4), (-1, 4), "input x", "output", right=60)

    return base.Explorer(draw, lambda x: plots.gelu_relu(), x=base.slider("x", -4.0, 4.0, -1.0, 0.1))


def gradients(sizes, layers=16):
    """How large a gradient reaches each layer of a stack, with residual connections and without.

    `sizes(residual, layers)` returns the gradient's norm at each of so many layers, for residual True or False. Twin:
    `plots.residual_gradients`.
    """
    def draw(layers):
        pair = {"with residuals": sizes(True, layers), "without": sizes(False, layers)}
        drawn = [size for norms in pair.values() for size in norms if size > 0]  # a log scale has no place for 0
        low = math.floor(math.log10(min(drawn)))
        high = max(low + 1, math.ceil(math.log10(max(drawn))))
        axes = charts.Axes((0, layers - 1), (10.0**low, 10.0**high), "layer (0 = nearest the input)",
                           "gradient norm (log scale)", log=True)
        for (name, norms), colour, dash in zip(pair.items(), (BLUE, ORANGE), ("", "8 5")):
            points = [(i, size) for i, size in enumerate(norms) if size > 0]
            axes.line(points, colour, dash)
            for point in points:
                axes.dot(*point, colour, square=bool(dash))
            axes.words(*points[-1], name, right=10, down=-6 if not dash else 14)
        reach = [norms[0] / norms[-1] for norms in pair.values()]
        said = (f"{layers} layers: with residuals, layer 0 gets {reach[0]:.2g} times the gradient of layer "
                f"{layers - 1}; without, {reach[1]:.2g} times.")
        return base.drawing(axes.svg(f"Gradient norm by layer. {said}"), said)

    def figure(layers):
        return plots.residual_gradients(sizes(True, layers), sizes(False, layers))

    return base.Explorer(draw, figure, layers=base.slider("number of layers", 2, layers, layers))


@torch.no_grad()
def layer_norm(norm, x):
    """What a layer norm makes of one position that is scaled and shifted: the same as before.

    `norm` is a module, x (T, C) the features of T positions. Twin: `plots.layer_norm`.
    """
    first = norm(x)

    def change(position, scale, shift):
        before = x.detach().clone()
        before[position] = before[position] * scale + shift
        with torch.no_grad():
            return before, norm(before)  # (T, C) each

    def draw(position, scale, shift):
        pair = change(position, scale, shift)
        said = [f"mean {two_digits(t[position].mean())} and standard deviation {t[position].std(correction=0):.2f}"
                for t in pair]
        moved = (pair[1] - first).abs().max()
        said = (f"Position {position} times {scale:g}, plus {shift:g}: before the norm, {said[0]}; after it, "
                f"{said[1]}. The change moved no output of the norm by more than {moved:.4f}.")
        panels = "".join(_dots(t, position, f"{name} LayerNorm", said) for name, t in zip(("before", "after"), pair))
        return base.drawing(f'<div style="display: flex; flex-wrap: wrap">{panels}</div>', said)

    def figure(position, scale, shift):
        return plots.layer_norm(*change(position, scale, shift))

    return base.Explorer(
        draw, figure, position=base.slider("position", 0, len(x) - 1, len(x) // 2),
        scale=base.slider("times", 0.0, 10.0, 1.0, 0.5), shift=base.slider("plus", -10.0, 10.0, 0.0, 0.5))


def _dots(values, marked, title, words):
    """The features (T, C) of T positions as dots above the number of each, one position marked."""
    low, high = min(math.floor(values.min()), -3), max(math.ceil(values.max()), 3)
    axes = charts.Axes((-0.5, len(values) - 0.5), (low, high), "position", title, width=400, height=260, right=12)
    for i, features in enumerate(values.tolist()):
        for value in features:
            axes.dot(i, value, ORANGE if i == marked else BLUE, 4 if i == marked else 2.5, square=i == marked)
    return axes.svg(f"Features {title}; position {marked} is marked by squares. {words}")


def residual(blocks, x, text):
    """What each half of each block adds to the residual stream, character by character.

    `blocks` are N `TransformerBlock`s, x (T, C) what goes into the first, `text` its T characters. Twin:
    `plots.tensor_grid`.
    """
    if not 1 <= len(text) == len(x) <= 24:
        raise ValueError(f"text must have 1 to 24 characters, one for each position of x; it has {len(text)}")
    names = inside.depths(len(blocks))[1:]

    def look():
        """Sizes of the stream (1 + 2N, T), and of what is added to it (2N, T)."""
        mask = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device).tril()
        with torch.no_grad():
            stream = torch.stack(inside.through(blocks, x[None], mask)[0])  # (1 + 2N, T, C)
        return stream.norm(dim=-1).cpu(), stream.diff(dim=0).norm(dim=-1).cpu()

    def draw(half, character):
        size, added = look()
        gain = added / size[:-1]  # (2N, T)
        i, t = names.index(half), character
        halves = f"{gain[::2].mean():.0%} (attention) and {gain[1::2].mean():.0%} (feed-forward)"
        said = (f"At {spoken(text[t])}, position {t}, {half} adds {added[i, t]:.2f} to the stream of size "
                f"{size[i, t]:.2f}: {gain[i, t]:.0%} of it. On average the halves add {halves}. From bottom to top the "
                f"stream grows from {size[0].mean():.2f} to {size[-1].mean():.2f}.")
        largest = size.max().item()
        rows = [(name, number / largest, f"{number:.2f}", kind) for name, number, kind in (
            ("stream", size[i, t].item(), "plain"), ("added", added[i, t].item(), "chosen"),
            ("sum", size[i + 1, t].item(), "plain"))]
        return base.drawing(_gains(gain, names, text, i, t, f"Added by each half, in percent of the stream. {said}")
                            + charts.bars(rows, said, label_width=90), said)

    def figure(half, character):
        size, added = look()
        return plots.tensor_grid(added / size[:-1], title="share added by each half of a block (row) at each character")

    return base.Explorer(draw, figure, half=base.choice("half of a block", names),
                         character=base.slider("character", 0, len(text) - 1, len(text) - 1))


def _gains(gain, names, text, row, column, words):
    """The map of shares (2N, T) with the percent in each cell; the first half of the first block is at the bottom."""
    left, wide, high = 156, 34, 22
    bottom, most = high * len(names), gain.max().item() or 1.0
    parts = [charts.text_at(left + wide * (t + 0.5), bottom + 18, "", "middle", base.glyph(character))
             for t, character in enumerate(text)]
    for i, name in enumerate(names):
        y = bottom - high * (i + 1)
        parts.append(charts.text_at(left - 8, y + 16, name, "end"))
        for t, share in enumerate(gain[i].tolist()):
            percent = charts.text_at(left + wide * (t + 0.5), y + 16, f"{100 * share:.0f}", "middle")
            parts.append(charts.cell(left + wide * t + 2, y + 2, wide - 4, high - 4, share / most, percent,
                                     (i, t) == (row, column)))
    return base.svg(left + wide * len(text), bottom + 26, parts, words)
