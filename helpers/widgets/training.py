"""Explorers of phase 5: the exercises in a text, and what a model learns from them."""
import functools
import math

import torch

from .. import plots, training
from ..plots.base import BLUE, GREEN, ORANGE, listing, spoken, two_digits
from ..plots.learned import MARKS, alike, components, half_way, label_sides, marked_as, mean_losses, short
from . import base, charts


def shifted(dataset_class, tokenizer, text, block_size=8):
    """The exercises in a text: choose a window, its length, and one of its questions; each y lies under the next x.

    `dataset_class` is `TextDataset`, `tokenizer` a `CharTokenizer` that knows `text`. Twin: `plots.shifted_pair`.
    """
    ids = tokenizer.encode(text)

    def window(start, block_size):
        return (v.tolist() for v in dataset_class(ids, block_size)[start])

    def draw(start, block_size, question):
        x, y = window(start, block_size)
        asked, answer = ascii(tokenizer.decode(x[:question + 1])), ascii(tokenizer.decode(y[question:question + 1]))
        same = sum(a == b for a, b in zip(x[1:], y))
        finding = (f"Window {start}, question {question}: after {asked} comes {answer}. "
                   f"y equals the next x at {same} of {block_size - 1} places.")
        return base.drawing(_two_rows(tokenizer, x, y, question, start, finding), finding)

    def figure(start, block_size, question):
        return plots.shifted_pair(*window(start, block_size), tokenizer.decode(list(range(tokenizer.vocab_size))))

    def adjust(controls):
        size = controls["block_size"].value
        controls["start"].max = len(dataset_class(ids, size)) - 1
        controls["question"].max = size - 1

    return base.Explorer(
        draw, figure, adjust, start=base.slider("the window's start", 0, len(dataset_class(ids, block_size)) - 1),
        block_size=base.slider("block_size", 4, 16, block_size),
        question=base.slider("the question", 0, block_size - 1, 3))


def _two_rows(tokenizer, x, y, question, start, words):
    """x and, one place further right, y; framed: what the model sees at this question, and what it has to say."""
    left, cell = 132, 34
    parts = []
    for row, ids, shift, seen, colour in ((52, x, 0, range(question + 1), BLUE), (118, y, 1, (question,), ORANGE)):
        name = "y, the answers" if shift else "x, the questions"
        parts.append(f'<text x="{left - 12}" y="{row + 5}" text-anchor="end">{name}</text>')
        for t, i in enumerate(ids):
            middle = left + cell * (t + shift + 0.5)
            frame = f'stroke="{colour}" stroke-width="3"' if t in seen else 'stroke="currentColor" stroke-opacity="0.4"'
            parts.append(f'<rect x="{middle - 15}" y="{row - 16}" width="30" height="32" rx="4" fill="none" {frame}/>'
                         f'<text x="{middle}" y="{row + 6}" text-anchor="middle" style="font-size: 17px; {base.MONO}">'
                         f'{base.glyph(tokenizer.decode([i]))}</text>')
    for t in range(len(x) + 1):
        middle = left + cell * (t + 0.5)
        parts.append(f'<text x="{middle}" y="24" text-anchor="middle" style="font-size: 12px">{start + t}</text>')
        if 0 < t < len(x):
            sign = "=" if x[t] == y[t - 1] else "\u2260"
            parts.append(f'<text x="{middle}" y="90" text-anchor="middle">{sign}</text>')
    parts.append(f'<text x="{left - 12}" y="24" text-anchor="end" style="font-size: 12px">place in the text</text>')
    return base.svg(left + cell * (len(x) + 1) + 4, 140, parts, words)


def surprise(model, tokenizer, text, mean):
    """The loss of each character, on the text: choose a block, and a character to see what was expected there instead.

    The blocks are those of `evaluate`: `model.max_len` characters, read without memory of the block before. `model` is
    a `TinyLLM`, `tokenizer` its `CharTokenizer`, `mean` the loss of the whole text, to compare with. Twin:
    `plots.surprise`.
    """
    ids = tokenizer.encode(text)
    size = min(model.max_len, len(ids) - 1)
    blocks = (len(ids) - 1) // size
    guess = math.log(tokenizer.vocab_size)  # the loss of a model that knows nothing

    @functools.lru_cache(16)
    def look(block):
        """The characters to predict (T,), ln p (T, V), and the losses, a list of T."""
        window = ids[block * size:(block + 1) * size + 1]
        log_p = training.expected(model, window)
        return window, log_p, [-row[i].item() for row, i in zip(log_p, window[1:])]

    def draw(block, character):
        window, log_p, losses = look(block)
        came = window[character + 1]
        p, best = log_p[character].exp().topk(3)
        names = [spoken(tokenizer.decode([i])) for i in best.tolist()]
        likely = listing(f"{name} ({share:.0%})" for name, share in zip(names, p.tolist()))
        finding = (
            f"Block {block}, character {character}: after {tokenizer.decode(window[:character + 1])[-12:]!a} the "
            f"model expects {likely}. What comes is {spoken(tokenizer.decode([came]))}, to which it gave "
            f"{log_p[character, came].exp():.1%}: a loss of {losses[character]:.2f}. Mean of this block: "
            f"{sum(losses) / size:.2f}; of the whole text: {mean:.2f}.")
        shown = best.tolist() + ([] if came in best else [came])
        rows = [(base.glyph(tokenizer.decode([i])), share, f"{share:.1%}" + (", and it comes" if i == came else ""),
                 "chosen" if i == came else "plain") for i, share in ((i, log_p[character, i].exp().item())
                                                                      for i in shown)]
        return base.drawing(
            f"<div>{_cells(tokenizer.decode(window[1:]), losses, guess, character)}</div>"
            f'<div style="margin-top: 8px">{charts.bars(rows, finding, room=200)}</div>', finding)

    def figure(block, character):
        window, _, losses = look(block)
        return plots.surprise(losses, tokenizer.decode(window[1:]), guess, mean)

    return base.Explorer(draw, figure, block=base.slider("block of the text", 0, blocks - 1),
                         character=base.slider("character in the block", 0, size - 1, size // 2))


def _cells(characters, losses, ceiling, marked):
    """A text on the colours of its losses, which stand below the characters; number `marked` is framed."""
    cells = []
    for i, (character, loss) in enumerate(zip(characters, losses)):
        fill, ink = base.colour(loss / ceiling)
        frame = "currentColor" if i == marked else "transparent"
        cells.append(
            f'<span style="display: inline-block; text-align: center; min-width: 26px; border: 3px solid {frame}">'
            f'<span style="display: block; background: {fill}; color: {ink}; font-size: 17px; {base.MONO}">'
            f'{base.glyph(character)}</span><span style="display: block; font-size: 12px">{short(loss)}</span></span>')
    return "".join(cells)


def learned_when(moments, text):
    """Which characters are learned when: move through the moments of a training, by kinds or by single characters.

    moments: pairs (steps made, losses (T,) of all characters of `text` but the first), as the `watch` of a
    `training.Session` keeps them. Twin: `plots.learned_when`.
    """
    steps = [step for step, _ in moments]

    def draw(moment, single):
        names, counts, losses = mean_losses(moments, text, single)
        rows = [(name, count, row, half_way(row)) for name, count, row in zip(names, counts, losses.tolist())]
        done = [name for name, _, _, half in rows if half is not None and half <= moment]
        lowest, highest = (pick(rows, key=lambda row: row[2][moment]) for pick in (min, max))
        finding = (
            f"After {steps[moment]:,} steps the loss is lowest for {lowest[0]} ({lowest[2][moment]:.2f}) and highest "
            f"for {highest[0]} ({highest[2][moment]:.2f}). Half of the way down: {len(done)} of {len(rows)}"
            + (f" ({listing(done)})." if done else "."))
        return base.drawing(_levels(rows, steps, moment, finding), finding)

    def figure(moment, single):
        return plots.learned_when(moments, text, single)

    return base.Explorer(draw, figure, moment=base.slider("moment of the training", 0, len(steps) - 1),
                         single=base.switch("single characters, the most frequent ones", False))


def _levels(rows, steps, moment, words):
    """A bar for the loss of each row now, a tick at what it will be in the end, and when half of the way is done."""
    left, room, high = 150, 300, 28
    most = max(max(row) for _, _, row, _ in rows) or 1.0
    parts = [charts.text_at(left, 15, f"mean loss after {steps[moment]:,} steps (nats)"),
             charts.text_at(left + room + 60, 15, "half of the way down")]
    for i, (name, count, row, half) in enumerate(rows):
        y, now, last = 26 + high * i, *(room * max(0.0, row[m]) / most for m in (moment, -1))
        done = half is not None and half <= moment
        when = "never" if half is None else f"after {steps[half]:,} steps" + " \u2713" * done
        parts.append(
            charts.text_at(left - 8, y + 16, f"{name} ({count})", "end")
            + f'<rect x="{left}" y="{y + 3}" width="{max(1.0, now):.1f}" height="{high - 8}" '
            f'fill="{GREEN if done else BLUE}"/>'
            f'<path d="M{left + last:.1f} {y}v{high - 2}" stroke="currentColor" stroke-width="2"/>'
            + charts.text_at(left + max(now, last) + 8, y + 16, f"{row[moment]:.2f}")
            + charts.text_at(left + room + 60, y + 16, when))
    return base.svg(left + room + 200, 30 + high * len(rows), parts, words)


def embedding_map(before, after, chars):
    """The characters' embeddings on a plane: before training, after it, and what training changed.

    before, after: the weights (V, C) of the token embedding; chars: the V characters in the order of their ids. Choose
    one, and its three nearest are joined to it. Twin: `plots.embedding_map`.
    """
    shown = {"what training changed": after - before, "after training": after, "before training": before}

    @functools.cache
    def look(which):
        return *components(shown[which]), *alike(shown[which], chars)

    def draw(which, character):
        plane, share, like, means = look(which)
        near = [i for i in like[character].argsort(descending=True).tolist() if i != character][:3]
        finding = (
            f"{which.capitalize()}: mean cosine similarity of two "
            + ", ".join(f"{name} {two_digits(mean)}" for name, mean in means.items() if name != "all")
            + f"; of any two characters {two_digits(means['all'])}. Nearest to {spoken(chars[character])}: "
            + ", ".join(f"{spoken(chars[i])} {two_digits(like[character, i])}" for i in near)
            + f". The plane holds {share:.0%} of the variance.")
        return base.drawing(_plane(plane, chars, character, near, finding), finding)

    def figure(which, character):
        return plots.embedding_map(shown[which], chars)

    return base.Explorer(draw, figure, which=base.choice("shown", list(shown)), character=base.choice(
        "a character", [(spoken(c), i) for i, c in enumerate(chars)], max(0, chars.find("a"))))


SHAPES = {"o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "s": "M-4 -4h8v8h-8z", "^": "M-5 4h10l-5 -9z",
          "D": "M-5 0l5 -5l5 5l-5 5z"}


def _plane(plane, chars, chosen, near, words):
    """The characters at their places, marked by their kinds; lines from the chosen one to those near it."""
    width, height, edge, top = 640, 460, 24, 44
    low, high = plane.min(0).values, plane.max(0).values
    room = torch.tensor([width - 2 * edge, height - top - edge])
    per_unit = (room / (high - low).clamp(min=1e-9)).min()  # where all lie on one line, that line is long enough
    middle = (low + high) / 2
    x = (width / 2 + per_unit * (plane[:, 0] - middle[0])).tolist()
    y = ((height + top - edge) / 2 - per_unit * (plane[:, 1] - middle[1])).tolist()

    def mark(name, x, y):
        shape, colour = MARKS[name]
        return f'<path d="{SHAPES[shape]}" fill="{colour}" transform="translate({x:.1f} {y:.1f})"/>'

    parts = [mark(name, 20 + 130 * i, 14) + charts.text_at(32 + 130 * i, 19, name) for i, name in enumerate(MARKS)]
    parts += [f'<path d="M{x[chosen]:.1f} {y[chosen]:.1f}L{x[i]:.1f} {y[i]:.1f}" stroke="currentColor" '
              'stroke-dasharray="4 3"/>' for i in near]
    parts.append(f'<circle cx="{x[chosen]:.1f}" cy="{y[chosen]:.1f}" r="8" fill="none" stroke="currentColor" '
                 'stroke-width="2.5"/>')
    for c, a, b, (dx, dy) in zip(chars, x, y, label_sides(x, y)):
        parts.append(mark(marked_as(c), a, b) + charts.text_at(a + dx, b + dy + 5, "", "middle", label=base.glyph(c)))
    return base.svg(width, height, parts, words)
