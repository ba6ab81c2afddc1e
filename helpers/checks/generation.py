"""Checks of 4_model: TODO 20, and the models with known logits that it generates with."""
import copy
from types import SimpleNamespace

import torch
from torch import nn

from helpers.checks.engine import Mistake, Wrong, check, mistake_made, raised
from helpers.checks.guard import Faraway

SINGLE = torch.float32

# --- TODO 20: generate -------------------------------------------------------------------------------------------

WINDOW_20 = "logits: what the model says at the last position, fed all ids or the last max_len of them"
TEMPERATURE_20 = "probabilities = softmax(logits / temperature)"
TOP_K_20 = "all but the k = top_k largest logits become -infinity"
GREEDY_20 = "temperature 0: the id with the largest logit"
APPEND_20 = "each row of ids grows by its next id at the end, max_new_tokens times"
MODE_20 = "evaluation mode and no gradients inside; afterwards everything as before"


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

    def keys(self, ids):
        """(B, T) -> (B, T): which row of the table holds the logits at each position."""
        return ((ids + 1) * self.places[:ids.shape[1]]).cumsum(1) % len(self.table)

    def forward(self, ids):
        if ids.shape[1] > self.max_len:
            raise TooLong(f"ids has {ids.shape[1]} positions, but max_len is {self.max_len}")
        self.calls.append(SimpleNamespace(ids=ids.clone(), training=self.training or self.dropout.training,
                                          gradients=torch.is_grad_enabled()))
        return self.dropout(self.table[self.keys(ids)])  # (B, T, V)


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


def as_found(model, training, case):
    """Raise Wrong if the model is not as the case gives it: in this mode, with gradients (all 1) and its max_len."""
    if model.training != training or model.dropout.training != training:
        now = "training" if model.training else "evaluation"
        raise Wrong(f"the model was in {'training' if training else 'evaluation'} mode before and is in {now} mode "
                    "afterwards.", "mode not restored", MODE_20, case=case)
    if not model.table.requires_grad:
        raise Wrong("the model's parameters do not require gradients any more: it could never learn again.",
                    "parameters frozen", MODE_20, case=case)
    if model.table.grad is None or not bool((model.table.grad == 1).all()):
        raise Wrong("the gradients that the model's parameters held before are gone afterwards.", "gradients cleared",
                    MODE_20, case=case)
    if model.max_len != len(model.places):
        raise Wrong("model.max_len is another afterwards.", "max_len changed", MODE_20, case=case)


def called(t, generate, c):
    """Run generate in case c -> the result. It must call the model in evaluation mode and without gradients, and leave
    model and gradient mode as it found them."""
    def without_gradients(*args, **kwargs):
        with torch.no_grad():
            result = generate(*args, **kwargs)
            if torch.is_grad_enabled():
                raise Wrong("gradients were switched off before the call and are on afterwards: put back what was "
                            "there.", "gradient mode not restored", MODE_20)
        return result

    model = c.model.train(c.training)
    model.calls.clear()
    model.table.grad = torch.ones_like(model.table)
    result = t.call(generate if c.gradients else without_gradients, model, c.x, c.new, **c.given)
    if any(call.training for call in model.calls):
        raise Wrong("the model is called in training mode, so its dropout is active.", "not in evaluation mode",
                    MODE_20)
    if any(call.gradients for call in model.calls):
        raise Wrong("the model is called with gradients switched on: memory grows with every id.", "gradients on",
                    MODE_20)
    as_found(model, c.training, c)
    return result


def fed(c, ids):
    """Raise Wrong unless the model was fed, for each new id, all ids there were, or the last max_len of them."""
    T, end = c.x.shape[1], ids.shape[1]
    steps = [set(map(tuple, ids[:, max(0, n - c.max_len):n].tolist())) for n in range(T, end + 1)]
    given = {tuple(row) for call in c.model.calls for row in call.ids.tolist()}
    more, missing = given - set.union(*steps), set().union(*steps[:-1]) - given
    if more:
        raise Wrong(f"the model is fed {list(min(more))}, which is neither all ids of a row so far nor the last "
                    "max_len of them.", "wrong ids fed", WINDOW_20, case=c)
    if missing:
        raise Wrong(f"the model is never fed {list(min(missing))}: all ids of a row so far, or the last max_len of "
                    "them.", "wrong ids fed", WINDOW_20, case=c)


# The logits of the ids from the best to the worst are temperature * ln(these shares), up to a constant: at the right
# temperature the ids are drawn with these shares, whatever it is, and with quite other ones at any other temperature.
SHARES_20 = torch.tensor([0.42, 0.15, 0.12, 0.11, 0.08, 0.042, 0.040, 0.038], dtype=torch.float64)
LIMIT_20 = 20  # see `unlikely`


def shares(logits, temperature=1.0, kept=slice(None)):
    """Probabilities (V,) of one step, for logits from the best to the worst."""
    scores = torch.full_like(logits, -torch.inf)
    scores[kept] = logits[kept] / temperature
    return scores.softmax(-1)


def filled(c, value):
    """Probabilities when the logits outside the top k become `value`."""
    return torch.where(torch.arange(len(c.logits)) < c.k, c.logits / c.temperature, value / c.temperature).softmax(-1)


LEFT_OUT = "ids outside the k best are drawn too; their logits must become -infinity"
EQUAL = "the ids are drawn with (nearly) equal chances: is softmax taken twice, or are the logits not used?"
ALWAYS_THE_BEST_20 = [
    Mistake("always the most likely id", "the most likely id is always taken; with a temperature above 0 the next id "
            "is drawn at random", line=TEMPERATURE_20, makes=lambda c: shares(c.logits, kept=slice(1))),
]
EQUAL_CHANCES_20 = [
    Mistake("equal chances", EQUAL, line=TEMPERATURE_20, makes=lambda c: shares(c.logits, 1e9)),
    Mistake("equal chances", EQUAL, line=TEMPERATURE_20, makes=lambda c: shares(shares(c.logits))),
]
TEMPERATURES_20 = [
    Mistake("temperature multiplied", "the logits are multiplied by the temperature; they are divided by it",
            line=TEMPERATURE_20, makes=lambda c: shares(c.logits, 1 / c.temperature, slice(c.k))),
    Mistake("temperature ignored", "the next id is drawn as if the temperature were 1", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, 1.0, slice(c.k))),
    Mistake("temperature squared", "the logits are divided by the temperature twice", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, c.temperature**2, slice(c.k))),
]
TOP_KS_20 = [
    Mistake("top_k ignored", "top_k has no effect", line=TOP_K_20, makes=lambda c: shares(c.logits, c.temperature)),
    Mistake("top_k off by one", "one id too many is kept", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, slice(c.k + 1))),
    Mistake("top_k off by one", "one id too few is kept", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, slice(c.k - 1))),
    Mistake("the k worst kept", "the k smallest logits are kept; keep the k largest", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, slice(-c.k, None))),
    Mistake("the k best removed", "the k largest logits are removed; they are the ones to keep", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, slice(c.k, None))),
    Mistake("left-out logits set to 0", "logits outside the top k become 0, which is a possible id like any other; "
            "they must become -infinity", line=TOP_K_20, makes=lambda c: filled(c, 0.0)),
    Mistake("left-out ids still possible", LEFT_OUT, line=TOP_K_20, makes=lambda c: filled(c, c.logits.min())),
]
# Exceptions when sampling; all of a greedy path's as well.
MISTAKES_20_DRAWING = [
    Mistake("top_k above V", "top_k may be larger than the number of ids and then has no effect", line=TOP_K_20,
            raises=lambda c, e: c.k is not None and c.k > len(SHARES_20)),
    Mistake("low temperature", "at a low temperature the probabilities overflow or vanish; softmax of the divided "
            "logits does neither", line=TEMPERATURE_20,
            raises=lambda c, e: c.temperature < 0.1 and isinstance(e, RuntimeError) and "probabilit" in str(e)),
    *MISTAKES_20,
]


@check(20)
def todo_20(t, generate):
    """generate: greedy paths against a known model, the shares of sampled ids, modes and errors."""
    V, max_len, T, B = t.sizes((9, 13), (6, 8), (3, 4), (2, 5))

    def case(B, T, new, temperature, k=None, **special):
        c = SimpleNamespace(B=B, new=new, temperature=temperature, k=k, max_len=max_len, x=t.randint(V, B, T),
                            given={"temperature": temperature, "top_k": k}, model=Recorder(t, V, max_len),
                            training=t.rng.random() < 0.5, gradients=True,
                            text=f"ids of shape ({B}, {T}), {new} new ids, max_len {max_len}, "
                                 f"temperature={temperature}, top_k={k}")
        c.__dict__.update(special)
        return c

    def run(c):
        expected = greedy(c)
        try:
            got = called(t, generate, c)
        except Wrong as wrong:
            raised(MISTAKES_20, c, wrong)
        t.equal("result", got, expected, MISTAKES_20, c, dtype=torch.int64)
        fed(c, got)

    # What an answer may forget: a mode where there is little or nothing to do, the gradient mode of its caller.
    t.cases([case(B, T, max_len, 0), through_zero(case(1, T + 1, 3, 0.0)), case(B, max_len + 3, 4, 0),
             case(B, max_len, 2, 0, gradients=False), case(B, 1, 1, 0, 3, training=True),
             case(B, T, 0, 1.0, training=True), case(1, max_len + 2, 0, 0, training=True), long_case(t, max_len)],
            run, {"for a batch of 1": lambda c: c.B == 1})
    sampled(t, generate, max_len)
    run(case(B, T, 4, 1.3, 1))
    refused(t, generate, case(2, T, 1, 0))
    model = Recorder(t, V, max_len).eval()
    x = t.randint(V, 2, T)
    Faraway.send(*model.parameters(), *model.buffers())
    t.elsewhere(lambda ids: generate(model, ids, max_len, 0), (x,))
    t.elsewhere(lambda ids: generate(model, ids, 2, 0.9, 3), (x,))
    return "greedy paths and windows, the shares of sampled ids, modes and errors"


def through_zero(c):
    """Case c (one row) with 0 as the first new id: an id like any other, which ends nothing."""
    with torch.no_grad():
        logits = c.model.table[c.model.keys(c.x)[0, -1]]
        logits[0] = logits.max() + 1
    return c


def long_case(t, max_len):
    """Many new ids, ids that do not fit into a byte, a prompt that is not contiguous, logits only 0.001 apart."""
    model, x = Recorder(t, 300, max_len), t.randint(300, 3, 2).T
    x[0, 0] = 299
    with torch.no_grad():
        model.table.copy_(8 + t.randn(97, 300).argsort(-1) / 1000)
    return SimpleNamespace(B=2, new=60, temperature=0, k=None, max_len=max_len, x=x, model=model, training=False,
                           gradients=True, given={"temperature": 0}, text="ids of shape (2, 3), 60 new ids, V 300")


def refused(t, generate, c):
    """Arguments that make no sense, also together with others that leave nothing to do; the mode stays."""
    for because, args in {
        "max_new_tokens -1": (c.x, -1), "temperature -0.5": (c.x, 2, -0.5), "top_k 0": (c.x, 2, 1.0, 0),
        "top_k -2": (c.x, 2, 1.0, -2), "an empty prompt": (c.x[:, :0], 2),
        "temperature -0.5, max_new_tokens 0": (c.x, 0, -0.5), "temperature -0.5, top_k 2": (c.x, 2, -0.5, 2),
        "top_k 0, max_new_tokens 0": (c.x, 0, 1.0, 0), "top_k 0, temperature 0": (c.x, 2, 0, 0),
    }.items():
        model = c.model.train()
        model.table.grad = torch.ones_like(model.table)
        t.refuses(generate, model, *args, because=because)
        as_found(model, True, SimpleNamespace(text=f"{because}, for which ValueError is raised"))


def sampled(t, generate, max_len):
    """Are the next ids drawn with the right chances, in every step?

    4 prompts of max_len - 1 ids, 50 rows each, 3 new ids: 600 draws in a case, the last from a window that has moved.
    Which id has which of the eight shares depends on the whole window, so an id's rank there is what counts.
    """
    ranks = t.randn(97, len(SHARES_20)).argsort(-1)  # of each id, for each key of the model
    model = Recorder(t, len(SHARES_20), max_len)
    prompts = t.randint(len(SHARES_20), 4, max_len - 1)
    for key, last in zip(model.keys(prompts)[:, -1], prompts[:, -1]):  # the best id is the last one once more
        swap = torch.stack([ranks[key].argmin(), last])
        ranks[key, swap] = ranks[key, swap.flip(0)]
    cases = []
    for given, mistakes in (  # each case has those that are seen clearly there
            ({}, EQUAL_CHANCES_20), ({"temperature": 2.0, "top_k": 8}, TEMPERATURES_20 + TOP_KS_20),
            ({"temperature": 0.25, "top_k": 1000}, []), ({"temperature": 5.0, "top_k": 3}, TOP_KS_20),
            ({"temperature": 0.002}, [])):
        c = SimpleNamespace(x=prompts.repeat_interleave(50, 0), new=3, given=given, max_len=max_len, model=model,
                            mistakes=ALWAYS_THE_BEST_20 + mistakes,
                            temperature=given.get("temperature", 1.0), k=given.get("top_k"), gradients=True,
                            training=len(cases) % 2 == 0)
        written = ", ".join(f"{k}={v}" for k, v in given.items()) or "temperature and top_k not given"
        c.text = f"200 rows of {max_len - 1} ids, 3 new ids, {written}"
        # All logits are negative. When cold, exp(-1000) is 0: the largest logit must be subtracted first.
        c.logits = c.temperature * (SHARES_20.log() - (1000 if c.temperature < 0.1 else 1))
        with torch.no_grad():
            model.table.copy_(c.logits[ranks])
        draw(t, generate, c, ranks)
        cases.append(c)
    independent(cases)
    for c in cases:
        judge(c)
    together = torch.cat([c.ranks for c in cases if c.k != 3])
    if unlikely(together, SHARES_20) > LIMIT_20:
        raise wrong_shares(together, SHARES_20, SimpleNamespace(text="several temperatures, all draws together"))


def draw(t, generate, c, ranks):
    """Run case c; notes the drawn ids as c.ids (rows, new) and their ranks as c.ranks."""
    try:
        ids = called(t, generate, c)
    except Wrong as wrong:
        raised(MISTAKES_20_DRAWING, c, wrong)
    rows, T = c.x.shape
    flat = isinstance(ids, torch.Tensor) and ids.dim() == 2
    t.equal("prompt in the result", ids[:, :T] if flat else ids, c.x, (), c, dtype=torch.int64)
    if ids.shape != (rows, T + c.new):
        raise Wrong(f"the result has shape {tuple(ids.shape)}, expected {(rows, T + c.new)}.", case=c)
    c.ids = ids[:, T:]
    if c.ids.min() < 0 or c.ids.max() >= len(c.logits):
        raise Wrong(f"the result holds ids from {int(c.ids.min())} to {int(c.ids.max())}, but the model has logits for "
                    f"0 to {len(c.logits) - 1} only.", case=c)
    fed(c, ids)
    keys = [c.model.keys(ids[:, max(0, end - c.max_len):end])[:, -1] for end in range(T, T + c.new)]
    c.ranks = ranks[torch.stack(keys, 1), c.ids]


def independent(cases):
    """Raise Wrong if rows with the same prompt get the same ids, or the first two cases, which have equal chances."""
    if not any(c.ranks.any() for c in cases):
        return  # always the best id: that is another mistake
    groups = cases[0].ids.unflatten(0, (4, 50))
    if bool((groups == groups[:, :1]).all()):
        raise Wrong("all rows with the same prompt get the same ids: each row needs a draw of its own.",
                    "one draw for all rows", TEMPERATURE_20, case=cases[0])
    if torch.equal(cases[0].ids, cases[1].ids):
        raise Wrong("two calls draw exactly the same ids: is the random seed set inside?", "the same draw every time",
                    TEMPERATURE_20)


def judge(c):
    """Raise Wrong if the ids of case c are not drawn with the right chances, or only the first ones."""
    right = shares(c.logits, c.temperature, slice(c.k))
    first, later = c.ranks[:, :1], c.ranks[:, 1:]
    odd = [unlikely(part, right) for part in (first, later, c.ranks)]
    if max(odd) <= LIMIT_20:
        return
    drawn = c.ranks
    if odd[0] <= LIMIT_20 < odd[1]:
        drawn, c.text = later, f"the second and third new id of {c.text}"
    share, N = share_of(drawn), drawn.numel()
    if unlikely(c.ids, right) <= LIMIT_20:
        raise Wrong("what is drawn is the place in the sorted list (0 for the best id), not the id that stands there.",
                    "place instead of id", TOP_K_20, case=c)
    known = []
    for mistake in c.mistakes:
        made = mistake.makes(c)
        if N * divergence(made, right).sum() > LIMIT_20:  # else nobody could tell
            known.append((float(N * divergence(share, made).sum()), len(known), mistake))
    if known and min(known)[0] <= LIMIT_20:
        raise mistake_made(min(known)[2], c)
    if c.k and share[c.k:].any():
        raise Wrong(LEFT_OUT + ".", "left-out ids still possible", TOP_K_20, case=c)
    for factor in (1.2**power for power in range(-40, 41) if c.given):
        if N * divergence(share, shares(c.logits, c.temperature * factor, slice(c.k))).sum() <= LIMIT_20:
            raise Wrong("the next id is drawn nearly as if the temperature were "
                        f"{'higher' if factor > 1 else 'lower'} than it is.", "another temperature", TEMPERATURE_20,
                        case=c)
    raise wrong_shares(drawn, right, c)


def share_of(ranks):
    return ranks.flatten().bincount(minlength=len(SHARES_20)).double() / ranks.numel()


def divergence(a, b):
    """The terms of the Kullback-Leibler divergence of the shares a from the shares b."""
    return torch.where(a > 0, a * (a / b).log(), 0.0)


def unlikely(ranks, right):
    """How unlikely are these ranks? The largest N KL(share, right) over the ids, each taken against all others.

    Chernoff: by chance an id's share exceeds a limit L with a probability of at most 2 exp(-L), 4e-9 for L = 20. There
    are 5 cases x 3 groups of draws x 8 ids, and 8 more for all together: false alarms are below 6e-7.
    On the other side the rarest id alone, if it never comes in 600 draws, gives -600 ln(1 - 0.038) = 23.
    """
    share = share_of(ranks)
    return float(ranks.numel() * (divergence(share, right) + divergence(1 - share, 1 - right)).max())


def wrong_shares(ranks, right, c):
    shown = [", ".join(f"{float(p):.3f}" for p in values) for values in (right, share_of(ranks))]
    return Wrong("the next id is not drawn with the right chances: from the largest logit to the smallest, expected "
                 f"shares are {shown[0]}, yours are {shown[1]}.", case=c)
