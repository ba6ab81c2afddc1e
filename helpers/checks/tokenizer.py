"""Checks of 4_model: TODOs 22-24, CharTokenizer."""
import re
from types import SimpleNamespace

import torch

from helpers.checks.engine import Mistake, Unfinished, Wrong, check, mistake_made, named, raised

CHARS_22 = "chars = sorted(set(text)); the id of a character is its place in chars"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;:!?-'\n\t0189"
FAR = "\u00e9\u00df\u03b1\u4e2d\u2019\U0001f41d"  # letters beyond ASCII, and one beyond 16 bits


def some_text(t, n=40):
    letters = t.rng.sample(LETTERS, 15) + t.rng.sample(FAR, 3) + ["\n"]
    text = letters + t.rng.choices(letters, k=n)
    t.rng.shuffle(text)
    return "".join(text)


def places(chars):
    return {char: i for i, char in enumerate(chars)}


MISTAKES_22 = [
    Mistake("not sorted", "the characters are not sorted: with another order the ids change from run to run",
            line=CHARS_22, makes=lambda c: list(dict.fromkeys(c.source))),
    Mistake("repeated characters kept", "each character should appear once", line=CHARS_22,
            makes=lambda c: sorted(c.source)),
    Mistake("repeated characters kept", "each character should appear once", line=CHARS_22,
            makes=lambda c: list(c.source)),
    Mistake("sorted backwards", "the characters are sorted from the last to the first", line=CHARS_22,
            makes=lambda c: sorted(set(c.source), reverse=True)),
    Mistake("sorted by frequency", "the characters are sorted by how often they occur; sort them by themselves",
            line=CHARS_22, makes=lambda c: [x for x, _ in __import__("collections").Counter(c.source).most_common()]),
    Mistake("upper and lower case mixed up", "a and A are different characters", line=CHARS_22,
            makes=lambda c: sorted(set(c.source.lower()))),
    Mistake("white space lost", "spaces and line breaks are characters too", line=CHARS_22,
            makes=lambda c: sorted({x for x in c.source if not x.isspace()})),
    Mistake("white space lost", "spaces and line breaks are characters too", line=CHARS_22,
            makes=lambda c: sorted(set(c.source.strip()))),
    Mistake("fixed vocabulary", "the vocabulary does not come from the text", line=CHARS_22,
            makes=lambda c: [chr(i) for i in range(128)]),
    Mistake("fixed vocabulary", "the vocabulary does not come from the text", line=CHARS_22,
            makes=lambda c: [chr(i) for i in range(256)]),
    Mistake("only ASCII", "characters beyond ASCII are characters too", line=CHARS_22,
            makes=lambda c: sorted({x for x in c.source if x.isascii()})),
    Mistake("vocabulary shared by all tokenizers", "the vocabulary holds characters of an earlier tokenizer's text: it "
            "is kept in the class, not in self", line=CHARS_22, makes=lambda c: sorted(set(c.source + c.earlier))),
]
SIZES_22 = [
    Mistake("length of the text", "vocab_size is the length of the text, not the number of different characters",
            line=CHARS_22, makes=lambda c: len(c.source)),
    Mistake("vocab_size off by one", "vocab_size is the largest id; it should be the number of characters",
            line=CHARS_22, makes=lambda c: len(set(c.source)) - 1),
    Mistake("vocab_size off by one", "vocab_size is one too large", line=CHARS_22,
            makes=lambda c: len(set(c.source)) + 1),
]


def vocabulary_of(tokenizer):
    """(name, list of characters) for each attribute that holds an ordered vocabulary, in whatever form."""
    found = []
    try:
        attributes = dict(vars(tokenizer))
    except TypeError:
        attributes = {name: getattr(tokenizer, name) for name in getattr(type(tokenizer), "__slots__", ())}
    for name in ("chars", "char_to_id"):  # may be a property or live in the class
        if name not in attributes and hasattr(tokenizer, name):
            attributes[name] = getattr(tokenizer, name)
    for name, value in attributes.items():
        if isinstance(value, dict) and value:
            pairs = [(k, v) if isinstance(k, str) else (v, k) for k, v in value.items()]
            if all(isinstance(k, str) and isinstance(v, int) for k, v in pairs):
                ordered = sorted(pairs, key=lambda pair: pair[1])
                numbered = [v for _, v in ordered] == list(range(len(ordered)))
                found.append((name, [k for k, _ in ordered] if numbered else [f"{v}:{k}" for k, v in ordered]))
        elif isinstance(value, (list, tuple, str)) and value and all(isinstance(x, str) for x in value):
            found.append((name, list(value)))
    return found


def fits_tokenizer(t, tokenizer, source, c):
    """Raise Wrong unless the tokenizer's vocabulary is right."""
    right = sorted(set(source))
    held = vocabulary_of(tokenizer)
    for name, chars in held:
        if chars != right and chars != list(source):
            named(MISTAKES_22, c, chars)
            if name in ("chars", "char_to_id") and sorted(chars) == right:
                raise mistake_made(MISTAKES_22[0], c)
    size = getattr(tokenizer, "vocab_size", None)
    size = size() if callable(size) else size
    if type(size) is not int or size != len(right):
        if any(name == "chars" for name, chars in held if chars == list(source)):
            named(MISTAKES_22, c, list(source))
        named(SIZES_22, c, size)
        there = "is missing" if size is None else f"is {size!r}" if isinstance(size, int) else "is no whole number"
        raise Wrong(f"vocab_size {there}, expected {len(right)} for {source!a}.",
                    name="vocab_size missing" if size is None else None, line=CHARS_22, case=c)
    for name, chars in held:
        if name in ("chars", "char_to_id") and chars != right:
            named(MISTAKES_22, c, chars)
            raise Wrong(f"{name} should be in sorted order with ids 0..{len(right) - 1}: {right[:4]!a} ..., yours "
                        f"is {chars[:4]!a} ...", name="ids do not start at 0" if name == "char_to_id" else None,
                        line=CHARS_22, case=c)
    if not any(chars == right for _, chars in held):
        encode = getattr(tokenizer, "encode", None)
        try:
            ids = t.call(encode, "".join(right))
        except Unfinished:
            ids = None
        if ids != list(range(len(right))):
            raise Wrong("no attribute holds the sorted characters (chars, char_to_id), and encode does not give them "
                        "the ids 0, 1, 2, ... either.", name="vocabulary missing", line=CHARS_22, case=c)


def tokenizer_class(cls):
    if not isinstance(cls, type):
        raise Wrong("the check needs your class CharTokenizer.", name="not a class")


@check(22)
def todo_22(t, CharTokenizer):
    """CharTokenizer.__init__: the vocabulary, its order and its size."""
    tokenizer_class(CharTokenizer)
    texts = [some_text(t), some_text(t), "".join(t.rng.sample(LETTERS[:26], 5)), t.rng.choice(LETTERS)]
    made = []
    for i, source in enumerate(texts):
        c = SimpleNamespace(source=source, earlier="".join(texts[:i]), text=f"CharTokenizer({source!a})")
        made.append((t.call(CharTokenizer, source), source, c))
        fits_tokenizer(t, *made[-1])
    try:
        for tokenizer, source, c in made:  # once more, now that all exist
            fits_tokenizer(t, tokenizer, source, c)
    except Wrong:
        raise Wrong("a second tokenizer changes the first one: the vocabulary is kept in the class or in a global "
                    "name, not in self.", "vocabulary shared by all tokenizers", CHARS_22) from None
    t.refuses(CharTokenizer, "", because="an empty text")
    return "vocabulary, order and size for four texts"


def tokenizer_for(t, cls, source):
    """The learner's tokenizer for `source`, its __init__ (TODO 22) repaired where it is not right."""
    tokenizer_class(cls)
    c = SimpleNamespace(source=source, earlier="", text="")
    try:
        tokenizer = t.call(cls, source)
    except (Wrong, Unfinished):
        tokenizer = cls.__new__(cls)
        t.repaired.add(22)
    try:
        fits_tokenizer(t, tokenizer, source, c)
    except (Wrong, Unfinished):
        chars = sorted(set(source))
        t.repaired.add(22)
        for name, value in (("chars", chars), ("char_to_id", places(chars)), ("vocab_size", len(chars)),
                            ("id_to_char", dict(enumerate(chars)))):
            setattr(tokenizer, name, value)
    return tokenizer


ENCODE_23 = "one id for each character of text, in order"
UNKNOWN_23 = "a character not in the vocabulary: ValueError that shows it and its position"
MISTAKES_23 = [
    Mistake("not a list", "encode should return a list of ints; yours returns a tensor", line=ENCODE_23,
            makes=lambda c: c.got_type == "Tensor"),
    Mistake("code points instead of ids", "you return the characters' Unicode numbers, not their places in the "
            "vocabulary", line=ENCODE_23, makes=lambda c: c.got == [ord(x) for x in c.given]),
    Mistake("ids start at 1", "the ids are one too large: the first character has id 0", line=ENCODE_23,
            makes=lambda c: c.got == [i + 1 for i in c.right]),
    Mistake("sorted or without repeats", "the ids are sorted, or repeats are lost: keep the text's order",
            line=ENCODE_23, makes=lambda c: c.got in (sorted(c.right), sorted(set(c.right)),
                                                      list(dict.fromkeys(c.right)))),
    Mistake("places in the text", "you return places in the given text, not in the vocabulary", line=ENCODE_23,
            makes=lambda c: c.got in ([c.given.index(x) for x in c.given], list(range(len(c.given))))),
    Mistake("backwards", "the ids come in reverse order", line=ENCODE_23, makes=lambda c: c.got == c.right[::-1]),
    Mistake("characters returned", "you return the characters themselves", line=ENCODE_23,
            makes=lambda c: c.got == list(c.given)),
    Mistake("one character missing", "the last character is left out", line=ENCODE_23,
            makes=lambda c: c.got == c.right[:-1]),
]


@check(23)
def todo_23(t, CharTokenizer):
    """CharTokenizer.encode: ids of several texts, and what it says about an unknown character."""
    source, other = some_text(t), some_text(t, 7)
    tokenizer, second = tokenizer_for(t, CharTokenizer, source), tokenizer_for(t, CharTokenizer, other)
    chars = sorted(set(source))
    for given in ("".join(t.rng.choices(chars, k=17)) + chars[0] * 2, source, chars[-1], ""):
        c = SimpleNamespace(given=given, text=f"encode({given!a})", right=[chars.index(x) for x in given])
        c.got = t.call(tokenizer.encode, given)
        c.got_type = type(c.got).__name__
        if type(c.got) is not list or c.got != c.right or not all(type(i) is int for i in c.got):
            for mistake in MISTAKES_23 if given else ():
                if mistake.makes(c) is True and (c.got_type == "list" or mistake.name == "not a list"):
                    raise mistake_made(mistake, c)
            if type(c.got) is not list:
                raise Wrong(f"encode should return a list, but it returns a {c.got_type}.", name="not a list", case=c)
            if c.got == c.right:
                raise Wrong("the ids should be Python ints.", name="not plain ints", case=c)
            raise Wrong(f"expected {c.right}, yours is {ascii(c.got)[:200]}.", case=c)
    lonely = sorted(set(other))
    t.equal("ids", torch.tensor(t.call(second.encode, other)), torch.tensor([lonely.index(x) for x in other]), (),
            SimpleNamespace(text="a second tokenizer"))
    unknown = t.rng.choice([x for x in "QXZ\u00f1\u20ac\u03a9#%&+" if x not in chars])
    position = t.rng.randint(11, 19)
    known = t.rng.choices([x for x in chars if not x.isdigit()], k=25)
    for given, place in (("".join(known[:position]) + unknown + "".join(known[position:]), position), (unknown, 0)):
        c = SimpleNamespace(text=f"encode({given!a})")
        try:
            got = t.call(tokenizer.encode, given)
        except Wrong as wrong:
            if not isinstance(wrong.error, ValueError):
                kind = type(wrong.error).__name__
                raise Wrong(f"for the unknown character {unknown!a} it should raise ValueError. "
                            f"{wrong.says}", f"{kind} instead of ValueError" if wrong.error else None, UNKNOWN_23,
                            case=c) from None
            says = str(wrong.error)
        else:
            what = "left out" if isinstance(got, list) and len(got) < len(given) else "given some id"
            raise Wrong(f"the unknown character {unknown!a} is silently {what}; it should raise ValueError.",
                        "unknown character accepted", UNKNOWN_23, case=c)
        shown = any(form in says for form in (unknown, repr(unknown), ascii(unknown)[1:-1], f"{ord(unknown):04X}"))
        numbers = [int(n) for n in re.findall(r"\d+", says.replace(given, ""))]
        if not shown:
            raise Wrong(f"the message does not show the unknown character {unknown!a}: {says!a}",
                        "character not shown", UNKNOWN_23, case=c)
        if place not in numbers:
            late = place + 1 in numbers
            raise Wrong(f"the message does not show the position {place} (counted from 0): {says!a}",
                        "position counted from 1" if late else "position not shown", UNKNOWN_23, case=c)
    return "ids of four texts, and the error for an unknown character"


DECODE_24 = "the characters of the ids, joined to one text"
RANGE_24 = "an id outside 0..V-1: ValueError"
MISTAKES_24 = [
    Mistake("a list returned", "decode should return one text; yours returns a list of characters", line=DECODE_24,
            makes=lambda c: c.right and list(c.right)),
    Mistake("spaces between", "there are spaces between the characters", line=DECODE_24,
            makes=lambda c: " ".join(c.right)),
    Mistake("code points", "the ids are taken for Unicode numbers", line=DECODE_24,
            makes=lambda c: "".join(map(chr, c.ids))),
    Mistake("backwards", "the text comes out backwards", line=DECODE_24, makes=lambda c: c.right[::-1]),
    Mistake("only one character", "only the first character comes out: is return inside the loop?", line=DECODE_24,
            makes=lambda c: c.right[:1]),
    Mistake("only one character", "only the last character comes out", line=DECODE_24, makes=lambda c: c.right[-1:]),
    Mistake("numbers instead of characters", "the text holds the ids, not their characters", line=DECODE_24,
            makes=lambda c: "".join(map(str, c.ids))),
    Mistake("one character missing", "the last character is left out", line=DECODE_24, makes=lambda c: c.right[:-1]),
    Mistake("white space stripped", "white space at the ends is lost", line=DECODE_24, makes=lambda c: c.right.strip()),
]


@check(24)
def todo_24(t, CharTokenizer):
    """CharTokenizer.decode: lists and tensors of ids, the way back, ids out of range."""
    source = some_text(t)
    tokenizer = tokenizer_for(t, CharTokenizer, source)
    other = tokenizer_for(t, CharTokenizer, some_text(t, 3))  # must not change the first one
    chars = sorted(set(source))
    V = len(chars)
    whites = [i for i, x in enumerate(chars) if x.isspace()]
    for ids in ([*whites, *t.rng.choices(range(V), k=14), *whites], list(range(V)), [V - 1], []):
        for form, given in (("a list", list(ids)), ("a tensor", torch.tensor(ids, dtype=torch.int64))):
            c = SimpleNamespace(ids=ids, right="".join(chars[i] for i in ids), text=f"decode of {form}: {ids}")
            try:
                got = t.call(tokenizer.decode, given)
            except Wrong as wrong:
                if form == "a tensor" and wrong.error is not None:
                    raise Wrong(f"decode works for a list, but not for a 1-D tensor. {wrong.says}",
                                "works only for a list", DECODE_24, case=c) from None
                raised((), c, wrong)
            if type(got) is not str or got != c.right:
                if ids:
                    named(MISTAKES_24, c, got)
                shown = f"a {type(got).__name__}" if type(got) is not str else ascii(got)
                raise Wrong(f"expected {c.right!a}, yours is {shown}.", case=c)
    for bad in (V, -1, V + 7, -V, -V - 3):
        for given in ([0, bad, 1], torch.tensor([bad])):
            which = f"the id {bad} (V is {V})"
            try:
                t.refuses(tokenizer.decode, given, because=which)
            except Wrong as wrong:
                if bad < 0 and wrong.error is None and -V <= bad:
                    raise Wrong(f"{which} is accepted: Python counts negative indices from the end. It should raise "
                                "ValueError.", "negative ids accepted", RANGE_24) from None
                wrong.line = RANGE_24
                raise
    del other
    return "lists and tensors of ids, and ids out of range"
