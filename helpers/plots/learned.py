"""Figures of phase 5: what a model has learned, character by character."""
import math

import torch
import torch.nn.functional as F

from .base import (
    BLUE,
    GREEN,
    MONO,
    ORANGE,
    PINK,
    Picture,
    heat_map,
    ink,
    names_of,
    plural,
    spoken,
    styled,
    tensor,
    two_digits,
    visible,
)


@styled
def surprise(losses, text, ceiling=None, mean=None):
    """A text of T characters on the colours of their losses (T,), in nats, which also stand below them.

    ceiling: the loss of the brightest colour, such as ln V of a model that knows nothing (the largest of `losses`)
    mean: the mean loss of a whole text, to compare with
    """
    losses = tensor(losses, "losses", "(T,)")
    characters = names_of(text, "text", len(losses), "loss")
    T, columns = len(losses), min(24, len(losses))
    rows = math.ceil(T / columns)
    cells = torch.full((rows * columns,), math.nan, dtype=torch.float64)
    cells[:T] = losses
    fig = Picture(max(3.2, 1.0 + 0.31 * columns), 0.7 + 0.44 * rows)
    ax = fig.subplots()
    image = heat_map(ax, cells.view(rows, columns), "loss (nats)", 0.0, ceiling or max(losses.max().item(), 1e-9),
                     aspect="auto")
    image.set_cmap(image.cmap.with_extremes(bad="white"))
    ax.set_axis_off()
    for i, (character, loss) in enumerate(zip(characters, losses.tolist())):
        row, column = divmod(i, columns)
        ax.text(column, row - 0.18, visible(character), ha="center", va="center", fontsize=11, fontfamily=MONO,
                color=ink(image, loss))
        ax.text(column, row + 0.28, short(loss), ha="center", va="center", fontsize=9, color=ink(image, loss))
    worst, best = losses.argmax().item(), losses.argmin().item()
    fig.alt = f"Surprise in nats: the mean of {plural(T, 'character')} is {losses.mean():.2f}"
    fig.alt += f"; of the whole text it is {mean:.2f}. " if mean is not None else ". "
    fig.alt += (f"Most surprising is the {spoken(characters[worst])} at place {worst} with {losses[worst]:.2f}, least "
                f"the {spoken(characters[best])} at place {best} with {losses[best]:.2f}.")
    return fig


def short(loss):
    """A loss in two or three characters: 0.1, 2.3, 12."""
    return f"{loss:.1f}" if loss < 9.95 else f"{loss:.0f}"


KINDS = ("space", "newline", "vowels", "consonants", "capitals", "others")


def kind(character):
    """Which of KINDS a character belongs to."""
    special = {" ": "space", "\n": "newline"}.get(character)
    lower = "vowels" if character in "aeiou" else "consonants"
    return special or (lower if character.islower() else "capitals" if character.isupper() else "others")


def mean_losses(moments, text, single=False, most=12):
    """Mean losses of the kinds of characters in a text, at each moment of a training: (names, counts, losses (G, M)).

    moments: M pairs (steps made, losses (T,) of all characters of `text` but the first), as `training.Session` keeps
    single: not the kinds, but the `most` most frequent characters
    """
    if not isinstance(moments, (list, tuple)) or not moments or any(len(moment) != 2 for moment in moments):
        raise ValueError("moments must be a list of pairs (steps, losses), and not empty.")
    losses = tensor(torch.stack([torch.as_tensor(found) for _, found in moments]), "losses", "(M, T)")
    characters = names_of(text[1:], "text after its first character", losses.shape[1], "loss")
    groups = {}
    for t, character in enumerate(characters):
        groups.setdefault(character if single else kind(character), []).append(t)
    names = sorted(groups, key=lambda name: -len(groups[name]))[:most] if single else [k for k in KINDS if k in groups]
    means = torch.stack([losses[:, groups[name]].mean(-1) for name in names])
    return [spoken(name) if single else name for name in names], [len(groups[name]) for name in names], means


def half_way(losses):
    """The first moment at which a loss has fallen half of the way from the first to the last of them (or None)."""
    middle = (losses[0] + losses[-1]) / 2
    return next(m for m, loss in enumerate(losses) if loss <= middle) if losses[-1] < losses[0] else None


@styled
def learned_when(moments, text, single=False):
    """Which characters are learned when: a row for each kind, a column for each of (at most 12) moments.

    The arguments are those of `mean_losses`. A star marks the moment at which half of the way down is done.
    """
    names, counts, losses = mean_losses(moments, text, single)
    steps = [step for step, _ in moments]
    M = len(steps)
    shown = sorted({round(i * (M - 1) / 11) for i in range(12)}) if M > 12 else list(range(M))
    fig = Picture(max(4.0, 2.6 + 0.48 * len(shown)), 1.0 + 0.3 * len(names))
    ax = fig.subplots()
    image = heat_map(ax, losses[:, shown], "mean loss (nats)", 0.0, losses.max().item(), aspect="auto")
    said = []
    for row, (name, values) in enumerate(zip(names, losses.tolist())):
        half = half_way(values)
        said.append(f"{name} from {values[0]:.2f} to {values[-1]:.2f}"
                    + (f", half of it by step {steps[half]}" if half is not None else ""))
        star = next((column for column, m in enumerate(shown) if half is not None and m >= half), None)
        for column, m in enumerate(shown):
            ax.text(column, row, f"{values[m]:.1f}" + "*" * (column == star), ha="center", va="center", fontsize=9,
                    color=ink(image, values[m]))
    ax.set_yticks(range(len(names)), [f"{name} ({count})" for name, count in zip(names, counts)])
    ax.set_xticks(range(len(shown)), [f"{steps[m]:,}" for m in shown], fontsize=9, rotation=45)
    ax.set(xlabel="steps of training (* half of the way down)")
    fig.alt = f"Mean loss over {plural(M, 'moment')}, to step {steps[-1]}: {'; '.join(said)}."
    return fig


MARKS = {"vowels": ("o", BLUE), "consonants": ("s", ORANGE), "capitals": ("^", GREEN), "others": ("D", PINK)}


def marked_as(character):
    """Which of MARKS a character gets on a map."""
    return kind(character) if kind(character) in MARKS else "others"


def components(vectors):
    """The two principal components of N vectors (N, C): the plane in which they are spread most -> ((N, 2), share).

    share: of the variance, how much these two hold.
    """
    vectors = tensor(vectors, "vectors", "(N, C)")
    u, s, _ = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    plane = u[:, :2] * s[:2]
    if plane.shape[1] < 2:
        raise ValueError("vectors must be at least two, of at least two dimensions.")
    return plane, (s[:2].square().sum() / s.square().sum().clamp(min=1e-30)).item()


def alike(vectors, chars):
    """Cosine similarity (N, N) of the vectors of N characters, and {name of kind: its mean within the kind}.

    "all" is the mean over all pairs; a kind with fewer than two characters is left out.
    """
    vectors = tensor(vectors, "vectors", "(N, C)")
    chars = names_of(chars, "chars", len(vectors), "row of vectors")
    unit = F.normalize(vectors, dim=-1)
    like = unit @ unit.T
    groups = {name: [i for i, c in enumerate(chars) if marked_as(c) == name] for name in MARKS}
    groups["all"] = list(range(len(chars)))
    return like, {name: (like[g][:, g].sum() - like[g, g].sum()).item() / (len(g) * (len(g) - 1))
                  for name, g in groups.items() if len(g) > 1}


def label_sides(x, y, far=13.0, room=14.0):
    """Where to write a label at each of N marks, so that few touch: N pairs (dx, dy), in the units of x and y.

    Each takes the one of eight places, `far` from its mark, that comes least within `room` of other marks and labels.
    """
    around = [(far * dx, far * dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    around += [(0.8 * far * dx, 0.8 * far * dy) for dx in (1, -1) for dy in (1, -1)]
    taken, sides = list(zip(x, y)), []
    for i, (a, b) in enumerate(zip(x, y)):
        near = [other for j, other in enumerate(taken) if j != i and math.dist((a, b), other) < far + room]

        def touched(side, a=a, b=b, near=near):
            return sum(max(0.0, room - math.dist((a + side[0], b + side[1]), other)) for other in near)

        sides.append(min(around, key=touched))  # the first of the best
        taken.append((a + sides[i][0], b + sides[i][1]))
    return sides


@styled
def embedding_map(vectors, chars):
    """The vectors (V, C) of V characters on the plane of their two principal components; a mark for each kind."""
    plane, share = components(vectors)
    _, means = alike(vectors, chars)
    fig = Picture(7.4, 5.4)
    ax = fig.subplots()
    for name, (marker, colour) in MARKS.items():
        rows = [i for i, c in enumerate(chars) if marked_as(c) == name]
        if rows:
            ax.scatter(*plane[rows].T.tolist(), marker=marker, color=colour, s=22, label=name)
    inch = 6.0 / (plane.max(0).values - plane.min(0).values).max().clamp(min=1e-9)  # about one unit of the plane
    for i, side in enumerate(label_sides(*(72 * inch * plane.T).tolist(), far=9.0, room=10.0)):
        ax.annotate(visible(chars[i]), plane[i].tolist(), xytext=side, textcoords="offset points", fontsize=10,
                    fontfamily=MONO, ha="center", va="center")
    ax.set_aspect("equal", "datalim")
    ax.set(xlabel="first principal component", ylabel="second principal component")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False)
    fig.alt = (f"Map of {plural(len(chars), 'character')}; the plane holds {share:.0%} of the variance. Mean cosine "
               "similarity: " + ", ".join(f"{name} {two_digits(mean)}" for name, mean in means.items()) + ".")
    return fig
