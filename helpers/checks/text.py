"""Checks of 5_training: TODO 31, the text that a model writes."""
import inspect
import math
from types import SimpleNamespace

import torch

from helpers import oracle
from helpers.checks.engine import Mistake, Wrong, check, named, raised
from helpers.checks.generation import Recorder, greedy
from helpers.checks.guard import Faraway
from helpers.checks.tokenizer import some_text

TEXT_31 = "decode(generate(model, the prompt's ids as (1, T), ...)[0])"
PASS_31 = "generate(model, ids, max_new_tokens, temperature, top_k)"


def told(c, text=None):
    """The right text for a greedy case."""
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
    Mistake("prompt cropped", "the prompt's beginning is lost: generate crops by itself what the model is fed",
            line=TEXT_31, makes=lambda c: told(c)[max(0, len(c.prompt) - c.max_len):]),
    Mistake("a list of ids instead of a tensor", "generate takes a tensor of shape (1, T)", line=TEXT_31,
            raises=lambda c, e: isinstance(e, (AttributeError, TypeError)) and "list" in str(e)),
    Mistake("batch dimension missing", "generate takes ids of shape (1, T): one row", line=TEXT_31,
            raises=lambda c, e: (isinstance(e, IndexError) and "Dimension out of range" in str(e))
            or (isinstance(e, RuntimeError) and "dimension" in str(e))),
]


@check(31, pieces={"generate": oracle.generate})
def todo_31(t, generate_text):
    """generate_text: greedy texts, what is passed on, defaults, modes, device, an empty prompt."""
    source = some_text(t)
    tokenizer = oracle.CharTokenizer(source)
    chars, max_len = tokenizer.chars, t.rng.randint(6, 8)

    def case(length, new, training):
        start = "\n\n" if length > 2 else ""
        prompt = start + "".join(t.rng.choices([x for x in chars if not x.isspace()], k=length - len(start)))
        c = SimpleNamespace(prompt=prompt, new=new, temperature=0, max_len=max_len, tokenizer=tokenizer,
                            model=Recorder(t, len(chars), max_len).train(training), training=training,
                            text=f"prompt {prompt!a}, {new} new characters")
        c.x = torch.tensor([tokenizer.encode(prompt)])
        return c

    def compare(c, what, got, expected):
        if type(got) is not str:
            raise Wrong(f"it should return a str, but it returns {'None' if got is None else type(got).__name__}.",
                        "nothing returned" if got is None else "not a text", TEXT_31, case=c)
        if got != expected:
            named(MISTAKES_31, c, got)
            raise Wrong(f"{what}expected {expected!a}, yours is {got[:200]!a}.",
                        name=f"{what.split(' ')[0]} not passed on" if what else None, line=PASS_31, case=c)

    for length, new, training in ((4, 12, True), (max_len + 4, 5, False), (1, 3, True), (3, 0, False)):
        c = case(length, new, training)
        right = told(c)
        for kwargs, what in (({"top_k": 1}, "top_k is not passed on: with top_k=1 "),
                             ({"temperature": 0}, "temperature is not passed on: with temperature=0 ")):
            try:
                got = t.call(generate_text, c.model, tokenizer, c.prompt, max_new_tokens=new, **kwargs)
            except Wrong as wrong:
                raised(MISTAKES_31, c, wrong)
            same_start = type(got) is str and len(got) == len(right) and got.startswith(c.prompt)
            compare(c, what if same_start else "", got, right)
            if c.model.training != training or c.model.dropout.training != training:
                raise Wrong("the model's training mode is not left as it was found.", "mode not restored", PASS_31,
                            case=c)
    c = case(5, 6, True)
    compare(c, "", t.call(generate_text, c.model, tokenizer, c.prompt, 6, 0.7, 1), told(c))
    c = case(3, 200, False)
    c.model.max_len = max_len
    text = t.call(generate_text, c.model, tokenizer, c.prompt)
    if type(text) is not str or len(text) != len(c.prompt) + 200:
        raise Wrong("without max_new_tokens it should write 200 characters more; yours is "
                    f"{len(text) - len(c.prompt) if type(text) is str else type(text).__name__}.",
                    "default of max_new_tokens", PASS_31, case=c)
    default_temperature(t, generate_text)
    t.refuses(generate_text, c.model, tokenizer, "", because="an empty prompt")
    c = case(4, 3, True)
    Faraway.send(*c.model.parameters(), *c.model.buffers())
    try:
        t.elsewhere(lambda: generate_text(c.model, tokenizer, c.prompt, 3, 0), ())
    except Wrong:
        raise Wrong("the prompt's ids are not made on the model's device.", "ids not on the model's device",
                    "ids = torch.tensor([...], device=the model's)") from None
    return "greedy texts, top_k and temperature passed on, modes, device"


def default_temperature(t, generate_text):
    """Is the temperature 0.8 when none is given?

    One character has the logit ln N, the N = 10000 others have 0: its share is 1/2 at temperature 1 and
    N**0.25 / (N**0.25 + 1) = 10/11 at 0.8. Over 200 characters that share falls by 0.15 with a chance below
    exp(-200 * KL) = exp(-20) = 2e-9 (Chernoff), and is 1 with (10/11)**200 = 5e-9. At temperature 1 it reaches the band
    with a chance below exp(-28). A default nearer to 0.8 is found by what the signature says.
    """
    given = inspect.signature(generate_text).parameters.get("temperature")
    if given is not None and isinstance(given.default, (int, float)) and given.default != 0.8:
        raise Wrong(f"the default of temperature should be 0.8; yours is {given.default}.", "default temperature",
                    PASS_31)
    tokenizer = oracle.CharTokenizer("".join(map(chr, range(60, 10061))))
    model = Recorder(t, 10001, 4, rows=1)
    with torch.no_grad():
        model.table[:] = 0.0
        model.table[:, 7] = math.log(10000)
    text = t.call(generate_text, model.eval(), tokenizer, "A", max_new_tokens=200)
    share = text[1:].count(chr(67)) / 200 if type(text) is str else 0.0
    if not 10 / 11 - 0.15 <= share < 1:
        raise Wrong("without temperature the default of 0.8 should hold; the characters are drawn with another one.",
                    "default temperature", PASS_31)
