"""Figures of phase 4: what a model predicts."""
import math

import torch
import torch.nn.functional as F

from .base import (
    COLOURS,
    MONO,
    SMALL,
    Picture,
    bar_plot,
    heat_map,
    ink,
    listing,
    names_of,
    plural,
    spoken,
    styled,
    tensor,
    visible,
    whole_number,
)


def _logits(logits, chars):
    logits = tensor(logits, "logits", "(V,)", finite=False)
    if logits.isnan().any() or not logits.isfinite().any() or (logits == math.inf).any():
        raise ValueError("logits must be numbers (minus infinity for what is ruled out), not NaN or infinity.")
    return logits, names_of(chars, "chars", len(logits), "logit")


@styled
def next_characters(logits, chars, top=12):
    """The `top` most likely next characters as bars: softmax of `logits` (V,); `chars` are all V in id order."""
    logits, chars = _logits(logits, chars)
    top = min(whole_number(top, "top"), len(chars))
    p, ids = logits.softmax(-1).sort(descending=True, stable=True)  # topk would shuffle those that are ruled out
    p, names = p[:top], [chars[i] for i in ids[:top].tolist()]
    fig = Picture(5.6, 0.9 + 0.26 * top)
    ax = fig.subplots()
    bar_plot(ax, [visible(n) for n in names], p.tolist())
    ax.set(ylabel="next character")
    said = ", ".join(f"{spoken(name)} {q:.1%}" for name, q in zip(names[:5], p.tolist()))
    fig.alt = (f"Most likely next characters: {said}. The {top} shown hold {p.sum():.1%} of the probability; "
               f"{plural(len(chars), 'character')} are possible.")
    return fig


@styled
def temperature(logits, chars, temperatures=(0.5, 1.0, 2.0)):
    """The 8 best next characters at up to 4 temperatures: softmax(logits / temperature); 0 means the best one only."""
    logits, chars = _logits(logits, chars)
    temperatures = tensor(temperatures, "temperatures", "(N,)").tolist()
    if len(temperatures) > 4 or min(temperatures) < 0:
        raise ValueError(f"temperatures must be 1 to 4 numbers that are not negative, not {temperatures}.")
    best = logits.topk(min(8, len(chars))).indices
    names, said = [chars[i] for i in best.tolist()], []
    fig = Picture(1.0 + 1.8 * len(temperatures), 2.9)
    for ax, t, colour in zip(fig.subplots(1, len(temperatures), sharey=True, squeeze=False)[0], temperatures, COLOURS):
        p = (logits / t).softmax(-1) if t else F.one_hot(logits.argmax(), len(chars)).double()
        bar_plot(ax, [visible(n) for n in names], p[best].tolist(), colour)
        ax.set(title=f"temperature {t:g}", xlim=(0, 1.3))
        ax.set_xticks([0, 0.5, 1])
        said.append(f"{p.max():.1%} at temperature {t:g} (entropy {torch.special.entr(p).sum():.2f} nats)")
    fig.axes[0].set_ylabel("next character")
    fig.alt = f"The best next character, {spoken(names[0])}, gets {listing(said)}."
    return fig


@styled
def logit_lens(logits, chars, depths, top=5):
    """What a model would predict at each of D depths, at one position: the `top` characters of softmax(logits) (D, V).

    `chars` are all V in id order, `depths` are D names, the first at the beginning of the model.
    """
    logits = tensor(logits, "logits", "(D, V)")
    chars = names_of(chars, "chars", logits.shape[1], "logit")
    depths = names_of(list(depths), "depths", len(logits), "depth")
    p, ids = logits.softmax(-1).topk(min(whole_number(top, "top"), len(chars)))  # (D, top) each
    last = [row[ids[-1, 0]] for row in logits.softmax(-1)]  # of the character that is the best in the end
    fig = Picture(2.6 + 0.9 * p.shape[1], 1.0 + 0.33 * len(p))
    ax = fig.subplots()
    image = heat_map(ax, p, "probability", 0.0, 1.0, aspect="auto")
    for i, j in torch.cartesian_prod(*map(torch.arange, p.shape)).tolist():
        ax.text(j, i, f"{visible(chars[ids[i, j]])}  {p[i, j]:.0%}", ha="center", va="center", fontsize=SMALL,
                fontfamily=MONO, color=ink(image, p[i, j].item()),
                fontweight="bold" if ids[i, j] == ids[-1, 0] else "normal")
    ax.set_yticks(range(len(p)), depths)
    ax.set_xticks(range(p.shape[1]), range(1, p.shape[1] + 1))
    ax.set(xlabel="rank", title=f"bold: {visible(chars[ids[-1, 0]])}, the best in the end")
    fig.alt = (f"The best characters at {plural(len(p), 'depth')}. {spoken(chars[ids[-1, 0]])}, the best in the end "
               f"with {last[-1]:.1%}, has {last[0]:.1%} {depths[0]}. Best at each depth: "
               + ", ".join(f"{name} {spoken(chars[best])} {share:.1%}" for name, best, share in
                           zip(depths, ids[:, 0].tolist(), p[:, 0])) + ".")
    return fig
