"""What runs inside a student's kernel beside the student's code, sent there as text, anew for each use.

`_look`, before a student's cell and after it, answers with one number for each thing that the tests rely on; a number
that changes means that somebody put something else there. `_follow` and `_followed` say in whose code the answer was
found while a test ran: the course has an answer to each TODO, too, and PyTorch has many, and these are not the
student's. `_put_nonsense` puts nonsense in the answer's place: then the same test must fail.
"""


def _look(used):
    """{name: number} of what the tests rely on. used: the names that they use"""
    import builtins
    import hashlib
    import sys
    import threading
    import types

    import torch
    from IPython import get_ipython

    def number(thing):
        thing = getattr(thing, "__func__", thing)
        while hasattr(thing, "__wrapped__") and (
                getattr(thing, "__globals__", {}).get("__name__", "").startswith("torch.")):
            thing = thing.__wrapped__  # PyTorch wraps some of its own functions when they are first used
        return id(thing), id(getattr(thing, "__code__", None)), id(getattr(thing, "__defaults__", None))

    def functions(space):
        return [thing for key, thing in sorted(space.items()) if callable(thing)]

    def methods(*things):
        return [method for thing in things for kind in type(thing).__mro__ for method in functions(vars(kind))]

    def draws(callback):  # pyplot draws after each cell once it is imported
        return callback is getattr(sys.modules.get("matplotlib.pyplot"), getattr(callback, "__name__", ""), None)

    _wake_checks(False)
    shell = get_ipython()
    spaces = {"torch": {key: vars(torch)[key] for key in torch.__all__}, "Python's own functions": vars(builtins)}
    for name in ("torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler",
                 "torch.utils.data", "torch.testing", "math", "random", "copy"):
        spaces[name] = vars(sys.modules[name])
    for name in ("helpers.checks", "helpers.oracle", "helpers.parts"):
        spaces |= {key: vars(module) for key, module in list(sys.modules.items()) if key.startswith(name)}
    things = {f"torch.{key}": [vars(torch)[key]] for key in ("allclose", "equal", "isclose", "manual_seed")}
    things["torch.Tensor"] = functions(vars(torch.Tensor))
    for name, space in spaces.items():
        things[name] = functions(space)
        for kind in things[name][:]:
            if isinstance(kind, type) and kind.__module__.startswith(("torch.", "helpers.")):
                step = {"step": kind.step} if name == "torch.optim" and hasattr(kind, "step") else {}
                things[name] += functions({**vars(kind), **step})  # PyTorch gives AdamW its own step when it is used
        if name.startswith("helpers."):
            things[name] += [thing for key, thing in sorted(space.items()) if isinstance(thing, types.ModuleType)]
    transformers = shell.input_transformer_manager
    things["IPython's transformers"] = (
        shell.ast_transformers + shell.input_transformers_post + transformers.cleanup_transforms
        + transformers.line_transforms + transformers.token_transformers)
    things["IPython's events"] = [f for fs in shell.events.callbacks.values() for f in fs if not draws(f)]
    things["IPython's methods"] = [
        shell.run_cell, shell.run_code, shell.run_ast_nodes, shell.compile, shell.showtraceback,
        *methods(shell, shell.compile, shell.kernel, transformers)]
    things["the tracing"] = [sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()]
    things["the hooks"] = [sys.excepthook, sys.displayhook, sys.meta_path[0]]
    names = {**vars(builtins), **shell.user_ns}
    things |= {f"the name {key}": [names[key]] for key in used if key in names}
    return {name: hashlib.sha256(repr(list(map(number, some))).encode()).hexdigest()[:12]
            for name, some in things.items()}


def _wake_checks(awake):
    """Checks run in the cells of their tests and sleep elsewhere, because they lend out the course's pieces."""
    import sys
    sys.modules["helpers.checks.engine"].asleep = not awake


def _codes(thing):
    """The code objects of a function, of a class and those it inherits from, or of what wraps them."""
    import types

    thing = getattr(thing, "__func__", getattr(thing, "fget", thing))  # static and class methods, properties
    while hasattr(thing, "__wrapped__") or hasattr(thing, "func"):  # @torch.no_grad(), functools.partial
        thing = getattr(thing, "__wrapped__", None) or thing.func
    if isinstance(thing, types.FunctionType):
        yield thing.__code__
    elif isinstance(thing, type):
        for kind in thing.__mro__:
            for part in vars(kind).values():
                if not isinstance(part, type):
                    yield from _codes(part)


def _follow(names, todo):
    """From now on, until `_followed`: note whose code answers. names: what the TODO asks for"""
    import sys
    import threading

    from IPython import get_ipython

    from helpers import checks, oracle

    forbids = getattr(getattr(checks, f"todo_{todo}", None), "forbids", ())
    parts = [part for part in forbids if isinstance(part, str)]
    layers = {kind.forward.__code__ for kind in forbids if isinstance(kind, type)}
    courses = {(code.co_name, code.co_firstlineno): name for name in names
               for code in _codes(getattr(oracle, name, None)) if code.co_filename == oracle.__file__}
    found, test = set(), []

    def of_students(frame):
        """Whether a student's code is at work: a frame of a cell that is not the test's."""
        while frame is not None:
            file = frame.f_code.co_filename
            if ("ipykernel_" in file or file.startswith("<ipython-input")) and file not in test:
                return True
            frame = frame.f_back
        return False

    def follow(frame, event, argument):
        code = frame.f_code
        if event == "c_call":
            if parts and any(part in getattr(argument, "__name__", "") for part in parts) and of_students(frame):
                found.add(f"PyTorch's own {argument.__name__}")
        elif event != "call":
            return
        elif code.co_filename == oracle.__file__:
            name = courses.get((code.co_name, code.co_firstlineno))
            if name and of_students(frame.f_back):
                found.add(f"the course's own {name}")
        elif not test and code.co_name == "<module>" and "ipykernel_" in code.co_filename:
            test.append(code.co_filename)  # the first cell that runs from here
        elif (code in layers or any(part in code.co_name for part in parts)) and of_students(frame.f_back):
            found.add("PyTorch's own layer" if code in layers else f"PyTorch's own {code.co_name}")

    def ended():
        if threading.getprofile() is not follow:
            found.add("something that stopped the watch")
        sys.setprofile(None)
        threading.setprofile(None)
        for name in names:
            if any(code.co_filename == oracle.__file__ for code in _codes(get_ipython().user_ns.get(name))):
                found.add(f"the course's own {name}")
        return sorted(found)

    _wake_checks(True)
    follow.ended = ended
    threading.setprofile(follow)  # a check runs in a thread of its own
    sys.setprofile(follow)


def _followed():
    """Who did the work: a list of names; it raises an error where somebody else follows now."""
    import sys
    return sys.getprofile().ended()


def _forget(names):
    """Before an answer's cell: the course's stand-in for it is neither the answer nor a part of it."""
    for name in names:
        if getattr(globals().get(name), "__module__", "") == "helpers.oracle":
            del globals()[name]


def _lend_nothing(names):
    """From now on what the course lends under these names cannot be used."""
    import sys
    parts = sys.modules.get("helpers.parts")

    def refuse(*inputs, **named):
        raise NotImplementedError("this is not lent here")

    if parts and not hasattr(parts, "really_get"):
        parts.really_get = parts.get
        parts.get = lambda name: refuse if name in names else parts.really_get(name)


def _put_nonsense(names):
    """In the place of the answers."""
    global _answers
    _answers = {name: globals()[name] for name in names if name in globals()}
    globals().update(dict.fromkeys(names, object))
    _wake_checks(True)


def _put_back():
    """The answers, where nonsense was."""
    globals().update(_answers)
    _wake_checks(False)
