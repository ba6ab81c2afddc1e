"""A student's answers, put into the notebook as it was released, whatever happened to the student's copy of it.

Only what a student wrote is taken: the solution cells, found by their grade_id or, where that is lost, by their id or
by the names they define; and the student's own extra cells. Tests, points and everything else come from the source.
What was not as it should be is said in `notes`; what a person should look at, in `flags`.
"""
import ast
import functools
import re

import nbformat

from course.build import source_notebook
from course.grade.magics import parsed, plain_python
from course.grade.suspicions import suspicions
from course.grade.watch import used_by
from course.stubs import clear

MISSING = "the cell is missing"  # what is said of an answer that is not there


def transplant(submitted, phase):
    """submitted: a notebook node, any version 4 -> (the notebook to run, notes, flags).

    notes: {grade_id: what was unusual}; "" for the notebook as a whole. flags: sentences for the instructor.
    """
    book, notes = source_notebook(phase), {}
    theirs = [plain(cell) for cell in submitted.cells]
    released = {cell.id: cell for cell in book.cells}
    solutions = {cell.id: cell for cell in book.cells if kind(cell) == "solution"}
    stubs = {grade_id: clear(cell.source) for grade_id, cell in solutions.items()}
    taken, where = {}, {}  # grade_id -> source; position of a student's cell -> grade_id
    for grade_id, stub in stubs.items():
        source, places, note = find(grade_id, stub, theirs, stubs, where)
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
    tests = [cell.source for cell in book.cells if kind(cell) == "test"]
    book.metadata["to_define"] = {
        grade_id: sorted(name for name in names_of(stub) if "." not in name) for grade_id, stub in stubs.items()}
    book.metadata["tests_use"] = used_by(tests, list(stubs.values()))
    known = {cell.id: cell.source for cell in book.cells}
    extras = own_cells(theirs, where, book)
    cells, waiting = [], []
    for cell in book.cells:
        if cell.id in solutions:
            cell.source = taken[cell.id]
        waiting += extras.get(cell.id, [])
        if any(before.id == "imports" for before in cells):  # nobody gets between the course and its own modules
            cells, waiting = cells + waiting, []
        cells.append(cell)
    book.cells = cells + waiting + extras.get(None, [])
    sources, course = {}, {}
    for number, cell in enumerate(book.cells):
        if cell.metadata.get("own") and cell.id in known:
            course[f"own-{number}"] = known[cell.id]
        if cell.metadata.get("own"):
            cell.id = f"own-{number}"
        if cell.id in solutions or cell.metadata.get("own"):
            sources[cell.id], cell.source = cell.source, plain_python(cell.source)
    to_define = set().union(*book.metadata["to_define"].values())
    flags = suspicions(sources, course, stand_ins=to_define & stand_ins(known.values()))
    return book, notes, flags


def kind(cell):
    """"solution", "test", "locked" or "" for a cell of the course."""
    mark = cell.metadata.get("nbgrader", {})
    return "test" if mark.get("grade") else "solution" if mark.get("solution") else "locked" if mark else ""


def stand_ins(sources):
    """The names that the course's cells get from `parts.get`."""
    return {name for source in sources for name in re.findall(r"^(\w+) = parts\.get\(", source, re.MULTILINE)}


def plain(cell):
    """What is of use in a student's cell, whatever types its parts have."""
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    mark = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    return {"id": text_of(cell.get("id") or metadata.get("id")),  # Colab keeps it in the metadata
            "grade_id": text_of(mark.get("grade_id")), "source": text_of(cell.get("source")),
            "type": text_of(cell.get("cell_type"))}


def text_of(value):
    """A text, or a list of lines, as one text that can be written to any file, with Unix' ends of lines."""
    text = "".join(line for line in value if isinstance(line, str)) if isinstance(value, list) else value
    if not isinstance(text, str):
        return ""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def find(grade_id, stub, theirs, stubs, used):
    """A student's answer to one solution cell -> (source or None, the places it came from, a note or None)."""
    free = [n for n in range(len(theirs)) if n not in used]
    wanted = names_of(stub)
    marked = [n for n in free if theirs[n]["grade_id"] == grade_id]
    if len(marked) == 1:
        cell = theirs[marked[0]]
        places = joined_with_followers(marked[0], theirs, wanted)
        if places:
            return "\n".join(theirs[n]["source"] for n in places), places, "the cell was split; its parts were joined"
        if cell["type"] != "code":
            return cell["source"], marked, f"the cell was a {cell['type']} cell; it was run as code"
        return cell["source"], marked, None
    if len(marked) > 1:
        texts = [theirs[n]["source"] for n in marked]
        answered = [n for n in marked if wanted <= names_of(theirs[n]["source"])
                    and theirs[n]["source"].strip() != stub.strip()]
        if answered:
            return theirs[answered[-1]]["source"], answered[-1:], (
                f"there were {len(marked)} cells of this name; the last answered one was taken")
        if wanted <= names_of("\n".join(texts)) and not wanted <= names_of(texts[-1]):
            return "\n".join(texts), marked, "the cell was split; its parts were joined"
        return texts[-1], marked[-1:], f"there were {len(marked)} cells of this name; the last one was taken"
    same = [n for n in free if theirs[n]["id"] == grade_id]
    if same:
        return theirs[same[-1]]["source"], same, "its nbgrader mark was missing; it was found by its id"
    defines = [n for n in range(len(theirs)) if theirs[n]["type"] == "code" and wanted
               and wanted <= names_of(theirs[n]["source"])]
    answered = [n for n in defines if theirs[n]["source"].strip() != stub.strip()]
    best = [n for n in answered if n in free] or [n for n in defines if n in free] or answered
    if best:
        return theirs[best[-1]]["source"], [n for n in best[-1:] if n in free], (
            f"its nbgrader mark was missing; it was found because it defines {', '.join(sorted(wanted))}")
    return None, [], MISSING


def joined_with_followers(first, theirs, wanted):
    """The places of the cells, from `first` on, that make the whole answer, if the first alone is a part of it."""
    places = [first]
    if wanted <= names_of(theirs[first]["source"]):
        return []
    for n in range(first + 1, min(first + 8, len(theirs))):
        if theirs[n]["grade_id"]:
            return []
        if theirs[n]["type"] == "code" and theirs[n]["source"].strip():
            places.append(n)
            if wanted <= names_of("\n".join(theirs[p]["source"] for p in places)):
                return places
    return []


@functools.lru_cache(maxsize=2000)
def names_of(source):
    """The functions and classes that a cell defines, a method as "Class.method"; nothing if it is not Python."""
    try:
        tree = parsed(source)
    except ValueError:
        return frozenset()
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return frozenset(found)


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
