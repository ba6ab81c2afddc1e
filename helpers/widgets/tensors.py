"""Explorers of phase 1: tensors."""
import functools
import html
import math

import torch

from .. import plots
from ..plots.base import BLUE, ORANGE, listing, plural, tensor
from ..plots.tensors import OPERATIONS, in_memory
from . import base

WIDE, TALL, EDGE = 40, 28, 3  # of a cell, and what a frame needs left of the first one, in pixels


def strides(x, split_heads, merge_heads, num_heads=2):
    """One row of memory, many ways to read it: choose a view of `x` and follow an element back into memory.

    `x` (T, C) has at most 24 numbers; `split_heads` and `merge_heads` are the learner's. Twin: `plots.strides`.
    """
    T, C = tensor(x, "x", "(T, C)").shape
    if T * C > 24:
        raise ValueError(f"x must have at most 24 numbers, so that a line has room for them; this one has {T * C}.")
    x = x.detach().clone(memory_format=torch.contiguous_format)  # in a memory of its own
    heads = split_heads(x[None], num_heads)  # (1, T, C) -> (1, H, T, D)
    views = {"x, as made": x, f"x.reshape({C}, {T})": x.reshape(C, T), "x.transpose(0, 1)": x.transpose(0, 1),
             f"split_heads, {num_heads} heads": heads, f"x.reshape{tuple(heads.shape)}": x.reshape(heads.shape),
             "merge_heads of those heads": merge_heads(heads),
             f"those heads.reshape({T}, {C})": heads.reshape(T, C)}
    low, high = x.min().item(), x.max().item()
    colour = functools.cache(lambda value: base.colour((value - low) / ((high - low) or 1)))

    def cell(left, top, value):
        return _cell(left, top, f"{value:g}", *colour(value))

    def draw(view, element):
        t = views[view]
        *stack, rows, columns = t.shape
        index = _index(element, t.shape)
        place, memory = _place(t, index), in_memory(t).tolist()
        row = [_place(t, [*index[:-1], j]) for j in range(columns)]  # where the numbers of the same row lie
        copied = t.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()

        parts = [_label(0, 14, "memory (another place: a copy of x)" if copied else "memory of x")]
        for i, value in enumerate(memory):
            parts += [_label(EDGE + (i + 0.5) * WIDE, 32, i, "middle", 12), cell(EDGE + i * WIDE, 38, value)]
        parts += [_bar(EDGE + i * WIDE, 38 + TALL) for i in row] + [_frame(EDGE + place * WIDE, 38)]
        top = 120 if stack else 100
        facts = f"shape {tuple(t.shape)},  stride() {t.stride()},  is_contiguous() {t.is_contiguous()}"
        parts.append(_label(0, 90, facts))
        for block in range(math.prod(stack)):  # a grid for each head
            at, left = _index(block, stack), EDGE + block * (columns + 0.6) * WIDE
            parts += [_label(left, 113, at, size=12)] * bool(stack)
            parts += [cell(left + j * WIDE, top + i * TALL, value)
                      for i, row_of in enumerate(t[tuple(at)].tolist()) for j, value in enumerate(row_of)]
            if at == index[:-2]:
                parts += [_bar(left, top + (index[-2] + 1) * TALL, columns * WIDE),
                          _frame(left + index[-1] * WIDE, top + index[-2] * TALL)]

        sums = " + ".join(f"{i}*{step}" for i, step in zip(index, t.stride()))
        walk = ("Read row by row, the grid goes straight through memory (contiguous)" if t.is_contiguous() else
                f"Read row by row, the grid jumps about in memory (not contiguous): in its rows by {t.stride(-1)}, "
                f"down its columns by {t.stride(-2)}")
        finding = (f"Element {index}, the {memory[place]:g}, lies at place {sums} = {place}. {walk}. "
                   f"{'The numbers were copied.' if copied else 'Nothing was copied.'}")
        words = f"Memory: {' '.join(f'{value:g}' for value in memory)}. {view}: {facts}. {index} lies at place {place}."
        return base.drawing(base.svg(len(memory) * WIDE + 2 * EDGE, top + rows * TALL + 4, parts, words), finding)

    return base.Explorer(
        draw, lambda view, element: plots.strides(views[view], view),
        view=base.choice("view", list(views), list(views)[3]),
        element=base.slider("element, row by row", 0, T * C - 1, C + 1))


def _index(number, shape):
    """The index, a list, of element `number` of a tensor, counted row by row."""
    index = []
    for size in reversed(shape):
        number, i = divmod(number, size)
        index.insert(0, i)
    return index


def _place(t, index):
    """Where in its memory a tensor keeps the element at `index`."""
    return t.storage_offset() + sum(i * step for i, step in zip(index, t.stride()))


def matmul(a, b, result, rows=None, columns=None):
    """The matrix product cell by cell: choose a row of `a` and a column of `b`; their sum of products is written out.

    `a` is (R, K), `b` (K, S), and `result` (R, S) is what the learner's code made of them, all with at most 8 rows and
    columns. `rows` and `columns` are names for those of the result. Twin: `plots.tensor_grid`.
    """
    shapes = [tuple(tensor(t, name, "(R, K)").shape) for t, name in ((a, "a"), (b, "b"), (result, "result"))]
    (R, K), (_, S), _ = shapes
    if shapes[1:] != [(K, S), (R, S)] or max(R, K, S) > 8:
        raise ValueError(f"a (R, K), b (K, S) and result (R, S) must fit together and have at most 8 rows and columns; "
                         f"their shapes are {listing(map(str, shapes))}.")
    rows, columns = rows or list(map(str, range(R))), columns or list(map(str, range(S)))
    if (len(rows), len(columns)) != (R, S):
        raise ValueError(f"the result has {R} rows and {S} columns, but names for {len(rows)} rows and {len(columns)} "
                         f"columns were given.")
    margin, wide = 24 + 8 * max(map(len, rows)), max(WIDE, 10 + 8 * max(map(len, columns)))
    left, top = margin + (K + 1) * WIDE, 36 + (K + 1) * TALL  # of the result, which is right of a and below b

    def draw(row, column):
        x, y = left + column * wide, top + row * TALL
        parts = [_label(margin, top - 8, "a"), _label(left - 8, 50, "b", "end"), _label(left, top - 8, "a @ b")]
        parts += [_label(margin - 8, top + i * TALL + 19, name, "end") for i, name in enumerate(rows)]
        parts += [_label(left + (j + 0.5) * wide, 26, name, "middle") for j, name in enumerate(columns)]
        parts += [*_grid(margin, top, a), *_grid(left, 32, b, wide), *_grid(left, top, result, wide)]
        parts += [_frame(margin, y, K * WIDE), _frame(x, 32, wide, K * TALL, BLUE, "8 4"), _frame(x, y, wide)]
        pairs = list(zip(a[row].tolist(), b[:, column].tolist()))
        sums = " + ".join(f"{_factor(p)}*{_factor(q)}" for p, q in pairs)
        finding = (f"Row {row} of a ({rows[row]}) with column {column} of b ({columns[column]}): {sums} = "
                   f"{sum(p * q for p, q in pairs):.4g}.")
        words = (f"a, {R} by {K}, and b, {K} by {S}, around their product. Framed: row {row} of a, column {column} of "
                 f"b, and where they meet in the product, {result[row, column].item():.4g}.")
        return base.drawing(base.svg(left + S * wide + 4, top + R * TALL + 4, parts, words), finding)

    def figure(row, column):
        return plots.tensor_grid(result.long() if result.equal(result.round()) else result, title="a @ b")

    return base.Explorer(draw, figure, row=base.slider("row of a", 0, R - 1, R - 1),
                         column=base.slider("column of b", 0, S - 1, S // 2))


def _factor(number):
    return f"{number:.4g}" if number >= 0 else f"({number:.4g})"


def broadcasting(**tensors):
    """How two shapes are brought together, step by step: choose two of the tensors and what to do with them.

        broadcasting(a=a, row=row, column=column)

    Each has 1 or 2 dimensions, with at most 4 rows and columns; the first two fit together. Twin: `plots.broadcasting`.
    """
    for name, t in tensors.items():
        if max(tensor(t, name, "(N,)", "(R, K)").shape) > 4:
            raise ValueError(f"{name} must have at most 4 rows and columns; its shape is {tuple(t.shape)}.")

    def draw(left, sign, right, step):
        made = {"left": tensors[left], "right": tensors[right]}
        places = max(t.dim() for t in made.values())
        sizes = [[None] * (places - t.dim()) + list(t.shape) for t in made.values()]  # flush right
        rules = [_rule(p, q) for p, q in zip(*sizes)]
        titles = [left, right, "result"]
        try:
            made["result"], refusal = OPERATIONS[sign](*made.values()), ""
        except RuntimeError as refused:
            refusal = str(refused).rstrip(".")

        parts, start, at, tall = [], 16 + 8 * max(map(len, titles)), EDGE, 1
        for line, row in enumerate([*sizes, [size or "?" for _, size in rules]][:3 if step > 1 else 2]):
            parts.append(_label(start - 8, 43 + line * TALL, titles[line], "end"))
            parts += [_cell(start + i * 150 + 45, 24 + line * TALL, str(size or ""), wide=60,
                            dash="" if size else "4 3") for i, size in enumerate(row)]
        for i, (rule, _) in enumerate(rules):
            parts += [_label(start + 75 + i * 150, 16, f"dimension {i - places}", "middle"),
                      _label(start + 75 + i * 150, 128, rule, "middle")]

        for title, before, t in zip(titles, ("", sign, "="), list(made.values())[:3 if step > 2 else 2]):
            own, grid = torch.atleast_2d(t), torch.atleast_2d(t)
            if step > 1 and not refusal:
                grid = grid.expand(torch.atleast_2d(made["result"]).shape)
            at += 32 * bool(before)
            parts += [_label(at - 16, 195, before, "middle", 16), _label(at, 168, title)]
            parts += _grid(at, 176, grid, WIDE + 8, own.shape)
            if own.shape != grid.shape:
                parts.append(_frame(at, 176, own.shape[1] * (WIDE + 8), own.shape[0] * TALL))
            at, tall = at + grid.shape[1] * (WIDE + 8), max(tall, len(grid))

        shapes = f"{left} {tuple(tensors[left].shape)} and {right} {tuple(tensors[right].shape)}"
        if step == 1:
            finding = f"{shapes}, flush right. " + "; ".join(
                f"dimension {i - places}: {rule}" for i, (rule, _) in enumerate(rules)) + "."
        elif refusal:
            finding = (f"{shapes} do not fit: no copies help where two sizes differ and neither is 1." if step == 2 else
                       f"PyTorch refuses {shapes}: {refusal}.")
        elif step == 2:
            times = [made["result"].numel() // tensors[name].numel() for name in (left, right)]
            finding = (f"{left} is used {plural(times[0], 'time')}, {right} {plural(times[1], 'time')}; the numbers "
                       f"themselves are framed, their copies dashed." if max(times) > 1 else
                       f"{shapes} have the same shape: each is used 1 time, nothing is copied.")
        else:
            finding = (f"{left} {sign} {right} has the shape {tuple(made['result'].shape)}: {made['result'].numel()} "
                       f"numbers, made of {tensors[left].numel()} and {tensors[right].numel()}.")
        width = max(at, start + 150 * places) + 4
        return base.drawing(base.svg(width, 180 + tall * TALL, parts, f"Step {step}. {finding}"), finding)

    def figure(left, sign, right, step):
        return plots.broadcasting(tensors[left], tensors[right], (left, right), sign)

    options = [(f"{name} {tuple(t.shape)}", name) for name, t in tensors.items()]
    names = list(tensors)
    return base.Explorer(
        draw, figure, left=base.choice("on the left", options, names[0]), sign=base.choice("sign", list(OPERATIONS)),
        right=base.choice("on the right", options, names[1]), step=base.slider("step", 1, 3, 3))


def _rule(p, q):
    """What becomes of two sizes, one below the other (None: there is none): (words, size), or (words, None)."""
    if p == q:
        return "equal", p
    if p is None or q is None:
        return f"missing, becomes {p or q}", p or q
    if 1 in (p, q):
        return f"1 becomes {max(p, q)}", max(p, q)
    return f"{p} is not {q}", None


# --- cells -------------------------------------------------------------------------------------------------------

def _cell(left, top, words, fill="none", ink="currentColor", wide=WIDE, dash=""):
    return (f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{TALL}" fill="{fill}" stroke="currentColor" '
            f'stroke-opacity="0.6" stroke-dasharray="{dash}"/>'
            f'<text x="{left + wide / 2:g}" y="{top + TALL / 2 + 4.5:g}" fill="{ink}" text-anchor="middle" '
            f'style="{base.MONO}">{html.escape(words)}</text>')


def _grid(left, top, t, wide=WIDE, own=None):
    """A tensor (R, K) as cells; dashed where they lie beyond the `own` rows and columns of what was repeated."""
    R, K = own or t.shape
    return [_cell(left + j * wide, top + i * TALL, f"{value:.4g}", wide=wide, dash="4 3" if i >= R or j >= K else "")
            for i, row in enumerate(t.tolist()) for j, value in enumerate(row)]


def _frame(left, top, wide=WIDE, tall=TALL, colour=ORANGE, dash=""):
    """A thick frame around what is marked."""
    return (f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{tall:g}" fill="none" stroke="{colour}" '
            f'stroke-width="4" stroke-dasharray="{dash}"/>')


def _bar(left, top, wide=WIDE):
    """A thick line along the lower edge."""
    return f'<rect x="{left:g}" y="{top - 5:g}" width="{wide:g}" height="5" fill="{ORANGE}"/>'


def _label(left, top, words, anchor="start", size=13):
    return (f'<text x="{left:g}" y="{top:g}" text-anchor="{anchor}" style="font-size: {size}px; white-space: pre">'
            f'{html.escape(str(words))}</text>')
