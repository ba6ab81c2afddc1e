"""Explorers of phase 3a: where a character stands."""
import math

import torch
import torch.nn.functional as F

from .. import plots
from ..plots.base import BLUE, GREEN, ORANGE, listing
from ..plots.embeddings import value_range
from . import base, charts, maps

WIDTHS = (2, 4, 8, 16, 32, 64, 128)  # what embed_dim can be chosen from: each divides the last, for maps of equal size
STEP = 84  # pixels from one dial to the next
LINES = ((BLUE, ""), (ORANGE, "9 4"), (GREEN, "2 4"))  # colour and dashes of the curves


def positions(make, embed_dim=32, max_len=64):
    """The table of positions as a clock and as a map: choose a position, and see where its hands point.

    Below, the same position in tables of all widths.

    make: the learner's `sinusoidal_table(max_len, embed_dim)`, which returns (T, C)
    Twin: `plots.positional_encoding`.
    """
    def draw(position, embed_dim):
        table = make(max_len, embed_dim).detach()
        other = position - 1 if position else 1  # the position before, but for the very first
        now, then = _hands(table[position]), _hands(table[other])
        wide = table.repeat_interleave(WIDTHS[-1] // embed_dim, dim=1)
        low, high = value_range(table)
        image = base.pixels(wide, f"Table of {max_len} positions in {embed_dim} dimensions", low, high, width=512)
        turned = [math.degrees(abs(math.remainder(a - b, math.tau))) for (_, _, a), (_, _, b) in zip(now, then)]
        finding = f"Position {position} in {embed_dim} dimensions: "
        finding += (f"the fastest hand has turned by {turned[0]:.3g} degrees since position {other}" if position else
                    f"the fastest hand turns by {turned[0]:.3g} degrees up to position 1")
        finding += (f", the slowest of the {len(now)} by {turned[-1]:.2g} degrees. The row begins "
                    + ", ".join(f"{value:.2f}" for value in table[position, :4].tolist()) + ".")
        return base.drawing(
            f"{_dials(now, then)}<div>A row for each position, 0 on top, the chosen one framed; a column for each "
            f"dimension, 0 on the left, {embed_dim - 1} on the right. Dark is {low:g}, bright {high:g}.</div>"
            f'<div style="padding: 4px">{maps.framed(image, position, max_len)}</div>'
            + _in_each_width(make, max_len, position, embed_dim, (low, high)), finding)

    def figure(position, embed_dim):
        return plots.positional_encoding(make(max_len, embed_dim))

    return base.Explorer(draw, figure, position=base.slider("position", 0, max_len - 1, 1),
                         embed_dim=base.choice("embed_dim", WIDTHS, embed_dim))


def _in_each_width(make, max_len, position, chosen, colours, tall=20):
    """The row of one position in tables of all widths, drawn equally long; the width `chosen` is framed."""
    rows = [make(max_len, C)[position].detach().repeat_interleave(WIDTHS[-1] // C) for C in WIDTHS]
    dots = torch.stack(rows).repeat_interleave(tall * WIDTHS[-1] // 512, dim=0)
    image = base.pixels(dots, f"Position {position} in {listing(map(str, WIDTHS))} dimensions", *colours, width=512)
    return (f"<div>Position {position} with each embed_dim, the chosen one framed:</div>"
            f'<div style="display: flex; padding: 4px"><div style="line-height: {tall}px; text-align: right; '
            f'padding-right: 8px">{"<br>".join(map(str, WIDTHS))}</div>'
            f"{maps.framed(image, WIDTHS.index(chosen), len(WIDTHS))}</div>")


def _hands(row):
    """(sine, cosine, angle) of each hand of a row (C,) of the table."""
    pairs = row[: len(row) // 2 * 2].reshape(-1, 2).tolist()
    return [(sine, cosine, math.atan2(sine, cosine)) for sine, cosine in pairs]


def _dials(now, then, most=8):
    """The hands as clocks side by side (of many, `most` of them, evenly picked); dashed: one position before."""
    count = min(most, len(now))
    picked = [round(i * (len(now) - 1) / max(1, count - 1)) for i in range(count)]
    parts = []
    for at, h in enumerate(picked):
        x, y, r = STEP * at + STEP / 2, 34, 30
        parts.append(f'<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="currentColor"/>'
                     f'<path d="M{x} {y - r}v6" stroke="currentColor"/>')
        for (sine, cosine, _), style in ((then[h], 'stroke="currentColor" stroke-dasharray="3 3"'),
                                         (now[h], f'stroke="{BLUE}" stroke-width="4"')):
            parts.append(f'<path d="M{x} {y}l{r * sine:.1f} {-r * cosine:.1f}" {style}/>')
        for line, words in enumerate((f"hand {h}", f"sin {now[h][0]:.2f}", f"cos {now[h][1]:.2f}")):
            parts.append(charts.text_at(x, 82 + 16 * line, words, "middle"))
    return base.svg(STEP * count, 120, parts, "Clocks: " + listing(
        f"hand {h} points to {math.degrees(now[h][2]) % 360:.0f} degrees" for h in picked))


def waves(table):
    """Three columns of a positional table (T, C) as curves: choose the dimensions, and a position to read them at.

    Twin: `plots.positional_waves`.
    """
    T, C = table.shape

    def draw(position, **dims):
        axes = charts.Axes((0, T - 1), value_range(table), "position in the text",
                           "value added to the embedding", right=150)
        axes.parts.append(f'<path d="M{axes.x(position):.1f} {axes.y(1)}V{axes.y(-1)}" stroke="currentColor" '
                          f'stroke-dasharray="1 3"/>')
        for d, (colour, dash) in zip(dims.values(), LINES):
            axes.line(list(enumerate(table[:, d].tolist())), colour, dash)
            axes.dot(position, table[position, d].item(), colour, 5)
        right, floor = axes.x(T - 1) + 8, -math.inf
        for d, (colour, dash) in sorted(zip(dims.values(), LINES), key=lambda end: axes.y(table[-1, end[0]].item())):
            floor = max(axes.y(table[-1, d].item()), floor + 16)  # names at the ends of the curves, moved apart
            axes.parts.append(f'<path d="M{right:.1f} {floor:.1f}h26" stroke="{colour}" stroke-width="2.5" '
                              f'stroke-dasharray="{dash}"/>' + charts.text_at(right + 32, floor + 4, f"dimension {d}"))
        chosen = list(dict.fromkeys(dims.values()))
        finding = (f"At position {position}: " + listing(
            f"dimension {d} is {table[position, d]:.2f}" for d in chosen) + ". A full turn takes " + listing(
            f"{_turn(table, d):.3g}" for d in chosen) + " positions.")
        return base.drawing(axes.svg(f"Curves of {len(chosen)} dimensions over {T} positions"), finding)

    def figure(position, **dims):
        return plots.positional_waves(table, list(dict.fromkeys(dims.values())))

    return base.Explorer(
        draw, figure, **{f"d{i}": base.slider(f"{name} dimension", 0, C - 1, min(C - 1, 4 * i))
                         for i, name in enumerate(("first", "second", "third"))},
        position=base.slider("read at position", 0, T - 1, T // 3))


def _turn(table, d):
    """How many positions the hand of column `d` needs for a full turn, from how far it turns at the first step."""
    sine = d - d % 2  # its column of sines; the one of cosines is next, unless the table ends before
    value = table[1, sine].item()
    angle = math.atan2(value, table[1, sine + 1].item()) if sine + 1 < table.shape[1] else math.asin(value)
    return math.tau / abs(angle) if angle else math.inf


def position_similarity(make, embed_dim=32, max_len=64):
    """How alike a position is to all others: choose it, and the width of the table.

    make: the learner's `sinusoidal_table(max_len, embed_dim)`, which returns (T, C)
    Twin: `plots.position_similarity`.
    """
    far = 5  # positions; nearer ones may well be alike

    def draw(position, embed_dim):
        unit = F.normalize(make(max_len, embed_dim).detach(), dim=-1)
        like = unit @ unit.T  # (T, T)
        mean = [like.diagonal(d).mean().item() for d in range(max_len)]
        axes = charts.Axes((1 - max_len, max_len - 1), (-1.0, 1.0), "distance from the chosen position",
                           "cosine similarity", right=20, width=470, height=260)
        axes.line([(d, mean[abs(d)]) for d in range(1 - max_len, max_len)], ORANGE, "4 4", 2)
        axes.line([(j - position, value) for j, value in enumerate(like[position].tolist())], BLUE)
        axes.dot(0, like[position, position].item(), BLUE, 5)
        image = base.pixels(like, f"Map of the similarity of {max_len} positions", -1.0, 1.0, width=220)
        others = [j for j in range(max_len) if abs(j - position) > far]
        twin = max(others, key=lambda j: like[position, j].item())
        off = max(abs(like[position, j].item() - mean[abs(j - position)]) for j in range(max_len))
        near = [d for d in (1, 4, 16) if position + d < max_len or position >= d]
        finding = (f"Position {position} in {embed_dim} dimensions: similarity " + listing(
            f"{mean[d]:.2f} at distance {d}" for d in near) + f". Of the positions more than {far} away, {twin} is the "
            f"most alike: {like[position, twin]:.2f}. From the mean of all positions, dashed, its curve is nowhere "
            f"farther than {off:.2f}.")
        return base.drawing(
            f'<div style="display: flex; flex-wrap: wrap; align-items: center"><div style="padding: 4px 16px 4px 4px">'
            f"{maps.framed(image, position, max_len)}<div>every two positions;<br>the chosen row framed</div></div>"
            f'{axes.svg(f"Similarity of position {position} by distance; at 0 it is 1.00")}</div>', finding)

    def figure(position, embed_dim):
        return plots.position_similarity(make(max_len, embed_dim))

    return base.Explorer(draw, figure, position=base.slider("position", 0, max_len - 1, max_len // 3),
                         embed_dim=base.choice("embed_dim", WIDTHS, embed_dim))
