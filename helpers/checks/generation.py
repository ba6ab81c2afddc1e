"""Checks of 4_model: TODO 20, and the models with known logits that it generates with."""
import copy
import math
from types import SimpleNamespace

import torch
from torch import nn

from helpers.checks.engine import Mistake, Wrong, check, mistake_made, raised
from helpers.checks.guard import Faraway

SINGLE = torch.float32

# --- TODO 20: generate -------------------------------------------------------------------------------------------

WINDOW_20 = "logits = model(the last max_len ids)[:, -1]"
TEMPERATURE_20 = "probabilities = softmax(logits / temperature)"
TOP_K_20 = "all but the top_k largest logits become -infinity"
GREEDY_20 = "temperature 0: the id with the largest logit"
APPEND_20 = "ids = torch.cat([ids, next_id], dim=1)"
MODE_20 = "evaluation mode and no gradients inside; the old mode again at the end"


class TooLong(ValueError):
    pass


class Recorder(nn.Module):
    """A model with known logits: they depend on all ids that it is given and on their places, so that a window cut
    in another place gives other logits. In training mode everything is dropped. Notes how it is called."""

    def __init__(self, t, V, max_len, rows=97):
        super().__init__()
        self.max_len, self.calls = max_len, []
        self.table = nn.Parameter(t.randn(rows, V, dtype=SINGLE) * 3)
        self.register_buffer("places", t.randint(rows, max_len) + 1)
        self.dropout = nn.Dropout(1.0)

    def forward(self, ids):
        if ids.shape[1] > self.max_len:
            raise TooLong(f"ids has {ids.shape[1]} positions, but max_len is {self.max_len}")
        self.calls.append(SimpleNamespace(ids=ids, training=self.training or self.dropout.training,
                                          gradients=torch.is_grad_enabled()))
        key = ((ids + 1) * self.places[:ids.shape[1]]).cumsum(1) % len(self.table)
        return self.dropout(self.table[key])  # (B, T, V)


class Known(Recorder):
    """The logits depend on the last id alone: one row of `table` for each id."""

    def forward(self, ids):
        super().forward(ids)
        return self.dropout(self.table[ids])


def greedy(c, window=None, position=-1, pick=None, grow=True):
    """Greedy continuation of case c's prompt; the switches make the mistakes."""
    model, ids = copy.deepcopy(c.model).eval(), c.x
    for _ in range(c.new):
        part = (window or (lambda ids: ids[:, -c.max_len:]))(ids if grow else torch.cat([c.x], 1))
        with torch.no_grad():
            scores = model(part)[:, position]
        chosen = (scores.argmax(-1) if pick is None else pick(scores))[:, None]
        ids = torch.cat([ids, chosen], 1)
    return ids


MISTAKES_20 = [
    Mistake("only the new ids returned", "you return the new ids alone; the prompt belongs in front of them",
            line=APPEND_20, makes=lambda c: greedy(c)[:, c.x.shape[1]:]),
    Mistake("prompt cropped at the wrong end", "the model gets the first max_len ids; it needs the last ones",
            line=WINDOW_20, makes=lambda c: greedy(c, lambda ids: ids[:, :c.max_len])),
    Mistake("cropped result", "the prompt's beginning is missing in the result: crop only what the model is fed",
            line=WINDOW_20, makes=lambda c: greedy(c)[:, -c.max_len:]),
    Mistake("cropped result", "the prompt's beginning is missing in the result: crop only what the model is fed",
            line=WINDOW_20, makes=lambda c: greedy(c)[:, -(c.max_len + 1):]),
    Mistake("cropped result", "the prompt's beginning is missing in the result: crop only what the model is fed",
            line=WINDOW_20, makes=lambda c: greedy(c)[:, max(0, c.x.shape[1] - c.max_len):]),
    Mistake("only the last id fed", "the model gets the last id alone; it needs all ids there are, up to max_len",
            line=WINDOW_20, makes=lambda c: greedy(c, lambda ids: ids[:, -1:])),
    Mistake("window one too short", "the model gets max_len - 1 ids where max_len fit", line=WINDOW_20,
            makes=lambda c: greedy(c, lambda ids: ids[:, -(c.max_len - 1):])),
    Mistake("window of the prompt's length", "the model always gets as many ids as the prompt had; it needs all ids "
            "there are, up to max_len", line=WINDOW_20,
            makes=lambda c: greedy(c, lambda ids: ids[:, -min(c.x.shape[1], c.max_len):])),
    Mistake("new ids not fed back", "the model is always fed the prompt alone: the new ids never reach it",
            line=APPEND_20, makes=lambda c: greedy(c, grow=False)),
    Mistake("logits of the first position", "the next id is chosen from the logits of position 0; the last one counts",
            line=WINDOW_20, makes=lambda c: greedy(c, position=0)),
    Mistake("logits of the last but one position", "the next id is chosen from position -2; the last one counts",
            line=WINDOW_20, makes=lambda c: greedy(c, position=-2)),
    Mistake("the least likely id", "temperature 0 takes the smallest logit", line=GREEDY_20,
            makes=lambda c: greedy(c, pick=lambda scores: scores.argmin(-1))),
    Mistake("one id too few", "there is one new id too few", line=APPEND_20, makes=lambda c: greedy(c)[:, :-1]),
    Mistake("one choice for all rows", "every row of the batch gets the choice of the first row", line=GREEDY_20,
            makes=lambda c: greedy(c, pick=lambda scores: scores[:1].argmax(-1).expand(len(scores)))),
    Mistake("not cropped", "the model is fed more than max_len ids", line=WINDOW_20,
            raises=lambda c, e: isinstance(e, TooLong)),
    Mistake("division by temperature 0", "at temperature 0 there is no division: take the largest logit",
            line=GREEDY_20, raises=lambda c, e: c.temperature == 0 and (
                isinstance(e, ZeroDivisionError) or "probability tensor contains" in str(e))),
    Mistake("works only for a batch of 1", "more than one row in the batch raises an error", line=APPEND_20,
            raises=lambda c, e: (c.x.shape[0] > 1 and "only one element" in str(e)) or "converted to Scalar" in str(e)),
]


def shares(logits, temperature=1.0, k=None, keep=None):
    """Probabilities (V,) of one step."""
    k = len(logits) if k is None else min(max(k, 1), len(logits))
    kept = torch.zeros(len(logits), dtype=torch.bool)
    kept[logits.topk(k, largest=keep is None).indices] = True
    return torch.where(kept, logits.double() / temperature, -torch.inf).softmax(-1)


MISTAKES_20_SHARES = [
    Mistake("always the most likely id", "the most likely id is always taken; with a temperature above 0 the next id "
            "is drawn at random", line=TEMPERATURE_20, makes=lambda c: shares(c.logits, 1e-3)),
    Mistake("temperature multiplied", "the logits are multiplied by the temperature; they are divided by it",
            line=TEMPERATURE_20, makes=lambda c: shares(c.logits, 1 / c.temperature, c.k)),
    Mistake("temperature ignored", "the temperature has no effect", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, 1.0, c.k)),
    Mistake("temperature squared", "the logits are divided by the temperature twice", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, c.temperature**2, c.k)),
    Mistake("top_k ignored", "top_k has no effect", line=TOP_K_20, makes=lambda c: shares(c.logits, c.temperature)),
    Mistake("top_k off by one", "one id too many is kept", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, c.k + 1)),
    Mistake("top_k off by one", "one id too few is kept", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, c.k - 1)),
    Mistake("the k worst kept", "the k smallest logits are kept; keep the k largest", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, c.k, keep="worst")),
    Mistake("the k best removed", "the k largest logits are removed; they are the ones to keep", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, len(c.logits) - c.k, keep="worst")),
    Mistake("left-out logits set to 0", "logits outside the top k become 0, which is a possible id like any other; "
            "they must become -infinity", line=TOP_K_20,
            makes=lambda c: (c.logits / c.temperature * (shares(c.logits, 1.0, c.k) > 0)).double().softmax(-1)),
    Mistake("left-out logits set to 0", "logits outside the top k become 0, which is a possible id like any other; "
            "they must become -infinity", line=TOP_K_20,
            makes=lambda c: (c.logits * (shares(c.logits, 1.0, c.k) > 0) / c.temperature).double().softmax(-1)),
    Mistake("all ids equally likely", "the kept ids are drawn with equal chances", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, 1e9, c.k)),
    Mistake("softmax twice", "the softmax is taken twice", line=TEMPERATURE_20,
            makes=lambda c: shares(shares(c.logits, c.temperature, c.k))),
]


def modes_kept(t, generate, model, training, *args, **kwargs):
    """Call generate with the model in the given mode; the model must be found in it again -> the result."""
    model.train(training)
    model.calls.clear()
    result = t.call(generate, model, *args, **kwargs)
    if any(call.training for call in model.calls):
        raise Wrong("the model is called in training mode, so its dropout is active.", "not in evaluation mode",
                    MODE_20)
    if any(call.gradients for call in model.calls):
        raise Wrong("the model is called with gradients switched on: memory grows with every id.", "gradients on",
                    MODE_20)
    if model.training != training or model.dropout.training != training:
        now = "training" if model.training else "evaluation"
        raise Wrong(f"the model was in {'training' if training else 'evaluation'} mode before and is in {now} mode "
                    "afterwards.", "mode not restored", MODE_20)
    return result


@check(20)
def todo_20(t, generate):
    """generate: greedy paths against a known model, the shares of sampled ids, modes and errors."""
    V, max_len, T, B = t.sizes((9, 13), (6, 8), (3, 4), (2, 5))

    def case(B, T, new, temperature, k=None):
        return SimpleNamespace(B=B, new=new, temperature=temperature, k=k, max_len=max_len, x=t.randint(V, B, T),
                               mask=None, model=Recorder(t, V, max_len), training=t.rng.random() < 0.5,
                               text=f"ids of shape ({B}, {T}), {new} new ids, max_len {max_len}, "
                                    f"temperature={temperature}, top_k={k}")

    def run(c):
        expected = greedy(c)
        try:
            got = modes_kept(t, generate, c.model, c.training, c.x, c.new, temperature=c.temperature, top_k=c.k)
        except Wrong as wrong:
            raised(MISTAKES_20, c, wrong)
        t.equal("result", got, expected, MISTAKES_20, c, dtype=torch.int64)

    t.cases([case(B, T, max_len, 0), case(1, T + 1, 3, 0.0), case(B, max_len + 3, 4, 0), case(B, max_len, 2, 0),
             case(B, 1, 2, 0, 3), case(B, T, 0, 1.0), case(1, max_len + 2, 0, 0)],
            run, {"for a batch of 1": lambda c: c.B == 1})
    for training in (True, False):
        c = case(2, T, 2, 0)
        modes_kept(t, generate, c.model, training, c.x, 2, 1.0, 2)
    sampled(t, generate, V=6)
    run(case(B, T, 4, 1.3, 1))
    c = case(2, T, 1, 0)
    for because, args in {
        "max_new_tokens -1": (c.x, -1), "temperature -0.5": (c.x, 2, -0.5), "top_k 0": (c.x, 2, 1.0, 0),
        "top_k -2": (c.x, 2, 1.0, -2), "an empty prompt": (c.x[:, :0], 2),
    }.items():
        t.refuses(generate, copy.deepcopy(c.model).eval(), *args, because=because)
    model = Recorder(t, V, max_len).eval()
    Faraway.send(*model.parameters(), *model.buffers())
    t.elsewhere(lambda ids: generate(model, ids, max_len, 0), (c.x,))
    t.elsewhere(lambda ids: generate(model, ids, 2, 0.9, 3), (c.x,))
    return "greedy paths and windows, the shares of sampled ids, modes and errors"


def sampled(t, generate, V):
    """Are the next ids drawn with the right chances?

    Two prompts, N = 1500 rows each. The share of an id with probability p has standard deviation s = sqrt(p(1-p)/N); a
    band of 7.5 s + 3/N is never left by more than a chance of about 1e-9 (for the smallest p here, 0.012, N p = 18 and
    the band ends at 53: Poisson tail 2e-11), and there are 2 x 6 x 6 = 72 shares: false alarms are below 1e-7.
    """
    N = 1500
    chances = torch.tensor([0.30, 0.25, 0.18, 0.13, 0.09, 0.05])
    orders = [torch.randperm(V, generator=t.gen) for _ in range(2)]
    model = Known(t, V, 5, rows=V)
    with torch.no_grad():
        model.table[0], model.table[1] = (chances[order].log() + 4 for order in orders)
    prompt = torch.zeros(2 * N, 2, dtype=torch.int64)
    prompt[N:, 1] = 1  # the second half of the rows ends in id 1
    again = []
    for kwargs in ({}, {"temperature": 0.5}, {"temperature": 2.0, "top_k": 3}, {"top_k": V}, {"top_k": V + 4},
                   {"temperature": 0.6, "top_k": 4}):
        written = ", ".join(f"{k}={v}" for k, v in kwargs.items()) or "temperature and top_k not given"
        c = SimpleNamespace(temperature=kwargs.get("temperature", 1.0), k=kwargs.get("top_k"), x=prompt,
                            text=f"{2 * N} rows of 2 ids, {written}")
        try:
            ids = t.call(generate, model.eval(), prompt, 1, **kwargs)
        except Wrong as wrong:
            raised([TOP_K_TOO_LARGE, *MISTAKES_20], c, wrong)
        t.equal("prompt in the result", ids[:, :2] if getattr(ids, "dim", int)() == 2 else ids, prompt, (), c)
        if ids.shape != (2 * N, 3):
            raise Wrong(f"the result has shape {tuple(ids.shape)}, expected {(2 * N, 3)}.", case=c)
        again.append(ids[:, 2])
        for half in (0, 1):
            c.logits = model.table[half].detach()
            drawn = ids[half * N:(half + 1) * N, 2]
            share = drawn.bincount(minlength=V).double() / N
            right = shares(c.logits, c.temperature, c.k)
            if len(share) == V and off(share, right, N) <= 1:
                continue
            if bool((drawn == drawn[0]).all()) and not kwargs and drawn[0] != c.logits.argmax():
                raise Wrong("all rows of the batch get the same draw.", "one draw for all rows", TEMPERATURE_20, case=c)
            known = []
            for mistake in MISTAKES_20_SHARES:
                try:
                    made = mistake.makes(c)
                except (TypeError, RuntimeError):  # no top_k here
                    continue
                if off(made, right, N) > 0.5:
                    known.append((off(share, made, N), len(known), mistake))
            if known and min(known)[0] <= 1:
                raise mistake_made(min(known)[2], c)
            shown = [", ".join(f"{float(p):.3f}" for p in values) for values in (right, share)]
            raise Wrong(f"the next id is not drawn with the right chances: expected shares {shown[0]}, yours are "
                        f"{shown[1]}.", case=c)
    if any(bool((a == b).all()) for a, b in ((again[3], again[4]), (again[0], again[3]))):
        raise Wrong("two calls draw exactly the same ids: is the random seed set inside?", "the same draw every time",
                    TEMPERATURE_20)
    with torch.no_grad():  # far apart and cold: exp(240) overflows where the largest logit is not subtracted first
        model.table[:2] = torch.stack(orders).float() * 2.4
    expected = torch.cat([prompt, model.table.argmax(-1)[prompt[:, 1]][:, None]], 1)
    c = SimpleNamespace(temperature=0.05, k=None, x=prompt[-2:], text="logits 0, 2.4, ..., 12 and temperature=0.05")
    try:
        t.equal("result", t.call(generate, model.eval(), prompt[-2:], 1, temperature=0.05), expected[-2:], (), c)
    except Wrong as wrong:
        raised(MISTAKES_20, c, wrong)


def off(share, right, N):
    """Largest distance of two lists of shares in units of the band that chance explains."""
    band = 7.5 * (right * (1 - right) / N).sqrt() + 3 / N * (right > 0) + 1e-12
    return float(((share - right).abs() / band).max()) if len(share) == len(right) else math.inf


TOP_K_TOO_LARGE = Mistake("top_k above V", "top_k may be larger than the number of ids and then has no effect",
                          line=TOP_K_20, raises=lambda c, e: c.k is not None and c.k > 6)
