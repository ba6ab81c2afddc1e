"""The bank of wrong and right answers: one file per TODO, one small function per answer.

    @wrong("no scale", named=True)
    def _():
        class SelfAttention(nn.Module):
            ...
        return SelfAttention

Each function takes nothing and returns what `checks.todo_N` takes (a tuple when it takes several things), written as
a learner writes it. `@wrong(name)` is one mistake; with `named=True` the check's message must contain
the name (or the text given as `named`). `@right(name)` is another way to be right. `cases(11)` lists them.
"""
import dataclasses
import importlib
import typing

_BANK = {}


@dataclasses.dataclass(frozen=True)
class Answer:
    todo: int
    kind: str            # "wrong" or "right"
    name: str
    make: typing.Callable
    named: str | None = None  # what the failure message must contain

    def __str__(self):
        return f"{self.todo:02d} {self.kind}: {self.name}"


def _add(kind, name, named):
    def decorate(function):
        todo = int(function.__module__.rpartition("_")[2])
        named_as = name if named is True else named or None
        _BANK.setdefault(todo, []).append(Answer(todo, kind, name, function, named_as))
        return function
    return decorate


def wrong(name, named=False):
    return _add("wrong", name, named)


def right(name):
    return _add("right", name, None)


def cases(todo):
    """All answers of one TODO, in the order of its file."""
    importlib.import_module(f"answers.todo_{todo:02d}")
    return list(_BANK[todo])


def outcome(answer, seed):
    """Run the check on one answer -> None when it passes, else the exception."""
    from helpers import checks
    made = answer.make()
    made = made if isinstance(made, tuple) else (made,)
    try:
        getattr(checks, f"todo_{answer.todo}")(*made, seed=seed, quiet=True)
    except (AssertionError, NotImplementedError) as error:
        return error
    return None
