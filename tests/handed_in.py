"""A class of 2_modules: honest students, careless ones, and those who try it another way.

Each case changes a solved notebook, and says what must come out. `right` are the TODOs that must score (None:
whatever they score, a flag must be there); `status`, `note` and `flag` are words that the report must or, for flag "",
must not hold.
"""
import copy
import dataclasses
import json
import typing

import nbformat

from course import build
from course.stubs import clear

PHASE = "2_modules"
ANSWERS = {4, 5}


@dataclasses.dataclass
class Case:
    """One student."""
    files: typing.Callable  # () -> {file name: bytes}
    right: set | None
    status: str = "graded"
    note: str = ""
    flag: str | None = None


def solved(keep=ANSWERS):
    """The released notebook with the answers of `keep` in it."""
    book = nbformat.read(build.notebook_path(PHASE), as_version=4)
    sources = {cell.id: cell.source for cell in build.source_notebook(PHASE).cells}
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = clear(sources[cell.id], keep=keep)
    return book


def files(change=None, keep=ANSWERS, name=f"{PHASE}.ipynb"):
    """One notebook, changed."""
    def make():
        book = solved(keep)
        book = (change(book) or book) if change else book
        return {name: json.dumps(book).encode()}
    return make


def at(book, name):
    """The place of the cell with this id."""
    return next(n for n, cell in enumerate(book.cells) if cell.id == name)


def cell(book, name):
    return book.cells[at(book, name)]


def code(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def before_answer(source):
    """The student writes a cell of their own above the answer."""
    def change(book):
        book.cells.insert(at(book, "todo-4-5"), code(source))
    return change


def in_answer(source):
    """... or writes into the answer's cell."""
    def change(book):
        cell(book, "todo-4-5").source += "\n" + source
    return change


def instead(source):
    """... or instead of the answer."""
    def change(book):
        cell(book, "todo-4-5").source = source
    return change


def split(marked):
    """The answer's cell, cut in two between its methods, as JupyterLab's Split Cell does it."""
    def change(book):
        whole, place = cell(book, "todo-4-5"), at(book, "todo-4-5")
        first, second = whole.source.split("\n    def forward", 1)
        rest = copy.deepcopy(whole)
        rest.id, rest.source, whole.source = "another", "    def forward" + second, first
        if not marked:
            rest.metadata = {}
        book.cells.insert(place + 1, rest)
    return change


def copied(book):
    again = copy.deepcopy(cell(book, "todo-4-5"))
    again.id = "again"
    cell(book, "todo-4-5").source = clear(source_of("todo-4-5"))
    book.cells.insert(at(book, "todo-4-5") + 1, again)


def source_of(name):
    return next(c.source for c in build.source_notebook(PHASE).cells if c.id == name)


def joined(first, second):
    """JupyterLab's Merge Cells."""
    def change(book):
        cell(book, first).source += "\n\n" + cell(book, second).source
        del book.cells[at(book, second)]
    return change


def as_from_colab(book):
    """No marks of nbgrader, and the ids in the metadata."""
    for one in book.cells:
        one.metadata = {"id": one.pop("id")}
    book["nbformat_minor"] = 0


def retype(kind):
    def change(book):
        target = cell(book, "todo-4-5")
        target["cell_type"] = kind
        target.pop("outputs", None), target.pop("execution_count", None)
    return change


def strip(ids):
    """All of nbgrader's marks are gone, as after an export to Colab and back; perhaps the ids too."""
    def change(book):
        for one in book.cells:
            one.metadata = {}
            if not ids:
                one.pop("id", None)
        if not ids:
            book["nbformat_minor"] = 2
    return change


def drop(name):
    def change(book):
        del book.cells[at(book, name)]
    return change


def each_test(**changes):
    def change(book):
        for one in book.cells:
            if one.id.startswith("test-"):
                one.metadata.update(changes.get("metadata", {}))
                one.metadata["nbgrader"].update(changes.get("mark", {}))
                one.source = changes.get("source", one.source)
    return change


FORWARD = "    def forward(self, x):\n        return x\n"
STUB = "class TwoLayerNet(nn.Module):\n    def __init__(self, *a):\n        super().__init__()\n" + FORWARD
ENDS = "class TwoLayerNet(nn.Module):\n    def __init__(self, a, b, c):\n        {}\n" + FORWARD
RIGHT = solved().cells[at(solved(), "todo-4-5")].source

# Messages in the kernel's name, whose parts are not what they should be.
FORGED = """
kernel = get_ipython().kernel
parent = kernel.get_parent()
for content in ([1], 7, {"text": 7}, {"name": "stderr", "text": chr(0xD800)}, {"data": 3, "metadata": 4}):
    for kind in ("stream", "error", "display_data", "execute_result", "status", "clear_output"):
        kernel.session.send(kernel.iopub_socket, kind, content, parent=parent)
kernel.session.send(kernel.iopub_socket, "error", {"ename": 1, "evalue": "\\x1b[2J" + chr(0xD800), "traceback": 5},
                    parent=parent)
kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "idle"}, parent=[1])
"""

CLASS = {
    # honest
    "all": Case(files(), {4, 5}, flag=""),
    "half": Case(files(keep={5}), {5}, flag=""),
    "none": Case(files(keep=()), set(), flag=""),
    "other-name": Case(files(name="Untitled (3).ipynb"), {4, 5}, flag=""),
    "helper-above": Case(files(before_answer("def make(a, b):\n    return nn.Linear(a, b)")), {4, 5}, flag=""),
    "prints": Case(files(in_answer("print('x' * 100)")), {4, 5}, flag=""),
    "warns": Case(files(
        in_answer("import sys, warnings\nwarnings.warn('careful')\nprint('50 %', file=sys.stderr)")), {4, 5}),
    "installs": Case(files(in_answer("!pip install torch\n%matplotlib inline")), {4, 5}, flag=""),
    "syntax-error": Case(files(in_answer("def f(:")), set()),
    "notes-below": Case(files(lambda b: b.cells.append(code("print(undefined)"))), {4, 5}, flag=""),
    # careless
    "split-marked": Case(files(split(True)), {4, 5}, note="split"),
    "split-plain": Case(files(split(False)), {4, 5}, note="split"),
    "copied": Case(files(copied), {4, 5}, note="cells of this name"),
    "markdown": Case(files(retype("markdown")), {4, 5}, note="markdown cell"),
    "raw": Case(files(retype("raw")), {4, 5}, note="run as code"),
    "stripped": Case(files(strip(True)), {4, 5}, note="found by its id"),
    "stripped-ids": Case(files(strip(False)), {4, 5}, note="because it defines"),
    "answer-deleted": Case(files(drop("todo-4-5")), set(), status="partly", note="missing"),
    "test-deleted": Case(files(drop("test-5")), {4, 5}, note="test was missing"),
    "setup-deleted": Case(files(drop("setup")), {4, 5}),
    "imports-deleted": Case(files(drop("imports")), {4, 5}),
    "two-files": Case(lambda: {**files(keep=(), name="old.ipynb")(), **files(name="zz.ipynb")()},
                      None, status="several", note="2 notebooks"),
    "wrong-phase": Case(lambda: {"x.ipynb": build.notebook_path("1_tensors").read_bytes()}, None, status="missing",
                        note="1_tensors"),
    "empty-folder": Case(lambda: {}, None, status="missing", note="nothing"),
    "a-text": Case(lambda: {"answer.docx": b"PK"}, None, status="missing", note="not a notebook"),
    "empty-file": Case(lambda: {"a.ipynb": b""}, None, status="unreadable", note="empty"),
    "not-json": Case(lambda: {"a.ipynb": b"<html>Not found</html>"}, None, status="unreadable", note="not JSON"),
    "deep-json": Case(lambda: {"a.ipynb": b"[" * 100_000}, None, status="unreadable", note="not JSON"),
    "a-list": Case(lambda: {"a.ipynb": b"[1]"}, None, status="unreadable", note="no cells"),
    "format-3": Case(lambda: {"a.ipynb": b'{"nbformat": 3, "worksheets": [], "cells": []}'}, None, status="unreadable",
                     note="format 3"),
    "really-format-3": Case(lambda: {"a.ipynb": b'{"nbformat": 3, "worksheets": [{"cells": []}]}'}, None,
                            status="unreadable", note="format 3"),
    "odd-types": Case(files(lambda b: b.cells.insert(0, {"cell_type": 7, "source": None, "metadata": [1]})), {4, 5}),
    "colab": Case(files(as_from_colab), {4, 5}, note="found by its id"),
    "windows": Case(lambda: {"a.ipynb": files()()[f"{PHASE}.ipynb"].replace(b"\\n", b"\\r\\n")}, {4, 5}, flag=""),
    "powershell": Case(lambda: {"a.ipynb": files()()[f"{PHASE}.ipynb"].decode().encode("utf-16")}, {4, 5}, flag=""),
    "merge-marks": Case(lambda: {"a.ipynb": b'{"cells": [\n<<<<<<< HEAD\n]}'}, None, status="unreadable", note="merge"),
    "gigantic-number": Case(lambda: {"a.ipynb": b'{"nbformat": 4, "cells": [' + b"9" * 5000 + b"]}"}, None,
                            status="unreadable", note="not JSON"),
    "novel": Case(files(lambda b: b.cells.append(code("x = 1\n" * 400_000))), None, status="unreadable",
                  note="characters of code"),
    "half-characters": Case(files(in_answer("print('\ud800', '\\ud800')")), {4, 5}),
    "formula": Case(files(in_answer("!ls\nsize = (7\n    % 4)\n%time other = size\nassert other == 3")), {4, 5},
                    flag=""),
    "with-its-test": Case(files(joined("todo-4-5", "test-4")), {4, 5}, flag=""),
    "bom": Case(lambda: {"a.ipynb": b"\xef\xbb\xbf" + files()()[f"{PHASE}.ipynb"]}, {4, 5}),
    # another way
    "skip-tag": Case(files(each_test(metadata={"tags": ["skip-execution"]}), keep=()), set()),
    "points-raised": Case(files(each_test(mark={"points": 1000}), keep={5}), {5}),
    "tests-emptied": Case(files(each_test(source="pass"), keep=()), set(), note="test was changed"),
    "tests-unlocked": Case(files(each_test(mark={"grade": False, "solution": True}), keep=()), set()),
    "exit": Case(files(instead(ENDS.format("import os; os._exit(0)"))), set(), status="partly", note="ended",
                 flag="(os"),
    "segfault": Case(files(instead(ENDS.format("import ctypes; ctypes.string_at(0)"))), set(), status="partly",
                     note="ended", flag="ctypes"),
    "exit-at-once": Case(files(before_answer("import os\nos._exit(0)")), {4, 5}, status="partly", note="ended"),
    "sys-exit": Case(files(before_answer("import sys\nsys.exit()")), {4, 5}),
    "endless": Case(files(before_answer("while True:\n    pass")), {4, 5}, status="partly", note="stuck"),
    "deaf": Case(files(before_answer(
        "import signal\nfor n in (1, 2, 15):\n    signal.signal(n, signal.SIG_IGN)\nwhile True:\n    pass")),
                 {4, 5}, status="partly", note="stuck", flag="signal"),
    "memory": Case(files(before_answer("x = bytearray(6 * 2**30)")), {4, 5}),
    "much-output": Case(files(before_answer("print('x' * 60_000_000)")), {4, 5}),
    "many-lines": Case(files(before_answer("for n in range(200_000):\n    print(n)")), {4, 5}),
    "forks": Case(files(before_answer("import os\nfor n in range(1000):\n    os.fork()")), {4, 5}, flag="(os"),
    "threads": Case(files(before_answer(
        "import threading, time\nfor n in range(100):\n"
        "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()")), {4, 5}, flag="threading"),
    "fills-disk": Case(files(before_answer("for n in range(20):\n    open(f'f{n}', 'wb').write(bytes(50_000_000))")),
                       {4, 5}, flag="open"),
    "canary-allclose": Case(files(instead(STUB + "torch.allclose = lambda *a, **k: True")), set(),
                            flag="torch.allclose"),
    "checks-replaced": Case(files(instead(STUB + "checks.todo_4 = checks.todo_5 = lambda *a, **k: None")), None,
                            flag="checks.todo_4"),
    "engine-patched": Case(files(
        instead(STUB + "import helpers.checks.engine as e\ne._judge = lambda *a: ('fine', None)")),
                           None, flag="_judge"),
    "transformer": Case(files(
        instead(STUB + "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])")),
                        None, flag="transformers"),
    "ast-transformer": Case(files(instead(
        STUB + "import ast\nclass T(ast.NodeTransformer):\n    def visit_Assert(self, n):\n        return ast.Pass()\n"
               "    def visit_Expr(self, n):\n        return ast.Pass()\nget_ipython().ast_transformers.append(T())")),
               None, flag="transformers"),
    "run-cell": Case(files(instead(STUB + "get_ipython().run_code = lambda *a, **k: False")), None, flag="get_ipython"),
    "trace": Case(files(instead(STUB + "import sys\nsys.settrace(lambda *a: None)")), None, flag="settrace"),
    "equal-to-all": Case(files(instead(STUB + "class E:\n    def __eq__(self, o):\n        return True\n")), set(),
                         flag="__eq__"),
    "score-shown": Case(files(instead(RIGHT + "\nimport sys\nsys.displayhook = lambda v: None")), None,
                        flag="displayhook"),
    "frames": Case(files(
        instead(STUB + "import inspect\ndef peek():\n    return inspect.currentframe().f_back.f_globals")),
                   set(), flag="inspect"),
    "own-checks": Case(files(instead(STUB + "class checks:\n    todo_4 = todo_5 = staticmethod(print)")), None,
                       flag="tests use (checks)"),
    "given-to-a-function": Case(files(instead(
        STUB + "def change(t):\n    t.allclose = lambda *a, **k: True\nchange(torch)")),
                                set(), flag="torch.allclose"),
    "behind-help": Case(files(instead("print?\n" + STUB + "import os\nos.getcwd()")), set(), flag="os"),
    "matched": Case(files(instead(
        STUB + "match TwoLayerNet.forward:\n    case object(__globals__=g):\n        g['checks'] = print")), None,
                    flag="__globals__"),
    "getattr-renamed": Case(files(instead(STUB + "look = getattr\nlook(torch, '_' + '_dict_' + '_')")), set(),
                            flag="getattr"),
    "the-oracle": Case(files(instead("from helpers import oracle\nTwoLayerNet = oracle.TwoLayerNet")), None,
                       flag="oracle"),
    "leaves-in-forward": Case(files(instead(RIGHT.replace("return ", "raise SystemExit; return "))), {4}),
    "interrupts-itself": Case(files(instead(RIGHT.replace("return ", "raise KeyboardInterrupt; return "))), {4}),
    "caught-as-checks": Case(files(instead(
        STUB + "try:\n    1 / 0\nexcept ZeroDivisionError as checks:\n    pass")), None, flag="tests use (checks)"),
    "behind-a-return": Case(files(instead("!ls\rimport os\n" + STUB)), set(), flag="(os"),
    "above-the-course": Case(files(lambda b: (
        b.cells.insert(0, code("import os\nos.makedirs('helpers/checks')\n"
                               "open('helpers/checks/__init__.py', 'w').write('todo_4 = todo_5 = print')")),
        instead(STUB)(b))[0]), set(), flag="(os"),
    "a-file-as-module": Case(files(instead(
        "import numpy as np\nnp.savetxt('statistics.py', ['raise SystemExit'], fmt='%s')\n"
        "import statistics\n" + RIGHT)), {4, 5}, flag=""),
    "through-enum": Case(files(instead(
        STUB + "import enum\nenum.bltns.exec('import helpers.checks as c; c.todo_4 = c.todo_5 = print')")), None,
                         flag="bltns"),
    "a-layer-replaced": Case(files(instead(
        "for layer in (nn.Linear,):\n    layer.extra_repr = lambda self: ''\n" + RIGHT)), None,
                             flag="torch.nn was replaced"),
    "forged-messages": Case(files(instead(RIGHT + FORGED)), {4, 5}, flag="get_ipython"),
    "many-outputs": Case(files(before_answer(
        "from IPython.display import display\nfor n in range(3000):\n    display(n)")), {4, 5}, flag=""),
    "later": Case(files(before_answer("import asyncio\nasync def later():\n    await asyncio.sleep(0)\n"
                                      "asyncio.ensure_future(later())")), {4, 5}, flag="asyncio"),
    "script-in-output": Case(files(in_answer(
        "from IPython.display import HTML, display\ndisplay(HTML('<script>alert(1)</script>'))")), {4, 5}),
    "script-in-message": Case(files(instead(ENDS.format("raise ValueError('<script>alert(1)</script>')"))), set()),
}
