"""Figures of phase 3a: embeddings and positions."""
import torch
import torch.nn.functional as F

from .base import (
    BLUE,
    Picture,
    heat_map,
    line_plot,
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


def _table(table):
    return tensor(table, "table", "(T, C)")


def value_range(table):
    """(low, high) of the colours: -1 to 1, unless a value lies outside."""
    return min(-1.0, table.min().item()), max(1.0, table.max().item())


def _crossings(column):
    """How often a sequence changes its sign (zeros are skipped), in words."""
    signs = column[column != 0].sign()
    return plural(int((signs[1:] != signs[:-1]).sum()), "sign change")


@styled
def positional_encoding(table):
    """Heat map of a positional table (T, C): one row per position, one column per dimension."""
    table = _table(table)
    T, C = table.shape
    low, high = value_range(table)
    fig = Picture(7.6, 4.2)
    ax = fig.subplots()
    heat_map(ax, table, "value", low, high, aspect="auto")
    ax.set(xlabel="dimension (0 = fastest wave)", ylabel="position in the text")
    fig.alt = (f"Positional table of {plural(T, 'position')} in {plural(C, 'dimension')}, values from "
               f"{table.min():.2f} to {table.max():.2f}. From the first to the last position "
               + listing(f"dimension {d} has {_crossings(table[:, d])}" for d in sorted({0, C // 2, C - 1})) + ".")
    return fig


@styled
def positional_waves(table, dims=(0, 2, 8)):
    """A few columns (at most 5) of a positional table (T, C) as curves over the (first 100) positions."""
    table = _table(table)[:100]
    T, C = table.shape
    dims = whole_numbers(dims, "dims", least=0)
    if not 1 <= len(set(dims)) == len(dims) <= 5 or max(dims) >= C:
        raise ValueError(f"dims must be 1 to 5 different dimensions below {C}, not {dims}.")
    fig = Picture(7.6, 3.4)
    ax = fig.subplots()
    ax.axhline(0, color="#767676", linewidth=0.8)
    line_plot(ax, list(range(T)), {f"dimension {d}": table[:, d].tolist() for d in dims}, 2.7)
    ax.set(xlabel="position in the text", ylabel="value added to the embedding")
    fig.alt = (f"Waves of the positional table over {plural(T, 'position')}: "
               + listing(f"dimension {d} runs between {table[:, d].min():.2f} and {table[:, d].max():.2f} with "
                       f"{_crossings(table[:, d])}" for d in dims) + ".")
    return fig


@styled
def position_similarity(table):
    """Cosine similarity of every two positions of a table (T, C), and its mean at each distance."""
    unit = F.normalize(_table(table), dim=-1)
    like = unit @ unit.T
    T = len(like)
    mean = [like.diagonal(d).mean().item() for d in range(T)]
    fig = Picture(8.2, 3.7)
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.05])
    heat_map(left, like, "cosine similarity")
    left.set(xlabel="position", ylabel="position", title="every two positions")
    right.plot(mean, color=BLUE, marker="o", markevery=max(1, T // 12))
    right.set(xlabel="distance (positions)", ylabel="mean cosine similarity", title="by distance")
    right.axhline(0, color="#767676", linewidth=0.8)
    far = [d for d in (1, 4, 16, 64) if d < T]
    lowest = min(range(T), key=mean.__getitem__)
    fig.alt = (f"Cosine similarity of {T} positions by distance: "
               + "".join(f"{mean[d]:.2f} at {d}, " for d in far) + f"lowest at {lowest} with {mean[lowest]:.2f}. "
               f"Pairs at the same distance differ by at most "
               f"{max((like.diagonal(d).max() - like.diagonal(d).min()).item() for d in range(T)):.2f}.")
    return fig


@styled
def similarity(vectors, labels):
    """Cosine similarity of every two of N vectors (N, C); `labels` are their N characters (a str or list of str)."""
    vectors = tensor(vectors, "vectors", "(N, C)")
    names = names_of(labels, "labels", len(vectors), "row of vectors")
    unit = F.normalize(vectors, dim=-1)
    like, N = unit @ unit.T, len(unit)
    side = min(7.0, max(2.2, 0.3 * N))
    fig = Picture(side + 1.2, side + 0.6)
    ax = fig.subplots()
    heat_map(ax, like, "cosine similarity", numbers=".1f" if N <= 14 else None)
    for axis in (ax.xaxis, ax.yaxis):
        name_ticks(axis, [visible(name) for name in names], side)
    ax.set(xlabel="character", ylabel="character")
    fig.alt = f"Cosine similarity of {plural(N, 'vector')}"
    if N > 1:
        pairs = torch.triu_indices(N, N, 1)
        values = like[pairs[0], pairs[1]]
        (a, b), (c, d) = (pairs[:, k].tolist() for k in (values.argmax(), values.argmin()))
        fig.alt += (f": most alike are {spoken(names[a])} and {spoken(names[b])} ({values.max():.2f}), least alike "
                    f"{spoken(names[c])} and {spoken(names[d])} ({values.min():.2f}); the mean over all pairs is "
                    f"{values.mean():.2f}")
    fig.alt += "."
    return fig
