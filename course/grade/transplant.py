"""A student's answers, put into the notebook as it was released, whatever happened to the student's copy of it.

Only what a student wrote is taken: the solution cells, found by their grade_id or, where that is lost, by their id or
by the names they define; and the student's own extra cells. Tests, points and everything else come from the source.
What was not as it should be is said in `notes`; what a person should look at, in `flags`.
"""
import re

import nbformat

from course.answers import find, kind, names_of, plain
from course.build import source_notebook
from course.grade.suspicions import suspicions
from course.grade.watch import used_by
from course.magics import plain_python
from course.stubs import clear


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
        source, places, note = find(grade_id, stub, theirs, where)
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
    book.metadata["lent"] = sorted(to_define & stand_ins(known.values()))
    flags = suspicions(sources, course, stand_ins=book.metadata["lent"])
    return book, notes, flags


def stand_ins(sources):
    """The names that the course's cells get from `parts.get`."""
    return {name for source in sources for name in re.findall(r"^(\w+) = parts\.get\(", source, re.MULTILINE)}


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
