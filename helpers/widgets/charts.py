"""Bars and axes in SVG, for the explorers whose pictures are neither maps nor texts."""
import html
import math

from ..plots.base import BLUE, ORANGE
from . import base

LEFT, ROW = 56, 24  # pixels: left of the axes, and the height of one bar with its gap


def bars(rows, words, label_width=60, room=300):
    """Horizontal bars, the first on top: `rows` are (label, share, text, kind), `words` are for a screen reader.

    share: from 0 to 1; the largest is `room` pixels long. text: written behind the bar. kind: "plain", "chosen"
    (another colour, a thick frame and a wedge before the label) or "removed" (only a dashed outline).
    """
    longest = max(share for _, share, _, _ in rows) or 1.0
    width = label_width + room + 12 + 8 * max(len(text) for _, _, text, _ in rows)
    styles = {"plain": f'fill="{BLUE}" stroke="none"',
              "chosen": f'fill="{ORANGE}" stroke="currentColor" stroke-width="2"',
              "removed": 'fill="none" stroke="currentColor" stroke-dasharray="4 3"'}
    parts = []
    for i, (label, share, text, kind) in enumerate(rows):
        y, long = i * ROW, max(1.0, room * share / longest)
        wedge = "\u25b8 " if kind == "chosen" else ""
        parts.append(
            text_at(label_width - 8, y + 17, wedge, "end", label)
            + f'<rect x="{label_width}" y="{y + 4}" width="{long:.1f}" height="{ROW - 8}" {styles[kind]}/>'
            + text_at(label_width + long + 6, y + 17, text))
    return base.svg(width, ROW * len(rows) + 4, parts, words)


def text_at(x, y, words, anchor="start", label=""):
    """Words at a point; `label`, already HTML (see `base.glyph`), follows them in letters of equal width."""
    mono = f'<tspan style="{base.MONO}; font-size: 15px">{label}</tspan>' if label else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}{mono}</text>'


def cell(x, y, width, height, share, words, framed=False):
    """A box on the colour of a number from 0 to 1, with `words` (from `text_at`) in black or white on it.

    Its frame stands off a little: right at the edge of a dark box a dark frame would not be seen.
    """
    fill, ink = base.colour(share)
    frame = (f'<rect x="{x - 2}" y="{y - 2}" width="{width + 4}" height="{height + 4}" fill="none" '
             f'stroke="currentColor" stroke-width="2"/>' if framed else "")
    return (f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>{frame}'
            f'<g fill="{ink}">{words}</g>')


class Axes:
    """A pair of axes: `x` and `y` turn numbers into pixels, the methods add to `parts`, `svg` makes the picture."""

    def __init__(self, x_range, y_range, x_label, y_label, width=560, height=280, right=110, log=False):
        """`right`: pixels kept free for labels behind the lines. `log`: y is drawn by powers of ten."""
        self.width, self.height, self.log = width, height, log
        self.edges = LEFT, width - right, 26, height - 42  # left, right, top, bottom
        self.x_range, self.y_range = x_range, [math.log10(v) for v in y_range] if log else y_range
        left, right, top, bottom = self.edges
        self.parts = [
            f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="currentColor"/>',
            text_at((left + right) / 2, height - 6, x_label, "middle"), text_at(0, 14, y_label)]
        for value in ticks(*x_range, whole=True):
            self.parts.append(text_at(self.x(value), bottom + 18, f"{value:g}", "middle"))
        for value in ticks(*self.y_range, whole=log):
            y = bottom - (value - self.y_range[0]) / (self.y_range[1] - self.y_range[0]) * (bottom - top)
            self.parts.append(
                f'<path d="M{left} {y:.1f}H{right}" stroke="currentColor" stroke-opacity="0.2"/>'
                + text_at(left - 6, y + 4, f"{10.0 ** value:g}" if log else f"{value:g}", "end"))

    def x(self, value):
        (low, high), (left, right, _, _) = self.x_range, self.edges
        return left + (value - low) / (high - low) * (right - left)

    def y(self, value):
        (low, high), (_, _, top, bottom) = self.y_range, self.edges
        return bottom - ((math.log10(value) if self.log else value) - low) / (high - low) * (bottom - top)

    def line(self, points, colour, dash="", width=2.5):
        path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
                          f'stroke-dasharray="{dash}"/>')

    def dot(self, x, y, colour, size=4, square=False):
        corner = 0 if square else size  # a square with round corners is a circle
        self.parts.append(f'<rect x="{self.x(x) - size:.1f}" y="{self.y(y) - size:.1f}" width="{2 * size}" '
                          f'height="{2 * size}" rx="{corner}" fill="{colour}"/>')

    def words(self, x, y, words, right=8, down=4):
        self.parts.append(text_at(self.x(x) + right, self.y(y) + down, words))

    def svg(self, words):
        return base.svg(self.width, self.height, self.parts, words)


def ticks(low, high, whole=False, count=6):
    """At most about `count` round numbers from `low` to `high`."""
    rough = max((high - low) / count, 1e-12)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough * 0.999)
    if whole:
        step = max(1, round(step))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
