"""What all 31 checks share: a safe place to run a learner's code, fair comparison, and messages that help.

A check is a function decorated with `@check(n)`. It gets a `Trial` and the learner's answers, runs them with
`trial.call`, compares with PyTorch's own result (`trial.equal`, `trial.against`), and returns a line on what was
compared. What is wrong leaves as `Wrong`, which the decorator turns into one `AssertionError` with a readable message.

A known misconception is one entry in a check's table:

    Mistake("no scale", "your weights equal softmax(q k^T), not divided by sqrt(C)",
            line="weights = softmax(q k^T / sqrt(C))", hint=1,
            makes=lambda case: attend(case, scale=1.0))

`makes(case)` returns what an answer with this mistake gives. When the learner's result differs from the truth and
equals that, the message names the mistake. The table can only name: it never decides whether an answer is right.
"""
import builtins
import contextlib
import copy
import ctypes
import dataclasses
import io
import itertools
import linecache
import math
import os
import random
import re
import sys
import threading
import time
import types
import typing
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

TIME_LIMIT = 10.0  # seconds for one check; a right answer needs well under one
PICTURES = ("weights", "table", "mask")  # what is shown beside yours in a notebook
SHOWN = 5          # printed lines of the learner's code that a failure message repeats


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A known misconception. `makes(case)` gives the outcome it leads to (a None in a tuple: that part is free);
    `raises(case, error)` says whether an exception is its sign. One of the two is enough."""
    name: str
    says: str
    makes: typing.Callable | None = None
    line: str = ""                # the line of the formula it concerns
    hint: int = 1                 # which of the two hints helps
    raises: typing.Callable | None = None


class Wrong(Exception):
    """Inside a check: the answer is wrong. `name` is the known mistake; `kind` is what can be said of any answer
    ("wrong shape", "gradient cut") and is shown when there is no name. `error` is the learner's exception."""

    def __init__(self, says, name=None, line="", hint=1, *, kind=None, case=None, error=None, picture=None):
        super().__init__(says)
        self.says, self.name, self.line, self.hint = says, name, line, hint
        self.kind, self.case, self.error, self.picture = kind, case, error, picture
        self.printed = self.repaired = ""

    def show_picture(self):
        """Target and answer side by side, in a notebook only; never while grading, and never a reason to fail."""
        if self.picture is None or "NBGRADER_EXECUTION" in os.environ or "IPython" not in sys.modules:
            return
        name, right, mine = self.picture
        if name not in PICTURES or not hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
            return
        try:
            from matplotlib.figure import Figure

            from helpers import plots
            figure = Figure(figsize=(8, 3.4), layout="constrained")
            for axes, title, values in zip(figure.subplots(1, 2), ("expected", "yours"), (right, mine)):
                values = values.detach().double()
                while values.dim() > 2:
                    values = values[0]
                figure.colorbar(axes.imshow(values, cmap="cividis", aspect="auto"), ax=axes)
                axes.set_title(f"{name}: {title}")
            plots.show(figure, f"The {name} as expected and as yours, side by side. {self.says}")
        except Exception:  # a picture that cannot be drawn is no reason to hide the message
            return


class Unfinished(Exception):
    """Inside a check: the learner's code raised NotImplementedError("TODO n")."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


class TimeUp(BaseException):
    """Thrown into a learner's code that runs too long."""


class Elsewhere(Exception):
    """A tensor on the processor met one that lives on another device."""


# ---------------------------------------------------------------------------------------------------------------
# The decorator

def check(todo, *, pieces=None, forbids=()):
    """Make the public `todo_N(*answers, seed=None, quiet=False)` out of `function(trial, *answers)`.

    The function returns the text that follows "TODO N passed: ". `pieces` maps the names of other pieces of the
    course that an answer may use as globals to PyTorch's stand-ins: they are put there while the check runs, so that
    an earlier mistake costs only the earlier TODO. `forbids` are parts of the names of PyTorch's functions that the
    TODO asks to write: an answer that calls one is told so.
    """
    pieces = pieces or {}

    def decorate(function):
        def public(*answers, seed=None, quiet=False):
            theirs = _mend()  # first of all: until then not even isinstance can be trusted
            try:
                seed = _SYSTEM.randrange(2**31) if seed is None else seed
                with _as_found():
                    says, wrong = _judge(function, todo, seed, answers, pieces, forbids)
                    if isinstance(wrong, Wrong) and _has_own(answers, pieces):
                        # Perhaps the learner's own pieces fit together in another way than the contract's do.
                        again, still = _judge(function, todo, seed, answers, {}, forbids)
                        says, wrong = (says, wrong) if still else (again, None)
                error = None
                if isinstance(wrong, Unfinished):
                    error = wrong.error
                elif wrong is not None:
                    wrong.show_picture()
                    error = AssertionError(_message(todo, wrong, answers, seed))
                else:
                    if not quiet:
                        print(_ascii(f"TODO {todo} passed: {says}"))
                    _keep(todo, answers)
            finally:
                _put_back(theirs)
            if error is not None:
                raise error from None

        public.__name__ = public.__qualname__ = f"todo_{todo}"
        public.__doc__, public.__module__ = function.__doc__, function.__module__
        public.todo = todo
        return public
    return decorate


def _judge(function, todo, seed, answers, pieces, forbids):
    """Run one check in a thread of its own -> (text, None) or (None, Wrong or Unfinished).

    A thread has its own grad mode, default device and function modes, and can be given up when it sleeps or loops:
    signals could not do that on Windows or outside the main thread.
    """
    trial = Trial(todo, seed, forbids)
    outcome = []

    def work():
        try:
            outcome.append((function(trial, *answers), None))
        except (Wrong, Unfinished) as wrong:
            outcome.append((None, wrong))
        except TimeUp:
            pass
        except BaseException as error:  # an object that misbehaves when merely looked at ends here
            outcome.append((None, Wrong(_describe(error))))

    printed = _Printed()
    torch.manual_seed(seed)
    random.seed(seed)
    with contextlib.ExitStack() as stack:
        stack.enter_context(substitute(answers, pieces))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        before = threading.stack_size(64 * 2**20)  # macOS gives a new thread half a megabyte: too little for recursion
        worker = threading.Thread(target=work, daemon=True)
        try:
            worker.start()
        finally:
            threading.stack_size(before)
        try:
            end = time.monotonic() + TIME_LIMIT
            while worker.is_alive() and time.monotonic() < end:
                worker.join(0.1)  # in short steps, because an interrupt waits for the end of one on Windows
        finally:  # also when the person at the keyboard interrupts
            late = worker.is_alive()
            for _ in range(5):
                if worker.is_alive():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(TimeUp))
                    worker.join(0.05)
    if late or not outcome:
        outcome = [(None, Wrong(f"it did not finish within {TIME_LIMIT:g} seconds. Is there a loop that never ends?",
                                kind="too slow"))]
    says, wrong = outcome[0]
    if wrong is None and trial.repaired:
        says = f"{says} ({trial.repair_note()})"
    if isinstance(wrong, Wrong):
        wrong.printed, wrong.repaired = printed.text(), trial.repair_note()
    return says, wrong


# ---------------------------------------------------------------------------------------------------------------
# One run of one check

class Trial:
    """What a check works with: random inputs, a guarded `call`, comparison."""

    def __init__(self, todo, seed, forbids=()):
        self.todo, self.seed, self.forbids = todo, seed, tuple(forbids)
        self.rng = random.Random(seed)                      # for sizes and choices
        self.gen = torch.Generator().manual_seed(seed)      # for tensors
        self.repaired = set()                               # earlier TODOs that were replaced for this check

    def repair_note(self):
        if not self.repaired:
            return ""
        which = " and ".join(f"TODO {n}" for n in sorted(self.repaired))
        return f"{which} is not right yet and was repaired for this check"

    # Inputs -----------------------------------------------------------------------------------------------------
    def sizes(self, *ranges):
        """One random size from each (low, high), all different, so that no two dimensions can be confused."""
        while True:
            sizes = [self.rng.randint(low, high) for low, high in ranges]
            if len(set(sizes)) == len(sizes):
                return sizes

    def randn(self, *shape, dtype=torch.float64):
        return torch.randn(*shape, generator=self.gen, dtype=torch.float64).to(dtype)

    def randint(self, high, *shape):
        return torch.randint(high, shape, generator=self.gen)

    def fill(self, module, scale=1.0):
        """Random weights of a size that makes every part of a layer count (PyTorch's own start is much smaller)."""
        with torch.no_grad():
            for parameter in module.parameters():
                fan_in = parameter.shape[-1] if parameter.dim() > 1 else 1
                parameter.copy_(self.randn(*parameter.shape) * scale / math.sqrt(fan_in))
        return module

    # Running the learner's code ---------------------------------------------------------------------------------
    def call(self, function, *args, keep_inputs=True, mode=None, **kwargs):
        """Run the learner's code; whatever it raises becomes Wrong, and its inputs must stay as they were."""
        before = [copy.deepcopy(a.detach() if _is_tensor(a) else a) if _is_data(a) else None for a in args]
        calls = _Calls(self.forbids)
        try:
            with mode or calls:
                result = function(*args, **kwargs)
        except (TimeUp, Wrong, Unfinished, Elsewhere):
            raise
        except NotImplementedError as error:
            if re.fullmatch(r"TODO \d+", _text(error)):
                raise Unfinished(error) from None
            raise Wrong(_describe(error), error=error) from None
        except BaseException as error:
            raise Wrong(_describe(error), error=error) from None
        finally:
            _mend()
            left = _reset_modes()
        if left:
            raise Wrong(f"it leaves {left} for everything that runs after it.", kind="global setting left changed")
        if calls.found:
            raise Wrong(f"it calls PyTorch's own {calls.found[0]}. Here you write that part yourself, from smaller "
                        "operations.", kind="PyTorch's own layer")
        if keep_inputs:
            for was, now in zip(before, args):
                if was is not None and not _unchanged(was, now):
                    raise Wrong("it changes its input in place (for example with +=, masked_fill_ or x[...] = ...): "
                                "the caller's tensor is not the same after the call.", kind="changes its input")
        return result

    def refuses(self, function, *args, because, error=ValueError, **kwargs):
        """The contract's error must be raised; `because` says what makes no sense, e.g. "embed_dim 7, num_heads 2"."""
        try:
            result = self.call(function, *args, **kwargs)
        except Wrong as wrong:
            if isinstance(wrong.error, error):
                return
            if wrong.error is None:
                raise
            raise Wrong(f"for {because} it should raise {error.__name__} with a sentence. {_sentence(wrong.says)}",
                        kind="wrong kind of error") from None
        raise Wrong(f"for {because} it should raise {error.__name__}, but it returns {_kind(result)}.",
                    kind="no error raised")

    def cases(self, cases, run, patterns=None):
        """Run `run(case)` for every case; when some fail, the pattern of failures may itself name the mistake.

        A named mistake comes first (the one named most often); then "works only for ...", when all cases that pass share something that none of
        the failing ones has; then the first failure.
        """
        passed, failed = [], []
        for case in cases:
            try:
                run(case)
                passed.append(case)
            except Wrong as wrong:
                wrong.case = wrong.case or case
                failed.append(wrong)
        if not failed:
            return
        names = [wrong.name for wrong in failed if wrong.name]
        most = max(names, key=names.count, default=None)
        if names and names.count(most) * 3 >= len(failed):  # a name that only fits a special case would mislead
            raise next(wrong for wrong in failed if wrong.name == most)
        for name, fits in (PATTERNS if patterns is None else patterns).items():
            if passed and all(_holds(fits, c) for c in passed) and not any(_holds(fits, w.case) for w in failed):
                wrong = failed[0]
                wrong.name = f"works only {name}"
                wrong.says = f"your answer is right {name}, but not in general: {wrong.says}"
                raise wrong
        failed[0].name = None
        raise failed[0]

    # Comparing --------------------------------------------------------------------------------------------------
    def parts(self, result, names):
        """The learner's result as a tuple with one entry per name."""
        if len(names) == 1:
            if type(result) in (tuple, list):
                raise Wrong(f"it should return one tensor, the {names[0]}, but it returns {_kind(result)}.",
                            kind="wrong number of results")
            return (result,)
        if result is None:
            raise Wrong("it returns None. Is the line with return missing?", kind="nothing returned")
        if not isinstance(result, (tuple, list)) or len(result) != len(names):
            raise Wrong(f"it should return {len(names)} things, ({', '.join(names)}), but it returns {_kind(result)}.",
                        kind="wrong number of results")
        return tuple(result)

    def equal(self, names, got, expected, mistakes=(), case=None, dtype=None, tolerance=None):
        """Compare tensors (or tuples of them) with the truth; a difference raises Wrong, named where it is known.

        `expected` may be float64 for float32 answers. `dtype` is what the contract asks for ("exact": expected's own).
        `tolerance` is a number or a tensor of absolute tolerances; by default what rounding in `dtype` explains.
        """
        if isinstance(names, str):
            names, got, expected = (names,), (got,), (expected,)
        for name, mine, right in zip(names, got, expected):
            says = difference(name, mine, right, right.dtype if dtype == "exact" else dtype, tolerance)
            if says:
                if says.kind is None and mine.numel() > 1 and not mine.any():
                    raise Wrong(f"every number of the {name} is 0.", name="all zero", case=case)
                picture = (name, right, mine)
                try:
                    self.name_it(mistakes, case, got, tolerance, expected)
                except Wrong as wrong:
                    wrong.picture = picture
                    raise
                kind, hint = relation(mine, right) if says.kind in (None, "wrong shape") else (None, "")
                raise Wrong(hint + _sentence(says.text), kind=kind or says.kind, case=case, picture=picture)

    def name_it(self, mistakes, case, got, tolerance=None, expected=None):
        """Raise a named Wrong if `got` (a tuple) equals what one of the mistakes gives."""
        for mistake in mistakes:
            if mistake.makes is None:
                continue
            try:
                made = mistake.makes(case)
            except Exception:  # this mistake cannot be made at these sizes
                continue
            made = made if isinstance(made, (tuple, list)) else (made,)
            equal = lambda them, loose: all(m is None or not difference("", g, m, None, tolerance, loose=loose)
                                            for g, m in zip(them, made))
            if any(m is not None for m in made) and equal(got, 10):
                rough = [e.float() if e.is_floating_point() else e for e in expected or ()]
                if not rough or not equal(rough, 1):  # at some sizes a mistake does no harm: then it is not this one
                    raise mistake_made(mistake, case)

    def facts(self, got, expected, mistakes=(), case=None):
        """Compare two dicts of plain facts (see `layer_facts`); a mistake's `makes` gives the facts it changes."""
        wrong = [key for key, value in expected.items() if got.get(key, "missing") != value]
        if not wrong:
            return
        for mistake in mistakes:
            made = mistake.makes(case) if mistake.makes else {}
            if any(key in wrong for key in made) and all(got.get(key, "missing") == made[key] for key in made):
                raise mistake_made(mistake, case)
        mine = got.get(wrong[0], "missing")
        raise Wrong(f"{wrong[0]} should be {expected[wrong[0]]}, but it is {mine}.", case=case)

    def against(self, mine, truth, inputs, *, names=("output",), dtype=torch.float32, mistakes=(), case=None,
                gradients=True, through=1):
        """Compare the learner's module with PyTorch's on the same inputs and weights: results, then gradients.

        Gradients are compared through the first `through` results. `truth` is float64; floating inputs are given in float64 and reach the learner's module in `dtype`.
        """
        args = [x.to(dtype) if _is_tensor(x) and x.is_floating_point() and i == 0 else x for i, x in enumerate(inputs)]
        exact = [a.double() if _is_tensor(a) and a.is_floating_point() and i == 0 else a for i, a in enumerate(args)]
        # (the truth sees the same rounded numbers as the learner's code)
        exact[0] = exact[0].clone().requires_grad_(exact[0].is_floating_point())
        expected = truth(*exact)
        expected = expected if isinstance(expected, tuple) else (expected,)
        try:
            got = self.parts(self.call(mine, *args), names)
        except Wrong as wrong:
            for mistake in mistakes:
                if wrong.error is not None and mistake.raises and _holds(lambda c: mistake.raises(c, wrong.error), case):
                    raise mistake_made(mistake, case) from None
            raise
        try:
            self.equal(names, got, expected, mistakes, case, dtype)
        except Wrong as wrong:
            again = self.parts(self.call(mine, *args), names)
            if wrong.name is None and wrong.kind is None and not all(same(a.detach(), g) for a, g in zip(again, got)):
                wrong.name, wrong.says = "random results", "two calls with the same input give different results"
            raise
        if gradients:
            self.gradients(mine, truth, args, exact, expected[:through], names, dtype)
        return got

    def gradients(self, mine, truth, args, exact, expected, names, dtype):
        """Gradients of a random weighted sum of the results, for the input and for every parameter of the truth."""
        weigh = [self.randn(*e.shape) for e in expected]
        shared = dict(truth.named_parameters()) if isinstance(truth, nn.Module) else {}
        wanted = {"the input": exact[0]} if exact[0].requires_grad else {}
        wanted |= shared
        if not wanted:
            return
        right = torch.autograd.grad(sum((e * w).sum() for e, w in zip(expected, weigh)), list(wanted.values()),
                                    allow_unused=True)
        leaf = args[0].detach().clone().requires_grad_(exact[0].requires_grad)
        # The learner's code gets a copy that is no leaf: PyTorch forbids in-place changes of a leaf only.
        got = self.parts(self.call(mine, leaf * 1 if leaf.requires_grad else leaf, *args[1:]), names)
        own = dict(mine.named_parameters(remove_duplicate=False)) if isinstance(mine, nn.Module) else {}
        for name, part, e in zip(names, got, expected):
            if e.requires_grad and not part.requires_grad:
                raise Wrong(f"the {name} is cut off from the graph (detach, no_grad, .data, .item() or a new "
                            "torch.tensor(...)): no gradient can flow back through it.", kind="gradient cut")
        total = sum((g * w.to(g.dtype)).sum() for g, w in zip(got, weigh) if g.requires_grad)
        leaves = [leaf if name == "the input" else own[name] for name in wanted]
        found = self.call(torch.autograd.grad, total, leaves, allow_unused=True, keep_inputs=False)
        largest = max(r.abs().max() for r in right if r is not None)
        for name, g, r in zip(wanted, found, right):
            if r is None:
                continue
            if g is None:
                if r.abs().max() < 1e-12:
                    continue
                raise Wrong(f"the results are right, but no gradient reaches {name}: somewhere the graph is cut "
                            "(detach, no_grad, .data, .item() or a new torch.tensor(...)).", kind="gradient cut")
            # Where gradients cancel to nothing (the bias of a key), rounding is that of what cancels.
            relative, absolute = (1e-10, 1e-12) if dtype == torch.float64 else (2e-5, 1e-6)
            says = difference(f"gradient for {name}", g, r, dtype, loose=5,
                              tolerance=absolute + relative * max(r.abs().max(), largest / 10))
            if says:
                raise Wrong("the results are right, but not their gradient (is a part of the way cut off, with detach, "
                            f"no_grad or .data?): {says.text}", kind="wrong gradient")

    def elsewhere(self, mine, inputs, names=("output",)):
        """Does the answer work where its input lives? The inputs (and the module's own tensors) pretend to live on
        another device; a tensor made without device=... does not."""
        args = [x.clone() if _is_tensor(x) else x for x in inputs]
        _Faraway.send(*[x for x in args if _is_tensor(x)])
        if isinstance(mine, nn.Module):
            _Faraway.send(*mine.parameters(), *mine.buffers())
        stays = Wrong("it does not work on another device: a tensor that you make (or keep as a plain attribute) stays "
                      "on the processor while the input lives elsewhere. Make it with device=x.device.",
                      name="hard-coded device")
        try:
            got = self.parts(self.call(mine, *args, mode=_Faraway(), keep_inputs=False), names)
        except Elsewhere:
            raise stays from None
        except Wrong:
            return  # it failed for a reason that only the pretence has
        if not all(_Faraway.sent(g) for g in got if _is_tensor(g)):
            raise stays

    # Building ---------------------------------------------------------------------------------------------------
    def build(self, cls, args, like, todo, **attributes):
        """An instance of the learner's class for a check of its `forward`, with the parts of the contract.

        `like` is the stand-in with the same parts. A part that is missing or of another kind is replaced by a copy of
        like's, and `todo` (the __init__) is reported as repaired. Everything else that __init__ made stays.
        `attributes` (num_heads, ...) are set where __init__ did not get so far.
        """
        if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
            raise Wrong(f"the check needs your class, derived from nn.Module, but it got {_kind(cls)}.",
                        kind="not a module class")
        module = cls.__new__(cls)
        try:
            self.call(module.__init__, *args)
        except (Wrong, Unfinished):
            self.repaired.add(todo)
        if "_modules" not in module.__dict__:
            kept = dict(module.__dict__)
            nn.Module.__init__(module)
            module.__dict__.update(kept)
        seen = set()
        for name, part in like.named_children():
            mine = module._modules.get(name)
            if not _same_kind(mine, part) or id(mine) in seen:
                for store in (module.__dict__, module._parameters, module._buffers, module._modules):
                    store.pop(name, None)
                module._modules[name] = copy.deepcopy(part)
                self.repaired.add(todo)
            seen.add(id(module._modules[name]))
        if todo in self.repaired:
            for name, value in attributes.items():
                if name not in module.__dict__ and not hasattr(module, name):
                    setattr(module, name, value)
        return module

    def layers(self, module, like):
        """After an __init__: are all the layers that `like` (the stand-in) has there, of the right kind and size?"""
        names = [name for name, _ in like.named_children()]
        for name, right in like.named_children():
            kind = type(right).__name__
            if not hasattr(module, name):
                there = ", ".join(n for n, _ in module.named_children()) or "no layer at all"
                raise Wrong(f"the attribute {name} is missing (there is {there}).", kind="missing attribute")
            mine = getattr(module, name)
            if not isinstance(mine, type(right)):
                raise Wrong(f"{name} should be an nn.{kind}, but it is {_kind(mine)}.", kind="wrong kind of layer")
            for what in SETTINGS.get(kind, ()):
                a, b = getattr(mine, what, None), getattr(right, what, None)
                if what == "bias":
                    a, b = a is not None, b is not None
                    if a != b:
                        raise Wrong(f"{name} should have {'a' if b else 'no'} bias, but yours has "
                                    f"{'one' if a else 'none'}.", name="bias" if a else "no bias")
                if a != b:
                    raise Wrong(f"{name}.{what} is {a!r}, expected {b!r}.", kind=f"wrong {what}")
            if name not in module._modules:
                raise Wrong(f"{name} is not registered in the module: set it with self.{name} = ... after "
                            "super().__init__().", kind="not registered")
            for key, parameter in mine.named_parameters():
                if not parameter.requires_grad:
                    raise Wrong(f"{name}.{key} does not require a gradient: it could never learn.", kind="frozen")
                if parameter.dtype != torch.float32:
                    raise Wrong(f"{name}.{key} has dtype {_dtype(parameter.dtype)}, expected float32 (what PyTorch "
                                "makes when you do not ask for a dtype).", kind="wrong dtype")
                constant = parameter.dim() > 1 and parameter.numel() > 1 and float(parameter.detach().std()) == 0
                if constant and name not in LAST:  # a last layer may start at zero: it still learns
                    raise Wrong(f"all numbers in {name}.{key} are equal: then all features learn the same.",
                                kind="constant weights")
        for i, first in enumerate(names):
            for second in names[i + 1:]:
                mine = [{p.data_ptr() for p in getattr(module, n).parameters()} for n in (first, second)]
                if mine[0] & mine[1]:
                    raise Wrong(f"{first} and {second} are the same layer: make one for each, or they share their "
                                "weights for ever.", name="shared layer")

    def make(self, cls, *args, **kwargs):
        """An instance of the learner's class, for a check of its __init__."""
        if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
            raise Wrong(f"the check needs your class, derived from nn.Module, but it got {_kind(cls)}.",
                        kind="not a module class")
        module = self.call(cls, *args, **kwargs)
        if not isinstance(module, nn.Module):
            raise Wrong(f"making your class gives {_kind(module)}.", kind="not a module class")
        return module

    def same_weights(self, mine, truth, dtype=torch.float32):
        """Put truth's weights (float64) into the learner's module -> (mine in `dtype`, truth with the same numbers)."""
        mine.to(dtype)
        own = dict(mine.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, parameter in truth.named_parameters():
                own[name].copy_(parameter)
                parameter.copy_(own[name])  # rounded to dtype, so that both hold the same numbers
        return mine, truth


LAST = ("fc2", "out_proj", "project", "head")

# What `layers` compares.
SETTINGS = {
    "Linear": ("in_features", "out_features", "bias"),
    "Embedding": ("num_embeddings", "embedding_dim", "padding_idx", "max_norm"),
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine", "bias"),
    "Dropout": ("p",),
}

# What the cases that pass may have in common. `case` has x (the input), and where it applies mask.
PATTERNS = {
    "for a batch of 1": lambda c: c.x.shape[0] == 1,
    "without a mask": lambda c: c.mask is None,
    "with a mask": lambda c: c.mask is not None,
    "for bool masks": lambda c: c.mask is None or c.mask.dtype == torch.bool,
    "for masks of numbers": lambda c: c.mask is None or c.mask.dtype != torch.bool,
    "in float32": lambda c: c.dtype == torch.float32,
    "in float64": lambda c: c.dtype == torch.float64,
    "when T equals C": lambda c: c.x.shape[1] == c.x.shape[2],
    "when T equals B": lambda c: c.x.shape[1] == c.x.shape[0],
    "with one head": lambda c: c.H == 1,
}


# ---------------------------------------------------------------------------------------------------------------
# Comparing two tensors

@dataclasses.dataclass
class Difference:
    text: str
    kind: str | None = None


def difference(what, got, expected, dtype=None, tolerance=None, loose=1):
    """None when `got` is the tensor `expected`, up to rounding; else a Difference that says where and how much.

    Rounding: for results made of some hundred operations on numbers of size one, float32 stays far below 2e-5 of the
    largest value, float64 below 1e-10. Known mistakes are thousands of times larger.
    """
    many = what.endswith("s") and not what.startswith("result")
    is_, has, holds, it_is = ("are", "have", "hold", "they are") if many else ("is", "has", "holds", "it is")
    what = f"the {what}" if what else "it"
    dtype = dtype or (expected.dtype if not expected.is_floating_point() else None)
    if got is None:
        return Difference(f"{what} {is_} None. Is a return missing?", "nothing returned")
    if type(got) is not torch.Tensor:
        return Difference(f"{what} should be a torch.Tensor, but {it_is} {_kind(got)}.", "not a tensor")
    if got.is_sparse or got.layout != torch.strided:
        return Difference(f"{what} should be an ordinary dense tensor, but its layout is {got.layout}.", "not dense")
    if tuple(got.shape) != tuple(expected.shape):
        return Difference(f"{what} {has} shape {tuple(got.shape)}, expected {tuple(expected.shape)}.", "wrong shape")
    if got.dtype != dtype if dtype else not (got.is_floating_point() or got.is_complex()):
        dtype = dtype or expected.dtype
        return Difference(f"{what} {has} dtype {_dtype(got.dtype)}, expected {_dtype(dtype)}.", "wrong dtype")
    if got.device.type != expected.device.type:
        return Difference(f"{what} {is_} on device {got.device}, expected {expected.device}.", "wrong device")
    mine, right = got.detach(), expected.detach()
    if mine.is_complex() or right.is_complex():
        return Difference(f"{what} should hold real numbers, but its dtype is {_dtype(mine.dtype)}.", "wrong dtype")
    if not mine.numel():
        return None
    precise = mine.dtype == torch.float64
    mine, right = mine.to(torch.float64), right.to(torch.float64)
    odd = ~torch.isfinite(mine) & (mine != right)
    if odd.any():
        bad = "NaN" if torch.isnan(mine).any() else "an infinite number"
        where = _first(odd)
        return Difference(f"{what} {holds} {bad}, first at position {where}.", "NaN or infinite numbers")
    if tolerance is None:
        whole = not (got.is_floating_point() or expected.is_floating_point())
        relative, absolute = (0, 0) if whole else (1e-10, 1e-12) if precise else (2e-5, 1e-6)
        tolerance = absolute + relative * right.abs().max()
    off = torch.where(mine == right, 0.0, (mine - right).abs())  # equal infinities (of a known mistake) are equal
    wrong = ~(off <= torch.as_tensor(tolerance) * loose)  # NaN in either is a difference too
    if not wrong.any():
        return None
    where = _first(wrong)
    index = tuple(where)
    count, total = int(wrong.sum()), wrong.numel()
    return Difference(f"{what} {is_} not right: the first difference is at position {where}: expected "
                      f"{_number(right[index])}, yours is {_number(mine[index])}. {count} of {total} numbers differ, "
                      f"by up to {_number(off.max())}.")


def relation(mine, right):
    """How a wrong tensor may come from the right one, whatever the task: (name, sentence), or (None, "")."""
    mine, right = mine.detach(), right.detach().to(mine.dtype)
    if mine.numel() < 2 or not mine.is_floating_point():
        return None, ""
    found = lambda other: same(mine, other)
    if mine.shape == right.shape:
        factor = float((mine * right).sum() / (right * right).sum().clamp(min=1e-30))
        if found(right * factor) and factor:
            return "off by a factor", f"it is everywhere {_number(factor)} times what it should be. "
        if found(right + (mine - right).mean()):
            return "off by a constant", f"it is everywhere {_number((mine - right).mean())} too high. "
    for d in range(right.dim()):
        if mine.shape == right.shape and found(right.flip(d)):
            return "reversed", f"dimension {d} is in reverse order. "
        for name, reduced in (("added up", right.sum(d)), ("averaged", right.mean(d))):
            if found(reduced) or found(reduced.unsqueeze(d)):
                return f"{name} over a dimension", f"it is {name} over dimension {d}, which should stay. "
    for order in itertools.permutations(range(right.dim())) if right.dim() < 5 else ():
        if list(order) != sorted(order) and found(right.permute(order)):
            return "dimensions in another order", f"the right numbers, but the dimensions come in the order {order}. "
    if mine.numel() == right.numel() and found(right.reshape(mine.shape)):
        return "wrong shape", "the right numbers in the right order, but in another shape. "
    return None, ""


def same(got, expected, dtype=None, tolerance=None):
    """True when difference() finds none."""
    return difference("", got, expected, dtype, tolerance) is None


def _first(where):
    return [int(i) for i in where.nonzero()[0]]


def _number(value):
    value = float(value)
    return str(int(value)) if abs(value) < 1e6 and value == int(value) else f"{value:.6g}"


def _dtype(dtype):
    return str(dtype).removeprefix("torch.")


def layer_facts(name, layer):
    """What an attribute holds, as facts to compare: {"fc1": "nn.Linear", "fc1.in_features": 3, ...}."""
    kinds = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.ModuleList)
    kind = next((k for k in kinds if isinstance(layer, k)), None)
    if kind is None or any(nn.parameter.is_lazy(p) for p in layer.parameters()):
        return {name: "missing" if layer is None else _kind(layer)}
    facts = {name: f"nn.{kind.__name__}"}
    weight = getattr(layer, "weight", None)
    if kind is nn.Linear:
        facts |= {f"{name}.in_features": weight.shape[1], f"{name}.out_features": weight.shape[0],
                  f"{name}.bias": layer.bias is not None}
    elif kind is nn.Embedding:
        facts |= {f"{name}.num_embeddings": weight.shape[0], f"{name}.embedding_dim": weight.shape[1]}
    elif kind is nn.LayerNorm:
        facts |= {f"{name}.normalized_shape": tuple(layer.normalized_shape), f"{name}.weight": weight is not None}
    elif kind is nn.Dropout:
        facts[f"{name}.p"] = layer.p
    elif kind is nn.ModuleList:
        facts[f"{name} holds"] = len(layer)
    return facts


def mistake_made(mistake, case=None):
    """The Wrong that names `mistake`."""
    return Wrong(mistake.says, mistake.name, mistake.line, mistake.hint, case=case)


def _same_kind(mine, part):
    """Is the learner's layer what the contract asks for (the same layer of PyTorch, or one derived from it)?"""
    if not isinstance(mine, type(part)) and type(part).__module__.startswith("torch."):
        return False
    if not isinstance(mine, nn.Module):
        return False
    shapes = [{n: tuple(p.shape) for n, p in m.named_parameters()} for m in (mine, part)]
    return (shapes[0] == shapes[1] and all(p.requires_grad for p in mine.parameters())
            and (not type(part).__module__.startswith("torch.") or mine.extra_repr() == part.extra_repr()))


# ---------------------------------------------------------------------------------------------------------------
# Messages

def _message(todo, wrong, answers, seed):
    names = ", ".join(_ascii(getattr(a, "__name__", "your answer")) for a in answers) or "..."
    name = wrong.name or _kind_of_error(wrong.error) or wrong.kind
    lines = [f"TODO {todo} is not right yet" + (f": {name}." if name else ".")]
    lines.append(_sentence(wrong.says))
    if wrong.line:
        lines.append(f"It concerns the line  {wrong.line}  (open hint {wrong.hint}).")
    text = getattr(wrong.case, "text", None)
    if text:
        lines.append(f"Found with {text}.")
    if getattr(wrong, "repaired", ""):
        lines.append(f"({_sentence(wrong.repaired)})")
    if getattr(wrong, "printed", ""):
        lines.append("Your code printed:\n" + wrong.printed)
    lines.append(f"Repeat it with checks.todo_{todo}({names}, seed={seed})")
    return _ascii("\n".join(lines))


# What an exception means, by its type and a piece of its text.
ERRORS = [
    ("AttributeError", "before Module.__init__", "super().__init__() missing"),
    ("AttributeError", "has no attribute", "missing attribute"),
    ("RuntimeError", "view size is not compatible", "view of a non-contiguous tensor"),
    ("RuntimeError", "leaf Variable that requires grad", "in-place change breaks the gradient"),
    ("RuntimeError", "inplace operation", "in-place change breaks the gradient"),
    ("RuntimeError", "only supports boolean masks", "mask taken for bool"),
    ("TypeError", "bad operand type for unary ~", "mask taken for bool"),
    ("TypeError", "bitwise_not", "mask taken for bool"),
    ("RuntimeError", "bitwise_not", "mask taken for bool"),
    ("RuntimeError", "same dtype", "hard-coded dtype"),
    ("RuntimeError", "scalar type", "hard-coded dtype"),
    ("RuntimeError", "does not require grad", "gradient cut"),
    ("RuntimeError", "cannot be multiplied", "shapes do not fit"),
    ("RuntimeError", "must match", "shapes do not fit"),
    ("RuntimeError", "Expected size for first two dimensions", "shapes do not fit"),
    ("RuntimeError", "is invalid for input of size", "shapes do not fit"),
    ("RuntimeError", "Sizes of tensors must match", "shapes do not fit"),
    ("RuntimeError", "expects a tensor with <= 2 dimensions", "t() of more than two dimensions"),
    ("RuntimeError", "expand", "shapes do not fit"),
    ("IndexError", "out of range", "index out of range"),
    ("ValueError", "not enough values to unpack", "fixed number of dimensions"),
    ("ValueError", "too many values to unpack", "fixed number of dimensions"),
    ("TypeError", "positional argument", "wrong arguments"),
    ("TypeError", "unexpected keyword argument", "wrong arguments"),
    ("TypeError", "missing", "wrong arguments"),
    ("NameError", "is not defined", "name not defined"),
    ("UnboundLocalError", "", "name not defined"),
    ("RecursionError", "", "calls itself without end"),
    ("SystemExit", "", "ends the program"),
]


def _kind_of_error(error):
    for kind, text, name in ERRORS if error is not None else ():
        if type(error).__name__ == kind and text in _text(error):
            return name
    return None


def _sentence(text):
    text = text.strip()
    first = text.partition(" ")[0]
    if first.isalpha() and first.islower() and len(first) > 1:  # not q_proj, x or dropout.p
        text = text[0].upper() + text[1:]
    return text + ("" if text.endswith((".", "?", "!")) else ".")


def _ascii(text):
    return str(text).encode("ascii", "replace").decode()


def _text(error):
    try:
        return str(error)
    except BaseException:
        return ""


def _kind(value):
    """'a tuple of 2', 'a float', 'a Parameter' ... without asking the value itself to print."""
    name = type(value).__name__
    if type(value) in (tuple, list):
        return f"a {name} of {len(value)}"
    if value is None:
        return "None"
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _describe(error):
    """One sentence about an exception: its type, its text, and the learner's line that raised it."""
    kind = type(error).__name__
    text = " ".join(_text(error).split())
    text = text if len(text) < 300 else text[:300] + " ..."
    return f"your code raised {kind}{': ' + text if text else ''}{_where(error)}"


def _where(error):
    """' (line 12 of forward: `...`)' for the innermost frame that is the learner's."""
    place, step = None, error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(_NOT_THEIRS):
            place = (code.co_filename, step.tb_lineno, code.co_name)
        step = step.tb_next
    if place is None:
        return ""
    source = linecache.getline(place[0], place[1]).strip()
    return f" (line {place[1]}, in {place[2]}" + (f":  {source[:100]}  )" if source else ")")


class _Printed(io.TextIOBase):
    """Takes what the learner's code prints and remembers only the first lines, however much it is."""

    def __init__(self):
        self.start, self.more = "", False

    def writable(self):
        return True

    def write(self, text):
        room = 400 - len(self.start)
        self.start += text[:room]
        self.more = self.more or len(text) > room
        return len(text)

    def text(self):
        lines = self.start.splitlines()
        cut = self.more or len(lines) > SHOWN
        return "\n".join(lines[:SHOWN]) + ("\n..." if cut and lines else "")


def _keep(todo, answers):
    """Hand a right answer to helpers.parts; whatever happens there, the check has passed."""
    try:
        from helpers import parts
    except ImportError:
        return
    parts.keep(todo, *answers)


# ---------------------------------------------------------------------------------------------------------------
# A safe place: what cells may have replaced or switched is put right for the check, and left as found after it

_SYSTEM = random.SystemRandom()
_MISSING = object()
_NOT_THEIRS = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
               os.path.dirname(os.__file__), "<frozen")
_set, _delete = type.__setattr__, type.__delattr__


def _remember():
    """The functions of PyTorch and Python that a cell might replace, as they are when this module is imported."""
    modules = [builtins, math, random, copy, torch, torch.nn, F, torch.linalg, torch.testing, torch.autograd,
               torch.nn.init, torch.nn.utils, torch.nn.modules.module, torch.utils.data]
    classes = {torch.Tensor, nn.Module, random.Random}
    classes |= {c for m in (torch.nn, torch.utils.data) for c in vars(m).values() if isinstance(c, type)}
    kept = (types.FunctionType, staticmethod, classmethod, property)
    known = [(m.__dict__, None, {n: v for n, v in vars(m).items() if callable(v) and not n.startswith("_")})
             for m in modules]
    known[0][2]["__import__"], known[0][2]["__build_class__"] = builtins.__import__, builtins.__build_class__
    known += [(c.__dict__, c, {n: v for n, v in vars(c).items() if isinstance(v, kept) or n in ("__eq__", "__bool__")})
              for c in classes if c.__module__.startswith(("torch", "random"))]
    # What a class only inherits, it must not have of its own: torch.Tensor.any comes from its base, written in C.
    for space, owner, names in known:
        if owner is torch.Tensor:
            names |= {n: _MISSING for n in dir(torch.Tensor) if n not in space}
        elif owner is not None and issubclass(owner, nn.Module):
            names |= {n: _MISSING for n in ("__call__", "__init__", "__setattr__", "__getattr__") if n not in space}
    return known


_KNOWN = _remember()


def _mend():
    """Put back every remembered function that was replaced -> what was there instead. Uses no builtin name."""
    theirs = []
    for current, owner, known in _KNOWN:
        for name, value in known.items():
            there = current.get(name, _MISSING)
            if there is not value:
                theirs.append((current, owner, name, there))
                if owner is None:
                    current[name] = value
                elif value is _MISSING:
                    _delete(owner, name)
                else:
                    _set(owner, name, value)
    return theirs


def _put_back(theirs):
    for current, owner, name, value in theirs:
        if owner is None:
            if value is _MISSING:
                del current[name]
            else:
                current[name] = value
        elif value is _MISSING:
            _delete(owner, name)
        else:
            _set(owner, name, value)


@contextlib.contextmanager
def _as_found():
    """Checks run in float32 with ordinary settings; afterwards everything is as the learner had it."""
    numpy = sys.modules.get("numpy")
    state = torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None
    dtype, limit, threads = torch.get_default_dtype(), sys.getrecursionlimit(), torch.get_num_threads()
    try:
        torch.set_default_dtype(torch.float32)
        sys.setrecursionlimit(min(limit, 3000))
        torch.set_num_threads(1)  # the tensors are tiny: several threads would only wait for each other
        yield
    finally:
        _mend()
        torch.set_default_dtype(dtype)
        sys.setrecursionlimit(limit)
        torch.set_num_threads(threads)
        torch.set_rng_state(state[0])
        random.setstate(state[1])
        if numpy:
            numpy.random.set_state(state[2])


def _reset_modes():
    """Ordinary settings again after a call of the learner's code -> what it left changed, or None."""
    left = None
    if not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        left = "gradients switched off"
    if torch.get_default_dtype() != torch.float32:
        torch.set_default_dtype(torch.float32)
        left = "the default dtype changed"
    if torch.get_default_device().type != "cpu":
        torch.set_default_device(None)
        left = "the default device changed"
    return left


@contextlib.contextmanager
def substitute(answers, pieces):
    """Give the answers' module the course's pieces under their global names, and take them away again."""
    spaces = _globals_of(answers) if pieces else []
    before = [{name: space.get(name, _MISSING) for name in pieces} for space in spaces]
    for space in spaces:
        space.update(pieces)
    try:
        yield
    finally:
        for space, saved in zip(spaces, before):
            for name, value in saved.items():
                if value is _MISSING:
                    space.pop(name, None)
                else:
                    space[name] = value


def _globals_of(answers):
    """The global namespaces (without repeats) in which the functions and methods of the answers run."""
    spaces = {}
    for answer in answers:
        found = [v for c in answer.__mro__ for v in vars(c).values()] if isinstance(answer, type) else [answer]
        for value in found:
            value = getattr(value, "__func__", value)  # static and class methods
            for _ in range(9):                         # decorated ones, such as @torch.no_grad()
                value = getattr(value, "__wrapped__", value)
            space = getattr(value, "__globals__", None)
            if isinstance(space, dict) and str(space.get("__name__")).partition(".")[0] not in ("torch", "helpers"):
                spaces[id(space)] = space
    return list(spaces.values())


def _has_own(answers, pieces):
    return any(name in space and space[name] is not piece for space in _globals_of(answers)
               for name, piece in pieces.items())


class _Calls(TorchFunctionMode):
    """Notes calls of the PyTorch functions (parts of their names) and layers (classes) that the TODO asks to write."""

    def __init__(self, forbids):
        super().__init__()
        self.forbids, self.found = [f for f in forbids if isinstance(f, str)], []
        self.layers = tuple(f for f in forbids if isinstance(f, type))

    def __enter__(self):
        if self.layers:
            self.hook = nn.modules.module.register_module_forward_pre_hook(self.note_layer)
        return super().__enter__()

    def __exit__(self, *error):
        if self.layers:
            self.hook.remove()
        return super().__exit__(*error)

    def note_layer(self, module, args):
        if isinstance(module, self.layers):
            self.found.append(f"nn.{next(c for c in self.layers if isinstance(module, c)).__name__}")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if self.forbids:
            name = getattr(func, "__name__", "")
            if any(part in name for part in self.forbids):
                self.found.append(name)
        return func(*args, **(kwargs or {}))


class _Faraway(TorchFunctionMode):
    """Pretends that some tensors live on a graphics card: they carry a tag, their .device is another, what is computed
    from them carries the tag too, and an operation on tagged and untagged tensors fails as it would there."""
    DEVICE = torch.device("meta")
    COPIES = ("copy_", "__setitem__", "view_as", "reshape_as", "expand_as", "type_as", "result_type", "allclose")

    @staticmethod
    def send(*tensors):
        for tensor in tensors:
            tensor._faraway = True

    @staticmethod
    def sent(tensor):
        return getattr(tensor, "_faraway", False)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        flat = [t for a in (*args, *kwargs.values()) for t in (a if isinstance(a, (tuple, list)) else (a,))]
        tensors = [t for t in flat if isinstance(t, torch.Tensor)]
        here = any(t.dim() and not self.sent(t) for t in tensors)  # a single number may come from the processor
        there = any(self.sent(t) for t in tensors)
        if name == "__get__" and getattr(func.__self__, "__name__", "") == "device" and there:
            return self.DEVICE
        if name in ("to", "type_as"):
            return self.move(func, args, kwargs)
        if name == "cpu":
            return args[0].clone()
        if name == "numpy" and there:
            raise Elsewhere(name)
        picks = name == "__getitem__" and self.sent(args[0])  # an index may come from the processor
        if here and there and name not in self.COPIES and not picks:
            raise Elsewhere(name)
        if kwargs.get("device") is not None:
            there = torch.device(kwargs["device"]) == self.DEVICE
            kwargs["device"] = "cpu" if there else kwargs["device"]
        result = func(*args, **kwargs)
        if there and name not in ("copy_", "__setitem__"):
            self.send(*[r for r in (result if isinstance(result, (tuple, list)) else (result,))
                        if isinstance(r, torch.Tensor)])
        return result

    def move(self, func, args, kwargs):
        """x.to(device), x.to(other), x.to(dtype), x.type_as(other)."""
        there, plain = self.sent(args[0]), []
        for value in (*args[1:], kwargs.pop("device", None), kwargs.pop("other", None)):
            if value is None:
                continue
            if isinstance(value, (torch.device, str)):
                there = torch.device(value) == self.DEVICE
            elif isinstance(value, torch.Tensor):
                there = self.sent(value)
                plain.append(value.dtype)
            else:
                plain.append(value)
        moved = args[0].to(*plain, **kwargs)
        moved = moved.clone() if moved is args[0] and there != self.sent(moved) else moved
        if there:
            self.send(moved)
        return moved


def _is_tensor(value):
    return isinstance(value, torch.Tensor)


def _is_data(value):
    return _is_tensor(value) or isinstance(value, (list, dict))


def _unchanged(was, now):
    if _is_tensor(was):
        return was.shape == now.shape and was.dtype == now.dtype and bool(torch.equal(was, now.detach()))
    try:
        return bool(was == now)
    except Exception:
        return True


def _holds(condition, case):
    try:
        return bool(condition(case))
    except Exception:
        return False
