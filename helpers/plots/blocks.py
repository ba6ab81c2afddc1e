"""Figures of phase 3c: what a transformer block is made of."""
import math

import torch
import torch.nn.functional as F
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from .base import BLACK, BLUE, ORANGE, SMALL, Picture, line_plot, plural, styled, tensor


@styled
def gelu_relu():
    """GELU, x times the normal distribution function of x (Hendrycks and Gimpel 2016), against ReLU."""
    x = torch.linspace(-4, 4, 161, dtype=torch.float64)
    gelu, relu = F.gelu(x), F.relu(x)
    fig = Picture(6.6, 3.8)
    ax = fig.subplots()
    ax.axhline(0, color="#767676", linewidth=0.8)
    ax.axvline(0, color="#767676", linewidth=0.8)
    line_plot(ax, x.tolist(), {"GELU": gelu.tolist(), "ReLU": relu.tolist()}, 3.0)
    low = gelu.argmin()
    ax.annotate(f"lowest: {gelu[low]:.2f} at x = {x[low]:.2f}", (x[low], gelu[low]), (-3.6, 1.0), fontsize=SMALL,
                arrowprops={"arrowstyle": "->", "color": BLACK})
    ax.set(xlabel="input x", ylabel="output")
    fig.alt = (f"GELU and ReLU from -4 to 4. ReLU is 0 for every negative input; GELU dips smoothly to {gelu[low]:.2f} "
               f"at x = {x[low]:.2f}. There the two differ most, by {(gelu - relu).abs().max():.2f}, as they do at "
               f"x = {-x[low]:.2f}; at x = 3 they differ by {(gelu - relu).abs()[140]:.3f}.")
    return fig


@styled
def layer_norm(before, after):
    """Features of each position before and after LayerNorm: two tensors of the same shape (T, C) or (B, T, C).

    At most 24 positions are drawn. Standard deviations divide by C, as LayerNorm's own does.
    """
    pair = [tensor(t, name, "(T, C)", "(B, T, C)") for t, name in ((before, "before"), (after, "after"))]
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"before and after must have the same shape, not {tuple(pair[0].shape)} and "
                         f"{tuple(pair[1].shape)}.")
    fig, said = Picture(8.0, 3.6), []
    for ax, name, t in zip(fig.subplots(1, 2), ("before", "after"), pair):
        t = t.flatten(0, -2)[:24]
        mean, std, at = t.mean(-1), t.std(-1, correction=0), range(len(t))
        dots = ax.plot(at, t, ".", color=BLUE, markersize=3.5)[0]
        bars = ax.errorbar(at, mean, std, color=ORANGE, marker="_", markersize=9, linestyle="none", capsize=3,
                           linewidth=1.6)
        ax.axhline(0, color="#767676", linewidth=0.8)
        ax.set(title=f"{name} LayerNorm", xlabel="position", ylabel="feature value")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        said.append(f"{name}, means run from {mean.min():.2f} to {mean.max():.2f} and standard deviations from "
                    f"{std.min():.2f} to {std.max():.2f}")
    fig.legend([dots, bars], ["one feature", "mean and one standard deviation to either side"], ncols=2,
               loc="outside lower center", frameon=False, fontsize=SMALL)
    fig.alt = f"Features of {plural(len(t), 'position')}: {said[0]}; {said[1]}. Each panel has its own scale."
    return fig


@styled
def residual_gradients(with_residual, without):
    """Gradient norms at N layers (0 is nearest the input) with and without residual connections: (N,) each."""
    pair = [tensor(v, name, "(N,)") for v, name in ((with_residual, "with_residual"), (without, "without"))]
    if len(pair[0]) != len(pair[1]) or min(p.min() for p in pair) < 0:
        raise ValueError("with_residual and without must hold norms, which are not negative, for the same N layers.")
    fig = Picture(7.4, 3.6)
    ax = fig.subplots()
    ax.set_yscale("log")
    drawn = [p.where(p > 0, math.nan).tolist() for p in pair]       # a log scale has no place for 0
    line_plot(ax, list(range(len(pair[0]))), dict(zip(("with residual", "without"), drawn)), 2.9)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="layer (0 = nearest the input)", ylabel="gradient norm (log scale)")
    said = [f"{name} it is {p[0]:.2g} at layer 0 and {p[-1]:.2g} at layer {len(p) - 1}"
            + (f" (ratio {p[0] / p[-1]:.2g})" if p[-1] else "") for name, p in zip(("with residuals", "without"), pair)]
    fig.alt = f"Gradient norm over {plural(len(pair[0]), 'layer')}: {said[0]}; {said[1]}."
    return fig
