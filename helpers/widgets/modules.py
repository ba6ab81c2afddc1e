"""Explorers of phase 2: modules."""
import html

import torch
from torch.nn import functional as F

from .. import plots
from ..plots.base import BLUE, ORANGE, plural, tensor
from ..plots.modules import parts_of
from . import base, charts


def module_tree(module):
    """A module's parts and their parts, with the number of parameters in each: choose how many levels to open.

    Any `nn.Module` will do, from a layer to the whole `TinyLLM`. Twin: `plots.module_tree`.
    """
    parts = parts_of(module)
    deepest, total = max(part.level for part in parts), parts[0].count
    most = max(parts[1:], key=lambda part: part.count, default=None)  # the first of equals, so of level 1

    def draw(levels, shapes):
        shown = [part for part in parts if part.level <= levels]
        lines = []
        for part in shown:
            own = ", ".join(f"{name} {shape}" for name, shape in part.shapes.items()) if shapes else ""
            share = part.count / total if total else 0
            lines.append(
                f'<div style="display: flex; align-items: center; max-width: 960px; '
                f'border-bottom: 1px solid rgba(128, 128, 128, 0.3)">'
                f'<span style="flex: 0 0 340px; padding-left: {24 * part.level}px; box-sizing: border-box">'
                f'{f"<b>{html.escape(part.name)}</b> " if part.name else ""}{html.escape(part.kind)}</span>'
                f'<span style="flex: 0 0 80px; text-align: right; padding-right: 8px">{part.count:,}</span>'
                f'<span style="flex: 0 0 120px"><span style="display: block; height: 12px; background: {BLUE}; '
                f'width: {120 * share:.1f}px"></span></span>'
                f'<span style="padding-left: 12px; font-size: 12px; {base.MONO}">{html.escape(own)}</span></div>')
        finding = (f"{parts[0].kind} has {total:,} parameters. Of its {plural(len(parts) - 1, 'part')}, "
                   f"{len(shown) - 1} lie on the open levels.")
        if total and most:
            finding += f" The largest on level 1 is {most.name}, with {most.count / total:.0%} of the parameters."
        return base.drawing("".join(lines), finding)

    return base.Explorer(
        draw, lambda levels, shapes: plots.module_tree(module, levels),
        levels=base.slider("levels to open", 0, deepest, min(deepest, 2)), shapes=base.switch("show shapes", True))


def fit_history(x, y, predictions, every):
    """How a curve comes to fit: move through a network's `predictions` for `x`, kept each `every` steps.

    `x` and `y` are (N,) or (N, 1), `predictions` a list of such tensors, the first from before step 1. Twin:
    `plots.fit`.
    """
    kept = [tensor(guess, "each of predictions", "(N,)", "(N, 1)").flatten() for guess in predictions]
    across, wanted = (tensor(v, name, "(N,)", "(N, 1)").flatten() for v, name in ((x, "x"), (y, "y")))
    if {len(guess) for guess in kept} != {len(wanted)} or len(across) != len(wanted):
        raise ValueError(f"x, y and each of predictions must have the same length N; they have {len(across)}, "
                         f"{len(wanted)} and {sorted({len(guess) for guess in kept})}.")
    order = across.argsort()
    across, wanted, kept = across[order], wanted[order], [guess[order] for guess in kept]
    errors = [max(1e-12, F.mse_loss(guess, wanted).item()) for guess in kept]  # 0 has no logarithm
    last = (len(kept) - 1) * every
    drawn = torch.stack([wanted, *kept])
    low, high = drawn.min().item(), drawn.max().item()

    def draw(step):
        guess, error = kept[step // every], errors[step // every]
        worst = (guess - wanted).abs().argmax().item()
        axes = charts.Axes((across[0].item(), across[-1].item()), (low, high + (low == high)), "input x", "output y",
                           height=300)
        for at, value in zip(across.tolist(), wanted.tolist()):
            axes.parts.append(f'<circle cx="{axes.x(at):.1f}" cy="{axes.y(value):.1f}" r="3.5" fill="none" '
                              f'stroke="{BLUE}" stroke-width="1.5"/>')
        axes.line(list(zip(across.tolist(), guess.tolist())), ORANGE, width=3)
        at = across[worst].item()
        axes.line([(at, wanted[worst].item()), (at, guess[worst].item())], "currentColor", "4 3", 2)
        above = 1 if guess[-1] >= wanted[-1] else -1  # their labels must not touch
        axes.words(across[-1].item(), wanted[-1].item(), "data (points)", down=5 + 9 * above)
        axes.words(across[-1].item(), guess[-1].item(), "network (line)", down=5 - 9 * above)
        picture = axes.svg(f"{len(wanted)} data points and the network's curve after {step} steps; error {error:.3g}")

        below = charts.Axes((0, max(1, last)), (min(errors) / 1.5, max(errors) * 1.5), "step",
                            "mean squared error", height=170, log=True)
        below.line([(i * every, e) for i, e in enumerate(errors)], ORANGE)
        below.dot(step, error, ORANGE, size=6)
        below.words(step, error, f"{error:.2g}", down=-8)
        finding = (f"After {plural(step, 'step')} the mean squared error is {error:.3g}. The worst miss (dashed) is "
                   f"{abs(guess[worst] - wanted[worst]):.3g}, at x = {at:.2f}.")
        return base.drawing(picture + "<br>" + below.svg(
            f"The error over {last} steps, from {errors[0]:.3g} to {errors[-1]:.3g}"), finding)

    return base.Explorer(draw, lambda step: plots.fit(x, y, predictions[step // every]),
                         step=base.slider("step", 0, last, last, every))
