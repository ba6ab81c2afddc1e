"""A student's answers, put into the notebook as it was released, whatever happened to the student's copy of it.

Only what a student wrote is taken: the solution cells, found by their grade_id or, where that is lost, by their id or
by the names they define; and the student's own extra cells. Tests, points and everything else come from the source.
What was not as it should be is said in `notes`; what a person should look at, in `flags`.
"""
import ast
import re

import nbformat

from course.build import source_notebook
from course.stubs import clear

# Names in a student's code that a person should look at. With (): only as a name of its own, for x.eval() is common.
SUSPECT = {
    "run code that is not in the cell": {
        "exec()", "eval()", "compile()", "__import__", "importlib", "runpy", "marshal"},
    "look into or replace the running program": {
        "inspect", "gc", "_getframe", "currentframe", "f_back", "f_globals", "f_locals", "tb_frame", "settrace",
        "setprofile", "__code__", "__globals__", "__closure__", "__subclasses__", "builtins", "__builtins__", "modules",
        "get_ipython", "In()", "_ih", "ast_transformers", "input_transformers_post", "displayhook", "excepthook",
        "__class__", "__dict__", "setattr", "user_ns", "get_referrers", "get_objects", "history_manager"},
    "redefine what equal means": {"__eq__", "__bool__", "__torch_function__", "__instancecheck__"},
    "reach outside the notebook": {
        "os", "subprocess", "socket", "ctypes", "signal", "threading", "multiprocessing", "open()", "pathlib", "shutil",
        "requests", "urllib", "pickle", "atexit", "_exit", "environ"},
}
WATCHED = {"checks", "torch", "nn", "F", "guard", "helpers", "parts", "sys"}  # assigning into these replaces functions
MISSING = "the cell is missing"  # what is said of an answer that is not there
SHELL = re.compile(r"^(\s*)([!%].*)$", re.MULTILINE)


def transplant(submitted, phase):
    """submitted: a notebook node, any version 4 -> (the notebook to run, notes, flags).

    notes: {grade_id: what was unusual}; "" for the notebook as a whole. flags: sentences for the instructor.
    """
    book, notes, flags = source_notebook(phase), {}, []
    theirs = [plain(cell) for cell in submitted.cells]
    released = {cell.id: cell for cell in book.cells}
    solutions = {cell.id: cell for cell in book.cells if kind(cell) == "solution"}
    taken, where = {}, {}  # grade_id -> source; position of a student's cell -> grade_id
    for grade_id, cell in solutions.items():
        stub = clear(cell.source)
        source, places, note = find(grade_id, stub, theirs, set(solutions), where)
        taken[grade_id] = stub if source is None else source
        where.update(dict.fromkeys(places, grade_id))
        if note:
            notes[grade_id] = note
    for cell in theirs:
        if cell["grade_id"] in released and kind(released[cell["grade_id"]]) == "test":
            if cell["source"].strip() != without_hidden(released[cell["grade_id"]].source).strip():
                notes.setdefault(cell["grade_id"], "the test was changed; the released one was run")
    present = {cell["grade_id"] for cell in theirs}
    for cell in book.cells:
        if kind(cell) == "test" and cell.id not in present:
            notes.setdefault(cell.id, "the test was missing; the released one was run")
    extras = own_cells(theirs, where, book)
    cells = []
    for cell in book.cells:
        if cell.id in solutions:
            cell.source = taken[cell.id]
        cells += extras.get(cell.id, [])
        cells.append(cell)
    book.cells = cells + extras.get(None, [])
    for number, cell in enumerate(book.cells):
        if cell.metadata.get("own"):
            cell.id = f"own-{number}"
        if cell.id in solutions or cell.metadata.get("own"):
            flags += [f"{cell.id}: {reason}" for reason in suspicions(cell.source)]
            cell.source = SHELL.sub(r"\1pass  # not run while grading: \2", cell.source)
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace("<", "&lt;")
    return book, notes, flags


def kind(cell):
    """"solution", "test", "locked" or "" for a cell of the course."""
    mark = cell.metadata.get("nbgrader", {})
    return "test" if mark.get("grade") else "solution" if mark.get("solution") else "locked" if mark else ""


def plain(cell):
    """What is of use in a student's cell, whatever types its parts have."""
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    mark = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    source = cell.get("source", "")
    source = "".join(map(str, source)) if isinstance(source, list) else str(source)
    return {"id": str(cell.get("id", "")), "grade_id": str(mark.get("grade_id", "")), "source": source,
            "type": str(cell.get("cell_type", ""))}


def find(grade_id, stub, theirs, known, used):
    """A student's answer to one solution cell -> (source or None, the places it came from, a note or None)."""
    free = [n for n in range(len(theirs)) if n not in used]
    wanted = names_of(stub)
    marked = [n for n in free if theirs[n]["grade_id"] == grade_id]
    if len(marked) == 1:
        cell = theirs[marked[0]]
        whole = joined_with_followers(marked[0], theirs, wanted, known)
        if whole:
            places = list(range(marked[0], marked[0] + whole))
            return "\n".join(theirs[n]["source"] for n in places), places, "the cell was split; its parts were joined"
        if cell["type"] != "code":
            return cell["source"], marked, f"the cell was a {cell['type']} cell; it was run as code"
        return cell["source"], marked, None
    if len(marked) > 1:
        texts = [theirs[n]["source"] for n in marked]
        answered = [n for n in marked if wanted <= names_of(theirs[n]["source"])
                    and theirs[n]["source"].strip() != stub.strip()]
        joined = "\n".join(texts)
        if not answered and wanted <= names_of(joined):
            return joined, marked, "the cell was split; its parts were joined"
        if answered:
            return theirs[answered[-1]]["source"], marked, (
                f"there were {len(marked)} cells of this name; the last answered one was taken")
        return texts[-1], marked, f"there were {len(marked)} cells of this name; the last one was taken"
    same = [n for n in free if theirs[n]["id"] == grade_id]
    if same:
        return theirs[same[-1]]["source"], same, "its nbgrader mark was missing; it was found by its id"
    defines = [n for n in free if theirs[n]["type"] == "code" and wanted and wanted <= names_of(theirs[n]["source"])
               and theirs[n]["grade_id"] not in known]
    if defines:
        best = [n for n in defines if theirs[n]["source"].strip() != stub.strip()] or defines
        return theirs[best[-1]]["source"], [best[-1]], (
            f"its nbgrader mark was missing; it was found because it defines {', '.join(sorted(wanted))}")
    return None, [], MISSING


def joined_with_followers(first, theirs, wanted, known):
    """How many cells, from `first` on, make the whole answer, if the first alone is only a part of it; else 0."""
    if wanted <= names_of(theirs[first]["source"]) or not wanted:
        return 0
    for count in range(2, 6):
        following = theirs[first + 1: first + count]
        if len(following) < count - 1 or any(c["type"] != "code" or c["grade_id"] for c in following):
            return 0
        if wanted <= names_of("\n".join(c["source"] for c in theirs[first: first + count])):
            return count
    return 0


def names_of(source):
    """The functions and classes that a cell defines, a method as "Class.method"; nothing if it is not Python."""
    try:
        tree = ast.parse(SHELL.sub(r"\1pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def own_cells(theirs, used, book):
    """{id of the released cell before which they belong: [the student's own code cells]}; None for the end."""
    known = {cell.id: cell.id for cell in book.cells}
    by_text = {cell.source.strip(): cell.id for cell in book.cells if cell.cell_type == "code"}
    extras, waiting = {}, []
    for place, cell in enumerate(theirs):
        anchor = used.get(place) or known.get(cell["grade_id"]) or by_text.get(cell["source"].strip())
        if anchor is None and cell["id"] in known:
            changed = next(c for c in book.cells if c.id == cell["id"])
            if cell["type"] == "code" == changed.cell_type and not kind(changed):
                changed.source, changed.metadata["own"] = cell["source"], True  # the student played with it
                changed.id = cell["id"]
            anchor = cell["id"]
        if anchor is not None:
            extras.setdefault(anchor, []).extend(waiting)
            waiting = []
        elif cell["type"] == "code" and cell["source"].strip():
            waiting.append(nbformat.v4.new_code_cell(cell["source"], metadata={"own": True}))
    extras.setdefault(None, []).extend(waiting)
    return extras


def without_hidden(source):
    """A test cell as students see it."""
    return re.sub(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS\n?", "", source, flags=re.DOTALL)


def suspicions(source):
    """Reasons why a person should look at this code; none for ordinary answers."""
    try:
        tree = ast.parse(SHELL.sub(r"\1pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names = set()
    replaced = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names |= {node.id, f"{node.id}()"}
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {part for alias in node.names for part in alias.name.split(".")}
            names |= set((getattr(node, "module", None) or "").split("."))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            root = target
            while isinstance(root, (ast.Attribute, ast.Subscript)):
                root = root.value
            if root is not target and isinstance(root, ast.Name) and root.id in WATCHED:
                replaced.add(ast.unparse(target))
    reasons = [f"it may {why} ({', '.join(sorted(names & words))})" for why, words in SUSPECT.items() if names & words]
    return reasons + [f"it replaces {name}" for name in sorted(replaced)]
