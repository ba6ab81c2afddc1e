"""The picture beside a failing check's message: what was expected, and what came."""
import torch
from matplotlib.patches import Rectangle

from .base import ORANGE, Picture, heat_map, plain, plural, styled

QUERY_KEY = ("query position (looking)", "key position (looked at)")
AXES = {"weights": QUERY_KEY, "mask": QUERY_KEY, "table": ("position", "column")}  # what can be drawn: rows, columns


@styled
def expected_and_yours(name, expected, yours):
    """Two maps side by side, in the same colours: the `name` (a key of AXES) as a check expected it, and as it came.

    Of tensors with more than two dimensions the map that differs most is drawn. `yours` may have another shape. Cells
    that differ are framed, unless most do.
    """
    expected, yours = (plain(t).to(torch.float64) for t in (expected, yours))
    same_shape = expected.shape == yours.shape
    gap = (expected - yours).nan_to_num(torch.inf).abs() if same_shape else None
    where = ()
    if same_shape and expected.dim() > 2:
        worst = gap.flatten(-2).amax(-1)  # over each map
        where = tuple(int(i) for i in (worst == worst.max()).nonzero()[0])
        expected, yours, gap = expected[where], yours[where], gap[where]
    expected, yours = (t if t.dim() == 2 else t.reshape(-1, t.shape[-1] if t.dim() else 1) for t in (expected, yours))
    low, high = expected.min().item(), expected.max().item()
    rows, columns = (max(sizes) for sizes in zip(expected.shape, yours.shape))
    number = None if rows > 20 or columns > 10 else ".0f" if name == "mask" else ".2f"
    fig = Picture(8.7, min(6.0, max(3.0, 0.36 * rows + 1.2)))
    for ax, title, values in zip(fig.subplots(1, 2), ("expected", "yours"), (expected, yours)):
        image = heat_map(ax, values, None, low, max(high, low + 1e-9), "cividis", number, "auto")
        ax.set(title=title, xlabel=AXES[name][1], ylabel=AXES[name][0])
    fig.colorbar(image, ax=fig.axes, label=name, fraction=0.03, pad=0.02).outline.set_visible(False)
    fig.alt = f"The expected {name} beside yours"
    if where:
        fig.alt += f" (the map [{', '.join(map(str, where))}])"
    if not same_shape:
        fig.alt += f": a map of {' x '.join(map(str, expected.shape))} and one of {' x '.join(map(str, yours.shape))}."
        return fig
    far = gap > 1e-4
    if far.any() and far.double().mean() <= 0.5:
        for i, j in far.nonzero().tolist():
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2))
    row, column = divmod(int(gap.argmax()), gap.shape[1])
    fig.alt += (f": {plural(int(far.sum()), 'number')} of {far.numel()} differ, most at row {row}, column {column}: "
                f"expected {expected[row, column]:.4g}, yours {yours[row, column]:.4g}.")
    return fig
