"""python3 -m course build: notebooks/ from source/.

A source is one .py in jupytext's percent format. Its cells' short headers

    # %% todo="10-11"            a solution cell, with ### BEGIN SOLUTION 10 ... ### END SOLUTION inside
    # %% test="11" points=6      a graded test cell, with ### BEGIN HIDDEN TESTS ... ### END HIDDEN TESTS inside
    # %% locked="imports"        read-only code

become nbgrader's metadata, with the cell's id equal to its grade_id. The links under the title and the first code
cell are added here, the same in every notebook. nbgrader's own generate_assignment then makes the learner's notebook.
Same input, same bytes: `--check` and the tests compare them.
"""
import argparse
import copy
import functools
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from course import NOTEBOOKS, ROOT
from course.answers import digest
from course.files import same_bytes, set_aside, write

SOURCE_NOTEBOOKS = ROOT / "build" / "source"
SETUP_CELL = """\
# Finds the course, in a folder above this notebook. Colab opens a notebook alone: there, the rest is fetched first.
import pathlib, subprocess, sys

folders = [pathlib.Path("/content/tinyllm"), pathlib.Path.cwd(), *pathlib.Path.cwd().parents]
if "google.colab" in sys.modules and not (folders[0] / "helpers").is_dir():
    failed, said = subprocess.getstatusoutput(f"git clone --depth=1 {address} {folders[0]}")
    if failed:
        raise ImportError(f"The course could not be fetched ({said.splitlines()[-1]}). Run this cell again later.")
sys.path[:0] = [str(folder) for folder in folders if (folder / "helpers" / "checks").is_dir()][:1]
import helpers  # not found? This notebook belongs inside the course's folder: see its README.md

# On Colab everything is gone when the session ends. To keep what you finish, mount your Drive (the folder symbol on
# the left), then write this line into a new cell below:  %env TINYLLM_PARTS=/content/drive/MyDrive/tinyllm
"""
KINDS = {  # short header -> (grade_id's prefix, nbgrader's grade, solution, locked)
    "todo": ("todo-", False, True, False),
    "test": ("test-", True, False, True),
    "locked": ("", False, False, True),
}


class BuildError(Exception):
    """One sentence: which source, which cell, what is wrong with it."""


def main(argv):
    """Build, or with --check compare; returns 0, or 1 when something differs or a source is wrong."""
    parser = argparse.ArgumentParser(prog="python3 -m course build", description="Make notebooks/ from source/.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if notebooks/ is out of date")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            released = release(Path(folder))
            return check(released) if options.check else install(released)
    except BuildError as problem:
        print(problem, file=sys.stderr)
        return 1


def check(released):
    """Print each notebook that differs from what its source makes."""
    stale = [phase for phase, made in released.items() if not same_bytes(made, notebook_path(phase))]
    for phase in stale:
        print(f"notebooks/{phase}/{phase}.ipynb is not what source/{phase}/{phase}.py makes.", file=sys.stderr)
    if stale:
        print("Run `python3 -m course build` (a notebook with answers is set aside, not lost).", file=sys.stderr)
    return 1 if stale else 0


def install(released):
    """Put the new notebooks in place, setting aside those that hold somebody's work."""
    for phase, made in released.items():
        target = notebook_path(phase)
        if same_bytes(made, target):
            continue
        if target.is_file() and holds_work(target):
            print(f"{target.relative_to(ROOT)} holds answers: kept as {set_aside(target).name}.")
        write(target, made.read_bytes())
        print(f"{target.relative_to(ROOT)}: new")
    return 0


def release(folder):
    """Build every phase into `folder`; returns {phase: path of the learner's notebook}.

    The source notebooks, with their solutions, are written to build/source/ on the way.
    """
    for phase in NOTEBOOKS:
        text = nbformat.writes(source_notebook(phase)) + "\n"
        write(SOURCE_NOTEBOOKS / phase / f"{phase}.ipynb", text.encode("utf-8"))
    api = nbgrader_api(release_directory=str(folder))
    for phase in NOTEBOOKS:
        outcome = api.generate_assignment(phase, force=True, create=True)
        if not outcome["success"]:
            raise BuildError(f"source/{phase}: nbgrader refuses it:\n{outcome.get('log') or outcome.get('error')}")
    return {phase: folder / phase / f"{phase}.ipynb" for phase in NOTEBOOKS}


def nbgrader_api(**directories):
    """nbgrader with nbgrader_config.py's settings; `directories` override the course's folders."""
    config = PyFileConfigLoader(str(ROOT / "nbgrader_config.py")).load_config()
    config.CourseDirectory.update(Config({"root": str(ROOT), **directories}))
    config.GenerateAssignment.no_database = True
    config.SaveCells.enabled = False
    config.NbGraderAPI.log_level = config.Application.log_level = "ERROR"
    return NbGraderAPI(config=config)


def source_notebook(phase):
    """The phase's notebook with solutions and hidden tests, as nbgrader's source version."""
    text = (ROOT / "source" / phase / f"{phase}.py").read_text(encoding="utf-8")
    return copy.deepcopy(made_of(text, phase, repository()))


@functools.cache
def made_of(text, phase, address):
    """The notebook that a source's text makes; read once, for grading a class asks hundreds of times."""
    header, *others = jupytext.reads(text, fmt="py:percent").cells
    header.source = with_links(header.source, phase, address)
    setup = nbformat.v4.new_code_cell(SETUP_CELL.strip().replace("{address}", address), metadata={"locked": "setup"})
    cells = [expand(cell, f"{phase}.py") for cell in (header, setup, *others)]
    number_repeats(cells)
    return nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )


def expand(cell, where):
    """The cell with nbgrader's full metadata and an id that is the same on every build."""
    given = dict(cell.metadata)
    kind = next((k for k in KINDS if k in given), None)
    make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    if kind is None:
        return make(cell.source, id=f"{'code' if cell.cell_type == 'code' else 'text'}-{digest(cell.source)}",
                    metadata=given)
    prefix, grade, solution, locked = KINDS[kind]
    grade_id = prefix + str(given[kind])
    nbgrader = {
        "schema_version": 3, "cell_type": "code", "grade_id": grade_id,
        "grade": grade, "solution": solution, "locked": locked, "task": False,
    }
    if kind == "todo":
        regions = re.findall(r"### BEGIN SOLUTION(?: (\d+))?$", cell.source, re.MULTILINE)
        if not set(regions) or set(regions) != {str(n) for n in todo_numbers(given[kind])}:
            raise BuildError(f"{where}, cell todo={given[kind]!r}: its solution regions are numbered {regions}.")
    if kind == "test":
        if not isinstance(given.get("points"), int):
            raise BuildError(f"{where}, cell test={given[kind]!r}: it needs points=N.")
        nbgrader["points"] = given["points"]
    return make(cell.source, id=grade_id, metadata={"nbgrader": nbgrader})


def todo_numbers(name):
    """The TODOs a solution cell holds: "10-11" -> [10, 11]."""
    first, _, last = str(name).partition("-")
    return list(range(int(first), int(last or first) + 1))


def number_repeats(cells):
    """Give a second cell with the same text an id of its own."""
    seen = {}
    for cell in cells:
        seen[cell.id] = seen.get(cell.id, 0) + 1
        if seen[cell.id] > 1:
            cell.id = f"{cell.id}-{seen[cell.id]}"


def repository():
    """The course's public address, from pyproject.toml's [project.urls]."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^Repository = "(.+?)/?"$', text, re.MULTILINE).group(1)


def with_links(header, phase, address):
    """The header cell with links to Colab and Binder under its title: words, for a badge would be loaded from afar."""
    notebook = f"notebooks/{phase}/{phase}.ipynb"
    on_github = address.removeprefix("https://github.com/")
    links = (
        f"[Open in Colab](https://colab.research.google.com/github/{on_github}/blob/main/{notebook}) \u00b7 "
        f"[Open on Binder](https://mybinder.org/v2/gh/{on_github}/main?urlpath=lab/tree/{notebook})"
    )
    title, _, rest = header.partition("\n")
    return f"{title}\n\n{links}\n{rest}"


def holds_work(path):
    """Whether a notebook has outputs or an answered TODO: then it is somebody's, and never simply overwritten."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception:  # unreadable: keep it
        return True
    code = [cell for cell in cells if cell.cell_type == "code"]
    todos = [cell for cell in code if cell.metadata.get("nbgrader", {}).get("solution")]
    answered = any("NotImplementedError" not in cell.source for cell in todos)
    return answered or any(cell.get("outputs") or cell.get("execution_count") for cell in code)


def notebook_path(phase):
    """Where the learner's notebook lies."""
    return ROOT / "notebooks" / phase / f"{phase}.ipynb"
