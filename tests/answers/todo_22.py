"""TODO 22: CharTokenizer.__init__(text)."""
from collections import Counter

import torch

from answers import right, wrong


def tokenizer(make):
    """A tokenizer whose __init__ is make(self, text), the other methods unfinished."""
    class CharTokenizer:
        def __init__(self, text):
            make(self, text)

        def encode(self, text):
            raise NotImplementedError("TODO 23")

        def decode(self, ids):
            raise NotImplementedError("TODO 24")
    return CharTokenizer


def refuse(text):
    if not text:
        raise ValueError("text is empty")


def keep(self, chars):
    self.chars = chars
    self.char_to_id = {char: i for i, char in enumerate(chars)}
    self.vocab_size = len(chars)


@right("sorted set and a dict")
def _():
    class CharTokenizer:
        def __init__(self, text):
            if len(text) == 0:
                raise ValueError("text must not be empty")
            self.chars = sorted(set(text))
            self.char_to_id = {char: i for i, char in enumerate(self.chars)}
            self.vocab_size = len(self.chars)

        def encode(self, text):
            return [self.char_to_id[char] for char in text]

        def decode(self, ids):
            return "".join(self.chars[i] for i in ids)
    return CharTokenizer


@right("text joined and sorted, dict by zip, both directions")
def _():
    def make(self, text):
        refuse(text)
        self.chars = "".join(sorted(dict.fromkeys(text)))
        self.vocab_size = len(self.chars)
        self.char_to_id = dict(zip(self.chars, range(self.vocab_size)))
        self.id_to_char = {i: char for char, i in self.char_to_id.items()}
    return tokenizer(make)


@right("a tuple of characters, vocab_size a property")
def _():
    class CharTokenizer:
        def __init__(self, text):
            refuse(text)
            self.chars = tuple(sorted(set(text)))
            self.char_to_id = {char: self.chars.index(char) for char in self.chars}

        @property
        def vocab_size(self):
            return len(self.chars)
    return CharTokenizer


@right("code points in a tensor")
def _():
    def make(self, text):
        refuse(text)
        keep(self, [chr(i) for i in torch.tensor([ord(char) for char in text]).unique().tolist()])
    return tokenizer(make)


@right("a set kept beside, the text kept too")
def _():
    def make(self, text):
        refuse(text)
        self.text, self.known = text, set(text)
        keep(self, sorted(self.known, key=ord))
    return tokenizer(make)


@wrong("not sorted", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, list(dict.fromkeys(text)))
    return tokenizer(make)


@wrong("order of a set", named="not sorted")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text), key=lambda char: hash(char) % 97))
    return tokenizer(make)


@wrong("repeated characters kept", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(text))
    return tokenizer(make)


@wrong("sorted by frequency", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, [char for char, _ in Counter(text).most_common()])
    return tokenizer(make)


@wrong("upper and lower case mixed up", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text.lower())))
    return tokenizer(make)


@wrong("white space lost", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted({char for char in text if not char.isspace()}))
    return tokenizer(make)


@wrong("empty text accepted", named="no error raised")
def _():
    return tokenizer(lambda self, text: keep(self, sorted(set(text))))


@wrong("assert instead of ValueError", named="wrong kind of error")
def _():
    def make(self, text):
        assert text, "text is empty"
        keep(self, sorted(set(text)))
    return tokenizer(make)


@wrong("ids do not start at 0", named=True)
def _():
    def make(self, text):
        refuse(text)
        self.chars = sorted(set(text))
        self.char_to_id = {char: i for i, char in enumerate(self.chars, start=1)}
        self.vocab_size = len(self.chars)
    return tokenizer(make)


@wrong("length of the text", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        self.vocab_size = len(text)
    return tokenizer(make)


@wrong("vocab_size missing", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        del self.vocab_size
    return tokenizer(make)


@wrong("vocabulary shared by all tokenizers", named=True)
def _():
    class CharTokenizer:
        chars, char_to_id = [], {}

        def __init__(self, text):
            refuse(text)
            self.chars[:] = sorted(set(text))
            self.char_to_id.clear()
            self.char_to_id.update({char: i for i, char in enumerate(sorted(set(text)))})
            self.vocab_size = len(self.char_to_id)
    return CharTokenizer


@wrong("vocabulary grows with each tokenizer", named="vocabulary shared by all tokenizers")
def _():
    class CharTokenizer:
        known = set()

        def __init__(self, text):
            refuse(text)
            self.known.update(text)
            keep(self, sorted(self.known))
    return CharTokenizer


@wrong("only the letters of ASCII", named="only ASCII")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted({char for char in text if char.isascii()}))
    return tokenizer(make)


@wrong("fixed vocabulary", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, [chr(i) for i in range(128)])
    return tokenizer(make)


@right("other attribute names")
def _():
    def make(self, text):
        refuse(text)
        vocabulary = []
        for char in text:
            if char not in vocabulary:
                vocabulary.append(char)
        vocabulary.sort()
        self.stoi = {}
        for char in vocabulary:
            self.stoi[char] = len(self.stoi)
        self.vocab_size = len(self.stoi)
    return tokenizer(make)


@wrong("white space only taken for empty", named="white space refused")
def _():
    def make(self, text):
        refuse(text.strip())
        keep(self, sorted(set(text)))
    return tokenizer(make)


@wrong("text stripped", named="white space lost")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text.strip())))
    return tokenizer(make)


@wrong("chars a set", named="chars is no list")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        self.chars = set(text)
    return tokenizer(make)


@wrong("dict the wrong way round", named=True)
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        self.char_to_id = dict(enumerate(self.chars))
    return tokenizer(make)


@wrong("ids in a tensor", named="ids are no ints")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        self.char_to_id = dict(zip(self.chars, torch.arange(self.vocab_size)))
    return tokenizer(make)


@wrong("ids are places in the text", named="ids not in sorted order")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        self.char_to_id = {char: text.index(char) for char in self.chars}
    return tokenizer(make)


@wrong("vocab_size a method", named="vocab_size is no int")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set(text)))
        self.vocab_size = self.chars.__len__
    return tokenizer(make)


@wrong("a sign for unknown characters", named="too many characters")
def _():
    def make(self, text):
        refuse(text)
        keep(self, ["<unk>", *sorted(set(text))])
    return tokenizer(make)


@wrong("lines put together again", named="characters missing")
def _():
    def make(self, text):
        refuse(text)
        keep(self, sorted(set("".join(line + "\n" for line in text.splitlines()) if "\n" in text else text)))
    return tokenizer(make)
