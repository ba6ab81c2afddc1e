"""From a notebook to the same notebook with what its cells printed: a pure function from bytes to bytes.

It needs no gradebook and no folder, so that any `concurrent.futures.Executor` can run it, on this machine or another.
A cell that ends its kernel, or never ends, costs that cell: the next one gets a new kernel in which all others
ran again. What every cell came to stands in the notebook's metadata, under "grading":

    {"cells": {"test-11": {"status": "ok" | "error" | "stuck" | "ended" | "not run" | "not needed", "seconds": 0.12}},
     "changed": ["torch.allclose"], "odd": ["test-8: the course's own sinusoidal_table did the work"], "seconds": 3.1}

The course's cells for looking and playing run only where an answer or a test uses a name that they make.
"""
import ast
import base64
import binascii
import builtins
import contextlib
import dataclasses
import hashlib
import json
import re
import symtable
import time

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import output_from_msg

from course.build import todo_numbers
from course.grade import watch
from course.grade.sandbox import Kernel, KernelGone, SandboxError
from course.magics import parsed

STARTS = 3  # attempts to start a kernel
MOST = 500  # outputs that are kept of one cell
NOT_TEXT = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # colours; control characters
PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one submission may use."""
    seconds: int = 300  # for all its cells
    cell_seconds: int = 60
    memory: int = 3 * 2**30  # bytes of address space, beside what PyTorch takes
    output: int = 200_000  # characters that are kept of one cell's output, and of all ten times as many
    fast: bool = False  # fork the kernel from a process that has PyTorch loaded
    unsafe: bool = False  # no sandbox at all


def execute(notebook, limits=Limits()):
    """notebook: bytes of a notebook, version 4 -> bytes of the notebook with its outputs."""
    book = nbformat.reads(notebook.decode("utf-8"), as_version=4)
    seed = int(hashlib.sha256(notebook).hexdigest()[:7], 16)  # the same notebook meets the same random numbers
    run = Run(book, limits, seed)
    try:
        run.all()
    finally:
        run.close()
    book.metadata["grading"] = run.findings()
    return nbformat.writes(book).encode("utf-8")


class Run:
    """One submission on its way through as many kernels as it needs."""

    def __init__(self, book, limits, seed):
        self.cells = [cell for cell in book.cells if cell.cell_type == "code"]
        self.limits, self.seed = limits, seed
        self.kernel, self.baseline, self.changed, self.odd = None, None, set(), set()
        self.outcomes = {}  # id of a cell -> its entry in the findings
        self.needed, self.taken = needed(self.cells), taken_from_python(self.cells)
        self.used = [name for name in book.metadata.get("tests_use", []) if name not in self.taken] + ["__import__"]
        self.to_define, self.lent = book.metadata.get("to_define", {}), set(book.metadata.get("lent", []))
        self.started, self.room = time.monotonic(), 10 * limits.output

    def all(self):
        """Every cell, in order."""
        for number, cell in enumerate(self.cells):
            cell.outputs, cell.execution_count = [], None
            if cell.id not in self.needed:
                self.outcomes[cell.id] = {"status": "not needed", "seconds": 0.0}
                continue
            before = time.monotonic()
            try:
                status = self.tried(number)
            except TimeoutError:
                status = "stuck" if self.left() > 0 or time.monotonic() - before > 1 else "not run"
            except KernelGone:
                status = "ended"
            if status in ("stuck", "ended", "not run"):
                cell.outputs = [problem(status, self.limits)]
                self.close()
            self.outcomes[cell.id] = {"status": status, "seconds": round(time.monotonic() - before, 3)}

        for number, cell in enumerate(self.cells):
            if is_test(cell) and self.outcomes[cell.id]["status"] == "ok" and self.lent & set(self.asked_of(cell)):
                self.alone(number)

    def tried(self, number):
        """Run a cell in a kernel that is ready for it, and keep what it prints -> "ok" or "error".

        Where the kernel ends, once more in another: Python 3.11.2 itself broke down four times in one run of the tests.
        """
        cell = self.cells[number]
        for last in (False, True):
            if self.left() <= 0:
                raise TimeoutError
            try:
                self.ready(number)
                cell.outputs, outputs = [], Outputs(cell, min(self.limits.output, self.room))
                status = self.one(cell, outputs)
                self.room -= outputs.size
                return status
            except KernelGone:
                self.close()
                if last:
                    raise

    def ready(self, number, lent=True):
        """A kernel in which the cells before this one ran, but for tests and those that ended or never did.

        lent: whether they found the course's stand-ins for what the test in this cell asks for
        """
        if self.kernel is not None:
            return
        self.kernel = self.start()
        self.kernel.run(f"import os, random\nos.environ['TINYLLM_CHECK_SEED'] = '{self.seed}'\n"
                        f"random.seed({self.seed})\n{watch.MAKE}", 30, ignore, silent=True, store_history=False)
        for cell in self.cells[:number]:
            if not lent:
                self.ask(f"lend_nothing({self.asked_of(self.cells[number])})")
            if not is_test(cell) and self.outcomes[cell.id]["status"] in ("ok", "error"):
                self.one(cell, ignore)
            else:
                self.forget_stand_ins(cell)

    def alone(self, number):
        """A test that passed, once more, where nothing that it asks for was ever there: does it still pass?

        A student may have kept what the course's stand-in once gave.
        """
        cell, before = self.cells[number], (set(self.odd), set(self.changed))
        self.close()
        try:
            self.ready(number, lent=False)
            passes = self.one(cell, ignore) == "ok"
        except (TimeoutError, KernelGone):
            passes = False
        self.odd, self.changed = before  # what else there is to see was seen the first time
        if not passes:
            self.odd.add(f"{cell.id}: it does not pass without the course's own answer")

    def start(self):
        """A kernel. Nothing of the student's has run in it: where none starts, that is never the student's fault."""
        for _ in range(STARTS):
            with contextlib.suppress(KernelGone):
                return Kernel(self.limits)
        raise SandboxError(f"A kernel did not start, {STARTS} times. Is this machine too busy, or its memory full?")

    def one(self, cell, say):
        """Run one cell in the present kernel -> "ok" or "error"."""
        if is_students(cell):
            seen = self.look()
            self.baseline = {**seen, **(self.baseline or {})}  # a name that the course has made since is new in it
        self.forget_stand_ins(cell)
        if is_test(cell):
            runs = TransformerManager().transform_cell(self.source_of(cell))
            self.ask(f"follow({self.asked_of(cell)}, {number_of(cell)}, {checks_in(cell)}, {runs!r})")
        reply = self.kernel.run(self.source_of(cell), min(self.limits.cell_seconds, self.left()), say,
                                stop_on_error=False)
        ok = reply.get("status") == "ok"
        if say is not ignore:
            cell.execution_count = len(self.outcomes) + 1
        if is_students(cell) and ok and not readable(cell.source):
            self.odd.add(f"{cell.id}: it ran, though no scan can read it")
        if is_test(cell):
            who = self.ask("followed()")
            if ok:
                who = who if isinstance(who, list) else ["something that nobody could follow"]
                self.odd.update(f"{cell.id}: {one} did the work" for one in who)
        if is_students(cell) or is_test(cell):
            self.changed.update(watch.differences(self.baseline or {}, self.look()))
            heard = self.ask("asked_for()")
            heard = heard if isinstance(heard, list) else ["something that nobody could hear"]
            self.odd.update(f"{cell.id}: its code asked Python for {one}" for one in heard)
        if is_test(cell) and ok and not self.fails_on_nonsense(cell):
            self.changed.add(f"the check of {cell.id}")
        return "ok" if ok else "error"

    def source_of(self, cell):
        """What runs: the course's own cells mean Python's `sum`, even where a student's cell has said `sum = 0`."""
        return cell.source if is_students(cell) else with_pythons_own(cell.source, self.taken)

    def asked_of(self, test):
        """The names that a test's answer defines."""
        return next((names for answer, names in self.to_define.items()
                     if number_of(test) in todo_numbers(answer.removeprefix("todo-"))), [])

    def forget_stand_ins(self, cell):
        """Before an answer's cell: what it is to define is not there, and is not for it to use."""
        if cell.id in self.to_define:
            self.ask(f"forget({self.to_define[cell.id]})")

    def fails_on_nonsense(self, cell):
        """Whether the same test fails when nonsense stands in the answer's place."""
        self.ask(f"put_nonsense({self.asked_of(cell)}, {checks_in(cell)})")
        reply = self.kernel.run(self.source_of(cell), min(self.limits.cell_seconds, self.left()), ignore,
                                stop_on_error=False)
        self.ask("put_back()")
        return reply.get("status") == "error"

    def look(self):
        """The watch's answer: {name: number}. Empty if it gave none."""
        seen = self.ask(f"look({self.used})")
        return seen if isinstance(seen, dict) else {}

    def ask(self, question):
        """What a call of one of inside.py's functions gives in the kernel; None where it is not data."""
        reply = self.kernel.run("", 30, ignore, silent=True, store_history=False,
                                user_expressions={"answer": watch.ASK.format(question)})
        try:
            said = reply["user_expressions"]["answer"]["data"]["text/plain"]
            return ast.literal_eval(said) if len(said) < 20_000 else None
        except Exception:  # an answer that a student's code has made up
            return None

    def left(self):
        """Seconds that this submission still has."""
        return self.limits.seconds - (time.monotonic() - self.started)

    def findings(self):
        return {"cells": self.outcomes, "changed": sorted(self.changed), "odd": sorted(self.odd),
                "seconds": round(time.monotonic() - self.started, 2)}

    def close(self):
        if self.kernel is not None:
            self.kernel.close()
        self.kernel, self.baseline = None, None


def needed(cells):
    """The ids of the cells that must run: all but the course's own pictures and games that no answer builds on."""
    wanted, ids = set(), set()
    for cell in reversed(cells):
        try:
            made, taken = names_of(parsed(cell.source))
        except (SyntaxError, ValueError, RecursionError):  # it may use anything; IPython can read the course's own
            made, taken = None, {"*"} if is_students(cell) else set()
        if "nbgrader" in cell.metadata or is_students(cell) or made is None or made & wanted or "*" in wanted:
            ids.add(cell.id)
            wanted |= taken
    return ids


def names_of(tree):
    """A syntax tree -> (the names that it makes for other cells, the names that it may take from them).

    What a function calls its own is neither: `weights` in a student's method is not the `weights` of a picture above.
    """
    tables = [symtable.symtable(ast.unparse(tree), "cell", "exec")]
    for table in tables:
        tables += table.get_children()
    symbols = [(symbol, table is tables[0]) for table in tables for symbol in table.get_symbols()]
    made = {s.get_name() for s, outside in symbols
            if (outside or s.is_declared_global()) and (s.is_assigned() or s.is_imported())}
    return made, {s.get_name() for s, outside in symbols if (outside or s.is_global()) and s.is_referenced()}


def taken_from_python(cells):
    """The names of Python's own functions that a student's cells give another meaning."""
    own, taken = set(dir(builtins)), set()
    for cell in filter(is_students, cells):
        try:
            tree = parsed(cell.source)
            if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
                return own
            taken |= names_of(tree)[0] & own
        except (SyntaxError, ValueError, RecursionError):
            continue
    return taken


def with_pythons_own(source, taken):
    """The code with Python's own function wherever it uses one of the names in `taken`: `sum(x)` becomes
    `__import__('builtins').sum(x)`."""
    if not taken:
        return source
    try:
        tree = parsed(source)
    except ValueError:
        return source
    stored = {node.arg if isinstance(node, ast.arg) else node.id for node in ast.walk(tree)
              if isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))}

    class Own(ast.NodeTransformer):
        def visit_Name(self, node):
            if node.id not in taken - stored:
                return node
            return ast.parse(f"__import__('builtins').{node.id}", mode="eval").body

    return ast.unparse(Own().visit(tree))


def is_test(cell):
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def number_of(test):
    """The number of a test's TODO."""
    return int(test.id.removeprefix("test-"))


def checks_in(test):
    """The numbers of the checks that a test calls."""
    return [int(number) for number in re.findall(r"\bchecks\.todo_(\d+)\b", test.source)]


def readable(source):
    """Whether it is the Python that the scan of suspicions reads."""
    try:
        parsed(source)
    except ValueError:
        return False
    return True


def is_students(cell):
    """Whether a student may have written this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution") or cell.metadata.get("own"))


def ignore(message):
    """What a replayed cell prints was printed before."""


def problem(status, limits):
    """What stands in place of the output of a cell that did not come to its end."""
    says = {
        "stuck": f"This cell did not end within {limits.cell_seconds} seconds. Is there a loop that never ends?",
        "ended": "This cell ended the whole kernel, perhaps because it needed too much memory.",
        "not run": f"The time for one submission ({limits.seconds} seconds) was used up before this cell.",
    }[status]
    return nbformat.v4.new_output("error", ename="Stopped", evalue=says, traceback=[says])


class Outputs:
    """Takes a kernel's messages and keeps of them, in the cell, what can do no harm: text, errors and pictures."""

    def __init__(self, cell, room):
        self.cell, self.room, self.clear, self.size = cell, room, False, 0

    def __call__(self, message):
        if message["msg_type"] == "clear_output":
            self.clear = True
            return
        try:
            output = harmless(output_from_msg(message))
        except Exception:  # not something a notebook shows
            return
        if output is None or len(self.cell.outputs) >= MOST:
            return
        if output.output_type == "error" and any(o.output_type == "error" for o in self.cell.outputs):
            return
        if self.clear:
            self.cell.outputs, self.clear = [], False
        size = len(json.dumps(output))
        if "data" in output and "image/png" in output.data:
            size //= 10
        if size > self.room:
            if output.output_type == "error":
                output.traceback, output.evalue = [], output.evalue[:2000]
            elif output.output_type == "stream" and self.room > 0:
                output.text = output.text[: self.room] + "\n... (more output than is kept)\n"
            else:
                return
            size = min(size, max(self.room, 0))
        self.room, self.size = self.room - size, self.size + size
        last = self.cell.outputs[-1] if self.cell.outputs else None
        if last and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            self.cell.outputs.append(output)


def text_only(text):
    """The text without what would steer a terminal or cannot be written to a file."""
    return NOT_TEXT.sub("", str(text)).encode("utf-8", "replace").decode("utf-8")


def harmless(output):
    """The output with text and real pictures only; None if nothing of it is left."""
    output.metadata = {}
    if output.output_type == "stream":
        output.pop("metadata")
        output.text = text_only(output.text)
        output.name = "stderr" if output.name == "stderr" else "stdout"
        return output
    if output.output_type == "error":
        output.pop("metadata")
        output.ename, output.evalue = text_only(output.ename)[:200], text_only(output.evalue)
        output.traceback = [text_only(line) for line in output.traceback]
        return output
    kept = {"text/plain": text_only(output.data["text/plain"])} if "text/plain" in output.data else {}
    for kind, magic in PICTURES.items():
        picture = output.data.get(kind)
        try:
            body = base64.b64decode(picture, validate=False) if isinstance(picture, str) else b""
        except (binascii.Error, ValueError):
            body = b""
        if body.startswith(magic):
            kept[kind] = base64.b64encode(body).decode("ascii")
    output.data = kept
    return output if kept else None
