"""Every notebook of the course, mangled in every way that loses no answer: the answers are found, and nothing else."""
import ast
import copy

import nbformat
import pytest

from course import PHASES, build
from course.answers import kind
from course.grade.transplant import transplant
from course.magics import parsed, plain_python
from course.stubs import clear

ALL = range(1, 32)


def solved(phase):
    """The released notebook with all its answers, and {grade_id: answer}."""
    book = nbformat.read(build.notebook_path(phase), as_version=4)
    answers = {cell.id: clear(cell.source, keep=ALL) for cell in build.source_notebook(phase).cells
               if kind(cell) == "solution"}
    for cell in book.cells:
        cell.source = answers.get(cell.id, cell.source)
    return book, answers


def split(book, place, marked):
    """The cell in two, between two of its methods or functions, as JupyterLab's Split Cell does it."""
    lines = book.cells[place].source.split("\n")
    body = ast.parse(book.cells[place].source).body
    parts = [part for one in body for part in (one.body if isinstance(one, ast.ClassDef) else [one])
             if isinstance(part, ast.FunctionDef)]
    if len(parts) > 1:
        last = min([parts[-1].lineno, *(one.lineno for one in parts[-1].decorator_list)])
        rest = nbformat.v4.new_code_cell("\n".join(lines[last - 1:]), metadata=copy.deepcopy(
            book.cells[place].metadata) if marked else {})
        book.cells[place].source = "\n".join(lines[: last - 1])
        book.cells[place + 1: place + 1] = [rest] if marked else [nbformat.v4.new_markdown_cell("## A note"), rest]


def copied(book, place):
    again = nbformat.from_dict(copy.deepcopy(book.cells[place]))
    again.id = "again"
    phase = next(p for p in PHASES if any(c.id == book.cells[place].id for c in build.source_notebook(p).cells))
    book.cells[place].source = clear(
        next(c.source for c in build.source_notebook(phase).cells if c.id == book.cells[place].id))
    book.cells.insert(place + 1, again)


def unmarked(book, place):
    book.cells[place].metadata = {}


def nameless(book, place):
    book.cells[place].metadata, book.cells[place].id = {}, "lost"


def pasted_over(book, place):
    """The answer stands in a copy of another answer's cell, and its own cell is gone."""
    others = [cell for cell in book.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    other = next((cell for cell in others if cell.id != book.cells[place].id), None)
    if other:
        book.cells[place].metadata, book.cells[place].id = copy.deepcopy(other.metadata), "pasted"


def merged(book, place):
    """The answer stands in the cell of another answer, below that."""
    before = next((cell for cell in book.cells[:place] if cell.metadata.get("nbgrader", {}).get("solution")), None)
    if before:
        before.source += "\n\n\n" + book.cells[place].source
        del book.cells[place]


WAYS = {"copied": copied, "unmarked": unmarked, "nameless": nameless, "pasted over": pasted_over, "merged": merged,
        "split, marked": lambda book, place: split(book, place, True),
        "split, plain": lambda book, place: split(book, place, False)}


def functions(sources):
    """{name of a function or class at the top: its code, comments apart}; the last one counts."""
    return {node.name: ast.unparse(node) for source in sources for node in parsed(source).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


@pytest.mark.parametrize("phase", PHASES)
def test_each_answer_is_found(phase):
    whole, answers = solved(phase)
    for grade_id, answer in answers.items():
        for way, mangle in WAYS.items():
            book = nbformat.from_dict(copy.deepcopy(whole))
            mangle(book, next(n for n, cell in enumerate(book.cells) if cell.id == grade_id))
            run, notes, flags = transplant(book, phase)
            found = functions(cell.source for cell in run.cells if cell.id in answers)
            assert functions([answer]).items() <= found.items(), (way, grade_id, notes)
            assert not flags
            tests = {cell.id: cell.source for cell in build.source_notebook(phase).cells if kind(cell) == "test"}
            assert {cell.id: cell.source for cell in run.cells if kind(cell) == "test"} == tests


@pytest.mark.parametrize("written, runs", [
    ("x = (7\n  % 4)", "x = (7\n  % 4)"),
    ("!pip install x\ny = (7\n  % 4)", "pass  # not run while grading: !pip install x\ny = (7\n  % 4)"),
    ("%%script false\nwhile True:\n    pass", "# not run while grading: %%script false\n"
     "# not run while grading: while True:\n# not run while grading:     pass"),
    ("%%time\nx = 1", "pass  # not run while grading: %%time\nx = 1"),
    ("%time x = 1\n", "x = 1\n"),
    ("x = !ls\n", "pass  # not run while grading: x = !ls\n"),
    ("torch.softmax?\nx = 1", "pass  # not run while grading: torch.softmax?\nx = 1"),
    ("if x:\n    %timeit f()\n", "if x:\n    pass  # not run while grading: %timeit f()\n"),
    ("'''\n% not a command\n!nor this\n'''", "'''\n% not a command\n!nor this\n'''"),
    ("def f(:", "def f(:"),
])
def test_lines_that_are_not_python(written, runs):
    assert plain_python(written) == runs


def test_a_cell_of_the_course_that_was_played_with_is_no_reason_to_look():
    """Changing a number in a cell that uses parts.get raises no flag; asking it for the answer does."""
    book, _ = solved("3b_attention")
    played = next(cell for cell in book.cells if "parts.get(" in cell.source and not cell.metadata.get("nbgrader"))
    played.source += "\nprint(3)"
    assert transplant(book, "3b_attention")[2] == []
    played.source += '\nSelfAttention = parts.get("SelfAttention")'
    assert "parts.get('SelfAttention')" in " ".join(transplant(book, "3b_attention")[2])


def test_the_stand_in_may_be_played_with_but_not_kept():
    book, _ = solved("4_model")
    first = next(n for n, cell in enumerate(book.cells) if cell.id == "imports") + 3
    book.cells.insert(first, nbformat.v4.new_code_cell("mask = causal_mask(4)\nchecks.todo_21(causal_mask)"))
    assert transplant(book, "4_model")[2] == []
    book.cells[first].source = "lent = [causal_mask]"
    assert "(causal_mask)" in " ".join(transplant(book, "4_model")[2])
