"""Explorers of phase 1: tensors."""
import html
import math

import torch

from .. import plots
from ..plots.base import ORANGE, tensor
from ..plots.tensors import in_memory
from . import base

WIDE, TALL = 40, 28  # of a cell, in pixels


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

    def cell(left, top, value):
        return _cell(left, top, f"{value:g}", *base.colour((value - low) / ((high - low) or 1)))

    def draw(view, element):
        t = views[view]
        *stack, rows, columns = t.shape
        index = _index(element, t.shape)
        place, memory = _place(t, index), in_memory(t).tolist()
        row = [_place(t, [*index[:-1], j]) for j in range(columns)]  # where the numbers of the same row lie
        copied = t.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()

        parts = [_label(0, 14, "memory (another place: a copy of x)" if copied else "memory of x")]
        for i, value in enumerate(memory):
            parts += [_label((i + 0.5) * WIDE, 32, i, "middle", 12), cell(i * WIDE, 38, value)]
        parts += [_bar(i * WIDE, 38 + TALL) for i in row] + [_frame(place * WIDE, 38)]
        top = 120 if stack else 100
        facts = f"shape {tuple(t.shape)},  stride() {t.stride()},  is_contiguous() {t.is_contiguous()}"
        parts.append(_label(0, 90, facts))
        for block in range(math.prod(stack)):  # a grid for each head
            at, left = _index(block, stack), block * (columns + 0.6) * WIDE
            parts += [_label(left, 113, at, size=12)] * bool(stack)
            parts += [cell(left + j * WIDE, top + i * TALL, t[(*at, i, j)].item())
                      for i in range(rows) for j in range(columns)]
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
        return base.drawing(base.svg(len(memory) * WIDE + 4, top + rows * TALL + 4, parts, words), finding)

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


# --- cells -------------------------------------------------------------------------------------------------------

def _cell(left, top, words, fill="none", ink="currentColor", wide=WIDE, dash=""):
    return (f'<rect x="{left:g}" y="{top:g}" width="{wide:g}" height="{TALL}" fill="{fill}" stroke="currentColor" '
            f'stroke-opacity="0.6" stroke-dasharray="{dash}"/>'
            f'<text x="{left + wide / 2:g}" y="{top + TALL / 2 + 4.5:g}" fill="{ink}" text-anchor="middle" '
            f'style="{base.MONO}">{html.escape(words)}</text>')


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
