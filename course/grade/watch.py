"""What a student's code may have changed in the running kernel, and who does the work while a test runs.

The texts in capitals run in the kernel, silently. `LOOK`, before a student's cell and after it, answers with one number
for each thing that the tests rely on; a number that changes means that somebody put something else there. `TRACK`
follows what is called while a test runs: the course has an answer to each TODO, too, and PyTorch has many, and they are
not the student's. `NONSENSE` puts nonsense in the answer's place: then the same test must fail. All this raises a flag
for a person to look at, never a zero: whoever shares an interpreter with the tests can also lie to these.
"""
import ast

LOOK = """
def _look(used):
    import builtins, hashlib, sys, threading, types
    import torch
    sys.modules["helpers.checks.engine"].asleep = True  # a check runs in the cell of its test, and nowhere else
    shell = get_ipython()
    def number(thing):
        while hasattr(thing, "__wrapped__") and (
                getattr(thing, "__globals__", {}).get("__name__", "").startswith("torch.")):
            thing = thing.__wrapped__  # PyTorch wraps some of its own functions when they are first used
        return (id(thing), id(getattr(thing, "__code__", None)), id(getattr(thing, "__defaults__", None)))
    def functions(space):
        return [thing for key, thing in sorted(space.items()) if callable(thing)]
    def methods(*things):
        return [method for thing in things for kind in type(thing).__mro__ for method in functions(vars(kind))]
    def drawing(callback):  # pyplot draws after each cell once it is imported
        name = getattr(callback, "__name__", "")
        return callback is getattr(sys.modules.get("matplotlib.pyplot"), name, None)
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
    things["IPython's transformers"] = (
        shell.ast_transformers + shell.input_transformers_post + shell.input_transformer_manager.cleanup_transforms
        + shell.input_transformer_manager.line_transforms + shell.input_transformer_manager.token_transformers)
    things["IPython's events"] = [f for fs in shell.events.callbacks.values() for f in fs if not drawing(f)]
    things["IPython's methods"] = [
        shell.run_cell, shell.run_code, shell.run_ast_nodes, shell.compile, shell.showtraceback,
        *methods(shell, shell.compile, shell.kernel, shell.input_transformer_manager)]
    things["the tracing"] = [sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()]
    things["the hooks"] = [sys.excepthook, sys.displayhook, sys.meta_path[0]]
    names = {**vars(builtins), **shell.user_ns}
    things |= {f"the name {key}": [names[key]] for key in used if key in names}
    seen = {name: [number(getattr(one, "__func__", one)) for one in some] for name, some in things.items()}
    return {name: hashlib.sha256(repr(numbers).encode()).hexdigest()[:12] for name, numbers in seen.items()}
"""

# Before an answer's cell: the course's stand-in for what it is to define is neither the answer nor a part of it.
FORGET = """
for _name in {names}:
    if getattr(globals().get(_name), "__module__", "") == "helpers.oracle":
        del globals()[_name]
"""


# Before any cell, where an answer must do without the stand-in: what the course lends in its place cannot be used.
LEND_NOTHING = """
_parts = __import__("sys").modules.get("helpers.parts")
if _parts and not hasattr(_parts, "lent"):
    _parts.lent = _parts.get
    def _refuse(*inputs, **named):
        raise NotImplementedError("this is not lent here")
    _parts.get = lambda name: _refuse if name in {names} else _parts.lent(name)
"""

# While a test of the answer called {names} runs: `_tracked()` ends it, and says in whose code the answer was found.
TRACK = """
def _track(names, todo):
    import sys, threading, types
    from helpers import checks, oracle
    shell, found, test = get_ipython(), set(), []
    sys.modules["helpers.checks.engine"].asleep = False
    check = getattr(checks, f"todo_{{todo}}", None)
    forbidden = [part for part in getattr(check, "forbids", ()) if isinstance(part, str)]
    layers = {{kind.forward.__code__ for kind in getattr(check, "forbids", ()) if isinstance(kind, type)}}
    def codes(thing):
        thing = getattr(thing, "__func__", getattr(thing, "fget", thing))
        while hasattr(thing, "__wrapped__") or hasattr(thing, "func"):  # @torch.no_grad(), functools.partial
            thing = getattr(thing, "__wrapped__", None) or thing.func
        if isinstance(thing, type):
            for kind in thing.__mro__:
                for part in vars(kind).values():
                    if not isinstance(part, type):
                        yield from codes(part)
        elif isinstance(thing, types.FunctionType):
            yield thing.__code__
    answers = {{name: {{(code.co_name, code.co_firstlineno) for code in codes(getattr(oracle, name, None))
                      if code.co_filename == oracle.__file__}} for name in names}}
    def is_students(frame):
        while frame is not None:
            file = frame.f_code.co_filename
            if ("ipykernel_" in file or file.startswith("<ipython-input")) and file not in test:
                return True
            frame = frame.f_back
        return False
    def follow(frame, event, argument):
        if event == "call":
            code = frame.f_code
            if code.co_filename == oracle.__file__:
                here = [name for name in names if (code.co_name, code.co_firstlineno) in answers[name]]
                if here and is_students(frame.f_back):
                    found.update(f"the course's own {{name}}" for name in here)
            elif not test and code.co_name == "<module>" and "ipykernel_" in code.co_filename:
                test.append(code.co_filename)  # the test's own cell, the first that runs
            elif code in layers or any(part in code.co_name for part in forbidden):
                if is_students(frame.f_back):
                    found.add(f"PyTorch's own {{code.co_name if code not in layers else 'layer'}}")
        elif event == "c_call" and forbidden and any(part in getattr(argument, "__name__", "") for part in forbidden):
            if is_students(frame):
                found.add(f"PyTorch's own {{argument.__name__}}")
    def end():
        if sys.getprofile() is not follow or threading.getprofile() is not follow:
            found.add("something that stopped the watch")
        sys.setprofile(None)
        threading.setprofile(None)
        for name in names:
            if any(code.co_filename == oracle.__file__ for code in codes(shell.user_ns.get(name))):
                found.add(f"the course's own {{name}}")
        return sorted(found)
    threading.setprofile(follow)
    sys.setprofile(follow)
    return end
_tracked = _track({names}, {todo})
"""

# Nonsense in the place of an answer, and the answer back in its place.
NONSENSE = """
_answers = {{name: globals()[name] for name in {names} if name in globals()}}
globals().update(dict.fromkeys({names}, object))
__import__("sys").modules["helpers.checks.engine"].asleep = False
"""
AND_BACK = """
globals().update(_answers)
__import__("sys").modules["helpers.checks.engine"].asleep = True
"""


def differences(before, after):
    """The names under which there is not what was there."""
    if not after:
        return ["the watch itself"]
    return sorted(name for name, number in before.items() if after.get(name) != number)


def used_by(tests, answers):
    """The names that the tests use and that no answer is to define: source texts -> sorted names."""
    everything, names = list(nodes(answers + tests)), {node.id for node in nodes(tests) if isinstance(node, ast.Name)}
    names -= {node.name for node in everything if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names -= {node.arg for node in everything if isinstance(node, ast.arg)}
    names -= {node.id for node in everything if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return sorted(names)


def nodes(sources):
    for source in sources:
        yield from ast.walk(ast.parse(source))
