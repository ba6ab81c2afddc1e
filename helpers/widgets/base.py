"""What every explorer needs: controls, a picture in HTML that follows them, and a figure for places without widgets."""
import base64
import html
import io
import math
import os
import sys
import types

import matplotlib
import torch
from PIL import Image

from .. import plots
from ..plots.base import bundle, spoken

WIDGET = "application/vnd.jupyter.widget-view+json"
MONO = "font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace"


class Explorer:
    """Controls, and a picture that `draw` makes anew at each change; its last line in a cell shows it.

        Explorer(draw, figure, text=text("text", "To be"), head=slider("head", 0, 3))

    draw: called with the controls' values by name; returns HTML (see `drawing`)
    figure: called in the same way; returns a Figure of `helpers.plots`, for wherever no widget can be shown
    adjust: called with the controls before each drawing, to set limits that depend on other controls
    """

    def __init__(self, draw, figure, adjust=None, **controls):
        self.draw, self.figure, self.adjust, self.controls = draw, figure, adjust, controls
        self.picture = None
        self._busy = False

    @property
    def values(self):
        return {name: control.value for name, control in self.controls.items()}

    def html(self):
        """The picture for the present values; for bad input, the one sentence that says what is wrong."""
        if self.adjust:
            self.adjust(self.controls)
        try:
            return self.draw(**self.values)
        except ValueError as problem:
            return f'<div role="alert" style="padding: 8px 0">{html.escape(str(problem))}</div>'

    def _ipython_display_(self):
        show(self)

    def _redraw(self, change):
        if not self._busy:  # `adjust` may move a control
            self._busy = True
            try:
                self.picture.value = self.html()
            finally:
                self._busy = False

    def widget(self):
        """The ipywidgets box of controls and picture."""
        self.picture = toolkit().HTML()
        self._redraw(None)
        for control in self.controls.values():
            control.observe(self._redraw, "value")
        return toolkit().VBox([*self.controls.values(), self.picture])


def show(explorer):
    """Display an explorer once, with the figure of its first values for wherever widgets cannot be shown.

    One output holds both, and the front end shows the best that it can. Without ipywidgets there is the figure alone,
    and outside IPython its description is printed.
    """
    ipython = sys.modules.get("IPython")
    figure = explorer.figure(**explorer.values)
    quiet = ipython is None or ipython.get_ipython() is None or os.environ.get("NBGRADER_EXECUTION")
    if quiet or toolkit() is None:
        plots.show(figure)
        if not quiet:
            print("The controls of this picture need the package ipywidgets, which is not installed here.")
        return
    data, metadata = bundle(figure, figure.alt)
    box = explorer.widget()
    explorer.box = box  # as long as the explorer lives, its widgets do
    data[WIDGET] = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    ipython.display.display(data, metadata=metadata, raw=True)


# --- controls ----------------------------------------------------------------------------------------------------

def toolkit():
    """ipywidgets, or None where it is not installed."""
    try:
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets


def slider(label, low, high, value=None, step=1):
    """A slider over whole numbers, or over decimal ones if any of the numbers is a float. Arrow keys move it."""
    kind = "FloatSlider" if any(isinstance(n, float) for n in (low, high, step)) else "IntSlider"
    return control(kind, label, low if value is None else value, min=low, max=high, step=step)


def steps(label, options, value):
    """A slider over the values in a list."""
    return control("SelectionSlider", label, value, options=options)


def choice(label, options, value=None):
    """A list to choose from: names, or pairs (name, value)."""
    if value is None:
        value = options[0][1] if isinstance(options[0], tuple) else options[0]
    return control("Dropdown", label, value, options=options)


def line(label, value):
    """A line of text to type in."""
    return control("Text", label, value)


def switch(label, value=False):
    """A box to tick."""
    return control("Checkbox", label, value)


def control(kind, label, value, **settings):
    """The control of ipywidgets called `kind`."""
    if toolkit() is None:  # a figure needs no more than the values
        return types.SimpleNamespace(value=value, **settings)
    wide = {"style": {"description_width": "170px"}, "layout": {"width": "100%", "max_width": "560px"}}
    return getattr(toolkit(), kind)(value=value, description=label, **(wide | settings))


# --- pictures ----------------------------------------------------------------------------------------------------

def drawing(body, finding):
    """The picture `body` with the finding under it: a sentence with numbers, for eyes and for screen readers."""
    return f'<div style="line-height: 1.5"><div>{body}</div><p style="margin: 6px 0">{html.escape(finding)}</p></div>'


def svg(width, height, parts, words):
    """An SVG picture of `parts` (strings), with `words` for a screen reader. Text takes the theme's colour."""
    return (f'<svg role="img" aria-label="{html.escape(words)}" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" style="max-width: 100%; height: auto; font-size: 13px" fill="currentColor">'
            f'{"".join(parts)}</svg>')


def colour(share, cmap="viridis"):
    """The colour of a number from 0 to 1, and black or white for what is written on it: ("#rrggbb", "#rrggbb")."""
    r, g, b, _ = matplotlib.colormaps[cmap](min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0)
    light = 0.2126 * r**2.2 + 0.7152 * g**2.2 + 0.0722 * b**2.2
    return matplotlib.colors.to_hex((r, g, b)), "#ffffff" if light < 0.18 else "#000000"


def pixels(values, words, low=0.0, high=1.0, width=160, cmap="viridis"):
    """A matrix (rows, columns) as a small picture, one dot per number, `width` pixels wide."""
    share = ((torch.as_tensor(values).detach().cpu().double() - low) / (high - low or 1.0)).clamp(0, 1)
    dots = (matplotlib.colormaps[cmap](share.numpy())[..., :3] * 255).round().astype("uint8")
    buffer = io.BytesIO()
    Image.fromarray(dots).save(buffer, "png")
    code = base64.b64encode(buffer.getvalue()).decode()
    return (f'<img alt="{html.escape(words)}" src="data:image/png;base64,{code}" width="{width}" '
            f'style="image-rendering: pixelated; border: 1px solid currentColor">')


def glyph(character):
    r"""A character as drawn in HTML: a space as an open box, a newline as \n, what cannot be seen as its code."""
    shown = {" ": "\u2423", "\n": "\\n"}.get(character)
    return html.escape(shown or (character if character.isprintable() else ascii(character)[1:-1]))


def letters(characters, shares, marked=None):
    """A text whose characters lie on the colours of their shares (numbers from 0 to 1); number `marked` is framed.

    A share is also written below its character in percent, because colour must not be the only sign.
    """
    cells = []
    for i, (character, share) in enumerate(zip(characters, shares)):
        fill, ink = colour(share)
        frame = "3px solid currentColor" if i == marked else "3px solid transparent"
        cells.append(
            f'<span title="{html.escape(spoken(character))} at position {i}: {share:.1%}" style="display: '
            f'inline-block; text-align: center; border: {frame}; min-width: 27px; margin: 1px"><span style="display: '
            f'block; background: {fill}; color: {ink}; font-size: 17px; padding: 1px 3px; {MONO}">'
            f'{glyph(character)}</span>'
            f'<span style="display: block; font-size: 12px">{_percent(share)}</span></span>')
    return "".join(cells)


def _percent(share):
    return "0" if share == 0 else "&lt;1" if share < 0.005 else f"{100 * share:.0f}"
