"""Figures of phase 1: tensors."""
import torch
from matplotlib.patches import Rectangle

from .base import COLOURS, ORANGE, SMALL, Picture, heat_map, listing, plain, plural, styled, tensor, whole_number

OPERATIONS = {"+": torch.add, "-": torch.sub, "*": torch.mul}


@styled
def tensor_grid(t, title=None):
    """A tensor of 1 or 2 dimensions as coloured cells with its numbers (at most its first 12 rows and columns)."""
    values = tensor(t, "t", "()", "(N,)", "(R, K)", finite=False)
    t = plain(t)
    shape, dtype = tuple(t.shape), str(t.dtype)[6:]
    grid = torch.atleast_2d(values)[:12, :12]
    known = grid[grid.isfinite()]
    low, high = (known.min().item(), known.max().item()) if len(known) else (0.0, 1.0)
    numbers = number_format(max(abs(low), abs(high))) if t.is_floating_point() else ".0f"
    rows, columns = grid.shape
    fig = Picture(0.9 + 0.66 * columns, 1.0 + 0.42 * rows)
    ax = fig.subplots()
    heat_map(ax, grid, None, low - (low == high), high, numbers=numbers, aspect="auto")
    ax.set_xticks(range(columns))
    ax.set_yticks(range(rows) if len(shape) == 2 else [])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    if len(shape) == 2:
        ax.set(xlabel="column", ylabel="row")
    elif shape:
        ax.set_xlabel("index")
    else:
        ax.set_xticks([])
    ax.xaxis.set_label_position("top")
    cut = grid.numel() < values.numel()
    part = f", the first {plural(rows, 'row')} and {plural(columns, 'column')}" if cut else ""
    ax.set_title(f"{title or 'tensor'}: {shape} {dtype}{part}".replace("$", r"\$"))
    body = "; ".join(" ".join(format(v, numbers) for v in row) for row in grid[:4, :8].tolist())
    verb = "reads" if grid.numel() == grid[:4, :8].numel() else "begins"
    fig.alt = (f"{title + ': a' if title else 'A'} tensor of shape {shape} and type {dtype}{part}; numbers from "
               f"{low:g} to {high:g}. It {verb}, row by row: {body}.")
    return fig


def number_format(largest):
    """Two digits after the point, none for thousands, powers of ten beyond; a cell has room for seven characters."""
    return ".2f" if 0.01 <= largest < 1000 or largest == 0 else ".0f" if 1000 <= largest < 1e5 else ".1e"


@styled
def split_heads(x, num_heads):
    """Which feature goes to which head: `x` (T, C), or the first of (B, T, C), above its `num_heads` parts (T, D).

    At most 4 positions are drawn; C may be up to 32.
    """
    values = tensor(x, "x", "(T, C)", "(B, T, C)")
    decimals = ".1f" if plain(x).is_floating_point() else ".0f"
    x = values[0] if values.dim() == 3 else values
    whole_number(num_heads, "num_heads")
    (T, C), shown = x.shape, x[:4]
    if C % num_heads or C > 32:
        raise ValueError(f"x must have a number of features that num_heads divides, at most 32 of them; "
                         f"{C} features and {num_heads} heads were given.")
    D, low, high = C // num_heads, shown.min().item(), shown.max().item()
    fig = Picture(8.0, 1.9 + 0.7 * len(shown))
    top, *parts = fig.subplot_mosaic([["x"] * C, [h for h in range(num_heads) for _ in range(D)]]).values()
    for ax, start, stop, title in [(top, 0, C, f"x: (T, C) = ({T}, {C})")] + [
            (ax, h * D, h * D + D, f"head {h}") for h, ax in enumerate(parts)]:
        numbers = decimals if C <= 16 else None
        heat_map(ax, shown[:, start:stop], None, low, high + (low == high), "cividis", numbers, "auto")
        step = 1 if C <= 16 else 2 if D > 1 else 1
        ax.set_xticks(range(0, stop - start, step), range(start, stop, step), fontsize=SMALL if C <= 16 else 9)
        ax.set_yticks(range(len(shown)) if start == 0 else [])
        ax.tick_params(length=0)
        ax.set_title(title, fontweight="bold")
    for h, ax in enumerate(parts):      # a bar in the head's colour under its features, above and below
        for where, start in ((top, h * D), (ax, 0)):
            where.plot([start - 0.4, start + D - 0.6], [len(shown) - 0.42] * 2, color=COLOURS[h % 5], linewidth=4,
                       solid_capstyle="butt", clip_on=False)
    fig.supylabel("position", fontsize=10)
    fig.supxlabel("feature (number of the column of x)", fontsize=10)
    fig.alt = (f"The {C} features of each position are dealt to {num_heads} heads in runs of D = {D}: "
               + listing(f"head {h} gets {h * D} to {h * D + D - 1}" if D > 1 else f"head {h} gets {h}"
                       for h in range(num_heads)) + f". Drawn for {len(shown)} of {plural(T, 'position')}.")
    return fig


@styled
def strides(t, title):
    """A tensor (R, K) or (..., R, K) of at most 24 numbers: its memory as one line, and the grid that is read from it.

    Where a dimension stands in front, each of its parts has a grid of its own. Strides say how many places in memory
    one step along a dimension is.
    """
    t = plain(t)
    if not 2 <= t.dim() <= 4 or not 1 <= t.numel() <= 24:
        raise ValueError(f"t must have 2 to 4 dimensions and 1 to 24 numbers; this one has shape {tuple(t.shape)}.")
    memory, blocks = in_memory(t).double(), t.flatten(0, -3).double() if t.dim() > 2 else t[None].double()
    low, high = memory.min().item(), memory.max().item()
    numbers = ".1f" if t.is_floating_point() else ".0f"
    fig = Picture(8.4, 1.9 + 0.36 * t.shape[-2])
    top, *grids = fig.subplot_mosaic([["memory"] * len(blocks), list(range(len(blocks)))],
                                     height_ratios=[1, t.shape[-2]]).values()
    heat_map(top, memory[None], None, low, high + (low == high), numbers=numbers, aspect="auto")
    top.set_title("memory: the place of each number above it")
    top.xaxis.tick_top()
    top.set(xticks=range(len(memory)), yticks=[])
    for i, (ax, block) in enumerate(zip(grids, blocks)):
        heat_map(ax, block, None, low, high + (low == high), numbers=numbers, aspect="auto")
        ax.set(xticks=range(t.shape[-1]), yticks=range(t.shape[-2]))
        ax.set_title(f"{title}: {tuple(t.shape)}, strides {t.stride()}" if i == 0 else "")
    for ax in (top, *grids):
        ax.tick_params(length=0)
    order = "straight through memory" if t.is_contiguous() else "not in the order of memory"
    fig.alt = (f"{title}: shape {tuple(t.shape)}, strides {t.stride()}; read row by row, its numbers come {order}: "
               + " ".join(f"{v:g}" for v in t.flatten().tolist()) + ". Memory holds "
               + " ".join(f"{v:g}" for v in memory.tolist()) + ".")
    return fig


def in_memory(t):
    """All numbers of the memory that a tensor is read from, in their order there: (N,)."""
    return t.as_strided((t.untyped_storage().nbytes() // t.element_size(),), (1,), 0)


@styled
def broadcasting(left, right, names=("left", "right"), sign="+"):
    """Two tensors (N,) or (R, K), each repeated as broadcasting does it, and what `sign` (+, - or *) makes of them.

    The numbers themselves are framed; the others are copies.
    """
    left, right = (tensor(t, name, "(N,)", "(R, K)") for t, name in zip((left, right), names))
    try:
        result = OPERATIONS[sign](left, right)
    except RuntimeError as refused:
        raise ValueError(f"{names[0]} and {names[1]} do not fit together: {str(refused).rstrip('.')}.") from None
    rows, columns = torch.atleast_2d(result).shape
    numbers = number_format(result.abs().max().item()) if result.frac().any() else ".0f"
    fig = Picture(1.2 + 1.8 * columns, 1.0 + 0.42 * rows)
    shown = zip(fig.subplots(1, 3), (left, right, result), ("", f"{sign}  ", "=  "), (*names, "result"))
    for ax, t, before, name in shown:
        own, grid = torch.atleast_2d(t), torch.atleast_2d(t.expand(result.shape))
        low, high = own.min().item(), own.max().item()
        heat_map(ax, grid, None, low - (low == high), high, numbers=numbers, aspect="auto")
        ax.add_patch(Rectangle((-0.5, -0.5), own.shape[1], own.shape[0], fill=False, edgecolor=ORANGE, linewidth=4))
        ax.set_title(f"{before}{name} {tuple(t.shape)}".replace("$", r"\$"))
        ax.set(xticks=[], yticks=[])
    times = [result.numel() // t.numel() for t in (left, right)]
    fig.alt = (f"{names[0]} {tuple(left.shape)} {sign} {names[1]} {tuple(right.shape)} has the shape "
               f"{tuple(result.shape)}: {names[0]} is used {plural(times[0], 'time')}, {names[1]} "
               f"{plural(times[1], 'time')}. Row by row the result reads "
               + "; ".join(" ".join(f"{v:.4g}" for v in row) for row in torch.atleast_2d(result).tolist()) + ".")
    return fig
