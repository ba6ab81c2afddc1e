"""A map with a framed row, which several explorers draw."""
from ..plots.base import ORANGE
from . import base


def framed(image, row, rows):
    """The picture `image` (an <img>) of a matrix with so many `rows`, and a frame around number `row` of them."""
    return (f'<div style="position: relative; display: inline-block; line-height: 0">{image}<span style="position: '
            f'absolute; left: -2px; right: -2px; top: calc({100 * row / rows:.2f}% - 2px); height: '
            f'calc({100 / rows:.2f}% + 4px); box-sizing: border-box; border: 2px solid {ORANGE}; '
            f'outline: 1px solid #ffffff"></span></div>')


def lettered(framed, characters, side):
    """A square map (HTML, `side` pixels) with its characters beside the rows and below the columns, if they fit."""
    size = side / len(characters)
    if size < 14:
        return framed
    style = f"height: {size:.2f}px; line-height: {size:.2f}px; font-size: 12px; {base.MONO}"
    rows = "".join(f'<div style="{style}">{base.glyph(c)}</div>' for c in characters)
    columns = "".join(f'<span style="{style}; display: inline-block; width: {size:.2f}px; text-align: center">'
                      f"{base.glyph(c)}</span>" for c in characters)
    return (f'<div style="display: inline-grid; grid-template-columns: auto auto"><div aria-hidden="true" style='
            f'"padding: 1px 7px 0 0; text-align: right">{rows}</div>{framed}<span></span><div aria-hidden="true" style='
            f'"padding-left: 1px; white-space: nowrap; line-height: 0">{columns}</div></div>')
