"""Checks of 5_training: TODO 31, the text that a model writes."""
import inspect
import math
import string
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from helpers import oracle
from helpers.checks.compare import kind_of, sentence
from helpers.checks.engine import Mistake, Wrong, check, named, raised
from helpers.checks.generation import Recorder, greedy
from helpers.checks.guard import Faraway

PROMPT_31 = "all ids of the prompt, unchanged, as a batch of one: (1, T)"
TEXT_31 = "ids (1, T + max_new_tokens) -> the whole text, prompt and continuation"
PASS_31 = "max_new_tokens, temperature and top_k are handed over as they were given"
MODE_31 = "the model writes in evaluation mode, and is left in the mode it was found in"
DEVICE_31 = "the prompt's ids are on the model's device"


# ---------------------------------------------------------------------------------------------------------------
# Texts that are known beforehand: temperature 0, or top_k 1

class Chain(Recorder):
    """After each id comes the one that follows it in `order`. Its first layer is an embedding, as a real model's is."""

    def __init__(self, t, order, max_len):
        super().__init__(t, len(order), max_len, rows=len(order))
        with torch.no_grad():
            self.table.zero_()
            self.table[order, order.roll(-1)] = 9.0

    def forward(self, ids):
        super().forward(ids)  # notes the call
        return self.dropout(F.embedding(ids, self.table))


def case(model, tokenizer, prompt, new, training=True):
    shown = ascii(prompt) if len(prompt) < 40 else f"of {len(prompt)} characters"
    return SimpleNamespace(model=model, tokenizer=tokenizer, prompt=prompt, new=new, training=training,
                           max_len=model.max_len, x=torch.tensor([tokenizer.encode(prompt)]),
                           text=f"prompt {shown}, {new} new characters")


def told(c):
    """The right text."""
    return c.tokenizer.decode(greedy(c)[0].tolist())


MISTAKES_31 = [
    Mistake("prompt missing", "you return the continuation alone; the prompt belongs in front of it", line=TEXT_31,
            makes=lambda c: told(c)[len(c.prompt):]),
    Mistake("prompt doubled", "the prompt stands there twice: generate already returns it with the new ids",
            line=TEXT_31, makes=lambda c: c.prompt + told(c)),
    Mistake("only the prompt", "you return the prompt without a continuation", line=TEXT_31, makes=lambda c: c.prompt),
    Mistake("last character missing", "the last character is cut off", line=TEXT_31, makes=lambda c: told(c)[:-1]),
    Mistake("first character missing", "the first character is cut off", line=TEXT_31, makes=lambda c: told(c)[1:]),
    Mistake("space added", "there is a space between prompt and continuation", line=TEXT_31,
            makes=lambda c: c.prompt + " " + told(c)[len(c.prompt):]),
    Mistake("white space stripped", "white space at the ends is lost", line=TEXT_31, makes=lambda c: told(c).strip()),
    Mistake("white space stripped", "white space at the end is lost", line=TEXT_31, makes=lambda c: told(c).rstrip()),
    Mistake("prompt changed", "the prompt is changed before it is encoded: all its characters are in the vocabulary",
            line=PROMPT_31, raises=lambda c, e: isinstance(e, ValueError) and "not in the vocabulary" in str(e)),
    Mistake("a list of ids instead of a tensor", "the function generate takes a tensor of shape (1, T)", line=PROMPT_31,
            raises=lambda c, e: "'list' object" in str(e) or "list indices" in str(e)),
    Mistake("batch handed to decode", "the tokenizer decodes the ids of one text, not a batch of shape (1, T)",
            line=TEXT_31, raises=lambda c, e: "'int' and 'list'" in str(e)),
    Mistake("batch dimension missing", "the function generate takes ids of shape (1, T): one row", line=PROMPT_31,
            raises=lambda c, e: (isinstance(e, IndexError) and "Dimension out of range" in str(e))
            or (isinstance(e, RuntimeError) and "dimension" in str(e))),
]


def state(model):
    """What a caller finds of the model: modes, and of the parameters what a cast or a freeze changes."""
    return [part.training for part in model.modules()], [(p.dtype, p.requires_grad) for p in model.parameters()]


def left_as_found(c, before):
    modes, parameters = state(c.model)
    if modes != before[0]:
        raise Wrong("the model's training mode is not left as it was found.", "mode not restored", MODE_31, 2, case=c)
    if parameters != before[1]:
        raise Wrong("the model is changed: its parameters have another dtype or no longer require gradients.",
                    "model changed", MODE_31, 2, case=c)


def writes(t, generate_text, c, *args, given="", **kwargs):
    """Compare the text of one call with the right one; `given` is the argument that makes it certain."""
    c.model.train(c.training)
    c.model.calls.clear()
    before = state(c.model)
    try:
        text = t.call(generate_text, c.model, c.tokenizer, c.prompt, *args, **kwargs)
    except Wrong as wrong:
        if isinstance(wrong.error, ValueError):
            wrong.says = f"this call is legal. {sentence(wrong.says)}"
        raised(MISTAKES_31, c, wrong)
    is_text(text, c)
    if text != told(c):
        say_what_is_wrong(c, text, given)
    left_as_found(c, before)


def is_text(got, c):
    if type(got) is not str:
        raise Wrong(f"it should return a str, but it returns {kind_of(got)}.",
                    "nothing returned" if got is None else "not a text", TEXT_31, case=c)


def has_length(got, c):
    new = len(got) - len(c.prompt)
    if got.startswith(c.prompt) and new != c.new:
        raise Wrong(f"it writes {new} new characters where {c.new} were asked for.", "wrong number of characters",
                    PASS_31, 2, case=c)


def say_what_is_wrong(c, got, given):
    """Raise Wrong: `got` is not the right text."""
    right = told(c)
    if any(call.training for call in c.model.calls):
        raise Wrong("the model is called in training mode, so its dropout is active.", "not in evaluation mode",
                    MODE_31, 2, case=c)
    named(MISTAKES_31, c, got)
    step = fed_otherwise(c, got)
    if step == 0:
        raise Wrong("what the model is given first is not the prompt's ids.", "prompt changed", PROMPT_31, case=c)
    has_length(got, c)
    if got and right.endswith(got):
        raise Wrong("the text's beginning is lost: generate crops by itself what the model is fed.", "prompt cropped",
                    PROMPT_31, case=c)
    shown = f"expected {right[-60:]!a}, yours is {got[-60:]!a}."
    if step is not None:
        raise Wrong(f"what the model is given later is not the text so far: {shown}", "text and model differ",
                    TEXT_31, case=c)
    if got.startswith(c.prompt):
        raise Wrong(f"the argument {given} is ignored or changed: {shown}", f"{given.partition('=')[0]} not passed on",
                    PASS_31, 2, case=c)
    raise Wrong(shown, line=TEXT_31, case=c)


def fed_otherwise(c, got):
    """The first step in which the model was not given the text so far (its last max_len characters), or None."""
    text = got if got.startswith(c.prompt) and set(got) <= set(c.tokenizer.chars) else c.prompt
    ids = c.tokenizer.encode(text)
    for step, call in enumerate(c.model.calls[:len(text) - len(c.prompt) + 1]):
        if call.ids.shape[1:] != (min(len(c.prompt) + step, c.max_len),) or \
                call.ids[0].tolist() != ids[:len(c.prompt) + step][-c.max_len:]:
            return step
    return None


# ---------------------------------------------------------------------------------------------------------------
# Texts that are drawn

class Crowd(nn.Module):
    """Always the same logits: `lead` for one character, and for the others nearly 0, so that they are nearly equally
    likely, yet all different."""

    def __init__(self, t, others, lead):
        super().__init__()
        self.max_len = 4
        order = torch.randperm(others + 1, generator=t.gen)
        logits = torch.zeros(others + 1)
        logits[order] = torch.arange(others + 1) * -1e-6
        logits[order[0]] = lead
        self.logits = nn.Parameter(logits)
        self.tokenizer = oracle.CharTokenizer("".join(map(chr, range(65, 65 + others + 1))))
        self.rank = {chr(65 + int(i)): rank for rank, i in enumerate(order)}  # 0: the likeliest character

    def forward(self, ids):
        return self.logits.expand(*ids.shape, -1)


def drawn(t, generate_text, crowd, new, **kwargs):
    """The continuation that the answer writes -> the rank of each character."""
    written = ", ".join(f"{name}={value}" for name, value in kwargs.items()) or "only model, tokenizer and prompt given"
    c = SimpleNamespace(prompt="A", new=new, text=f"prompt 'A', {written}")
    text = t.call(generate_text, crowd.eval(), crowd.tokenizer, c.prompt, **kwargs)
    is_text(text, c)
    has_length(text, c)
    if len(text) != new + 1 or not set(text) <= set(crowd.rank):
        raise Wrong(f"it should return {new + 1} characters of the vocabulary; yours is {text[:60]!a}.", line=TEXT_31,
                    case=c)
    return [crowd.rank[char] for char in text[1:]], c


def top_k_acts(t, generate_text, k=25):
    """All k best are equally likely: the last fifth of them is missing in 2 x 35 draws with 0.8**70 = 2e-7, and two
    texts of 35 draws are equal with 25**-35."""
    crowd = Crowd(t, k + 15, lead=0.0)
    (first, c), (second, _) = [drawn(t, generate_text, crowd, 35, max_new_tokens=35, temperature=1.0, top_k=k)
                               for _ in range(2)]
    best = max(first + second) + 1
    if best > k or best <= k - k // 5:
        raise Wrong(f"the argument top_k={k} is ignored or changed: the {k} likeliest characters should occur, and the "
                    f"{best} likeliest do.", "top_k not passed on", PASS_31, 2, case=c)
    if first == second:
        raise Wrong("two calls write the same text: with a temperature above 0 it is drawn anew each time.",
                    "the same text every time", TEXT_31, case=c)


OTHERS = 2000


def drawn_at(t, generate_text, right, new, **given):
    """Are the characters drawn at the temperature `right`, and from all there are?

    With the logit right * ln 2000 in the lead of a crowd of 2000, the likeliest character has the share 1/2 at this
    temperature, and 1 / (1 + 2000**(1 - right / T)) at another, T. Of `new` draws, 1/4 to 3/4 must be this one: by
    chance they are not with 1.2e-8 for 120 draws, and with less than 3e-13 for 200 or 310 (binomial, both sides). A T
    that is 1.6 times too large or too small gets through with less than 1e-9. No draw is from the less likely half of
    the crowd with (3/4)**120 = 1e-15: a top_k that was not asked for shows there.
    """
    crowd = Crowd(t, OTHERS, lead=right * math.log(OTHERS))

    def right_shares(ranks):
        return new / 4 <= ranks.count(0) <= 3 / 4 * new and max(ranks) > OTHERS / 2

    ranks, c = drawn(t, generate_text, crowd, new, **given)
    if right_shares(ranks):
        return
    if right_shares(drawn(t, generate_text, crowd, new, **given, top_k=OTHERS + 1)[0]):  # this top_k has no effect
        raise Wrong("without top_k every character can be drawn, but only some of the likeliest occur.",
                    "default top_k", PASS_31, 2, case=c)
    here = f"the likeliest character should be about half of the new ones here, and it is {ranks.count(0)} of {new}."
    if given:
        raise Wrong(f"the argument temperature={right} is ignored or changed: {here}",
                    "temperature not passed on", PASS_31, 2, case=c)
    raise Wrong(f"the default of temperature should be 0.8, and another temperature acts: {here}",
                "default temperature", PASS_31, 2, case=c)


def defaults(t, generate_text):
    """200 new characters, temperature 0.8, no top_k. A default near 0.8 is found by what the signature says."""
    given = inspect.signature(generate_text).parameters.get("temperature")
    if given is not None and isinstance(given.default, (int, float)) and given.default != 0.8:
        raise Wrong(f"the default of temperature should be 0.8; yours is {given.default}.", "default temperature",
                    PASS_31, 2)
    try:
        drawn_at(t, generate_text, 0.8, 200)
    except Wrong as wrong:
        if wrong.name == "wrong number of characters":
            wrong.name = "default of max_new_tokens"
        raise


# ---------------------------------------------------------------------------------------------------------------
# The check

@check(31, pieces={"generate": oracle.generate})
def todo_31(t, generate_text):
    """generate_text: greedy texts, drawn texts, defaults, what it refuses, modes, device."""
    small, upper = (t.rng.sample(letters, 7) for letters in (string.ascii_lowercase, string.ascii_uppercase))
    tokenizer = oracle.CharTokenizer("".join(small + upper) + " .:\n")
    model = letter_writer(t, tokenizer, max_len=t.rng.randint(6, 8))

    def word(n):
        return upper[0] + "".join(t.rng.choices(small + upper, k=n - 1))

    start = "\n\n" + word(2)
    for prompt, new, training in (
        (start, 12, True), (start, 3, False), (word(model.max_len + 4), 5, False), (word(1), 3, True),
        (word(1), 0, False), (" ", 4, True), (f"{word(3)}.\n{word(4)}:\n", 6, False),
    ):
        c = case(model, tokenizer, prompt, new, training)
        writes(t, generate_text, c, max_new_tokens=new, temperature=0, given="temperature=0")
        if new > 4:
            writes(t, generate_text, c, max_new_tokens=new, top_k=1, given="top_k=1")
    double = letter_writer(t, tokenizer, model.max_len).double()
    writes(t, generate_text, case(double, tokenizer, word(5), 6), 6, 0.7, 1, given="top_k=1")
    c = long_prompt(t)
    writes(t, generate_text, c, max_new_tokens=c.new, temperature=0, given="temperature=0")
    nearly_tied(t, generate_text)
    for temperature, new in ((2.0, 310), (0.5, 120)):
        drawn_at(t, generate_text, temperature, new, max_new_tokens=new, temperature=temperature)
    top_k_acts(t, generate_text)
    defaults(t, generate_text)
    refusals(t, generate_text, case(model, tokenizer, word(4), 3))
    on_its_device(t, generate_text, case(model, tokenizer, word(4), 3))
    return "greedy and drawn texts, defaults, what is refused, modes, device"


def letter_writer(t, tokenizer, max_len):
    """A model that writes no full stop and no white space: they come in long_prompt, always in the same places."""
    model = Recorder(t, tokenizer.vocab_size, max_len)
    with torch.no_grad():
        model.table[:, tokenizer.encode(" .\n")] = -30.0
    return model


def long_prompt(t):
    """150 characters of a vocabulary of 300, with a line break inside; the continuation holds a full stop and a line
    break, and ends in other white space."""
    letters = string.ascii_letters + "".join(map(chr, range(0x4E00, 0x4E00 + 244)))
    tokenizer = oracle.CharTokenizer(letters + " .\n\t")
    *body, one, two = t.rng.sample(letters, len(letters))
    order = torch.tensor(tokenizer.encode([*body, ".", one, "\n", two, " ", "\t"]))
    prompt = "".join(body[-150:-80]) + "\n" + "".join(body[-79:])
    return case(Chain(t, order, max_len=8), tokenizer, prompt, 6)


def nearly_tied(t, generate_text):
    """At temperature 0 the largest logit wins, however small its lead is."""
    crowd = Crowd(t, 300, lead=1e-4)
    ranks, c = drawn(t, generate_text, crowd, 10, max_new_tokens=10, temperature=0)
    if any(ranks):
        raise Wrong("the argument temperature=0 is ignored or changed: always the likeliest character should be taken.",
                    "temperature not passed on", PASS_31, 2, case=c)


def refusals(t, generate_text, c):
    for because, args in {
        "an empty prompt": ("",), "a prompt with a character that the tokenizer does not know": (c.prompt + "#",),
        "max_new_tokens -1": (c.prompt, -1), "temperature -0.5": (c.prompt, 3, -0.5), "top_k 0": (c.prompt, 3, 1.0, 0),
    }.items():
        before = state(c.model.train())
        t.refuses(generate_text, c.model, c.tokenizer, *args, because=because)
        c.text = f"{because}, which it refuses"
        left_as_found(c, before)


def on_its_device(t, generate_text, c):
    Faraway.send(*c.model.parameters(), *c.model.buffers())
    try:
        t.elsewhere(lambda: generate_text(c.model, c.tokenizer, c.prompt, 3, 0), ())
    except Wrong:
        raise Wrong("the prompt's ids are not made on the model's device.", "ids not on the model's device", DEVICE_31,
                    2) from None
