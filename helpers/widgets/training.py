"""Explorers of phase 5: the exercises in a text, and what a model learns from them."""
from .. import plots
from ..plots.base import BLUE, ORANGE
from . import base


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
