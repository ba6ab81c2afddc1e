"""Explorers of phase 3b: attention."""
import functools
import inspect

import torch

from .. import plots
from ..plots.base import BLUE, ORANGE, spoken
from . import base, maps


def attention(look, text="To be, or not to be", longest=60, alphabet=None):
    """Where a head looks: choose a text, a layer, a head and the character that looks; its weights lie on the text.

    look: a function of a text of T characters that returns weights (T, T) of one head, (H, T, T) of the heads of one
        layer, or a list of layers. If it has a second argument `masked`, a switch turns the mask off. Or a dictionary
        {name: such a function}, to choose from; the last one is shown first
    longest: the largest T
    alphabet: the characters that may be typed (None: all)
    Twins: `plots.attention_heads`, `plots.attention_map` for a single head.
    """
    looks = look if isinstance(look, dict) else {"": look}
    masks = "masked" in inspect.signature(list(looks.values())[-1]).parameters

    @functools.lru_cache(maxsize=1)  # another head or another row of the same text costs no second look
    def layers_of(text, which="", masked=True):
        """A list of layers (H, T, T)."""
        if not 1 <= len(text) <= longest:
            raise ValueError(f"The text must have 1 to {longest} characters; it has {len(text)}.")
        unknown = sorted(set(text) - set(text if alphabet is None else alphabet))
        if unknown:
            raise ValueError(f"{unknown[0]!r} has no place here: the only characters are {' '.join(alphabet)}.")
        with torch.no_grad():
            weights = looks[which or next(iter(looks))](text, masked) if masks else looks[which](text)
        layers = weights if isinstance(weights, (list, tuple)) else [weights]
        if any(w.dim() not in (2, 3) or w.shape[-2:] != (len(text), len(text)) for w in layers):
            raise ValueError(f"look must return weights (T, T) or (H, T, T), here with T = {len(text)}, "
                             f"not {tuple(layers[0].shape)}.")
        return [w.detach().cpu().reshape(-1, len(text), len(text)) for w in layers]

    def draw(text, query, layer=0, head=0, **options):
        weights = layers_of(text, **options)[layer]
        row = weights[head, query]
        best = row.nan_to_num(-1).argmax().item()
        ahead = weights.triu(1).sum((1, 2)) / len(text)  # (H,)
        place = [f"layer {layer}"] * ("layer" in controls) + [f"head {head}"] * ("head" in controls)
        finding = (f"The {spoken(text[query])} at position {query} looks most at the {spoken(text[best])} at position "
                   f"{best}: {row[best]:.0%} of its weight{' in ' if place else ''}{', '.join(place)}. ")
        finding += ("No weight looks ahead." if ahead[head] == 0 else
                    f"Ahead of itself it looks with {row[query + 1:].sum():.0%} of its weight; over all rows of this "
                    f"map, {ahead[head]:.0%} of the weight looks ahead.")
        return base.drawing(f"<div>{base.letters(text, row.tolist(), marked=query)}</div>"
                            + _heads(weights, text, head, query, ahead), finding)

    def figure(text, query, layer=0, head=0, **options):
        weights = layers_of(text, **options)[layer]
        return plots.attention_heads(weights, text) if len(weights) > 1 else plots.attention_map(weights[0], text)

    def adjust(controls):
        controls["query"].max = max(0, len(controls["text"].value) - 1)

    controls = {"text": base.line("text", text)}
    if isinstance(look, dict):
        controls["which"] = base.choice("weights", list(looks), list(looks)[-1])
    first = layers_of(text, list(looks)[-1])
    if len(first) > 1:
        controls["layer"] = base.slider("layer", 0, len(first) - 1)
    if len(first[0]) > 1:
        controls["head"] = base.slider("head", 0, len(first[0]) - 1)
    middle = len(text) // 2  # where a character has something before it and something ahead of it
    controls["query"] = base.slider("the character that looks", 0, len(text) - 1, middle if masks else len(text) - 1)
    if masks:
        controls["masked"] = base.switch("mask: no looking ahead", True)
    return base.Explorer(draw, figure, adjust, **controls)


def _heads(weights, text, head, query, ahead):
    """The maps of all heads (H, T, T) side by side, with row `query` framed; number `head` is the one on the text."""
    H, T = weights.shape[:2]
    side = 240 if H == 1 else 170
    drawn = []
    for h in range(H):
        words = [f"{ahead[h]:.0%} of the weight looks ahead"]
        if H > 1:
            words = [f"<b>head {h}, on the text</b>" if h == head else f"head {h}", f"{ahead[h]:.0%} looks ahead"]
        # the square root makes small weights visible, and leaves 0 and 1 where they are
        image = base.pixels(weights[h].clamp(min=0).sqrt(), f"Head {h}: {ahead[h]:.0%} of its weight looks ahead",
                            width=side)
        drawn.append(f'<figure style="margin: 4px 12px 4px 4px"><figcaption>{"<br>".join(words)}</figcaption>'
                     f"{maps.lettered(maps.framed(image, query, T), text, side)}</figure>")
    return (f'<div style="display: flex; flex-wrap: wrap; margin-top: 6px">{"".join(drawn)}</div><div>Each row is a '
            f"character that looks (framed: the one on the text), each column one that is looked at; the brighter, "
            f"the more weight.</div>")


def sharpness(weigh, keys=8, queries=20, powers=10):
    """How sharp softmax becomes when the dot products grow with C, and what dividing by sqrt(C) does about it.

    weigh: called as weigh(C, divide) with a width C and a bool; returns the scores (Q, K) of at least `queries` random
        queries on `keys` random keys of C features, and their weights (Q, K)
    powers: C goes from 1 to 2 ** powers
    Twin: `plots.scale_effect`.
    """
    def draw(C, divide, query):
        scores, weights = (t.detach().cpu() for t in weigh(C, divide))
        best = weights.amax(-1)  # (Q,)
        parts = ['<text x="128" y="14" text-anchor="end">score</text><text x="140" y="14">weight</text>']
        for k, (score, weight) in enumerate(zip(scores[query].tolist(), weights[query].tolist())):
            y, width, chosen = 24 + 24 * k, 300 * weight, weight == best[query]
            parts.append(
                f'<text x="0" y="{y + 14}">{chr(0x25b8) if chosen else ""}</text>'
                f'<text x="14" y="{y + 14}">key {k}</text>'
                f'<text x="128" y="{y + 14}" text-anchor="end">{score:.2f}</text>'
                f'<rect x="140" y="{y}" width="300" height="18" fill="none" stroke="currentColor" '
                f'stroke-opacity="0.35"/><rect x="140" y="{y}" width="{width:.1f}" height="18" '
                f'fill="{ORANGE if chosen else BLUE}"/><text x="448" y="{y + 14}">{weight:.1%}</text>')
        finding = (f"C = {C}, {'divided by its root' if divide else 'not divided'}: a typical score has "
                   f"size {scores.std(correction=0):.1f}. The best of {keys} keys gets {best[query]:.0%} of this "
                   f"query's weight, and {best.mean():.0%} on average over {len(best)} queries. The gradient through "
                   f"that weight w, w(1 - w), is {(best * (1 - best)).mean():.3f} on average; it is 0.25 at most.")
        return base.drawing(base.svg(510, 24 + 24 * keys, parts, f"Weights of query {query}: " + ", ".join(
            f"key {k} {w:.1%}" for k, w in enumerate(weights[query].tolist()))), finding)

    def figure(C, divide, query):
        return plots.scale_effect(sorted({4, C, 1024}))

    return base.Explorer(draw, figure, C=base.steps("C (embed_dim)", [2**n for n in range(powers + 1)], 64),
                         divide=base.switch("divide the scores by the square root of C"),
                         query=base.slider("random query", 0, queries - 1))
