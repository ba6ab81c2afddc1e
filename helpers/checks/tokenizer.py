"""Checks of 4_model: TODOs 22-24, CharTokenizer."""
import re
import string
from collections import Counter
from collections.abc import Mapping
from numbers import Integral
from types import SimpleNamespace

import torch

from helpers.checks.compare import kind_of, sentence, text_of
from helpers.checks.engine import Mistake, Unfinished, Wrong, check, named, raised

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPRSTUVWXYZ,;:!?-'0189"  # without Q, the character that is unknown
FAR = "\u00e9\u00df\u03b1\u2019"  # beyond ASCII
# In every text: upper and lower case, white space, and what splitlines, expandtabs, a normal form of Unicode or 16 bits
# would lose.
ALWAYS = ["a", "A", "q", ".", " ", "\n", "\t", "\r\n", "e\u0301", "\ufb01", "\u4e2d", "\U0001f41d"]


# ---------------------------------------------------------------------------------------------------------------
# Texts

def some_text(t):
    """70 characters, 23 to 27 different; the first and the last are letters that occur elsewhere too."""
    letters = t.rng.sample(LETTERS, 12) + t.rng.sample(FAR, 2)
    text = ALWAYS + letters + t.rng.choices(letters, k=40)
    t.rng.shuffle(text)
    return "a" + "".join(text) + "A"


def large_text(t, n):
    """n characters, 300 different (Chinese ones, which come round and round). The last one is new."""
    chars = "".join(map(chr, t.rng.sample(range(0x4E00, 0x9FA6), 300)))
    return (chars[:-1] * (n // 299 + 1))[:n - 1] + chars[-1]


def places(source):
    """The right ids: character -> its place in the vocabulary of `source`."""
    return {char: i for i, char in enumerate(sorted(set(source)))}


def shown(text):
    """The text as a message shows it."""
    return ascii(text) if len(text) <= 120 else f"a text of {len(text)} characters, {len(set(text))} different"


def what_differs(right, got):
    """What is wrong with a list of ids or a text, in words."""
    if max(len(right), len(got)) <= 120:
        return f"expected {right!a}, yours is {got!a}."
    for i, (expected, mine) in enumerate(zip(right, got)):
        if expected != mine:
            return f"position {i} should hold {expected!a}, but it holds {mine!a}."
    return f"the length should be {len(right)}, but it is {len(got)}."


def numbers_in(says):
    """The whole numbers in an error message, with and without their minus signs."""
    says = f"{says} {says.replace(',', '')}"  # 1,000 is 1000
    return {int(n) for n in re.findall(r"\d+", says) + re.findall(r"-\d+", says)}


# ---------------------------------------------------------------------------------------------------------------
# TODO 22

VOCABULARY_22 = "each different character of the text once, in sorted order; its id is its place there"
MISTAKES_22 = [
    Mistake("sorted backwards", "the characters are sorted from the last to the first", line=VOCABULARY_22,
            makes=lambda c: c.right[::-1]),
    Mistake("sorted by frequency", "the characters are sorted by how often they occur; sort them by themselves",
            line=VOCABULARY_22, makes=lambda c: [char for char, _ in Counter(c.source).most_common()]),
    *[Mistake("upper and lower case mixed up", "a and A are different characters", line=VOCABULARY_22,
              makes=lambda c, change=change: sorted(set(change(c.source))))
      for change in (str.lower, str.upper, str.casefold)],
    Mistake("white space lost", "spaces and line breaks are characters too", line=VOCABULARY_22,
            makes=lambda c: [char for char in c.right if not char.isspace()]),
    Mistake("white space lost", "spaces and line breaks are characters too", line=VOCABULARY_22,
            makes=lambda c: sorted(set(c.source.strip()))),
    *[Mistake("fixed vocabulary", "the vocabulary does not come from the text", line=VOCABULARY_22,
              makes=lambda c, chars=chars: sorted(chars))
      for chars in (bytes(range(128)).decode("ascii"), bytes(range(256)).decode("latin-1"), string.printable)],
    Mistake("only ASCII", "characters beyond ASCII are characters too", line=VOCABULARY_22,
            makes=lambda c: [char for char in c.right if char.isascii()]),
]
IDS_22 = [
    Mistake("code points instead of ids", "the ids in self.char_to_id are the characters' Unicode numbers, not their "
            "places in self.chars", line=VOCABULARY_22, makes=lambda c: {char: ord(char) for char in c.right}),
    Mistake("ids do not start at 0", "the ids in self.char_to_id start at 1; the first character has the id 0",
            line=VOCABULARY_22, makes=lambda c: {char: i for i, char in enumerate(c.right, 1)}),
    Mistake("dict the wrong way round", "self.char_to_id leads from ids to characters; it should lead from characters "
            "to ids", line=VOCABULARY_22, makes=lambda c: dict(enumerate(c.right))),
]
SIZES_22 = [
    Mistake("length of the text", "self.vocab_size is the length of the text, not the number of different characters",
            line=VOCABULARY_22, makes=lambda c: len(c.source)),
    Mistake("vocab_size off by one", "self.vocab_size is the largest id; it should be the number of characters",
            line=VOCABULARY_22, makes=lambda c: len(c.right) - 1),
    Mistake("vocab_size off by one", "self.vocab_size is one too large", line=VOCABULARY_22,
            makes=lambda c: len(c.right) + 1),
]
MISSING = object()


def case_22(source, earlier=""):
    """`earlier`: the texts of the tokenizers made before."""
    return SimpleNamespace(source=source, earlier=earlier, right=sorted(set(source)),
                           text=f"CharTokenizer({shown(source)})")


def fits_tokenizer(t, tokenizer, c):
    """Raise Wrong unless the attributes that the scaffold names are right. Only vocab_size must have its name: the
    vocabulary may be kept under another, or show in what encode gives."""
    names = ("chars", "char_to_id", "vocab_size")
    chars, char_to_id, size = t.call(lambda: [getattr(tokenizer, name, MISSING) for name in names])  # or properties
    if chars is not MISSING:
        chars_fit(chars, c)
    if char_to_id is not MISSING:
        ids_fit(char_to_id, c)
    if chars is char_to_id is MISSING and not keeps_vocabulary(t, tokenizer, c):
        raise Wrong("no attribute holds the sorted characters (the scaffold calls them self.chars and "
                    "self.char_to_id), and encode does not give them the ids 0, 1, 2, ... either.",
                    "vocabulary missing", VOCABULARY_22, case=c)
    size_fits(size, c)


def keeps_vocabulary(t, tokenizer, c):
    """Does some attribute hold the vocabulary, in whatever form, or does encode show it?"""
    ids = {char: i for i, char in enumerate(c.right)}
    for value in vars(tokenizer).values() if hasattr(tokenizer, "__dict__") else ():
        if isinstance(value, (list, tuple, str)) and list(value) == c.right:
            return True
        if isinstance(value, Mapping) and dict(value) in (ids, dict(enumerate(c.right))):
            return True
    try:
        return t.call(tokenizer.encode, "".join(c.right)) == list(ids.values())
    except (Wrong, Unfinished, AttributeError):
        return False


def chars_fit(chars, c):
    """Raise Wrong unless `chars` is the sorted vocabulary; a str or a tuple does as well as a list."""
    if not isinstance(chars, (list, tuple, str)):
        raise Wrong(f"self.chars should be a sorted list of the characters, but it is {kind_of(chars)}.",
                    "chars is no list", VOCABULARY_22, case=c)
    chars = list(chars)
    if chars == c.right:
        return
    named(MISTAKES_22, c, chars)
    odd = [x for x in chars if not isinstance(x, str)]
    added, lost = [x for x in chars if x not in c.right], [x for x in c.right if x not in chars]
    if odd:
        name, says = "no characters", f"self.chars should hold characters, but it holds {kind_of(odd[0])}"
    elif added and set(added) <= set(c.earlier):
        name = "vocabulary shared by all tokenizers"
        says = ("self.chars holds characters of an earlier tokenizer's text: is the vocabulary kept in the class, a "
                "global name or a default argument?")
    elif lost:
        name, says = "characters missing", f"self.chars lacks {lost[0]!a}, which occurs in the text"
    elif added:
        name, says = "too many characters", f"self.chars holds {added[0]!a}, which does not occur in the text"
    elif len(chars) > len(c.right):
        name, says = "repeated characters kept", "each character should appear once in self.chars"
    else:
        name, says = "not sorted", "self.chars is not in sorted order, on which the ids depend"
    raise Wrong(says, name, VOCABULARY_22, case=c)


def ids_fit(char_to_id, c):
    """Raise Wrong unless `char_to_id` gives each character its place in the vocabulary, a plain int."""
    if not isinstance(char_to_id, Mapping):
        raise Wrong(f"self.char_to_id should be a dict, but it is {kind_of(char_to_id)}.", "char_to_id is no dict",
                    VOCABULARY_22, case=c)
    ids = dict(char_to_id)
    named(IDS_22, c, ids)
    for i, char in enumerate(c.right):
        if char not in ids:
            raise Wrong(f"self.char_to_id lacks {char!a}, which occurs in the text.", "characters missing",
                        VOCABULARY_22, case=c)
        if not isinstance(ids[char], Integral):
            raise Wrong(f"the ids in self.char_to_id should be ints, but that of {char!a} is {kind_of(ids[char])}.",
                        "ids are no ints", VOCABULARY_22, case=c)
        if ids[char] != i:
            raise Wrong(f"the ids in self.char_to_id are not 0..V-1 in sorted order: {char!a} should have the id {i}, "
                        f"but it has {ids[char]}.", "ids not in sorted order", VOCABULARY_22, case=c)
    if len(ids) > len(c.right):
        raise Wrong(f"self.char_to_id should have one entry per character, so {len(c.right)}, but it has {len(ids)}.",
                    "too many characters", VOCABULARY_22, case=c)


def size_fits(size, c):
    if size is MISSING:
        raise Wrong("the tokenizer has no self.vocab_size.", "vocab_size missing", VOCABULARY_22, case=c)
    if not isinstance(size, Integral):
        raise Wrong(f"self.vocab_size should be an int, but it is {kind_of(size)}.", "vocab_size is no int",
                    VOCABULARY_22, case=c)
    if size != len(c.right):
        named(SIZES_22, c, size)
        raise Wrong(f"self.vocab_size is {size}, expected {len(c.right)}.", line=VOCABULARY_22, case=c)


def tokenizer_class(cls):
    if not isinstance(cls, type):
        raise Wrong("the check needs your class CharTokenizer.", name="not a class")


@check(22)
def todo_22(t, CharTokenizer):
    """CharTokenizer.__init__: the vocabulary, its order and its size."""
    tokenizer_class(CharTokenizer)
    letters = "".join(t.rng.sample(LETTERS[:26], 5))
    ends = f" {letters}{letters[-1]}\t\n"  # white space nowhere but at the ends
    texts = ["7", "\n", ends, some_text(t), some_text(t) + "\x00", large_text(t, 3000)]
    made = []
    for i, source in enumerate(texts):
        c = case_22(source, earlier="".join(texts[:i]))
        try:
            tokenizer = t.call(CharTokenizer, source)
        except Wrong as wrong:
            wrong.case = c
            if isinstance(wrong.error, ValueError) and source.isspace():
                wrong.name = "white space refused"
            raise
        made.append((tokenizer, c))
        fits_tokenizer(t, tokenizer, c)
    try:
        for tokenizer, c in made:  # once more, now that all exist
            fits_tokenizer(t, tokenizer, c)
    except Wrong:
        raise Wrong("making another tokenizer changes the first one: the vocabulary is kept in the class or in a "
                    "global name, not in self.", "vocabulary shared by all tokenizers", VOCABULARY_22) from None
    t.refuses(CharTokenizer, "", because="an empty text")
    return f"vocabulary, order and size for {len(texts)} texts"


def tokenizers_for(t, cls, *sources):
    """The learner's tokenizers for these texts, their __init__ (TODO 22) repaired where it is not right."""
    tokenizer_class(cls)
    made = []
    for source in sources:
        try:
            made.append(t.call(cls, source))
        except (Wrong, Unfinished):
            made.append(cls.__new__(cls))
    for tokenizer, source in zip(made, sources):  # now that all exist: they may share what they should not
        c = case_22(source)
        try:
            fits_tokenizer(t, tokenizer, c)
        except (Wrong, Unfinished):
            t.repaired.add(22)
            for name, value in (("chars", c.right), ("char_to_id", places(source)), ("vocab_size", len(c.right)),
                                ("id_to_char", dict(enumerate(c.right)))):
                setattr(tokenizer, name, value)
    return made


# ---------------------------------------------------------------------------------------------------------------
# TODO 23

ENCODE_23 = "one id for each character of text, in order"
UNKNOWN_23 = "a character not in the vocabulary: ValueError that shows it and its position"
MISTAKES_23 = [  # makes: is it so?
    Mistake("code points instead of ids", "you return the characters' Unicode numbers, not their places in the "
            "vocabulary", line=ENCODE_23, makes=lambda c: c.got == [ord(x) for x in c.given]),
    Mistake("ids start at 1", "the ids are one too large: the first character has id 0", line=ENCODE_23,
            makes=lambda c: c.got == [i + 1 for i in c.right]),
    Mistake("sorted or without repeats", "the ids are sorted, or repeats are lost: keep the text's order",
            line=ENCODE_23, makes=lambda c: c.got in (sorted(c.right), sorted(set(c.right)),
                                                      list(dict.fromkeys(c.right)))),
    Mistake("places in the text", "you return places in the given text, not in the vocabulary", line=ENCODE_23,
            makes=lambda c: c.got in ([c.given.index(x) for x in c.given], list(range(len(c.given))))),
    Mistake("vocabulary of the given text", "the ids are places among the characters of the given text, not of the "
            "tokenizer's text", line=ENCODE_23,
            makes=lambda c: c.got == list(map(places(c.given).get, c.given))),
    Mistake("backwards", "the ids come in reverse order", line=ENCODE_23, makes=lambda c: c.got == c.right[::-1]),
    Mistake("one character missing", "the last character is left out", line=ENCODE_23,
            makes=lambda c: c.got == c.right[:-1]),
    Mistake("white space stripped", "white space at the ends is lost", line=ENCODE_23,
            makes=lambda c: c.got == c.right[len(c.given) - len(c.given.lstrip()):len(c.given.rstrip())]),
]


@check(23)
def todo_23(t, CharTokenizer):
    """CharTokenizer.encode: ids of several texts, and what it says about an unknown character."""
    source, large_source = some_text(t), large_text(t, 10100)
    tokenizer, small, large = tokenizers_for(t, CharTokenizer, source, "no", large_source)
    chars = sorted(set(source))
    known = [x for x in chars if x.isalpha()]
    # Doubled characters, white space at the ends and in the middle.
    text = f"  {''.join(t.rng.choices(chars, k=25))}ee \tA\n\n"
    for given in (text, source, chars[-1], ""):
        encodes(t, tokenizer, source, given)
    encodes(t, small, "no", "onno")
    encodes(t, large, large_source, large_source)
    no_list_is_shared(t, tokenizer, source, text)

    start = "e \n\u4e2de"  # a space, a line break and a character of several bytes count as one position each
    for unknown in "Q\u00f1":  # of "Q" the small letter is known
        before = start + "".join(t.rng.choices(known, k=t.rng.randint(6, 14)))
        refuses_character(t, tokenizer, before + unknown + "".join(t.rng.choices(known, k=6)), unknown)
        refuses_character(t, tokenizer, unknown, unknown)
    refuses_character(t, small, "no" * t.rng.randint(6, 9) + " on", " ")
    refuses_character(t, large, large_source[:1100] + "Q", "Q")
    encodes(t, tokenizer, source, text, "the call after an error: ")
    return "ids of six texts, and the error for an unknown character"


def encodes(t, tokenizer, source, given, when=""):
    """Raise Wrong unless encode(given) is right for the tokenizer of `source`."""
    c = SimpleNamespace(given=given, right=list(map(places(source).get, given)),
                        text=f"{when}encode({shown(given)})")
    try:
        c.got = t.call(tokenizer.encode, given)
    except Wrong as wrong:
        raised((), c, wrong)
    if type(c.got) is not list:
        raise Wrong(f"encode should return a list of ints, but it returns {kind_of(c.got)}.", "not a list", ENCODE_23,
                    case=c)
    odd = [i for i in c.got if type(i) is not int]
    if odd:
        raise Wrong(f"the ids should be Python ints, but the list holds {kind_of(odd[0])}.", "not plain ints",
                    ENCODE_23, case=c)
    if c.got != c.right:
        named(MISTAKES_23, c, True)
        raise Wrong(what_differs(c.right, c.got), line=ENCODE_23, case=c)


def no_list_is_shared(t, tokenizer, source, other):
    """Raise Wrong if the list of one call is that of another."""
    first = t.call(tokenizer.encode, source)
    right = list(first)
    t.call(tokenizer.encode, other)
    unchanged = first == right
    first.clear()
    if not unchanged or t.call(tokenizer.encode, source) != right:
        raise Wrong("two calls give the same list: what is done to the result of one changes the other. Make a new "
                    "list in each call.", "one list for several calls", ENCODE_23)


def refuses_character(t, tokenizer, given, unknown):
    """Raise Wrong unless encode(given) is a ValueError that shows the unknown character and its position."""
    place = given.index(unknown)
    c = SimpleNamespace(text=f"encode({shown(given)})")
    try:
        got = t.call(tokenizer.encode, given)
    except Wrong as wrong:
        if wrong.error is None:
            raise
        if not isinstance(wrong.error, ValueError):
            raise Wrong(f"for the unknown character {unknown!a} it should raise ValueError. {sentence(wrong.says)}",
                        f"{type(wrong.error).__name__} instead of ValueError", UNKNOWN_23, case=c) from None
        says = text_of(wrong.error)
    else:
        what = "left out" if isinstance(got, list) and len(got) < len(given) else "given some id"
        raise Wrong(f"the unknown character {unknown!a} is silently {what}; it should raise ValueError.",
                    "unknown character accepted", UNKNOWN_23, case=c)
    rest = says
    if given != unknown:  # a message that repeats the whole text does not show which character it is
        for form in (given, repr(given)[1:-1], ascii(given)[1:-1]):
            rest = rest.replace(form, "")
    if not any(form in rest for form in (unknown, repr(unknown), ascii(unknown)[1:-1], f"{ord(unknown):04X}")):
        raise Wrong(f"the message does not show the unknown character {unknown!a}: {says[:300]!a}",
                    "character not shown", UNKNOWN_23, case=c)
    numbers = numbers_in(rest)
    if place not in numbers:
        raise Wrong(f"the message does not show the position {place} (counted from 0): {says[:300]!a}",
                    "position counted from 1" if place + 1 in numbers else "position not shown", UNKNOWN_23, case=c)


# ---------------------------------------------------------------------------------------------------------------
# TODO 24

DECODE_24 = "the characters of the ids, joined to one text"
RANGE_24 = "an id outside 0..V-1: ValueError"
MISTAKES_24 = [
    Mistake("a list returned", "decode should return one text; yours returns a list of characters", line=DECODE_24,
            makes=lambda c: list(c.right)),
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
FORMS_24 = {"a list": list, "a tensor": lambda ids: torch.tensor(ids, dtype=torch.int64)}


@check(24)
def todo_24(t, CharTokenizer):
    """CharTokenizer.decode: lists and tensors of ids, ids out of range."""
    source, large_source = some_text(t), large_text(t, 10100)
    tokenizer, large = tokenizers_for(t, CharTokenizer, source, large_source)
    chars, V = sorted(set(source)), len(set(source))
    # Doubled characters, white space at the ends and in the middle.
    text = f"  a. {''.join(t.rng.choices(chars, k=25))}ee\t\t\tA\n\n"
    ids, every = list(map(places(source).get, text)), list(range(V))
    for given in (ids, every, [*every[1:], 0], [V - 1], []):
        decodes(t, tokenizer, chars, given)
    decodes(t, tokenizer, chars, ids, {"an int64 tensor": FORMS_24["a tensor"],
                                       "an int32 tensor": lambda ids: torch.tensor(ids, dtype=torch.int32)})
    decodes(t, large, sorted(set(large_source)), list(map(places(large_source).get, large_source)), {"a list": list})
    for bad in (V, -1, V + 7, -V, -V - 3):
        refuses_id(t, tokenizer, chars, [0, bad, 1], bad)
        refuses_id(t, tokenizer, chars, torch.tensor([bad]), bad)
    for bits in (8, 16, 32):  # with so many bits it becomes 0
        refuses_id(t, tokenizer, chars, [2**bits], 2**bits)
    decodes(t, tokenizer, chars, ids, when="the call after an error: ")
    return "lists and tensors of ids, and ids out of range"


def decodes(t, tokenizer, chars, ids, forms=FORMS_24, when=""):
    """Raise Wrong unless decode(ids) is right in each of these forms."""
    right, got, failed = "".join([chars[i] for i in ids]), {}, {}
    cases = {form: SimpleNamespace(ids=ids, right=right, text=f"{when}decode of {form}: "
                                   f"{ids if len(ids) <= 60 else f'{len(ids)} ids'}") for form in forms}
    for form, make in forms.items():
        try:
            got[form] = t.call(tokenizer.decode, make(ids))
        except Wrong as wrong:
            failed[form] = wrong
    for form, wrong in failed.items():
        for other, text in got.items():
            if wrong.error is not None and type(text) is str and text == right:
                raise Wrong(f"decode works for {other}, but not for {form}. {sentence(wrong.says)}",
                            f"works only for {other}", DECODE_24, case=cases[form]) from None
        raised((), cases[form], wrong)
    for form, text in got.items():
        if type(text) is not str or text != right:
            if ids:
                named(MISTAKES_24, cases[form], text)
            raise Wrong(what_differs(right, text) if type(text) is str else
                        f"decode should return a str, but it returns {kind_of(text)}.", line=DECODE_24,
                        case=cases[form])


def refuses_id(t, tokenizer, chars, given, bad):
    """Raise Wrong unless decode(given), which holds the id `bad`, is a ValueError."""
    which = f"the id {bad} (V is {len(chars)})"
    try:
        t.refuses(tokenizer.decode, given, because=which)
    except Wrong as wrong:
        wrong.line = RANGE_24
        if wrong.kind == "no error raised" and -len(chars) <= bad < 0:
            if t.call(tokenizer.decode, given) == "".join([chars[i] for i in given]):
                raise Wrong(f"{which} is accepted: Python counts negative indices from the end. It should raise "
                            "ValueError.", "negative ids accepted", RANGE_24) from None
        raise
