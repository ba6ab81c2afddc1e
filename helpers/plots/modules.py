"""Figures of phase 2: modules."""
from typing import NamedTuple

import torch.nn.functional as F

from .base import BLUE, MONO, ORANGE, Picture, line_labels, plural, styled, tensor


@styled
def fit(x, y, prediction):
    """Data `x`, `y` and a network's `prediction`, each (N,) or (N, 1): points, and the curve through them."""
    x, y, guess = (tensor(v, name, "(N,)", "(N, 1)").flatten()
                   for v, name in ((x, "x"), (y, "y"), (prediction, "prediction")))
    if not len(x) == len(y) == len(guess):
        raise ValueError(f"x, y and prediction must have the same length N, not {len(x)}, {len(y)} and {len(guess)}.")
    order = x.argsort()
    x, y, guess = x[order], y[order], guess[order]
    worst = (y - guess).abs().argmax().item()
    fig = Picture(6.6, 3.8)
    ax = fig.subplots()
    ax.plot(x, y, linestyle="none", marker="o", markersize=4.5, markerfacecolor="none", color=BLUE, clip_on=False)
    ax.plot(x, guess, color=ORANGE, linewidth=2.4)
    ax.margins(x=0)
    ax.autoscale_view()
    line_labels(ax, [(x[-1], y[-1], "data (points)", BLUE), (x[-1], guess[-1], "network (line)", ORANGE)], 3.0)
    ax.set(xlabel="input x", ylabel="output y")
    fig.alt = (f"{len(x)} data points and the network's curve: the mean squared error is {F.mse_loss(guess, y):.3g}; "
               f"the worst miss is {abs(y[worst] - guess[worst]):.3g}, at x = {x[worst]:.2f}.")
    return fig


class Part(NamedTuple):
    """A module in the tree of another one."""

    level: int  # 0 for the whole, 1 for its parts, 2 for their parts
    name: str  # the attribute that holds it; "" for the whole
    kind: str  # its class
    count: int  # parameters in it and in its parts, each counted once
    shapes: dict  # of the parameters that are its own, by name


def parts_of(module):
    """A module and all of its parts, each before its own parts: a list of `Part`."""
    return [Part(path.count(".") + bool(path), path.rpartition(".")[2], type(part).__name__,
                 sum(p.numel() for p in part.parameters()),
                 {name: tuple(p.shape) for name, p in part.named_parameters(recurse=False)})
            for path, part in module.named_modules()]


@styled
def module_tree(module, levels=2):
    """The tree of a module's parts down to `levels` below it, with their parameters: a bar for each count.

    At most 24 parts are drawn.
    """
    parts = [part for part in parts_of(module) if part.level <= levels]
    shown, total = parts[:24], parts[0].count
    fig = Picture(8.2, 0.8 + 0.27 * len(shown))
    ax = fig.subplots()
    ax.barh(range(len(shown)), [part.count for part in shown], color=BLUE, edgecolor="black", linewidth=0.6)
    ax.set(xlim=(0, 1.35 * total or 1), ylim=(len(shown) - 0.4, -0.6), xlabel="parameters")
    for i, part in enumerate(shown):
        shapes = ", ".join(f"{name} {shape}" for name, shape in part.shapes.items())
        ax.text(part.count + 0.01 * (total or 1), i, f"{part.count:,}" + f"   {shapes}" * bool(shapes), va="center",
                fontsize=9)
    names = [f"{'    ' * part.level}{part.name + ': ' if part.name else ''}{part.kind}" for part in shown]
    longest = max(map(len, names))
    ax.set_yticks(range(len(shown)), [name.ljust(longest) for name in names], fontfamily=MONO, fontsize=9)
    ax.tick_params(axis="y", length=0)
    left_out = f" {len(parts) - len(shown)} more are not drawn." if len(parts) > len(shown) else ""
    fig.alt = (f"{parts[0].kind} has {plural(total, 'parameter')}: " + "; ".join(
        f"{part.name} ({part.kind}) {part.count:,}" for part in shown if part.level == 1)
        + f". {plural(len(shown), 'part')} drawn.{left_out}")
    return fig
