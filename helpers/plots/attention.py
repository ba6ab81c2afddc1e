"""Figures of phase 3b: attention."""
import math

import torch
from matplotlib.patches import Patch

from .base import (
    BLUE,
    ORANGE,
    SMALL,
    Picture,
    heat_map,
    listing,
    name_ticks,
    names_of,
    plural,
    spoken,
    styled,
    tensor,
    visible,
    whole_numbers,
)


def _weight_range(weights):
    """(low, high, label) of the colours: 0 to 1, unless every weight is small or some are no weights at all."""
    known = weights[weights.isfinite()]
    low, high = (known.min().item(), known.max().item()) if len(known) else (0.0, 1.0)
    if low < -1e-6 or high > 1 + 1e-2:
        return low, high, "weight (some outside 0 to 1)"
    if high < 0.3:
        top = math.ceil(high * 20 + 1e-9) / 20
        return 0.0, top, f"weight (colours end at {top:g})"
    return 0.0, 1.0, "weight"


def _weight_warnings(weights):
    """What a map of weights (..., T, T) must not hide: NaN, rows that do not add up to 1, negative weights."""
    bad, sums = int((~weights.isfinite()).sum()), weights.sum(-1)
    if bad:
        return f" Not finite (NaN or infinity): {bad} of {weights.numel()} weights."
    if weights.min() < -1e-6 or (sums - 1).abs().max() > 2e-2:
        return (f" These are no attention weights: rows add up to {sums.min():.2f} to {sums.max():.2f} instead of 1, "
                f"the smallest value is {weights.min():.2f}.")
    return ""


def _looks(weights, chars, i):
    j = weights[i].nan_to_num(-1).argmax().item()
    if not weights[i, j].isfinite():
        return f"{spoken(chars[i])} (position {i}) holds no number"
    return (f"{spoken(chars[i])} (position {i}) looks most at {spoken(chars[j])} (position {j}), "
            f"weight {weights[i, j]:.2f}")


@styled
def attention_map(weights, text):
    """Attention weights (T, T) of one head: row = query character, column = key character of `text` (T characters)."""
    weights = tensor(weights, "weights", "(T, T)", finite=False)
    T = len(weights)
    chars = names_of(text, "text", T, "row of weights")
    low, high, unit = _weight_range(weights)
    side = min(6.4, max(2.4, (0.5 if T <= 12 else 0.2) * T))
    fig = Picture(side + 1.5, side + 0.8)
    ax = fig.subplots()
    heat_map(ax, weights, unit, low, high, numbers=".2f" if T <= 12 else None)
    for axis in (ax.xaxis, ax.yaxis):
        name_ticks(axis, [visible(c) for c in chars], side)
    ax.set(xlabel="key character (looked at)", ylabel="query character (looking)")
    ahead = weights.triu(1).nan_to_num().sum().item() / T
    peaks = weights.nan_to_num(-1).amax(-1)
    peaks[(weights != 0).sum(-1) == 1] = -1     # a row with one visible key has no choice
    sharpest = peaks.argmax().item()
    fig.alt = f"Attention weights for {''.join(chars)!a}: row {_looks(weights, chars, T - 1)}."
    if sharpest != T - 1 and peaks[sharpest] > 0:
        fig.alt += f" The sharpest row: {_looks(weights, chars, sharpest)}."
    if weights.isfinite().all():
        fig.alt += " No row looks ahead." if ahead == 0 else f" {ahead:.0%} of the weight looks ahead."
    fig.alt += _weight_warnings(weights)
    return fig


@styled
def attention_heads(weights, text):
    """The attention maps (H, T, T) of all heads of one text side by side, in the same colours."""
    weights = tensor(weights, "weights", "(H, T, T)", finite=False)
    H, T = weights.shape[:2]
    chars = names_of(text, "text", T, "row of weights")
    low, high, unit = _weight_range(weights)
    columns = min(H, 3 if H in (5, 6, 9) else 4)
    rows, side = math.ceil(H / columns), {1: 4.0, 2: 3.2, 3: 2.3}.get(columns, 1.7)
    fig = Picture(columns * side + 1.5, rows * (side + 0.5) + 0.4)
    grid = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten().tolist()
    for h, ax in enumerate(grid[:H]):
        image = heat_map(ax, weights[h], None, low, high)
        ax.set_title(f"head {h}")
        for axis in (ax.xaxis, ax.yaxis):
            name_ticks(axis, [visible(c) for c in chars], side * 0.9)
        last, first = h + columns >= H, h % columns == 0
        ax.tick_params(which="both", bottom=last, labelbottom=last, left=first, labelleft=first)
    for ax in grid[H:]:
        ax.remove()
    fig.colorbar(image, ax=grid[:H], label=unit, fraction=0.04, pad=0.02).outline.set_visible(False)
    fig.supxlabel("key character (looked at)", fontsize=10)
    fig.supylabel("query character (looking)", fontsize=10)
    fig.alt = f"Attention of {plural(H, 'head')} for {''.join(chars)!a}. " + " ".join(
        f"Head {h} puts {_habit(w)}." for h, w in enumerate(weights)) + _weight_warnings(weights)
    return fig


def _habit(weights):
    """Where one head (T, T) mostly looks: of three places, the one with the most weight on average."""
    places = {"the character itself": weights.diagonal(), "the character before": weights.diagonal(-1),
              "the first character": weights[1:, 0]}
    shares = {name: w.nan_to_num().mean().item() for name, w in places.items() if len(w)}
    name = max(shares, key=shares.get)
    return f"{shares[name]:.0%} of its weight on {name}"


@styled
def causal_mask(mask):
    """A mask (T, T), bool or 0/1: which keys (columns) each query position (row) may see."""
    mask = tensor(mask, "mask", "(T, T)")
    if not ((mask == 0) | (mask == 1)).all():
        raise ValueError("mask must hold True and False, or 1 and 0, only.")
    T, seen = len(mask), int(mask.sum())
    side = min(5.0, max(2.4, 0.42 * T))
    fig = Picture(side + 0.8, side + 1.1)
    ax = fig.subplots()
    image = heat_map(ax, mask, None, -0.25, 1.0, "cividis", numbers=".0f" if T <= 16 else None)
    fig.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=SMALL, handles=[
        Patch(facecolor=image.cmap(image.norm(v)), edgecolor="black", label=label)
            for v, label in ((1, "1 visible"), (0, "0 hidden"))])
    ax.set(xlabel="key position (looked at)", ylabel="query position (looking)")
    ahead = int(mask.triu(1).sum())
    verdict = ("It is the causal mask: each position sees itself and what came before."
               if mask.equal(torch.ones(T, T, dtype=torch.float64).tril())
               else f"It is not the causal mask: {ahead} of the visible cells lie ahead of their row's position.")
    fig.alt = (f"Mask for {plural(T, 'position')}: {seen} of {plural(T * T, 'cell')} visible; "
               f"row 0 sees {int(mask[0].sum())}, row {T - 1} sees {int(mask[-1].sum())}. {verdict}")
    return fig


@styled
def scale_effect(embed_dims=(4, 64, 1024)):
    """Softmax over 8 random scores q @ k with and without the division by sqrt(C), for up to 4 widths C.

    Entries of q and k are standard normal; weights are sorted within each query, then averaged over 2000 queries.
    """
    embed_dims = whole_numbers(embed_dims, "embed_dims")
    if not 1 <= len(embed_dims) <= 4:
        raise ValueError("embed_dims must hold 1 to 4 widths.")
    random, top = torch.Generator().manual_seed(0), {}
    fig = Picture(1.2 + 2.3 * len(embed_dims), 3.3)
    for C, ax in zip(embed_dims, fig.subplots(1, len(embed_dims), sharey=True, squeeze=False)[0]):
        q, k = (torch.randn(500, n, C, generator=random) for n in (4, 8))
        scores = q @ k.transpose(1, 2)          # (500, 4, 8): 2000 queries, 8 keys each
        raw, scaled = (s.softmax(-1).sort(-1, descending=True).values.mean((0, 1)).tolist()
                       for s in (scores, scores / math.sqrt(C)))
        at = torch.arange(1, 9)
        ax.bar(at - 0.2, raw, 0.4, color="white", edgecolor=ORANGE, hatch="////", label="softmax(q k)")
        ax.bar(at + 0.2, scaled, 0.4, color=BLUE, edgecolor=BLUE, label="softmax(q k / \u221aC)")
        ax.text(0.8, raw[0] + 0.02, f"{raw[0]:.2f}", ha="center", fontsize=SMALL)
        ax.text(1.45, scaled[0] - 0.02, f"{scaled[0]:.2f}", fontsize=SMALL)
        ax.set(title=f"C = {C}", xlabel="key, by rank", xticks=range(1, 9), ylim=(0, 1.1))
        top[C] = raw[0], scaled[0]
    fig.axes[0].set_ylabel("mean weight")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=SMALL)
    fig.alt = ("Mean weight of the best of 8 random keys, without and with the division by the square root of C: "
               + listing(f"{a:.2f} and {b:.2f} at C = {C}" for C, (a, b) in top.items())
               + ".")
    return fig
