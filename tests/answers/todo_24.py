"""TODO 24: CharTokenizer.decode(ids) -> text."""
import torch

from answers import right, wrong


class Base:
    """TODO 22, finished; TODO 23 not."""

    def __init__(self, text):
        if not text:
            raise ValueError("text is empty")
        self.chars = sorted(set(text))
        self.char_to_id = {char: i for i, char in enumerate(self.chars)}
        self.vocab_size = len(self.chars)

    def encode(self, text):
        raise NotImplementedError("TODO 23")


def tokenizer(decode, base=Base):
    return type("CharTokenizer", (base,), {"decode": lambda self, ids: decode(self, ids)})


def refuse(self, ids):
    for i in ids:
        if not 0 <= i < self.vocab_size:
            raise ValueError(f"the id {int(i)} is outside 0..{self.vocab_size - 1}")


@right("a loop")
def _():
    class CharTokenizer(Base):
        def decode(self, ids):
            text = ""
            for i in ids:
                i = int(i)
                if i < 0 or i >= self.vocab_size:
                    raise ValueError(f"id {i} is not in the vocabulary")
                text += self.chars[i]
            return text
    return CharTokenizer


@right("tolist and join")
def _():
    def decode(self, ids):
        ids = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
        unknown = [i for i in ids if i not in range(len(self.chars))]
        if unknown:
            raise ValueError(f"ids holds {unknown}, not in the vocabulary")
        return "".join([self.chars[i] for i in ids])
    return tokenizer(decode)


@right("the smallest and the largest id")
def _():
    def decode(self, ids):
        low, high = (int(min(ids)), int(max(ids))) if len(ids) else (0, 0)
        if low < 0 or high >= self.vocab_size:
            raise ValueError(f"ids reach from {low} to {high}, the vocabulary from 0 to {self.vocab_size - 1}")
        return "".join(self.chars[i] for i in ids)
    return tokenizer(decode)


@right("a dict back, KeyError turned into ValueError")
def _():
    class Both(Base):
        def __init__(self, text):
            super().__init__(text)
            self.id_to_char = dict(enumerate(self.chars))

    def decode(self, ids):
        try:
            return "".join(self.id_to_char[int(i)] for i in ids)
        except KeyError as error:
            raise ValueError(f"unknown id {error}") from error
    return tokenizer(decode, Both)


@right("__init__ unfinished")
def _():
    class Unready:
        def __init__(self, text):
            raise NotImplementedError("TODO 22")

    def decode(self, ids):
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids)
    return tokenizer(decode, Unready)


@right("__init__ wrong: the vocabulary in the class")
def _():
    class Shared(Base):
        def __init__(self, text):
            super().__init__(text)
            Shared.chars = self.__dict__.pop("chars")

    def decode(self, ids):
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids)
    return tokenizer(decode, Shared)


@wrong("negative ids accepted", named=True)
def _():
    def decode(self, ids):
        for i in ids:
            if i >= self.vocab_size:
                raise ValueError("id too large")
        return "".join(self.chars[i] for i in ids if i >= -len(self.chars))
    return tokenizer(decode)


@wrong("IndexError for an id that is too large", named="wrong kind of error")
def _():
    return tokenizer(lambda self, ids: "".join(self.chars[i] for i in ids))


@wrong("ids out of range left out", named="no error raised")
def _():
    return tokenizer(lambda self, ids: "".join(self.chars[i] for i in ids if 0 <= i < self.vocab_size))


@wrong("V itself accepted", named="no error raised")
def _():
    def decode(self, ids):
        if any(i < 0 or i > self.vocab_size for i in ids):
            raise ValueError("out of range")
        return "".join((self.chars + ["?"])[i] for i in ids)
    return tokenizer(decode)


@wrong("works only for a list", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        back = dict(enumerate(self.chars))
        return "".join(back[i] for i in ids)
    return tokenizer(decode)


@wrong("works only for a tensor", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids.tolist())
    return tokenizer(decode)


@wrong("a list returned", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        return [self.chars[i] for i in ids]
    return tokenizer(decode)


@wrong("spaces between", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        return " ".join(self.chars[i] for i in ids)
    return tokenizer(decode)


@wrong("code points", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        return "".join(chr(i) for i in ids)
    return tokenizer(decode)


@wrong("only one character: return in the loop", named="only one character")
def _():
    def decode(self, ids):
        refuse(self, ids)
        for i in ids:
            return self.chars[i]
        return ""
    return tokenizer(decode)


@wrong("white space stripped", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids).strip()
    return tokenizer(decode)


@wrong("numbers instead of characters", named=True)
def _():
    def decode(self, ids):
        refuse(self, ids)
        return "".join(str(int(i)) for i in ids)
    return tokenizer(decode)


@wrong("nothing for no ids")
def _():
    def decode(self, ids):
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids) or None
    return tokenizer(decode)


@wrong("ids changed in place", named="changes its input")
def _():
    def decode(self, ids):
        refuse(self, ids)
        text = ""
        ids = ids if isinstance(ids, list) else ids.tolist()
        while ids:
            text += self.chars[ids.pop(0)]
        return text
    return tokenizer(decode)


@right("a message without the id")
def _():
    def decode(self, ids):
        if any(not 0 <= i < self.vocab_size for i in ids):
            raise ValueError(f"ids must be 0..{self.vocab_size - 1}")
        return "".join(self.chars[i] for i in ids)
    return tokenizer(decode)


@wrong("KeyError for a negative id", named="wrong kind of error")
def _():
    def decode(self, ids):
        back = dict(enumerate(self.chars))
        if len(ids) and max(ids) >= self.vocab_size:
            raise ValueError(f"ids holds {int(max(ids))}, which is too large")
        return "".join(back[int(i)] for i in ids)
    return tokenizer(decode)


@wrong("absolute value", named="no error raised")
def _():
    def decode(self, ids):
        refuse(self, [abs(i) for i in ids])
        return "".join(self.chars[abs(i)] for i in ids)
    return tokenizer(decode)


@wrong("works only for int64", named="works only for an int64 tensor")
def _():
    def decode(self, ids):
        if isinstance(ids, torch.Tensor) and ids.dtype != torch.int64:
            raise ValueError("ids must be int64")
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids)
    return tokenizer(decode)


@wrong("ids of 16 bits", named="no error raised")
def _():
    def decode(self, ids):
        ids = torch.as_tensor(ids, dtype=torch.int64).to(torch.int16)
        refuse(self, ids)
        return "".join(self.chars[i] for i in ids)
    return tokenizer(decode)


@wrong("repeated characters lost")
def _():
    def decode(self, ids):
        refuse(self, ids)
        return "".join(self.chars[i] for k, i in enumerate(ids) if k == 0 or i != ids[k - 1])
    return tokenizer(decode)


@wrong("an error leaves its characters behind", named="the call after an error")
def _():
    def decode(self, ids):
        self.text = self.__dict__.get("text", "")
        for i in ids:
            refuse(self, [i])
            self.text += self.chars[i]
        text, self.text = self.text, ""
        return text
    return tokenizer(decode)
