"""Explorers of phase 4: what a model predicts, and how it writes."""
import functools

import torch

from .. import inside, plots
from ..plots.base import spoken
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


def generation(model, tokenizer, generate, text="To be", steps=24):
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
