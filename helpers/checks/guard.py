"""A safe place for a learner's code: what a cell may have replaced or switched is put right while a check runs, and
everything is left as it was found.

In the order of one check: `mend` puts replaced functions back, `as_found` and `substitute` prepare and restore,
`quiet` takes what is printed, `in_time` runs the check in a thread with a limit, `Calls` and `Faraway` watch calls of
PyTorch's functions, `reset_modes` tells what a call left switched.
"""
import builtins
import contextlib
import copy
import ctypes
import io
import math
import operator
import os
import random
import sys
import threading
import time
import types
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

TIME_LIMIT = 10.0  # seconds for one check; a right answer needs well under one
SHOWN = 5          # printed lines of the learner's code that a failure message repeats
SYSTEM = random.SystemRandom()  # for fresh seeds: it has no state that a cell could set
# The layers that right answers and the checks themselves are made of. PyTorch has 150 more: looking at those too
# after each call of a learner's code would double the time of mend().
LAYERS = (nn.Module, nn.Parameter, nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.GELU, nn.ReLU,
          nn.Sequential, nn.ModuleList, nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoderLayer,
          nn.TransformerDecoderLayer, nn.CrossEntropyLoss)
_MISSING = object()
_set, _delete = type.__setattr__, type.__delattr__


class TimeUp(BaseException):
    """Thrown into a learner's code that runs too long."""


class Elsewhere(Exception):
    """A tensor on the processor met one that lives on another device."""


# ---------------------------------------------------------------------------------------------------------------
# Functions that a cell replaced

def _remember():
    """The functions of PyTorch and Python that a cell might replace, as they are when this module is imported."""
    modules = [builtins, math, random, copy, torch, torch.nn, F, torch.linalg, torch.testing, torch.autograd,
               torch.nn.init, torch.nn.utils, torch.nn.modules.module, torch.utils.data]
    classes = {torch.Tensor, random.Random, *LAYERS}
    classes |= {c for c in vars(torch.utils.data).values() if isinstance(c, type)}
    kinds = (types.FunctionType, staticmethod, classmethod, property)
    known = [(m.__dict__, None, {n: v for n, v in vars(m).items() if callable(v) and not n.startswith("_")})
             for m in modules]
    known[0][2]["__import__"], known[0][2]["__build_class__"] = builtins.__import__, builtins.__build_class__
    known += [(c.__dict__, c, {n: v for n, v in vars(c).items() if isinstance(v, kinds) or n in ("__eq__", "__bool__")})
              for c in classes if c.__module__.startswith(("torch", "random"))]
    remembered = []
    for space, owner, names in known:
        # What a class only inherits, it must not have of its own: torch.Tensor.any comes from its base, written in C.
        absent = []
        if owner is torch.Tensor:
            absent = [n for n in dir(torch.Tensor) if n not in space]
        elif owner is not None and issubclass(owner, nn.Module):
            absent = [n for n in ("__call__", "__init__", "__setattr__", "__getattr__") if n not in space]
        names |= {n: space[n] for n in ("__doc__", "__name__" if owner is None else "__module__")}  # so that it has two
        remembered.append((space, owner, names, operator.itemgetter(*names), tuple(names.values()), frozenset(absent)))
    return remembered


_KNOWN = _remember()
_all, _map, _is, _KeyError = all, map, operator.is_, KeyError  # the builtins may have been replaced


def mend():
    """Put back every remembered function that was replaced -> what was there instead. Uses no builtin name."""
    theirs = []
    for space, owner, names, values_in, values, absent in _KNOWN:
        try:
            if _all(_map(_is, values_in(space), values)) and (not absent or space.keys().isdisjoint(absent)):
                continue  # nearly always: 2800 names, a sixth of a millisecond on one core
        except _KeyError:  # one of the names was deleted
            pass
        for name in (*names, *absent):
            there, value = space.get(name, _MISSING), names.get(name, _MISSING)
            if there is not value:
                theirs.append((space, owner, name, there))
                if owner is None:
                    space[name] = value
                elif value is _MISSING:
                    _delete(owner, name)
                else:
                    _set(owner, name, value)
    return theirs


def put_back(theirs):
    """Undo mend()."""
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


# ---------------------------------------------------------------------------------------------------------------
# State

@contextlib.contextmanager
def as_found():
    """Checks run in float32 with ordinary settings; afterwards everything is as the learner had it."""
    numpy = sys.modules.get("numpy")
    state = torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None
    dtype, limit, threads = torch.get_default_dtype(), sys.getrecursionlimit(), torch.get_num_threads()
    modes = torch.is_grad_enabled(), torch.is_anomaly_enabled(), torch.get_default_device()
    try:
        reset_modes()
        sys.setrecursionlimit(min(limit, 3000))
        torch.set_num_threads(1)  # the tensors are tiny: several threads would only wait for each other
        yield
    finally:
        mend()
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(modes[0])
        torch.autograd.set_detect_anomaly(modes[1])
        if modes[2] != torch.get_default_device():
            torch.set_default_device(modes[2])
        sys.setrecursionlimit(limit)
        torch.set_num_threads(threads)
        torch.set_rng_state(state[0])
        random.setstate(state[1])
        if numpy:
            numpy.random.set_state(state[2])


def fresh_seed():
    """A new seed for each check; while grading one for all, so that the same submission meets the same numbers."""
    given = os.environ.get("TINYLLM_CHECK_SEED", "")
    return int(given) if given.isdecimal() else SYSTEM.randrange(2**31)


def reset_modes():
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
    if torch.is_anomaly_enabled():
        torch.autograd.set_detect_anomaly(False)
        left = "anomaly detection switched on"
    return left


def copies(value):
    """A copy of tensors, lists, tuples and dicts, whatever is in them; anything else stays itself."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in (list, tuple):
        return type(value)(copies(v) for v in value)
    if type(value) is dict:
        return {k: copies(v) for k, v in value.items()}
    return value


def changed(was, now):
    """What is no longer as its copy in `was`: "tensor", "list", "dict" ..., or None."""
    if isinstance(was, torch.Tensor):
        alike = isinstance(now, torch.Tensor) and now.dtype == was.dtype and torch.equal(was, now.detach())
        return None if alike else "tensor"
    if type(was) in (list, tuple, dict):
        if type(now) is not type(was) or len(was) != len(now) or (type(was) is dict and list(was) != list(now)):
            return type(was).__name__
        pairs = zip(was.values(), now.values()) if type(was) is dict else zip(was, now)
        return next((what for what in (changed(*pair) for pair in pairs) if what), None)
    return None if was is now or type(was) not in (int, float, str) or was == now else type(was).__name__


# ---------------------------------------------------------------------------------------------------------------
# The course's pieces in place of the learner's

@contextlib.contextmanager
def substitute(answers, pieces):
    """Give the answers' module the course's pieces under their global names, and take them away again."""
    spaces = globals_of(answers) if pieces else []
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


def globals_of(answers):
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


def has_own(answers, pieces):
    """Do the answers see pieces of the learner's own under these global names?"""
    return any(name in space and space[name] is not piece for space in globals_of(answers)
               for name, piece in pieces.items())


# ---------------------------------------------------------------------------------------------------------------
# Printing and time

class Printed(io.TextIOBase):
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


@contextlib.contextmanager
def quiet():
    """Nothing is printed and no warning is shown; gives the Printed that remembers."""
    printed = Printed()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        warnings.simplefilter("ignore")
        yield printed


def in_time(work):
    """Run work() in a thread of its own -> its result, or None when it takes longer than TIME_LIMIT.

    A thread has its own grad mode, default device and function modes, and can be given up when it sleeps or loops:
    signals could not do that on Windows or outside the main thread.
    """
    outcome = []

    def run():
        try:
            outcome.append(work())
        except TimeUp:
            pass

    before = threading.stack_size(64 * 2**20)  # macOS gives a new thread half a megabyte: too little for recursion
    worker = threading.Thread(target=run, daemon=True)
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
    return None if late or not outcome else outcome[0]


# ---------------------------------------------------------------------------------------------------------------
# Watching calls of PyTorch's functions

class Calls(TorchFunctionMode):
    """Notes calls of the PyTorch functions (parts of their names) and layers (classes) that the TODO asks to write."""

    def __init__(self, forbids):
        super().__init__()
        self.forbids, self.found, self.allowed = [f for f in forbids if isinstance(f, str)], [], set()
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
        name = getattr(func, "__name__", "")
        if name not in self.allowed:
            if any(part in name for part in self.forbids):
                self.found.append(name)
            else:
                self.allowed.add(name)
        return func(*args, **(kwargs or {}))


class Faraway(TorchFunctionMode):
    """Pretends that some tensors live on a graphics card: they carry a tag, their .device is another, what is computed
    from them carries the tag too, and an operation on tagged and untagged tensors fails as it would there."""
    DEVICE = torch.device("meta")
    undecided = False  # were there tensors that a tag gets lost on?
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
        if any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors)):  # inside torch.vmap
            self.undecided = True
            return func(*args, **kwargs)
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
