"""Reasons why a person should look at a student's code. A reason is a flag in the report, never a lost point.

An ordinary answer needs a few libraries, and Python's ordinary means. Whoever wants to deceive the tests that run in
the same interpreter needs more: to reach other modules, to look into the running program, to put another function in
the place of one, or to change what "equal" means. So what is usual is listed here, and the rest is named.
"""
import ast
import builtins
import contextlib
import functools
import importlib.util
import re
import sys
from pathlib import Path

from course.magics import parsed

LIBRARIES = re.compile(
    r"torch(\.(random|linalg|special|fft|cuda|mps|distributions|testing|func|sparse|profiler|backends(\.\w+)?)"
    r"|\.nn(\.(functional|init|parameter|utils(\.rnn)?))?|\.optim(\.lr_scheduler)?|\.utils(\.data)?"
    r"|\.autograd|\.amp)?"
    r"|numpy(\.random|\.linalg|\.lib\.stride_tricks)?|matplotlib(\.(pyplot|ticker|colors|cm|style|patches))?"
    r"|math|cmath|random|re|string|time|datetime|copy|typing|dataclasses|collections(\.abc)?|itertools|functools"
    r"|contextlib|textwrap|statistics|fractions|decimal|numbers|heapq|bisect|unicodedata|enum|abc|json|pprint"
    r"|tqdm(\.(auto|notebook))?|warnings|__future__|IPython\.display|ipywidgets"
    r"|helpers(\.(checks|data|ladder|plots|progress|training|widgets))?")
TESTS_USE = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "math": "math", "checks": "helpers.checks"}
GIVEN = {"sys", "os", "subprocess", "pathlib"}  # the notebooks' first cells import these, for themselves
DUNDERS = {f"__{name}__" for name in (
    "init", "call", "len", "repr", "str", "getitem", "iter", "next", "enter", "exit", "post_init", "name", "doc",
    "version", "main", "all", "file", "contains", "add", "radd", "mul", "rmul", "truediv", "matmul", "sub", "neg",
    "setitem", "slots", "class")}
REACHING = {  # as names of their own; x.compile() is another thing
    "exec", "eval", "compile", "open", "breakpoint", "getattr", "setattr", "delattr", "globals", "locals", "vars",
    "memoryview", "In", "Out", "exit", "quit"}
PEEKING = {  # as a name or an attribute of whatever
    "get_ipython", "InteractiveShell", "tb_frame", "f_back", "f_globals", "f_locals", "f_code", "gi_frame", "cr_frame",
    "ag_frame", "ast_transformers", "input_transformers_post", "user_ns", "displayhook", "excepthook", "settrace",
    "setprofile", "currentframe", "Formatter", "get_field", "update_wrapper", "get_type_hints", "ForwardRef",
    "singledispatch", "singledispatchmethod", "make_dataclass", "runstring", "rundocs", "bltns", "oracle",
    "barry_as_FLUFL"}
PARTS_OF_LIBRARIES = {  # modules that are reached through another one
    "hub", "jit", "fx", "library", "overrides", "package", "ops", "serialization", "multiprocessing", "distributed",
    "ctypeslib", "f2py", "parts", "stdlib_re"} | {m for m in sys.stdlib_module_names if not LIBRARIES.fullmatch(m)}
NOT_MODULES = {"array", "select", "trace", "signal", "profile", "gradcheck"}  # torch.select is a function
PYTORCHS = {  # answers that are not the student's; to call one beside one's own, and compare, is good work
    "scaled_dot_product_attention", "multi_head_attention_forward", "MultiheadAttention", "Transformer",
    "TransformerEncoderLayer", "TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder"}
ANYWHERE = {  # as an attribute of whatever: it is a way out
    "sys", "os", "builtins", "importlib", "inspect", "gc", "ctypes", "subprocess", "threading", "torch", "jit", "hub",
    "CompilationUnit", "comm", "ev", "run_cell", "transform_cell", "do_execute", "shell_handlers", "obj", "_module",
    "_sys", "_ctypes", "global_enum"}
HIDING = {"apply_", "map_", "map2_"}  # of a tensor: what they call, PyTorch's modes do not see
FUNCTIONS = {"torch.load", "numpy.load", "numpy.memmap", "numpy.testing.measure", "numpy.lib.stride_tricks.as_strided"}
OWN = {"_modules", "_parameters", "_buffers"}  # of the student's own layers
LONGEST = 60  # characters of a name in a flag


def suspicions(sources, known=None, stand_ins=()):
    """sources: {cell: code} of one student -> sentences, "todo-4: it imports ..."; none for ordinary answers.

    known: {cell: code} of the course, where a student changed a cell of the course: what was there is no reason.
    stand_ins: names of answers that the course lends until they are written: to be called, not to be kept.
    """
    trees, flags, lent = {}, [], set(stand_ins)
    for cell, source in sources.items():
        try:
            trees[cell] = parsed(source)
        except ValueError:
            continue  # IPython cannot run it, either
    modules = dict(TESTS_USE)
    for tree in trees.values():
        modules.update(modules_in(tree))
    modules["parts"] = "helpers.parts"  # whatever else is imported under this name
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound = own | {node.arg for node in nodes if isinstance(node, ast.arg)} | {
        node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    modules.update({name: f"helpers.{name}" for name in {"plots", "widgets"} - own})
    for cell, tree in trees.items():
        lent -= {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}  # now their own
        modules = {name: whole for name, whole in modules.items() if not whole.startswith("helpers.oracle.")}
        modules |= {name: f"helpers.oracle.{name}" for name in lent}
        try:
            found = Scan(modules, bound).all(tree)
            if known and cell in known:
                found -= Scan(modules, bound).all(parsed(known[cell]))
        except RecursionError:
            found = {("cannot be read by the scan", "too deep")}
        reasons = {}
        for reason, what in sorted(found):
            reasons.setdefault(reason, []).append(what if len(what) <= LONGEST else what[:LONGEST] + "...")
        flags += [f"{cell}: it {reason} ({', '.join(whats[:8])})" for reason, whats in reasons.items()]
    return flags


def modules_in(tree):
    """Yield (name, the module's whole name) for each name that stands for a module of LIBRARIES."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    if LIBRARIES.fullmatch(f"{module}.{alias.name}"):
                        yield alias.asname or alias.name, f"{module}.{alias.name}"
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute() | ast.Name() as value):
                if LIBRARIES.fullmatch(whole := dotted(value, TESTS_USE)):
                    yield name, whole


def dotted(node, modules):
    """The whole name of `F.softmax`, "torch.nn.functional.softmax"; "" for what does not begin with a module."""
    if isinstance(node, ast.Name):
        return modules.get(node.id, "")
    before = dotted(node.value, modules) if isinstance(node, ast.Attribute) else ""
    return before and f"{before}.{node.attr}"


@functools.cache
def is_module(whole):
    """Whether a library has a file or folder for this name: nothing is imported for the answer."""
    top, *rest = whole.split(".")
    with contextlib.suppress(ImportError, ValueError):
        for folder in getattr(importlib.util.find_spec(top), "submodule_search_locations", None) or ():
            path = Path(folder, *rest)
            return bool(rest) and (path.is_dir() or path.with_name(f"{path.name}.py").is_file())
    return False


def reached(whole, base):
    """Whether `base.name`, whose whole name this is, is a module of a library, or a part of the course's own."""
    if whole.startswith("helpers."):  # widgets.attention may be a file and a function
        return not LIBRARIES.fullmatch(base) and is_module(base)
    return bool(whole) and whole.rpartition(".")[2] not in NOT_MODULES and is_module(whole)


def root(node):
    """The name at the beginning of `a.b[0].c`; "" where it begins with something else."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def unusual(name):
    """Whether a name is one of Python's own that answers do not need."""
    return bool(re.fullmatch(r"__\w+__", name)) and name not in DUNDERS


def usual_part(module, name):
    """Whether `from module import name` is usual; of the course only its checks, and its modules, are."""
    if module.startswith("helpers"):
        return module == "helpers.checks" and name.startswith("todo_")
    return LIBRARIES.fullmatch(module) and not (
        name.startswith("_") or name in PEEKING | PARTS_OF_LIBRARIES - NOT_MODULES or f"{module}.{name}" in FUNCTIONS)


class Scan(ast.NodeVisitor):
    """Finds in one cell what is not usual: a set of (what the code does, with which name)."""

    def __init__(self, modules, bound):
        """modules: {name: the module that it stands for}; bound: the names that have a meaning of the student's own"""
        self.modules, self.bound, self.found, self.inside, self.usual = modules, bound, set(), 0, set()
        self.called = set()

    def all(self, tree):
        nodes = list(ast.walk(tree))
        self.stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self.visit(tree)
        return self.found

    def says(self, reason, what):
        self.found.add((reason, what))

    # --- names -----------------------------------------------------------------------------------------------------

    def visit_Import(self, node):
        for alias in node.names:
            if not LIBRARIES.fullmatch(alias.name):
                self.says("imports what an answer does not need", alias.name)
            self.binds(alias.asname or alias.name.split(".")[0], alias.name if alias.asname else "")

    def visit_ImportFrom(self, node):
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            if not LIBRARIES.fullmatch(whole) and (is_module(whole) or not usual_part(node.module or "", alias.name)):
                self.says("imports what an answer does not need", whole)
            elif alias.name in PYTORCHS:
                self.says("keeps what the answer is to be", whole)
            self.binds(alias.asname or alias.name, whole)

    def binds(self, name, whole=None):
        """A name gets a meaning: at the top of a cell it then has it in the tests, too."""
        if unusual(name):
            self.says("redefines what Python's own signs mean", name)
        if self.inside:
            return
        if name in TESTS_USE and whole not in ("", TESTS_USE[name]):
            self.says("replaces a name that the tests use", name)
        if whole and hasattr(builtins, name):
            self.says("replaces a name that the tests use", f"{whole} as {name}")

    def visit_Name(self, node):
        if not isinstance(node.ctx, ast.Load):
            return self.binds(node.id)
        if node.id in REACHING | PEEKING | GIVEN or unusual(node.id) or (
                re.fullmatch(r"_i+\d*|_ih|_oh|_dh|_\d+", node.id) and node.id not in self.stored):
            self.says("reaches beyond its cell", node.id)
        elif node.id in self.modules and node not in self.usual:
            self.says("hands on what is not its own", node.id)

    def visit_Global(self, node):
        for name in node.names:
            if name in TESTS_USE:
                self.says("replaces a name that the tests use", name)

    def visit_scope(self, node):
        """What a function or class names inside is its own."""
        if hasattr(node, "name"):
            self.binds(node.name)
        outside, self.inside = self.modules, self.inside + 1
        for part in seen_from_outside(node):
            self.visit(part)
        if not isinstance(node, ast.ClassDef):  # its methods do not see what is named in it
            own = locals_of(node)
            self.modules = {name: whole for name, whole in outside.items() if name not in own}
        self.generic_visit(node)
        self.modules, self.inside = outside, self.inside - 1

    visit_FunctionDef = visit_ClassDef = visit_Lambda = visit_scope
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_scope

    def visit_named(self, node):
        """`except E as name`, and names in patterns."""
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name:
            self.binds(name)
        self.generic_visit(node)

    visit_ExceptHandler = visit_MatchAs = visit_MatchStar = visit_MatchMapping = visit_named

    # --- what is done with them ------------------------------------------------------------------------------------

    def visit_Assign(self, node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if LIBRARIES.fullmatch(
                    whole := dotted(value, self.modules)):  # F = torch.nn.functional
                self.usual.add(value)
                self.visit(value)
                self.binds(name, whole)
            case _:
                self.generic_visit(node)

    def visit_Attribute(self, node):
        self.usual.add(node.value)
        name, whole, base = node.attr, dotted(node, self.modules), dotted(node.value, self.modules)
        stores, of_library = not isinstance(node.ctx, ast.Load), root(node) in self.modules
        own = isinstance(node.value, ast.Name) and node.value.id == "self"
        if stores:
            self.replaces(node)
        if name in PEEKING or (unusual(name) and not (name == "__dict__" and own)):
            self.says("looks into the running program", name)
        elif name == "__class__" and stores:
            self.says("looks into the running program", name)
        elif LIBRARIES.fullmatch(whole):
            if node not in self.usual:
                self.says("hands on what is not its own", whole)
        elif (base == "helpers.checks" and not name.startswith("todo_")) or (
                whole == "helpers.parts.get" and node not in self.usual):
            self.says("uses the course's own pieces", whole)
        elif name in HIDING:
            self.says("hides what it calls", name)
        elif name in ANYWHERE:
            self.says("reaches beyond its cell", whole or name)
        elif name in PYTORCHS and (self.inside or node not in self.called):
            self.says("keeps what the answer is to be", whole or name)
        elif whole in FUNCTIONS or reached(whole, base) or (of_library and name in PARTS_OF_LIBRARIES - NOT_MODULES):
            self.says("reaches beyond its cell", whole or name)
        elif of_library and name.startswith(("_", "register_module_", "register_optimizer_")) and (
                name not in DUNDERS | OWN):
            self.says("uses what is private to another module", name)
        self.visit(node.value)

    def visit_Subscript(self, node):
        if not isinstance(node.ctx, ast.Load):
            self.replaces(node)
        self.generic_visit(node)

    def replaces(self, node):
        """Something is stored in, or deleted from, an object."""
        start = root(node)
        if (start in self.modules or start == "") and not dotted(node.value, self.modules).startswith(
                ("torch.backends", "matplotlib")):
            self.says("replaces a part of a library", ast.unparse(node))

    def visit_Call(self, node):
        self.called.add(node.func)
        match node:
            case ast.Call(func=ast.Name(id="getattr" | "setattr" as name) as function, args=[whose, what, *_]) if (
                    root(whose) == "self" and (ordinary(what) or (name == "setattr" and isinstance(whose, ast.Name)))):
                self.usual.add(function)  # setattr(self, name, layer) in a loop is usual
                for part in ast.iter_child_nodes(node):
                    if part is not function:
                        self.visit(part)
                return
            case ast.Call(func=ast.Name(id="type"), args=[_, _, *_]):
                self.says("looks into the running program", "type(name, bases, members)")
            case ast.Call(func=ast.Name(id="print" | "help" | "dir" as name), args=args) if name not in self.bound:
                self.usual.update(args)
            case ast.Call(func=ast.Attribute(attr="wraps") | ast.Name(id="wraps"), args=[_, _, *_]):
                self.says("looks into the running program", "wraps")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="checks")), args=args) if "checks" not in self.bound:
                self.usual.update(args)
            case ast.Call(func=ast.Name() as function):
                self.usual.add(function)
            case ast.Call(func=ast.Attribute() as function) if dotted(function, self.modules) == "helpers.parts.get":
                self.usual.add(function)
                self.says("uses the course's own pieces", ast.unparse(node))
        self.generic_visit(node)

    def visit_keyword(self, node):
        if node.arg and (unusual(node.arg) or node.arg in ("assigned", "updated")):
            self.says("looks into the running program", node.arg)
        self.generic_visit(node)

    def visit_MatchClass(self, node):
        for name in node.kwd_attrs:
            if name.startswith("_") or name in PEEKING | ANYWHERE | PYTORCHS:
                self.says("looks into the running program", name)
        self.generic_visit(node)

    def visit_Constant(self, node):
        if isinstance(node.value, str):
            for name in re.findall(r"__\w+__|\b\w+_frame\b|\bf_\w+", node.value):
                if unusual(name) or name in PEEKING:
                    self.says("looks into the running program", name)

    def visit_async(self, node):
        self.says("goes on after its cell", "async")
        self.visit_scope(node)

    visit_AsyncFunctionDef = visit_Await = visit_AsyncWith = visit_AsyncFor = visit_async


def seen_from_outside(scope):
    """What of a function, or a comprehension, is worked out before it has names of its own."""
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return [*scope.args.defaults, *filter(None, scope.args.kw_defaults), *getattr(scope, "decorator_list", [])]
    return [part.iter for part in getattr(scope, "generators", [])[:1]]


def locals_of(scope):
    """The names that a function, or a comprehension, keeps for itself."""
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        names, inner = {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)}, scope.body
    else:
        names, inner = set(), [part.target for part in getattr(scope, "generators", [])]
    left, elsewhere = list(inner) if isinstance(inner, list) else [inner], set()
    while left:
        node = left.pop()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            elsewhere.update(node.names)
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
                                 ast.GeneratorExp, ast.AsyncFunctionDef)):
            left += ast.iter_child_nodes(node)
    return names - elsewhere


def ordinary(name):
    """Whether the name that getattr gets is surely none that leads away: "fc1", f"layer{n}"."""
    others = PEEKING | PYTORCHS | ANYWHERE
    match name:
        case ast.Constant(value=str(text)):
            return not text.startswith("_") and text not in others
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return not any(other.startswith(text) for other in {"__", *others}) and not text.startswith("_")
        case ast.JoinedStr(values=[*_, ast.Constant(value=str(text))]):
            return not any(other.endswith(text) for other in {"__", *others}) and not text.endswith("__")
    return False
