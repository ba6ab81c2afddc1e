"""TODO 23: CharTokenizer.encode(text) -> list of ids."""
import bisect

import torch

from answers import right, wrong


class Base:
    """TODO 22, finished."""

    def __init__(self, text):
        if not text:
            raise ValueError("text is empty")
        self.chars = sorted(set(text))
        self.char_to_id = {char: i for i, char in enumerate(self.chars)}
        self.vocab_size = len(self.chars)


def tokenizer(encode, base=Base):
    return type("CharTokenizer", (base,), {"encode": lambda self, text: encode(self, text)})


def refuse(self, text):
    for i, char in enumerate(text):
        if char not in self.char_to_id:
            raise ValueError(f"{char!r} at position {i} is not in the vocabulary")


@right("a loop")
def _():
    class CharTokenizer(Base):
        def encode(self, text):
            ids = []
            for position, char in enumerate(text):
                if char not in self.char_to_id:
                    raise ValueError(f"unknown character {char!r} at position {position}")
                ids.append(self.char_to_id[char])
            return ids
    return CharTokenizer


@right("KeyError turned into ValueError")
def _():
    def encode(self, text):
        try:
            return [self.char_to_id[char] for char in text]
        except KeyError as error:
            char = error.args[0]
            raise ValueError(f"position {text.index(char)}: the character {char} is unknown") from None
    return tokenizer(encode)


@right("binary search in the characters, an error of its own")
def _():
    class UnknownCharacter(ValueError):
        pass

    def encode(self, text):
        ids = [bisect.bisect_left(self.chars, char) for char in text]
        for place, (i, char) in enumerate(zip(ids, text)):
            if i == len(self.chars) or self.chars[i] != char:
                raise UnknownCharacter(char, f"(U+{ord(char):04X})", place)
        return ids
    return tokenizer(encode)


@right("other attribute names, map")
def _():
    class CharTokenizer:
        def __init__(self, text):
            if text == "":
                raise ValueError("no text")
            self.letters = "".join(sorted(set(text)))
            self.vocab_size = len(self.letters)

        def encode(self, text):
            bad = [(i, char) for i, char in enumerate(text) if char not in self.letters]
            if bad:
                raise ValueError("not in the vocabulary (position, character): %r" % (bad,))
            return list(map(self.letters.index, text))
    return CharTokenizer


@right("the text around it in the message")
def _():
    def encode(self, text):
        ids = [self.char_to_id.get(char, -1) for char in text]
        if -1 in ids:
            i = ids.index(-1)
            around = text[max(0, i - 5):i + 6]
            raise ValueError(f"text has {text[i]!r} (U+{ord(text[i]):04X}) at position {i}: {around!r}")
        return ids
    return tokenizer(encode)


@right("__init__ wrong: the vocabulary in the class")
def _():
    class Shared(Base):
        def __init__(self, text):
            super().__init__(text)
            Shared.chars, Shared.char_to_id = self.__dict__.pop("chars"), self.__dict__.pop("char_to_id")

    def encode(self, text):
        refuse(self, text)
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode, Shared)


@right("__init__ wrong: not sorted")
def _():
    class Unsorted(Base):
        def __init__(self, text):
            super().__init__(text)
            self.chars = list(dict.fromkeys(text))
            self.char_to_id = {char: i for i, char in enumerate(self.chars)}

    def encode(self, text):
        refuse(self, text)
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode, Unsorted)


@wrong("KeyError instead of ValueError", named=True)
def _():
    return tokenizer(lambda self, text: [self.char_to_id[char] for char in text])


@wrong("unknown characters left out", named="unknown character accepted")
def _():
    return tokenizer(lambda self, text: [self.char_to_id[char] for char in text if char in self.char_to_id])


@wrong("unknown characters become 0", named="unknown character accepted")
def _():
    return tokenizer(lambda self, text: [self.char_to_id.get(char, 0) for char in text])


@wrong("character not shown", named=True)
def _():
    def encode(self, text):
        for i, char in enumerate(text):
            if char not in self.char_to_id:
                raise ValueError(f"unknown character at position {i}")
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode)


@wrong("position not shown", named=True)
def _():
    def encode(self, text):
        for char in text:
            if char not in self.char_to_id:
                raise ValueError(f"unknown character {char!r}")
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode)


@wrong("position counted from 1", named=True)
def _():
    def encode(self, text):
        for i, char in enumerate(text, 1):
            if char not in self.char_to_id:
                raise ValueError(f"unknown character {char!r} at position {i}")
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode)


@wrong("not a list", named=True)
def _():
    def encode(self, text):
        refuse(self, text)
        return torch.tensor([self.char_to_id[char] for char in text], dtype=torch.int64)
    return tokenizer(encode)


@wrong("code points instead of ids", named=True)
def _():
    def encode(self, text):
        refuse(self, text)
        return [ord(char) for char in text]
    return tokenizer(encode)


@wrong("ids start at 1", named=True)
def _():
    def encode(self, text):
        refuse(self, text)
        return [self.char_to_id[char] + 1 for char in text]
    return tokenizer(encode)


@wrong("repeats lost", named="sorted or without repeats")
def _():
    def encode(self, text):
        refuse(self, text)
        return [self.char_to_id[char] for char in dict.fromkeys(text)]
    return tokenizer(encode)


@wrong("places in the text", named=True)
def _():
    def encode(self, text):
        refuse(self, text)
        return [text.index(char) for char in text]
    return tokenizer(encode)


@wrong("a generator", named="not a list")
def _():
    def encode(self, text):
        refuse(self, text)
        return (self.char_to_id[char] for char in text)
    return tokenizer(encode)


@wrong("text stripped first", named="white space stripped")
def _():
    def encode(self, text):
        refuse(self, text)
        return [self.char_to_id[char] for char in text.strip()] if text.strip() else []
    return tokenizer(encode)


@wrong("ids as floats", named="not plain ints")
def _():
    def encode(self, text):
        refuse(self, text)
        return [float(self.char_to_id[char]) for char in text]
    return tokenizer(encode)


@wrong("a vocabulary made anew from the given text", named="vocabulary of the given text")
def _():
    def encode(self, text):
        refuse(self, text)
        chars = sorted(set(text))
        return [chars.index(char) for char in text]
    return tokenizer(encode)


@wrong("the small letter instead of an unknown capital", named="unknown character accepted")
def _():
    def encode(self, text):
        text = [char.lower() if char not in self.chars and char.lower() in self.chars else char for char in text]
        refuse(self, text)
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode)


@wrong("unknown white space left out", named="unknown character accepted")
def _():
    def encode(self, text):
        refuse(self, [char if not char.isspace() else self.chars[0] for char in text])
        return [self.char_to_id[char] for char in text if char in self.char_to_id]
    return tokenizer(encode)


@wrong("the whole text shown", named="character not shown")
def _():
    def encode(self, text):
        for i, char in enumerate(text):
            if char not in self.char_to_id:
                raise ValueError(f"unknown character at position {i} of {text!r}")
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode)


@wrong("position in its line", named="position not shown")
def _():
    def encode(self, text):
        for line in text.split("\n"):
            refuse(self, line)
        return [self.char_to_id[char] for char in text]
    return tokenizer(encode)


@wrong("a list kept in self", named="one list for several calls")
def _():
    def encode(self, text):
        refuse(self, text)
        self.ids = self.__dict__.get("ids", [])
        self.ids[:] = [self.char_to_id[char] for char in text]
        return self.ids
    return tokenizer(encode)


@wrong("an error leaves its ids behind", named="the call after an error")
def _():
    def encode(self, text):
        self.ids = self.__dict__.get("ids", [])
        for i, char in enumerate(text):
            if char not in self.char_to_id:
                raise ValueError(f"unknown character {char!r} at position {i}")
            self.ids.append(self.char_to_id[char])
        ids, self.ids = self.ids, []
        return ids
    return tokenizer(encode)


@wrong("line breaks at the end lost")
def _():
    def encode(self, text):
        refuse(self, text)
        return [self.char_to_id[char] for char in text.rstrip("\n")]
    return tokenizer(encode)


@wrong("ids of 8 bits")
def _():
    def encode(self, text):
        refuse(self, text)
        return torch.tensor([self.char_to_id[char] for char in text], dtype=torch.int64).to(torch.uint8).tolist()
    return tokenizer(encode)
