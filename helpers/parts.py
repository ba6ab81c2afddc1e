"""The learner's finished pieces, carried from notebook to notebook.

When the last check of a piece passes, `keep` copies the learner's own lines from the notebook's cell into
`tiny_llm/model.py` or `tiny_llm/train.py`. A later notebook asks `parts.get("TransformerBlock")`: it gets the
learner's piece if that is there and passes its checks now, else a stand-in from `helpers.oracle`, and one printed
line says which. So a gap in one week never blocks the next.

The two files are ordinary Python: a head with the imports, then one section per piece, in the order of the
TODOs, each under a line that starts with "# ---- TODO", then a last one that makes a program of the file. Only the
section of the piece that just passed is written anew; everything else in the file stays as it is, by whomever it was
written. Beside them lies `training/`, a copy of `helpers/training/`, so that the folder stands alone.
"""
import ast
import builtins
import contextlib
import inspect
import io
import linecache
import os
import re
import shutil
import symtable
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Piece(NamedTuple):
    names: tuple  # what the learner writes, in the order in which the checks take them
    first: int  # its TODOs: first to last
    last: int  # the check that decides
    file: str
    phase: str  # the notebook in which it is written

    @property
    def todos(self):
        return str(self.last) if self.first == self.last else f"{self.first}-{self.last}"

    @property
    def title(self):
        return f"TODO {self.todos}: {', '.join(self.names)}"


PIECES = [
    Piece(("split_heads", "merge_heads"), 3, 3, "model.py", "1_tensors"),
    Piece(("TwoLayerNet",), 4, 5, "model.py", "2_modules"),
    Piece(("TokenEmbedding",), 6, 7, "model.py", "3a_embeddings"),
    Piece(("sinusoidal_table",), 8, 8, "model.py", "3a_embeddings"),
    Piece(("PositionalEncoding",), 9, 9, "model.py", "3a_embeddings"),
    Piece(("SelfAttention",), 10, 11, "model.py", "3b_attention"),
    Piece(("MultiHeadAttention",), 12, 13, "model.py", "3b_attention"),
    Piece(("FeedForward",), 14, 15, "model.py", "3c_blocks"),
    Piece(("TransformerBlock",), 16, 17, "model.py", "3c_blocks"),
    Piece(("TinyLLM",), 18, 19, "model.py", "4_model"),
    Piece(("generate",), 20, 20, "model.py", "4_model"),
    Piece(("causal_mask",), 21, 21, "model.py", "4_model"),
    Piece(("CharTokenizer",), 22, 24, "model.py", "4_model"),
    Piece(("TextDataset",), 25, 27, "train.py", "5_training"),
    Piece(("train_step",), 28, 28, "train.py", "5_training"),
    Piece(("evaluate",), 29, 29, "train.py", "5_training"),
    Piece(("train",), 30, 30, "train.py", "5_training"),
    Piece(("generate_text",), 31, 31, "train.py", "5_training"),
]
PIECE_OF = {name: piece for piece in PIECES for name in piece.names}
IN_HEAD = {"math", "torch", "nn", "F"}  # names that the head of each file imports
PATIENCE_S = 5.0  # a write takes a few milliseconds

HEADS = {
    "model.py": '"""A small language model, piece by piece, as I wrote it in the notebooks.',
    "train.py": '"""Training the model and generating text, as I wrote it in the notebooks.',
}
HEAD_REST = '''

When the check of a TODO passes, its section below is written anew. Sections start with a line "# ---- TODO";
whatever else is changed here by hand stays.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn
'''


def keep(todo, *objects):
    """Keep the learner's source of the piece whose last TODO is `todo`; `objects` are what the check was given.

    Does nothing outside a notebook's kernel, while grading, for a TODO in the middle of a piece, and for objects
    that were not written in a cell of this notebook. It never raises: a check that passed stays passed. A folder
    that cannot be written costs one printed line.
    """
    piece = next((piece for piece in PIECES if piece.last == todo), None)
    if piece is None or _grading() or not _in_kernel():
        return
    try:
        cells = [_cell_of(thing) for thing in objects]
        if None not in cells and len(cells) == len(piece.names):
            _write(piece, _Collector(piece).collect(objects, cells))
    except Exception as error:  # whatever happens here must not spoil the check that just passed
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        _say(f"{' and '.join(piece.names)} could not be kept for later notebooks in {folder()}: "
             f"{reason or type(error).__name__}")


def get(name):
    """The learner's own `name` if it was kept and passes its checks now, else the stand-in; prints which and why.

    The learner's piece works together with those other pieces of the learner's that pass too, and with stand-ins
    for the rest. While grading it is always the stand-in, because each phase is graded on its own merits. Raises
    `ValueError` for a name that is none of the course's pieces.
    """
    from helpers import oracle

    if name not in PIECE_OF:
        raise ValueError(f"there is no piece called {name!r}; there are: {', '.join(PIECE_OF)}")
    piece = PIECE_OF[name]
    stand_in = getattr(oracle, name)
    layers = isinstance(stand_in, type) and "forward" in vars(stand_in)
    what = f"{name}: a stand-in made of PyTorch's own layers" if layers else f"{name}: the course's stand-in"
    if _grading():
        _say(f"{what}, because each phase is graded on its own.")
        return stand_in
    kept = _kept()
    if piece not in kept.sections:
        # A file that cannot be read has a reason; a file or section that is not there yet needs none.
        reason = kept.unreadable.get(piece.file)
        _say(f"{what}: {reason}." if reason else f"{what}, until TODO {piece.last} passes in {piece.phase}.")
        return stand_in
    reason = kept.trouble(piece)
    if reason:
        _say(f"{what}: {reason}.")
        return stand_in
    _say(f"{name}: yours, from TODO {piece.todos}.")
    return kept.spaces[piece][name]


def report(root):
    """Check all that is kept in the folder `root` and print a table of its TODOs.

    Returns 0 when all 29 pass, else 1. (What TODOs 1 and 2 ask for is not needed later, and not kept.)
    """
    kept, passed, count = _Kept(Path(root)), 0, 0
    for piece in PIECES:
        with contextlib.redirect_stdout(io.StringIO()):  # prints in the learner's code
            absent = kept.unreadable.get(piece.file) or f"not there yet: {piece.phase}"
            missing = kept._load(piece) if piece in kept.sections else absent
        for todo in range(piece.first, piece.last + 1):
            says = missing or kept.wrong(piece, todo) or "passed"
            passed, count = passed + (says == "passed"), count + 1
            _say_as_it_is(f"{todo:4}  {', '.join(piece.names):25}  {says.removeprefix(f'TODO {todo} is ')}")
    print(f"{passed} of {count} TODOs pass.")
    return 0 if passed == count else 1


# Surroundings -------------------------------------------------------------------------------------------------

def folder():
    """Where the learner's finished work is kept (a `Path`): the course's `tiny_llm/`, or what TINYLLM_PARTS names."""
    return Path(os.environ.get("TINYLLM_PARTS") or Path(__file__).resolve().parents[1] / "tiny_llm")


def _grading():
    return bool(os.environ.get("NBGRADER_EXECUTION"))


def _in_kernel():
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def _say(text):
    _say_as_it_is(" ".join(text.split()))  # one line


def _say_as_it_is(text):
    print(text.encode("ascii", "backslashreplace").decode())  # some consoles know nothing but ASCII


# From a cell to source ------------------------------------------------------------------------------------------

def _is_cell(filename):
    return filename.startswith("<ipython-input") or Path(filename).parent.name.startswith("ipykernel_")


def _cell_of(thing):
    """The name under which Python knows the cell that defines a function or class, or None."""
    if isinstance(thing, type):
        candidates = [getattr(value, "__func__", getattr(value, "fget", value)) for value in vars(thing).values()]
    else:
        candidates = [thing]
    for candidate in candidates:
        # A decorator such as torch.no_grad() wraps the learner's function into one of its own.
        code = getattr(inspect.unwrap(candidate) if callable(candidate) else None, "__code__", None)
        if code is not None and _is_cell(code.co_filename):
            return code.co_filename
    return None


def _globals_used(source):
    """Names that a piece of source looks up outside itself (or in Python's builtins)."""
    used, tables = set(), [symtable.symtable(source, "cell", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {symbol.get_name() for symbol in table.get_symbols()
                 if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())}
    return used


def _names_bound(statement):
    """Names that a top-level statement defines, or of which it sets an attribute."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and getattr(node, "module", "") != "__future__":
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            while isinstance(node, (ast.Attribute, ast.Subscript)):
                node = node.value
            if isinstance(node, ast.Name):
                names.add(node.id)
    return names


def _safe_elsewhere(statement):
    """Whether a statement of another cell may come along: an import, a definition, a constant; nothing that works."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    try:
        ast.literal_eval(statement.value)
    except (AttributeError, TypeError, ValueError):
        return False
    return isinstance(statement, (ast.Assign, ast.AnnAssign))


class _Cell:
    """A cell's statements with the learner's own lines and comments."""

    def __init__(self, filename):
        self.lines = "".join(linecache.getlines(filename)).splitlines()
        self.statements = ast.parse("\n".join(self.lines)).body
        self.bound = [_names_bound(statement) for statement in self.statements]

    def binding(self, name):
        return [i for i, names in enumerate(self.bound) if name in names]

    def text(self, i):
        """Statement i with the comment lines right above it, without nbgrader's markers."""
        statement = self.statements[i]
        first = min([statement.lineno] + [d.lineno for d in getattr(statement, "decorator_list", [])])
        others = self.statements[:i] + self.statements[i + 1:]
        if any(other.lineno <= statement.end_lineno and other.end_lineno >= first for other in others):
            return ast.get_source_segment("\n".join(self.lines), statement)  # shares its line: `a = 1; print(a)`
        while first > 1 and self.lines[first - 2].startswith("#"):
            first -= 1
        lines = self.lines[first - 1:statement.end_lineno]
        return "\n".join(line for line in lines if line.strip() not in ("### BEGIN SOLUTION", "### END SOLUTION"))


class _Collector:
    """Gathers the statements that define a piece, and those that these need, from the notebook's cells."""

    def __init__(self, piece):
        self.piece = piece
        self.cells = {}
        self.taken = {}  # cell -> numbers of its statements
        self.needs = {}  # cell -> cells that define what it uses
        self.seen = set()

    def collect(self, objects, cells):
        aliases = []
        for name, thing, filename in zip(self.piece.names, objects, cells, strict=True):
            if self.cell(filename).binding(name):
                self.want(name, filename)
            else:  # written under another name: class Mine ...; checks.todo_13(Mine)
                self.want(thing.__name__, filename)
                aliases.append(f"{name} = {thing.__name__}")
        chunks = []
        for filename in self.ordered():
            cell = self.cells[filename]
            chunks += [(cell.statements[i], cell.text(i)) for i in sorted(self.taken[filename])]
        text = ""
        for statement, source in chunks:
            definition = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
            text += ("\n\n" if definition and text else "") + source + "\n" + ("\n\n" if definition else "")
        text = re.sub(r"\n{4,}", "\n\n\n", text + "\n".join(aliases)).strip("\n") + "\n"
        if not set(self.piece.names) <= _names_bound(ast.parse(text)):
            raise ValueError("its source was not found in the notebook's cells")
        return text

    def ordered(self):
        """The cells, each after those that it needs."""
        order = []

        def visit(filename):
            if filename not in visited:
                visited.add(filename)
                for needed in self.needs.get(filename, ()):
                    visit(needed)
                order.append(filename)

        visited = set()
        for filename in self.taken:
            visit(filename)
        return order

    def cell(self, filename):
        if filename not in self.cells:
            self.cells[filename] = _Cell(filename)
        return self.cells[filename]

    def want(self, name, filename):
        """Take the statements that define a name, first looked for in this cell, and all that they need."""
        if name in self.seen:
            return
        self.seen.add(name)
        asking, found = filename, self.cell(filename).binding(name)
        if not found:
            filename, found = self.elsewhere(name)
            if not found:
                return
            self.needs.setdefault(asking, []).append(filename)
        self.taken.setdefault(filename, set()).update(found)
        for i in found:
            for used in sorted(_globals_used(self.cells[filename].text(i))):
                # The head, the other pieces' sections and Python itself provide for their names.
                provided = used in IN_HEAD or (used in PIECE_OF and used not in self.piece.names)
                if not provided and (self.cells[filename].binding(used) or not hasattr(builtins, used)):
                    self.want(used, filename)

    def elsewhere(self, name):
        """The newest other cell that defines the name harmlessly: (cell, numbers of its statements)."""
        for filename in reversed([f for f in linecache.cache if _is_cell(f)]):
            try:
                cell = self.cell(filename)
            except SyntaxError:
                continue
            found = [i for i in cell.binding(name) if _safe_elsewhere(cell.statements[i])]
            if found:
                return filename, found
        return None, []


# The files ------------------------------------------------------------------------------------------------------

def _marker(piece):
    return f"# ---- {piece.title} ".ljust(110, "-")


def _split(text):
    """A file's text as [head, section, section, ...]: joined, they are the text again."""
    starts = [match.start() for match in re.finditer(r"^# ---- ", text, re.M)]
    return [text[i:j] for i, j in zip([0, *starts], [*starts, len(text)], strict=True)]


def _piece_at(section):
    """The piece whose section this is, or None."""
    line = section.split("\n", 1)[0]
    return next((piece for piece in PIECES if line.rstrip(" -") == f"# ---- {piece.title}"), None)


def _with_section(text, piece, source):
    """The file's text with the section of `piece` replaced, or put in at its place."""
    head, *sections = _split(text or HEADS[piece.file] + HEAD_REST + _tail(piece.file))
    new = f"{_marker(piece)}\n\n{source}"
    for i, section in enumerate(sections):
        if _piece_at(section) == piece:
            sections[i] = new
            break
    else:
        before = [i for i, section in enumerate(sections) if (_piece_at(section) or piece).last < piece.last]
        sections.insert(before[-1] + 1 if before else 0, new)
    if piece.file == "train.py":
        head = _with_model_import(head, "".join(sections))
    # Two empty lines between sections; nothing else of the others is touched.
    return "\n\n\n".join(part.rstrip("\n") for part in [head, *sections]) + "\n"


def _with_model_import(head, body):
    """The head of train.py, importing from model.py what the sections use."""
    try:
        used = _globals_used(body)
    except SyntaxError:  # broken by hand: leave the head alone
        return head
    names = ", ".join(name for name, piece in PIECE_OF.items() if piece.file == "model.py" and name in used)
    head = re.sub(r"^from \.model import (\([^)]*\)|.*)\n?", "", head, flags=re.M)  # as earlier versions wrote it
    head = re.sub(r"^if __package__:\n(?:[ \t].*\n|else:.*\n)*", "", head, flags=re.M).rstrip("\n") + "\n"
    return head + (f"\nif __package__:\n    from .model import {names}\n"
                   f"else:  # run as a program\n    from model import {names}\n" if names else "")


def renew_tails(old, new):
    """Where a file still ends with the course's last section as the folder `old` has it, put that of `new` there.

    old, new: two versions of `helpers/`. All that the learner wrote or changed stays as it is.
    """
    root = folder()
    for file in HEADS:
        tails = [_tail(file, version).strip("\n") for version in (old, new)]
        if tails[0] != tails[1] and (root / file).is_file():
            with _lock(root):
                _replace(root / file, (root / file).read_text(encoding="utf-8").replace(*tails))


def _tail(file, helpers=Path(__file__).parent):
    """The section that makes a program of the file."""
    text = (helpers / "tails" / file).read_text(encoding="utf-8")
    return "\n\n" + text[text.index("# ----"):]


def _imports_model(node):
    """Is this top-level statement the import from model.py? (In files of earlier versions, a relative one.)"""
    test = getattr(node, "test", None)
    return bool(getattr(node, "level", 0)) or (isinstance(test, ast.Name) and test.id == "__package__")


def _write(piece, source):
    root = folder()
    root.mkdir(exist_ok=True)  # not its parents: a drive that is not mounted must not be replaced by a folder
    path = root / piece.file
    with _lock(root):
        if not (root / "__init__.py").exists():
            _replace(root / "__init__.py", "")
        if piece.file == "train.py" and not (root / "training").exists():
            copy = root / f".training.{os.getpid()}.tmp"
            shutil.copytree(Path(__file__).parent / "training", copy, ignore=shutil.ignore_patterns("__pycache__"))
            os.replace(copy, root / "training")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        _replace(path, _with_section(text, piece, source))


def _replace(path, text):
    """Write a file so that at every moment the old or the new one is there in full."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        for attempt in range(20):
            try:
                os.replace(temporary, path)
                return
            except PermissionError:  # on Windows also while somebody reads the old file
                if os.name != "nt" or attempt == 19:
                    raise
                time.sleep(0.05)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def _lock(folder):
    """One writer at a time: else one of two notebooks could undo the other's section.

    A lock that stays for PATIENCE_S seconds was left behind by a kernel that was killed: it is taken away.
    """
    path = folder / ".lock"
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if time.monotonic() > until:
                with contextlib.suppress(OSError):
                    path.unlink()
                until = time.monotonic() + PATIENCE_S
            time.sleep(0.02)
        except PermissionError:  # on Windows also while the other writer's lock is going away
            if os.name != "nt" or time.monotonic() > until:
                raise
            time.sleep(0.02)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


# From the files to objects --------------------------------------------------------------------------------------

_last_kept = None


def _kept():
    """What is kept now; the same objects as last time where no file has changed."""
    global _last_kept
    found = _Kept(folder())
    if _last_kept is None or (_last_kept.folder, _last_kept.texts) != (found.folder, found.texts):
        _last_kept = found
    _last_kept.unreadable = found.unreadable
    return _last_kept


class _Kept:
    """The pieces in the two files: each section in a namespace of its own, loaded and checked when asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = {}
        self.unreadable = {}  # file -> why
        for file in HEADS:
            try:
                self.texts[file] = (folder / file).read_text(encoding="utf-8")
            except (FileNotFoundError, NotADirectoryError):
                self.texts[file] = ""
            except (OSError, UnicodeDecodeError) as error:
                self.texts[file] = ""
                self.unreadable[file] = f"{folder.name}/{file} cannot be read ({type(error).__name__})"
        self.sections = {}  # piece -> (number of lines above it, source)
        self.spaces = {}  # piece -> namespace
        self.troubles = {}  # piece -> why it cannot be used, or ""
        for text in self.texts.values():
            above = 0
            for section in _split(text):
                if _piece_at(section):
                    self.sections[_piece_at(section)] = (above, section)
                above += section.count("\n")

    def trouble(self, piece):
        """Why the kept piece cannot be used now, as part of a sentence; "" if it passes its checks."""
        if piece not in self.troubles:
            self.troubles[piece] = ""  # for pieces that use each other in a circle
            with contextlib.redirect_stdout(io.StringIO()):  # prints in the learner's code
                self.troubles[piece] = self._load(piece) or self._check(piece)
                if not self.troubles[piece]:
                    self._connect(piece)
        return self.troubles[piece]

    def _load(self, piece):
        from helpers import oracle

        # Stand-ins first, so that a section finds whatever was skipped.
        space = {name: getattr(oracle, name) for name in PIECE_OF}
        space["__name__"] = f"tiny_llm.{Path(piece.file).stem}"
        path = self.folder / piece.file
        above, section = self.sections[piece]
        place = f"{self.folder.name}/{piece.file}"
        try:
            for lines_above, source in ((0, _split(self.texts[piece.file])[0]), (above, section)):
                tree = ast.parse("\n" * lines_above + source, str(path))
                # The namespace already holds what the file imports from its neighbour.
                tree.body = [node for node in tree.body if not _imports_model(node)]
                exec(compile(tree, str(path), "exec", dont_inherit=True), space)
        except SyntaxError as error:
            return f"line {error.lineno} of {place} is not Python ({error.msg})"
        except (Exception, SystemExit) as error:
            return f"{place} does not run ({type(error).__name__}: {error})"
        missing = [name for name in piece.names if space[name] is getattr(oracle, name)]
        if missing:
            return f"the section of TODO {piece.todos} in {place} does not define it"
        self.spaces[piece] = space
        return ""

    def _check(self, piece):
        # All TODOs of the piece: a check alone repairs what an earlier TODO of the same class left undone.
        for todo in range(piece.first, piece.last + 1):
            wrong = self.wrong(piece, todo)
            if wrong:
                return f"yours in {self.folder.name}/{piece.file} does not pass TODO {todo} now ({wrong})"
        return ""

    def wrong(self, piece, todo):
        """The first line of what the check of one TODO says; "" if it passes."""
        from helpers import checks

        answers = [self.spaces[piece][name] for name in piece.names]
        try:
            getattr(checks, f"todo_{todo}")(*answers, quiet=True)
        except (Exception, SystemExit) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return (lines[0] if len(lines[0]) <= 160 else lines[0][:157] + "...").rstrip(".")
        return ""

    def _connect(self, piece):
        """Let the piece use the learner's other pieces, those that pass."""
        own = _globals_used(self.sections[piece][1]) - set(piece.names)
        defined = _names_bound(ast.parse(self.sections[piece][1]))
        for name in own & set(PIECE_OF) - defined:
            other = PIECE_OF[name]
            if other in self.sections and not self.trouble(other):
                self.spaces[piece][name] = self.spaces[other][name]
