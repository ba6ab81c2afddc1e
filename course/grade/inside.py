"""What runs inside a student's kernel beside the student's code: a module of its own, made before the first cell.

`look`, before a student's cell and after it, answers with one number for each thing that the tests rely on; a number
that changes means that somebody put something else there. `follow` and `followed` say in whose code the answer was
found while a test ran: the course has an answer to each TODO, too, and PyTorch has many, and these are not the
student's. `put_nonsense` puts nonsense in the answer's place: then the same test must fail. `listen` hears what a
student's code asks Python for that no answer needs, by whatever name it got there.
"""
import _thread
import builtins
import functools
import hashlib
import os
import sys
import threading
import types

from IPython import get_ipython

# What the course is before a student's first cell, and the answers that nonsense stands for.
course, answers = types.SimpleNamespace(folder="", secrets=()), {}

# Python's own events (docs.python.org/3/library/audit_events.html) that no answer causes by itself.
EVENTS = {"exec", "compile", "open", "marshal.loads", "pickle.find_class", "code.__new__", "function.__new__",
          "object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe", "sys._current_frames",
          "sys.setprofile", "sys.settrace", "sys.addaudithook", "gc.get_objects", "gc.get_referrers",
          "gc.get_referents", "_thread.start_new_thread"}
# These are read and written all the time; how a frame is come by, where f_code is, is an event itself.
ORDINARY = {"__doc__", "__name__", "__qualname__", "__annotations__", "f_code"}
# What goes through these is asked for all the same; to run text as code, only libraries may that do it of their own.
GO_BETWEENS = ("/functools.py", "/typing.py", "/contextlib.py", "/dataclasses.py", "<string>")
RUN_THEIR_OWN = ("/dataclasses.py", "/collections/__init__.py", "/enum.py", *(
    f"/site-packages/{name}/" for name in ("torch", "matplotlib", "numpy", "tqdm", "traitlets", "ipywidgets")))
# What carries a cell to Python and its outcome back.
CARRIERS = ("json", "json.decoder", "json.encoder", "jupyter_client.session", "jupyter_client.jsonutil",
            "ipykernel.kernelbase", "ipykernel.ipkernel", "ipykernel.zmqshell", "IPython.core.interactiveshell",
            "IPython.core.compilerop", "IPython.core.displayhook", "IPython.core.inputtransformer2", "threading",
            "contextlib", "enum", "functools", "tqdm.std", "tqdm._monitor")


def file_of(frame):
    return frame.f_code.co_filename.replace("\\", "/")


def listen():
    """For the rest of this process' life: Python has no way to take such a hook out again.

    Returns two functions: what a student's code has asked for since the last time, and what was compiled since then.
    """
    heard, compiled, busy = set(), set(), set()

    def by_student(event, arguments, frame):
        """Whether a student's code is behind what happens in this frame."""
        first = frame
        if event in ("exec", "compile") or (
                event == "open" and os.path.realpath(str(arguments[0])).startswith(course.secrets)):
            while frame and not of_a_cell(file_of(frame)):
                if frame.f_code.co_name == "_find_and_load" or frame.f_code.co_filename.startswith(course.folder):
                    return False  # it imports what it has named, or the course does it
                frame = frame.f_back
            libraries = RUN_THEIR_OWN if event == "exec" else (*RUN_THEIR_OWN, "/typing.py")  # it compiles every hint
            return frame and not any(part in file_of(first) for part in libraries)
        while frame and file_of(frame).endswith(GO_BETWEENS):
            frame = frame.f_back
        return frame and of_a_cell(file_of(frame))

    def hook(event, arguments):
        if event not in EVENTS and not event.startswith("ctypes."):
            return
        if event.startswith("object.") and arguments[1] in ORDINARY:
            return
        me = _thread.get_ident()
        if me not in busy:
            busy.add(me)  # what is done in here is no event
            try:
                frame = sys._getframe(1)
                if event == "compile" and file_of(frame).endswith("/compilerop.py"):
                    text = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
                    compiled.add(text.strip())
                if file_of(frame) != "grading" and by_student(event, arguments, frame):
                    heard.add(event if not event.startswith("object.") else f"{event} of {arguments[1]}")
            finally:
                busy.discard(me)

    def taken(some):
        found = sorted(some)
        some.clear()
        return found

    sys.addaudithook(hook)
    return lambda: taken(heard), lambda: taken(compiled)


asked_for, compiled = listen()


def remember():
    """Once, before the first of the student's cells: later, nobody's word for it is taken."""
    if hasattr(course, "engine"):
        return
    import torch
    import tqdm
    tqdm.tqdm.monitor_interval = 0  # no thread that looks after progress bars

    from helpers import checks, oracle
    course.engine, course.file, course.torch = checks.engine, oracle.__file__, torch.__path__[0]
    course.folder = sys.modules["helpers"].__path__[0]
    course.secrets = os.path.realpath(oracle.__file__), os.path.realpath(checks.__path__[0])
    course.guard, course.reset_modes = checks.guard.__file__, checks.guard.reset_modes
    course.forbids = types.MappingProxyType(
        {check.todo: check.forbids for check in vars(checks).values() if hasattr(check, "forbids")})
    course.oracle = types.MappingProxyType(dict(vars(oracle)))
    course.threads = set(threading.enumerate())


def look(used):
    """{name: number} of what the tests rely on. used: the names that they use"""
    import torch

    remember()
    course.engine.awake = ()

    def number(thing):
        thing = getattr(thing, "__func__", thing)
        while hasattr(thing, "__wrapped__") and (
                getattr(thing, "__globals__", {}).get("__name__", "").startswith("torch.")):
            thing = thing.__wrapped__  # PyTorch wraps some of its own functions when they are first used
        return id(thing), id(getattr(thing, "__code__", None)), id(getattr(thing, "__defaults__", None))

    def functions(space):
        return [thing for key, thing in sorted(space.items())
                if callable(thing) or isinstance(thing, (property, classmethod, staticmethod))]

    def methods(*things):
        return [method for thing in things for kind in type(thing).__mro__ for method in functions(vars(kind))]

    def draws(callback):  # pyplot draws after each cell once it is imported
        return callback is getattr(sys.modules.get("matplotlib.pyplot"), getattr(callback, "__name__", ""), None)

    shell = get_ipython()
    parts = (shell, shell.compile, shell.kernel, shell.kernel.session, sys.modules["json"]._default_decoder,
             sys.modules["json"]._default_encoder)
    spaces = {"sys": {key: vars(sys)[key] for key in vars(sys) if not key.startswith("last_")},  # these follow errors
              "torch": {key: vars(torch)[key] for key in torch.__all__}, "Python's own functions": vars(builtins)}
    for name in ("torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler",
                 "torch.utils.data", "torch.testing", "math", "random", "copy",
                 *(name for name in CARRIERS if name in sys.modules)):
        spaces[name] = vars(sys.modules[name])
    for name in ("helpers.checks", "helpers.oracle", "helpers.parts"):
        spaces |= {key: vars(module) for key, module in list(sys.modules.items()) if key.startswith(name)}
    things = {f"torch.{key}": [vars(torch)[key]] for key in ("allclose", "equal", "isclose", "manual_seed")}
    things["torch.Tensor"] = functions(vars(torch.Tensor))
    for name, space in spaces.items():
        things[name] = functions(space)
        for kind in things[name][:]:
            if isinstance(kind, type) and (
                    kind.__module__.startswith(("torch.", "helpers.")) or kind.__module__ == name != "torch"):
                lazy = {} if name != "torch.optim" else {  # PyTorch gives AdamW its own ones when they are used
                    key: getattr(kind, key) for key in ("step", "_init_group") if hasattr(kind, key)}
                things[name] += functions({**vars(kind), **lazy})
        if name.startswith("helpers."):
            things[name] += [thing for key, thing in sorted(space.items()) if isinstance(thing, types.ModuleType)]
    transformers = shell.input_transformer_manager
    things["IPython's transformers"] = (
        shell.ast_transformers + shell.input_transformers_post + transformers.cleanup_transforms
        + transformers.line_transforms + transformers.token_transformers)
    things["IPython's events"] = [f for fs in shell.events.callbacks.values() for f in fs if not draws(f)]
    things["IPython's methods"] = [
        shell.run_cell, shell.run_code, shell.run_ast_nodes, shell.compile, shell.showtraceback,
        *methods(*parts, transformers), *(thing for part in parts for thing in functions(vars(part))),
        shell.kernel.session.pack, shell.kernel.session.unpack, *shell.kernel.shell_handlers.values(),
        shell.user_ns, type(shell.user_ns), vars(shell.user_module)]
    printers = shell.display_formatter.formatters["text/plain"]  # what is said here goes through them
    things["IPython's printers"] = [*printers.type_printers.values(), *printers.singleton_printers.values()]
    things["the tracing"] = [sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()]
    things["the watch"] = [sys.modules.get("grading"), *vars(course).values(), *functions(globals())]
    things["the hooks"] = [sys.excepthook, sys.displayhook, sys.meta_path[0]]
    names = {**vars(builtins), **shell.user_ns}
    things |= {f"the name {key}": [names[key]] for key in used if key in names}
    return {name: hashlib.sha256(repr(list(map(number, some))).encode()).hexdigest()[:12]
            for name, some in things.items()}


def unwrapped(thing):
    """The function or class behind a method, a property, a decorator or a functools.partial."""
    thing = getattr(thing, "__func__", getattr(thing, "fget", thing))
    for _ in range(9):
        if isinstance(thing, (functools.partial, functools.partialmethod)):
            thing = thing.func
        elif not isinstance(thing, type):
            thing = getattr(thing, "__wrapped__", thing)
    return thing


def codes(thing):
    """The code objects of a function, or of a class and those it inherits from; an object has those of its class."""
    thing = unwrapped(thing)
    if "__call__" in vars(type(thing)) and isinstance(type(thing).__call__, types.FunctionType):
        thing = type(thing)
    if isinstance(thing, types.FunctionType):
        yield thing.__code__
    elif isinstance(thing, type):
        for kind in thing.__mro__:
            for part in vars(kind).values():
                if not isinstance(part, type):
                    yield from codes(part)


def of_a_cell(file):
    return "ipykernel_" in file or file.startswith("<ipython-input")


def follow(names, todo, awake, source):
    """From now on, until `followed`: note whose code answers in the checks, each of which runs in a thread of its own.

    names: what the TODO asks for; awake: the numbers of the checks that the test itself calls; source: what
    IPython makes of it
    """
    compiled()
    remember()  # after a kernel that ended, no student's cell may have come before
    course.reset_modes()  # such as float64 from a cell of the student's own: it is not what the test is about
    forbids = course.forbids.get(todo, ())
    parts = [part for part in forbids if isinstance(part, str)]
    layers = {method.__code__ for kind in forbids if isinstance(kind, type) for method in vars(kind).values()
              if isinstance(method, types.FunctionType)}
    courses = {(code.co_name, code.co_firstlineno): name for name in names
               for code in codes(course.oracle.get(name)) if code.co_filename == course.file}
    found = set()

    def by_student(frame):
        """Whether a student's code is at work: a frame of a cell, or a thread that is not a check's."""
        checked = False
        while frame is not None:
            file = frame.f_code.co_filename
            if of_a_cell(file):
                return True
            checked = checked or file == course.guard
            frame = frame.f_back
        return not checked

    def on_behalf(frame):
        """Whether a method of the course, or of PyTorch's layer, works for an object that is no such thing."""
        code = frame.f_code
        itself = frame.f_locals.get("self")
        if code.co_varnames[:1] != ("self",):
            return False
        if code.co_filename == course.file:
            return type(itself).__module__ != "helpers.oracle"
        while frame is not None and frame.f_code.co_name != "_call_impl":
            frame = frame.f_back
        return frame is not None and frame.f_locals.get("self") is not itself

    def note(frame, event, argument):
        code = frame.f_code
        if event == "c_call":
            if parts and any(part in getattr(argument, "__name__", "") for part in parts) and by_student(frame):
                found.add(f"PyTorch's own {argument.__name__}")
        elif event != "call":
            return
        elif code.co_filename == course.file:
            name = courses.get((code.co_name, code.co_firstlineno))
            if name and (by_student(frame.f_back) or on_behalf(frame)):
                found.add(f"the course's own {name}")
        elif code in layers:
            if by_student(frame.f_back) or on_behalf(frame):
                found.add("PyTorch's own layer")
        elif parts and code.co_filename.startswith(course.torch) and any(part in code.co_name for part in parts):
            if by_student(frame.f_back):
                found.add(f"PyTorch's own {code.co_name}")

    def ended():
        if threading.getprofile() is not note:
            found.add("something that stopped the watch")
        threading.setprofile(None)
        if source.strip() not in compiled():
            found.add("something that put another test in the place of this one")
        for name in names:
            answer = unwrapped(get_ipython().user_ns.get(name))
            files = {code.co_filename for code in codes(answer)}
            if course.file in files:
                found.add(f"the course's own {name}")
            elif not any(map(of_a_cell, files)):
                found.add(f"something that no cell defines as a function or class, called {name},")
        return sorted(found)

    for _ in set(threading.enumerate()) - course.threads:
        found.add("a thread that began before")
    course.engine.awake = awake
    note.ended = ended
    threading.setprofile(note)


def followed():
    """Who did the work: a list of names; it raises an error where somebody else follows now."""
    return threading.getprofile().ended()


def forget(names):
    """Before an answer's cell: the course's stand-in for it is neither the answer nor a part of it."""
    space = get_ipython().user_ns
    for name in names:
        if getattr(space.get(name), "__module__", "") == "helpers.oracle":
            del space[name]


def lend_nothing(names):
    """From now on what the course lends under these names cannot be used."""
    parts = sys.modules.get("helpers.parts")

    def refuse(*inputs, **named):
        raise NotImplementedError("this is not lent here")

    if parts and not hasattr(parts, "really_get"):
        parts.really_get = parts.get
        parts.get = lambda name: refuse if name in names else parts.really_get(name)


def put_nonsense(names, awake):
    """In the place of the answers; the checks of the test are awake."""
    space = get_ipython().user_ns
    answers.clear()
    answers.update({name: space[name] for name in names if name in space})
    space.update(dict.fromkeys(names, object))
    course.engine.awake = awake


def put_back():
    """The answers, where nonsense was."""
    get_ipython().user_ns.update(answers)
    course.engine.awake = ()
