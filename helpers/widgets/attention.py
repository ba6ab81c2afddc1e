"""Explorers of phase 3b: attention."""
from .. import inside, plots
from ..plots.base import spoken
from . import base


def attention(model, tokenizer, text="To be, or not to be"):
    """Where a head looks: choose a text, a layer, a head and the character that looks; the weights lie on the text.

    `model` is a `TinyLLM`, `tokenizer` its `CharTokenizer`. Twin: `plots.attention_map`.
    """
    layers = len(model.blocks)
    heads = len(inside.look(model, inside.encode(tokenizer, text)).weights[0])

    def look(text, layer):
        return inside.look(model, inside.encode(tokenizer, text)).weights[layer]

    def draw(text, layer, head, query):
        weights = look(text, layer)
        row = weights[head, query].tolist()
        best = max(range(query + 1), key=row.__getitem__)
        finding = (f"Layer {layer}, head {head}: the {spoken(text[query])} at position {query} looks most at the "
                   f"{spoken(text[best])} at position {best}, with {row[best]:.0%} of its weight.")
        small = "".join(
            f'<figure style="margin: 4px"><figcaption>head {h}{" (shown above)" if h == head else ""}</figcaption>'
            + base.pixels(w, f"Attention of head {h}: rows look, columns are looked at", width=150) + "</figure>"
            for h, w in enumerate(weights))
        return base.drawing(
            f"<div>{base.letters(text, row, marked=query)}</div>"
            f'<div style="display: flex; flex-wrap: wrap; margin-top: 6px">{small}</div>', finding)

    def figure(text, layer, head, query):
        return plots.attention_map(look(text, layer)[head], text)

    def adjust(controls):
        last = max(0, len(controls["text"].value) - 1)
        controls["query"].max = last

    return base.Explorer(
        draw, figure, adjust, text=base.line("text", text), layer=base.slider("layer", 0, layers - 1),
        head=base.slider("head", 0, heads - 1), query=base.slider("the character that looks", 0, len(text) - 1,
                                                                 len(text) - 1))
