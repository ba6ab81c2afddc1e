"""What every figure needs: the course's style, display with a description, checked arguments, maps, lines and bars."""
import base64
import functools
import html
import io
import math
import re
import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

BLUE, ORANGE, GREEN, PINK, BLACK = COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000")
LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), ":")
MARKERS = ("o", "s", "^", "D", "v")
MONO = "DejaVu Sans Mono"
SMALL = 9.5     # points; nothing in a figure is set smaller than 9
LARGEST = 54_000    # bytes of a PNG; it is in the notebook twice, as text: 144 kB
DPI = 144       # saved at 1.5 times the 96 pixels per inch at which it is shown, so that text stays sharp

# The notebook may have chosen a style of its own (a dark one, say). Figures here always look the same: matplotlib's
# defaults plus the lines below, in force only while one of our figures is made or drawn.
_DRAWING = ("axes.", "figure.", "font.", "grid.", "hatch.", "image.", "legend.", "lines.", "mathtext.", "patch.",
            "path.", "text.", "xtick.", "ytick.")
_STYLE = {key: value for key, value in matplotlib.rcParamsDefault.items() if key.startswith(_DRAWING)}
_STYLE |= {"font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left",
           "axes.titlepad": 8, "axes.labelsize": 10, "xtick.labelsize": SMALL, "ytick.labelsize": SMALL,
           "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.8, "lines.markersize": 5}


class Picture(Figure):
    """A Figure that carries its description in `alt`."""

    def __init__(self, width, height):
        super().__init__(figsize=(width, height), dpi=96, facecolor="white", layout="constrained")
        FigureCanvasAgg(self)
        self.alt = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        return bundle(self, self.alt)          # the last line of a cell: shown with its description too


def show(fig, alt=None):
    """Display `fig` once, with `alt` (its own description if not given) for screen readers, and close it.

    Outside IPython, where there is nothing to display on, the description is printed instead. Returns None.
    """
    if not isinstance(fig, Figure):
        raise ValueError(f"fig must be a matplotlib Figure, such as the functions of helpers.plots return, "
                         f"not {type(fig).__name__}.")
    alt = alt or getattr(fig, "alt", "") or "A figure without a description."
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import display
        data, metadata = bundle(fig, alt)
        display(data, metadata=metadata, raw=True)
    else:
        print(alt.encode("ascii", "backslashreplace").decode())
    if "matplotlib.pyplot" in sys.modules:      # a figure that the learner made with pyplot is still open there
        sys.modules["matplotlib.pyplot"].close(fig)


def bundle(fig, alt):
    """(data, metadata) for IPython. JupyterLab drops the alt text of an image/png, but keeps that of an <img>."""
    buffer = io.BytesIO()
    style = _STYLE if isinstance(fig, Picture) else {}      # numbers on the axes are only written while drawing
    with matplotlib.rc_context(style | {"savefig.transparent": False}):
        fig.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08, facecolor="white")
    picture = Image.open(buffer).convert("RGB")
    width, height = (round(side * 96 / DPI) for side in picture.size)
    code = base64.b64encode(_small_png(picture)).decode()
    image = (f'<img alt="{html.escape(alt)}" width="{width}" style="max-width: 100%; height: auto; background: white" '
             f'src="data:image/png;base64,{code}">')
    return {"text/html": image, "image/png": code, "text/plain": alt}, {"image/png": {"width": width, "height": height}}


def _small_png(picture):
    """The bytes of an RGB image with a palette: a quarter of the size in the notebook. Fewer pixels if all else fails.

    Pillow's own palettes average neighbouring colours, which turns a thin green line beside many blue ones blue.
    """
    codes = np.array(picture, dtype=np.int32) @ np.array([65536, 256, 1], dtype=np.int32)
    codes, at, counts = np.unique(codes, return_inverse=True, return_counts=True)
    rgb = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.float32)
    often = counts.argsort()[::-1]
    for colours in (256, 64, 32):
        chosen, nearest, distance = [], np.zeros(len(rgb), dtype=np.uint8), np.full(len(rgb), np.inf, dtype=np.float32)
        for i in range(min(colours, len(rgb))):     # half of them the most frequent, then what is farthest from those
            chosen.append(often[i] if i < colours // 2 else distance.argmax())
            to_new = ((rgb - rgb[chosen[i]]) ** 2).sum(axis=1)
            nearest[to_new < distance] = i
            distance = np.minimum(distance, to_new)
        small = Image.frombytes("P", picture.size, nearest[at].tobytes())
        small.putpalette(rgb[chosen].astype(np.uint8).flatten().tolist())
        buffer = io.BytesIO()
        small.save(buffer, "png")
        if buffer.tell() <= LARGEST:
            return buffer.getvalue()
    return _small_png(picture.resize([side * 2 // 3 for side in picture.size], Image.Resampling.LANCZOS))


def styled(function):
    """Run `function` in the course's style, and leave the notebook's own as it was."""
    @functools.wraps(function)
    def in_style(*args, **kwargs):
        with matplotlib.rc_context(_STYLE):
            return function(*args, **kwargs)
    return in_style


def tensor(value, name, *shapes, finite=True):
    """`value` as a float64 tensor on the CPU. ValueError unless it fits one of `shapes`, such as "(T, T)"."""
    wanted = f"{name} must be a tensor of numbers of shape {' or '.join(shapes)}"
    try:
        t = plain(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{wanted}, not {type(value).__name__}.") from None
    if t.is_complex() or not any(_fits(t.shape, shape) for shape in shapes):
        raise ValueError(f"{wanted}; this one has shape {tuple(t.shape)} and dtype {str(t.dtype)[6:]}.")
    t = t.to(torch.float64)
    if finite and not t.isfinite().all():
        raise ValueError(f"{name} holds {int((~t.isfinite()).sum())} value(s) that are not finite (NaN or infinity).")
    return t


def plain(value):
    """A tensor, array, number or list (also of tensors with gradients, where torch would warn) as a CPU tensor."""
    if isinstance(value, (list, tuple)):
        value = [v.detach().cpu() if isinstance(v, torch.Tensor) else v for v in value]
    return torch.as_tensor(value).detach().cpu()


def _fits(sizes, shape):
    """Whether `sizes` fit `shape`: same letter same size, a number is itself, nothing is empty."""
    names = re.findall(r"\w+", shape)
    fixed = all(size == int(name) for name, size in zip(names, sizes) if name.isdigit())
    return fixed and len(names) == len(sizes) and 0 not in sizes and len(set(zip(names, sizes))) == len(set(names))


def names_of(value, name, count=None, what=None):
    """A str or a list of str, one per row of a tensor, as a list of `count` str (any number if None)."""
    if not isinstance(value, (str, list, tuple)) or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{name} must be a str or a list of str, not {type(value).__name__}.")
    if count is not None and len(value) != count:
        raise ValueError(f"{name} must have {count} characters, one for each {what}; this one has {len(value)}.")
    return list(value)


def whole_number(value, name, least=1):
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return value


def whole_numbers(values, name, least=1):
    if not isinstance(values, (list, tuple, range)):
        raise ValueError(f"{name} must be a list of whole numbers, not {values!r}.")
    return [whole_number(value, f"each of {name}", least) for value in values]


def visible(text):
    r"""`text` as drawn: a newline as \n, a space as an open box, what the fonts cannot draw as its code."""
    return "".join(_glyph(c) for c in text)


@functools.cache
def _glyph(c):
    if c in " $":
        return {" ": "\u2423", "$": r"\$"}[c]   # two bare dollar signs would start a formula
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    drawable = all(get_font(str(fonts / f)).get_char_index(ord(c)) for f in ("DejaVuSans.ttf", "DejaVuSansMono.ttf"))
    return c if c.isprintable() and drawable else ascii(c)[1:-1]


def spoken(text):
    """`text` as read aloud: ASCII, with the names of characters that have no sound."""
    return {" ": "space", "\n": "newline", "\t": "tab"}.get(text) or ascii(text)


def listing(items):
    items = list(items)
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def plural(count, word):
    return f"{count} {word}" + "s" * (count != 1)


def two_digits(value):
    """A number that may be just below 0, with two digits after the point: "0.00", not "-0.00"."""
    return f"{round(float(value), 2) + 0.0:.2f}"


def name_ticks(axis, names, inches):
    """Write `names` at 0, 1, 2, ...: all of them; if `inches` are few, in two rows; if fewer still, every k-th."""
    n, need, upright = len(names), 0.125, axis.axis_name == "y" or max(map(len, names)) <= 2
    axis.set_tick_params(labelfontfamily=MONO, labelsize=10 if inches / n > 0.19 else 9, length=2)
    angle = 0 if upright else 90
    if n * need <= inches:
        axis.set_ticks(range(n), names, rotation=angle)
    elif n * need <= 2 * inches and max(map(len, names)) <= 2:
        axis.set_ticks(range(0, n, 2), names[::2])
        axis.set_ticks(range(1, n, 2), names[1::2], minor=True)
        axis.set_tick_params(which="minor", labelfontfamily=MONO, labelsize=9, length=15, width=0.5, color="#999999")
    else:
        at = range(0, n, math.ceil(n * 0.16 / inches))
        axis.set_ticks(at, [f"{i} {names[i]}" for i in at], rotation=0 if axis.axis_name == "y" else 90)


def heat_map(ax, values, unit=None, low=-1.0, high=1.0, cmap="viridis", numbers=None, aspect="equal"):
    """The heat map of a (rows, columns) tensor. `unit` labels its colour bar; `numbers` (a format) fills the cells."""
    image = ax.imshow(values.numpy(), cmap=matplotlib.colormaps[cmap].with_extremes(bad="#BBBBBB"), vmin=low, vmax=high,
                      interpolation="nearest", aspect=aspect)
    ax.spines[:].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    if unit:
        bar = ax.figure.colorbar(image, ax=ax, label=unit, fraction=0.05, pad=0.02)
        bar.outline.set_visible(False)
    for i, j in torch.cartesian_prod(*map(torch.arange, values.shape)).tolist() if numbers else ():
        value = values[i, j].item()
        ax.text(j, i, format(value, numbers), ha="center", va="center", fontsize=SMALL, color=ink(image, value))
    return image


def ink(image, value):
    """Black or white, whichever is easier to read on the colour of `value`."""
    r, g, b, _ = image.cmap(image.norm(value)) if math.isfinite(value) else (0.7, 0.7, 0.7, 1)
    return "white" if 0.2126 * r**2.2 + 0.7152 * g**2.2 + 0.0722 * b**2.2 < 0.18 else "black"


def line_labels(ax, items, inches):
    """Write labels (x, y, text, colour) right of the axes, each tied to its point, moved apart where they would touch.

    The limits of `ax` must be final; `inches` is about its height.
    """
    gap, to_axes = 0.17 / inches, (ax.transScale + ax.transLimits).transform
    items = sorted(((to_axes((x, y))[1], x, y, text, colour) for x, y, text, colour in items if math.isfinite(y)),
                   key=lambda item: item[0])
    heights = [item[0] for item in items]
    for i in range(1, len(items)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    ceiling = max([1.0] + [item[0] for item in items])
    for i in reversed(range(len(items))):       # what was pushed out at the top pushes the others back down
        heights[i] = min(heights[i], ceiling)
        ceiling = heights[i] - gap
    right = ax.get_xlim()[1]
    for height, (_, x, y, text, colour) in zip(heights, items):     # dotted: the line ended before the axes do
        ax.annotate(text, (x, y), xytext=(1.04, height), textcoords="axes fraction", va="center", fontsize=SMALL,
                    arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1, "shrinkA": 1, "shrinkB": 0,
                                "linestyle": "-" if x == right else ":", "relpos": (0, 0.5)})


def last_point(x, y, label, colour):
    """What `line_labels` wants: the last point of a line that is a number, its label and its colour."""
    known = [i for i, value in enumerate(y) if math.isfinite(value)] or [0]
    return x[known[-1]], y[known[-1]], label, colour


def line_plot(ax, x, series, inches):
    """Draw `series` {label: values} over `x`, each line with its own colour, style, marker and direct label."""
    count, ends = len(x), []
    for (label, y), colour, line, marker in zip(series.items(), COLOURS, LINES, MARKERS):
        every = None if count <= 25 else (len(ends) * count // 50, max(1, count // 8))     # markers not on one another
        ax.plot(x, y, color=colour, linestyle=line, marker=marker, markevery=every, clip_on=False)
        ends.append(last_point(x, y, label, colour))
    ax.margins(x=0)
    ax.autoscale_view()
    line_labels(ax, ends, inches)


def bar_plot(ax, names, probabilities, colour=BLUE):
    """Horizontal bars, the first on top, with the number at the end of each."""
    bars = ax.barh(range(len(names)), probabilities, color=colour, edgecolor="black", linewidth=0.6)
    ax.bar_label(bars, [f"{p:.1%}" for p in probabilities], padding=3, fontsize=SMALL)
    ax.set(xlim=(0, max(probabilities) * 1.25 or 1), ylim=(len(names) - 0.4, -0.6), xlabel="probability")
    ax.set_yticks(range(len(names)), names, fontfamily=MONO, fontsize=10)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
