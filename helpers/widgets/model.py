"""Explorers of phase 4: what a model predicts, how it writes, and what it is made of."""
import functools
import math

import torch

from .. import inside, plots
from ..plots.architecture import KINDS
from ..plots.base import BLUE, spoken
from . import base, charts

TOP = 12  # bars


def next_character(model, tokenizer, text="To be"):
    """The next character after a text: bars that follow the temperature and top-k.

    `model` is a `TinyLLM`, `tokenizer` its `CharTokenizer`. Twin: `plots.next_characters`.
    """
    def after(text):
        return inside.look(model, inside.encode(tokenizer, text)).logits[-1].double().cpu()  # (V,)

    def draw(text, temperature, top_k):
        logits = after(text)
        before, now = chances(logits, temperature), chances(logits, temperature, top_k)
        rows = []
        for rank, i in enumerate(before.topk(min(TOP, len(before))).indices.tolist()):
            removed = rank >= top_k
            label, share = base.glyph(tokenizer.chars[i]), (before if removed else now)[i].item()
            rows.append((label, share, f"{share:.1%}" + " removed by top-k" * removed,
                         "removed" if removed else "plain"))
        entropy = torch.special.entr(now).sum()
        best = tokenizer.chars[int(now.argmax())]
        said = (f"At temperature {temperature:g}, the best next character is {spoken(best)} with {now.max():.1%}. "
                f"{int((now > 0).sum())} of {len(now)} characters can be drawn. Entropy {entropy:.2f}: as open as an "
                f"even choice among {entropy.exp():.1f} characters.")
        return base.drawing(charts.bars(rows, f"Next characters after {spoken(text)}. {said}"), said)

    def figure(text, temperature, top_k):
        return plots.next_characters(chances(after(text), temperature, top_k).log(), tokenizer.chars, TOP)

    return base.Explorer(
        draw, figure, text=base.line("text", text), temperature=base.slider("temperature", 0.0, 3.0, 1.0, 0.1),
        top_k=base.slider("top-k", 1, len(tokenizer.chars), len(tokenizer.chars)))


def chances(logits, temperature, top_k=None):
    """What `generate` draws by: the `top_k` best of the logits (..., V), divided by the temperature, softmax."""
    best = logits.topk(min(top_k or logits.shape[-1], logits.shape[-1]) if temperature else 1)
    kept = torch.full_like(logits, float("-inf")).scatter(-1, best.indices, best.values)
    return (kept / (temperature or 1.0)).softmax(-1)


def generation(model, tokenizer, generate, text="To be", steps=20):
    """How a text is written: step by step, the chances of each next character and the one that was drawn.

    `model` is a `TinyLLM`, `tokenizer` its `CharTokenizer`, `generate` the function of TODO 20. Twin:
    `plots.next_characters`, for the step that is shown.
    """
    @functools.lru_cache(maxsize=1)  # so that moving the step is fast
    def write(text, seed, temperature):
        """ids (T + steps,), and the chances (steps, V) from which the last of them were drawn."""
        prompt = inside.encode(tokenizer, text)
        room = model.max_len - steps
        if not 1 <= len(prompt) <= room:
            raise ValueError(f"the text must have 1 to {room} characters, so that {steps} more fit into the model; "
                             f"it has {len(prompt)}")
        device = next(model.parameters()).device
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # the notebook's own draws stay
            torch.manual_seed(seed)
            ids = generate(model, torch.tensor([prompt], device=device), steps, temperature)[0]  # (T + steps,)
        logits = inside.look(model, ids[:-1]).logits[len(prompt) - 1:]  # (steps, V): causal, so one look serves all
        return ids.tolist(), chances(logits.double().cpu(), temperature)

    def draw(text, seed, temperature, step):
        ids, shares = write(text, seed, temperature)
        new, now = ids[len(text):], shares[step - 1]
        drawn = [shares[i, new[i]].item() for i in range(step)]
        order = now.argsort(descending=True, stable=True).tolist()
        best_so_far = (shares[:step].argmax(-1) == torch.tensor(new[:step])).sum()
        rank = order.index(new[step - 1])
        shown = order[:8] + [new[step - 1]] * (rank >= 8)
        rows = [(base.glyph(tokenizer.chars[i]), now[i].item(),
                 f"{now[i]:.1%}" + f" drawn (rank {order.index(i) + 1})" * (i == new[step - 1]),
                 "chosen" if i == new[step - 1] else "plain") for i in shown]
        letter, best = (spoken(tokenizer.chars[i]) for i in (new[step - 1], order[0]))
        said = (f"Step {step} of {steps}: {letter} was drawn, with {drawn[-1]:.1%} number {rank + 1} of {len(order)}; "
                + (f"the best was {best} with {now.max():.1%}. " if rank else "none was better. ")
                + f"The best one was drawn in {best_so_far} of {step} steps so far.")
        written = base.letters(tokenizer.decode(new[:step]), drawn, marked=step - 1)
        prompt = "".join(map(base.glyph, text))
        return base.drawing(
            f'<div>written after <span style="font-size: 17px; {base.MONO}">{prompt}</span>, with the chance of each '
            f'character in percent:</div><div style="min-height: 58px; max-width: 900px">{written}</div>'
            + charts.bars(rows, said), said)

    def figure(text, seed, temperature, step):
        return plots.next_characters(write(text, seed, temperature)[1][step - 1].log(), tokenizer.chars, TOP)

    return base.Explorer(
        draw, figure, text=base.line("text", text), seed=base.slider("seed", 0, 20),
        temperature=base.slider("temperature", 0.0, 3.0, 1.0, 0.1), step=base.slider("step", 1, steps))


def logit_lens(model, tokenizer, text="To be"):
    """What the model would predict at each depth: its last norm and head, applied along the residual stream.

    `model` is a `TinyLLM`, `tokenizer` its `CharTokenizer`. Twin: `plots.logit_lens`.
    """
    depths, chars = inside.depths(len(model.blocks)), tokenizer.chars

    def at(text, position):
        seen = inside.look(model, inside.encode(tokenizer, text))
        return inside.lens(model, seen)[:, position].double().cpu()  # (D, V)

    def draw(text, position):
        shares = at(text, position).softmax(-1)  # (D, V)
        best = int(shares[-1].argmax())
        top = range(min(5, len(chars)))
        parts = [charts.text_at(160 + 76 * rank, 16, f"rank {rank + 1}") for rank in top]
        for i, (name, share) in enumerate(zip(depths, shares)):
            y = 24 + 28 * i
            parts.append(charts.text_at(148, y + 17, name, "end"))
            for rank, j in zip(top, share.topk(len(top)).indices.tolist()):
                x = 160 + 76 * rank
                words = (charts.text_at(x + 8, y + 17, "", label=base.glyph(chars[j]))
                         + charts.text_at(x + 64, y + 17, f"{share[j]:.0%}", "end"))
                parts.append(charts.cell(x, y, 70, 24, share[j].item(), words, j == best))
        ranks = (shares > shares[:, best:best + 1]).sum(-1).tolist()  # of the best in the end, at each depth
        since = next(i for i in range(len(ranks)) if not any(ranks[i:]))
        final = shares[-1, best]
        said = (f"After {spoken(text[position])} at position {position}, the best in the end is {spoken(chars[best])} "
                f"(framed) with {final:.1%}. At first it is number {ranks[0] + 1} with {shares[0, best]:.1%}; "
                + (f"from '{depths[since]}' on it is the best." if since else "it is the best at every depth."))
        if torch.special.entr(shares[-1]).sum() > 0.9 * math.log(len(chars)):
            said += f" But this is nearly an even guess among {len(chars)} characters, as untrained models make it."
        picture = base.svg(160 + 76 * 5, 28 * len(depths) + 28, parts, f"Best characters at each depth. {said}")
        return base.drawing(picture, said)

    def figure(text, position):
        return plots.logit_lens(at(text, position), chars, depths)

    def adjust(controls):
        controls["position"].max = max(0, len(controls["text"].value) - 1)

    return base.Explorer(draw, figure, adjust, text=base.line("text", text),
                         position=base.slider("position", 0, len(text) - 1, len(text) - 1))


FLOW = {"token_embedding": "embed", "positional_encoding": "embed", "norm1": "norm", "attention": "attend",
        "norm2": "norm", "feed_forward": "feed", "final_norm": "norm", "head": "head"}  # part -> its colours


def architecture(model, tokenizer, text="Hello"):
    """A text on its way through the model: the shape at each arrow, and each part's share of the parameters.

    `model` is a `TinyLLM`, `tokenizer` its `CharTokenizer`. Twin: `plots.architecture`.
    """
    def look(text):
        return inside.anatomy(model, inside.encode(tokenizer, text))

    def draw(text, part, block):
        anatomy = look(text)
        names = {name: f"blocks.{block}.{name}" if hasattr(model.blocks[block], name) else name for name in FLOW}
        parts = {name: anatomy.parts[path] for name, path in names.items()}
        chosen, whole = parts[part], anatomy.parameters
        blocks = sum(p.parameters for name, p in anatomy.parts.items() if name.startswith("blocks."))
        where = f" of block {block}" if names[part] != part else ""
        said = (f"{part}{where} takes {chosen.takes} and gives {chosen.gives}. It learns {chosen.parameters:,} "
                f"numbers, {chosen.parameters / whole:.1%} of {whole:,}; all {anatomy.blocks} blocks together have "
                f"{blocks / whole:.1%}.")
        title = f"block {block} of {anatomy.blocks}"
        return base.drawing(_flow(text, parts, part, title, anatomy, f"The parts of the model. {said}"), said)

    def figure(text, part, block):
        return plots.architecture(anatomy=look(text))

    return base.Explorer(draw, figure, text=base.line("text", text), part=base.choice("part", list(FLOW), "attention"),
                         block=base.slider("block", 0, len(model.blocks) - 1))


def _flow(text, parts, chosen, title, anatomy, words):
    """From the text at the top to the logits: boxes with arrows, their shapes, and bars for the parameters."""
    step, high, left, wide, bar = 56, 28, 84, 180, 372  # pixels: from box to box, a box, where the bars begin
    middle, rows = left + wide / 2, ["text", *parts, "logits"]
    most = max(part.parameters for part in parts.values()) or 1
    top = {name: i * step + 20 for i, name in enumerate(rows)}
    drawn = [charts.text_at(bar, 12, "parameters, and their share of all"),
             f'<rect x="46" y="{top["norm1"] - 25}" width="306" height="{4 * step + 21}" rx="10" fill="none" '
             f'stroke="currentColor" stroke-dasharray="5 4"/>',
             charts.text_at(344, top["norm1"] - 9, title, "end")]
    for name, y in top.items():
        kind, part = FLOW.get(name, "data"), parts.get(name)
        fill, edge = KINDS[kind]
        label = "".join(map(base.glyph, text[:14])) + "\u2026" * (len(text) > 14) if name == "text" else ""
        drawn.append(
            f'<rect x="{left}" y="{y}" width="{wide}" height="{high}" rx="6" fill="{fill}" '
            f'stroke="{"currentColor" if name == chosen else edge}" stroke-width="{4 if name == chosen else 1.5}"/>'
            f'<g fill="#000000">{charts.text_at(middle, y + 19, "" if label else name, "middle", label)}</g>')
        if name == chosen:
            drawn.append(charts.text_at(left - 8, y + 20, "\u25b8", "end"))
        if part:
            long = 150 * part.parameters / most
            drawn.append(f'<rect x="{bar}" y="{y + 6}" width="{max(long, 1):.1f}" height="{high - 12}" fill="{BLUE}"/>'
                         + charts.text_at(bar + long + 6, y + 19, f"{part.parameters:,}, "
                                                                  f"{part.parameters / anatomy.parameters:.1%}"))
        if name != "logits":
            down = y + high
            gives = part.gives if part else anatomy.ids
            drawn.append(f'<path d="M{middle} {down}v20" stroke="currentColor"/>'
                         f'<path d="M{middle - 4} {down + 20}h8l-4 8z"/>'
                         + charts.text_at(middle + 14, down + 19, str(gives)))
    for first, last in (("norm1", "attention"), ("norm2", "feed_forward")):  # the residual connections
        y = top[last] + high + 7
        drawn.append(f'<path d="M{middle} {top[first] - 11}H62V{y}H{middle - 7}" fill="none" stroke="{BLUE}" '
                     f'stroke-width="2"/>'
                     f'<circle cx="{middle}" cy="{y}" r="7" fill="#ffffff" stroke="{BLUE}" stroke-width="2"/>'
                     f'<path d="M{middle - 4} {y}h8m-4 -4v8" stroke="#000000" stroke-width="1.5"/>')
    return base.svg(680, step * len(rows), drawn, words)
