"""Figures of phase 5: data and training."""
import math

from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from .base import (
    BLACK,
    BLUE,
    GREEN,
    MONO,
    ORANGE,
    Picture,
    last_point,
    line_labels,
    names_of,
    plural,
    styled,
    tensor,
    visible,
)


@styled
def shifted_pair(x, y, chars):
    """A training pair: ids `x` and `y` (T,), and the same one step later; `chars` are the V characters in id order."""
    x, y = (tensor(v, name, "(T,)").long() for v, name in ((x, "x"), (y, "y")))
    if len(x) != len(y):
        raise ValueError(f"x and y must have the same length T, not {len(x)} and {len(y)}.")
    chars = names_of(chars, "chars")
    if min(x.min(), y.min()) < 0 or max(x.max(), y.max()) >= len(chars):
        raise ValueError(f"x and y must hold ids from 0 to {len(chars) - 1}, one for each of chars.")
    T, n = len(x), min(len(x), 16)
    fig = Picture(1.0 + 0.45 * n, 2.5)
    ax = fig.subplots()
    for row, ids, name, colour in ((1.5, x, "x (input)", BLUE), (0, y, "y (target)", ORANGE)):
        ax.text(-0.65, row, name, ha="right", va="center", color=BLACK)
        for t, i in enumerate(ids[:n].tolist()):
            ax.add_patch(FancyBboxPatch((t - 0.36, row - 0.3), 0.72, 0.6, boxstyle="round,pad=0,rounding_size=0.1",
                                        facecolor="white", edgecolor=colour, linewidth=1.6))
            ax.text(t, row, visible(chars[i]), ha="center", va="center", fontsize=13, fontfamily=MONO)
            ax.text(t, row + (0.45 if row else -0.47), i, ha="center", va="center", fontsize=9, color="#444444")
    for t in range(n - 1):      # from x at t + 1 to y at t, which should be the same
        same = x[t + 1] == y[t]
        ax.plot([t + 0.9, t + 0.1], [1.18, 0.32], color="#767676" if same else ORANGE, linewidth=1,
                linestyle="-" if same else ":")
    ax.set(xlim=(-0.6, n - 0.4), ylim=(-0.7, 2.2))
    ax.set_axis_off()
    right = int((x[1:] == y[:-1]).sum())
    title = "y is x one step later"
    if right < T - 1:
        title = f"y is not x one step later at {T - 1 - right} of {T - 1} positions"
    ax.set_title(title + (f" (first {n} of {T} drawn)" if n < T else "") + "; ids in grey")
    words = [ascii("".join(chars[i] for i in ids[:n].tolist())) for ids in (x, y)]
    fig.alt = (f"x reads {words[0]}, y reads {words[1]}" + (f" (first {n} of {T} positions)" if n < T else "")
               + f". y at t equals x at t + 1 at {right} of {T - 1} positions.")
    return fig


@styled
def loss_curves(history, floor=None, baselines=None, epoch_steps=None, normal=None):
    """Training and validation loss in nats per character over the optimizer steps.

    `history` is what `train` returns: train_loss (one per step) and val_loss (one per epoch, drawn at its end).
    Where training ended in the middle of an epoch, `epoch_steps` says how many steps a whole one has.
    `floor` is the entropy of the text, `baselines` {name: loss} of simpler models; both become horizontal lines.
    `normal` (low, high), between which validation losses other such runs ended, becomes a bar at the last step.
    """
    if (not isinstance(history, dict) or not {"train_loss", "val_loss"} <= set(history)
            or not len(history["train_loss"])):
        raise ValueError('history must be a dict with the lists "train_loss" (one per step, not empty) and "val_loss".')
    train = tensor(history["train_loss"], "history['train_loss']", "(N,)", finite=False)
    val = history["val_loss"]
    val = tensor(val, "history['val_loss']", "(E,)", finite=False) if len(val) else train[:0]
    levels = dict(baselines or {}) | ({} if floor is None else {"floor (entropy)": floor})
    levels = {name: tensor(level, "floor and each of baselines", "()").item() for name, level in levels.items()}
    N, E, window = len(train), len(val), max(1, len(train) // 50)
    fig, items = Picture(7.8, 4.0), []
    ax = fig.subplots()
    smooth = train.unfold(0, window, 1).mean(-1)
    if window > 1:
        ax.plot(range(1, N + 1), train, color=BLUE, alpha=0.3, linewidth=0.8)
    ax.plot(range(window, N + 1), smooth, color=BLUE, marker="o" if N < 25 else None, clip_on=False)
    items.append(last_point(range(window, N + 1), smooth.tolist(), f"training {smooth[-1]:.2f}", BLUE))
    if E:
        ends = [min(N, (epoch_steps or N / E) * (e + 1)) for e in range(E)]
        ax.plot(ends, val, color=ORANGE, linestyle="--", marker="s", clip_on=False)
        items.append(last_point(ends, val.tolist(), f"validation {val[-1]:.2f}", ORANGE))
    for (name, level), line in zip(levels.items(), (":", "-.", (0, (1, 3)), (0, (6, 3))) * len(levels)):
        ax.axhline(level, color=BLACK, linestyle=line, linewidth=1.2)
        items.append((N, level, f"{name} {level:.2f}".replace("$", r"\$"), BLACK))
    if normal is not None:
        low, high = tensor(normal, "normal", "(2,)").tolist()
        ax.plot([N, N], [low, high], color=GREEN, linewidth=7, solid_capstyle="butt", clip_on=False, zorder=0)
        items.append((N, high, f"other runs {low:.2f} to {high:.2f}", GREEN))
    ax.set_xlim(min(1, N - 1), N)
    line_labels(ax, items, 3.3)
    ax.set(xlabel="optimizer step", ylabel="loss (nats per character)")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    fig.alt = f"Training loss went from {train[0]:.2f} to {smooth[-1]:.2f} in {plural(N, 'step')}"
    fig.alt += f" (mean of the last {window}). " if window > 1 else ". "
    if not train.isfinite().all():
        fig.alt += f"It stopped being a finite number at step {(~train.isfinite()).nonzero()[0].item() + 1}. "
    if E:
        best = val.nan_to_num(math.inf, math.inf).argmin().item()
        fig.alt += f"Validation loss ended at {val[-1]:.2f} after {plural(E, 'epoch')}. "
        if val[best].isfinite():
            fig.alt += f"The best was {val[best]:.2f}, after epoch {best + 1}. "
        fig.alt += "".join(f"{n}: {v:.2f} ({abs(val[-1] - v):.2f} {'below' if v < val[-1] else 'above'} validation). "
                           for n, v in levels.items())
    if normal is not None:
        fig.alt += f"Other runs that read as much ended with validation losses from {low:.2f} to {high:.2f}."
    fig.alt = fig.alt.strip()
    return fig
