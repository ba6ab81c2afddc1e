"""Figures of phase 2: modules."""
import torch.nn.functional as F

from .base import BLUE, ORANGE, Picture, line_labels, styled, tensor


@styled
def fit(x, y, prediction):
    """Data `x`, `y` and a network's `prediction`, each (N,) or (N, 1): points, and the curve through them."""
    x, y, guess = (tensor(v, name, "(N,)", "(N, 1)").flatten()
                   for v, name in ((x, "x"), (y, "y"), (prediction, "prediction")))
    if not len(x) == len(y) == len(guess):
        raise ValueError(f"x, y and prediction must have the same length N, not {len(x)}, {len(y)} and {len(guess)}.")
    order = x.argsort()
    x, y, guess = x[order], y[order], guess[order]
    worst = (y - guess).abs().argmax().item()
    fig = Picture(6.6, 3.8)
    ax = fig.subplots()
    ax.plot(x, y, linestyle="none", marker="o", markersize=4.5, markerfacecolor="none", color=BLUE, clip_on=False)
    ax.plot(x, guess, color=ORANGE, linewidth=2.4)
    ax.margins(x=0)
    ax.autoscale_view()
    line_labels(ax, [(x[-1], y[-1], "data (points)", BLUE), (x[-1], guess[-1], "network (line)", ORANGE)], 3.0)
    ax.set(xlabel="input x", ylabel="output y")
    fig.alt = (f"{len(x)} data points and the network's curve: the mean squared error is {F.mse_loss(guess, y):.3g}; "
               f"the worst miss is {abs(y[worst] - guess[worst]):.3g}, at x = {x[worst]:.2f}.")
    return fig
