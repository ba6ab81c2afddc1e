"""python3 -m course reset TODO 11: one TODO as it was released, all else in the notebook as it is.

Of a cell that holds several TODOs only the function or method that belongs to this one goes back. The notebook as it
was is kept beside it, as 3b_attention.mine-1.ipynb.
"""
import argparse
import ast
import re
import sys

import nbformat

from course import PHASES, build
from course.answers import find, kind, plain
from course.files import set_aside, write
from course.magics import parse, plain_python
from course.stubs import clear


class ResetError(Exception):
    """One sentence: why the TODO cannot go back. Nothing was changed then."""


def main(argv):
    """Give one TODO back; returns 0, or 1 where that is impossible."""
    parser = argparse.ArgumentParser(prog="python3 -m course reset", usage="%(prog)s TODO N",
                                     description="Give one TODO back as it was released.")
    parser.add_argument("words", nargs="+", metavar="TODO N", help="the TODO's number; 10-11 for a cell with both")
    words = "".join(parser.parse_args(argv).words)
    asked = re.fullmatch(r"(?:TODOS?-?)?(\d+(?:-\d+)?)", words, re.IGNORECASE)
    if not asked:
        parser.error(f"{' '.join(argv)!r} names no TODO: write, for example, TODO 11")
    try:
        print(reset(asked[1]))
    except (ResetError, build.BuildError) as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"{problem.filename} could not be read or written, and nothing was changed: {problem.strerror}.",
              file=sys.stderr)
        return 1
    return 0


def reset(name):
    """name: "11", or "10-11" for both -> the sentence that says what was done. Raises ResetError."""
    asked = set(build.todo_numbers(name))
    phase, grade_id, stubs = released(asked, name)
    path = build.notebook_path(phase)
    try:
        mine = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise ResetError(f"There is no {path}: `git checkout notebooks/{phase}` brings it back.") from None
    except Exception as problem:
        raise ResetError(f"{path} cannot be read as a notebook ({type(problem).__name__}).") from None
    theirs, found, used = [plain(cell) for cell in mine.cells], {}, set()
    for each, stub in stubs.items():  # all of them: a cell that lost its mark must not be taken for another
        source, places, _ = found[each] = find(each, stub, theirs, used)
        used |= set(places)
    source, places, _ = found[grade_id]
    if not places:
        raise ResetError(f"{path.name} has no cell for TODO {name} any more: `course reset` cannot tell where it was. "
                         "Take it from a new copy of the course.")
    whole = asked == set(build.todo_numbers(grade_id[5:]))
    wanted = stubs[grade_id] if whole else with_functions(source, stubs[grade_id], asked, grade_id)
    if wanted.strip() == source.strip():
        return f"TODO {name} in {path.name} is as it was released: nothing to do."
    cell = mine.cells[places[0]]
    mine.cells[places[0]] = nbformat.v4.new_code_cell(
        wanted.rstrip("\n"), id=cell.get("id", grade_id), metadata=cell.metadata)
    mine.cells = [each for n, each in enumerate(mine.cells) if n not in places[1:]]
    kept = set_aside(path)
    write(path, (nbformat.writes(mine) + "\n").encode("utf-8"))
    return (f"TODO {name} in {path.name} is as it was released. As you had it: {kept.name}, in the same folder. If the "
            "notebook is open, choose File, Reload Notebook from Disk.")


def released(asked, name):
    """(phase, grade_id of the cell that holds the TODOs asked for, {grade_id: stub} of that phase)."""
    for phase in PHASES:
        stubs = {cell.id: clear(cell.source) for cell in build.source_notebook(phase).cells if kind(cell) == "solution"}
        for grade_id in stubs:
            if asked and asked <= set(build.todo_numbers(grade_id[5:])):
                return phase, grade_id, stubs
    raise ResetError(f"There is no TODO {name}, at least not in one cell: they are 1 to 31.")


def with_functions(source, stub, asked, grade_id):
    """A learner's cell in which the functions that belong to the TODOs asked for are those of the stub."""
    names, lines = functions(stub), stub.splitlines()
    texts = {name: lines[first:last] for name, (first, last) in names.items()}
    texts = {name: text for name, text in texts.items()
             if any(f'NotImplementedError("TODO {todo}")' in "\n".join(text) for todo in asked)}
    mine, lines = functions(source), source.splitlines()
    if not texts.keys() <= mine.keys():
        raise ResetError(f"{', '.join(texts)} cannot be found in your cell: it does not define it, or is not Python as "
                         f"it stands. `python3 -m course reset TODO {grade_id[5:]}` gives the whole cell back.")
    for name in sorted(texts, key=mine.get, reverse=True):  # from below, so that the lines above keep their numbers
        first, last = mine[name]
        lines[first:last] = texts[name]
    return "\n".join(lines)


def functions(source):
    """{"Class.method" or "function": (its first line, the line behind it)}, counted from 0; none if not Python."""
    python = plain_python(source)
    try:
        tree = parse(python)
    except ValueError:
        return {}
    if python.count("\n") != source.count("\n"):  # a long line of IPython's own became a short one
        return {}
    found = {}
    for node in tree.body:
        parts = [(f"{node.name}.", part) for part in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        for prefix, part in parts:
            if isinstance(part, ast.FunctionDef):
                first = min([part.lineno, *(decorator.lineno for decorator in part.decorator_list)])
                found[prefix + part.name] = (first - 1, part.end_lineno)
    return found
