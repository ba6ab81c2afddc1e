"""A map with a framed row, which several explorers draw."""
from ..plots.base import ORANGE


def framed(image, row, rows):
    """The picture `image` (an <img>) of a matrix with so many `rows`, and a frame around number `row` of them."""
    return (f'<div style="position: relative; display: inline-block; line-height: 0">{image}<span style="position: '
            f'absolute; left: -2px; right: -2px; top: calc({100 * row / rows:.2f}% - 2px); height: '
            f'calc({100 / rows:.2f}% + 4px); box-sizing: border-box; border: 2px solid {ORANGE}; '
            f'outline: 1px solid #ffffff"></span></div>')
