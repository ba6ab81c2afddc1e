"""python3 -m course update: the course's new version, with all that a learner wrote put back into it.

In a notebook, the answers are put back by their grade_id, and the learner's own cells, or changes to the course's
examples, at their places. Where the course has changed a TODO since it was answered, both versions stand side by side.
A changed notebook is kept beside the new one, as 3b_attention.mine-1.ipynb; any other file of the course that the
learner had changed is kept in before-update-1/. What lies in the folder and is not the course's is never touched.

Each file is replaced whole, and git is told last: stopped anywhere, the same command goes on from there.
"""
import argparse
import copy
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import zipfile
from pathlib import Path

import nbformat

from course import NOTEBOOKS, ROOT
from course.answers import as_released, digest, find, kind, plain
from course.files import set_aside, write
from helpers import parts

NOT_THE_COURSE = {".git", ".venv", "build", "tiny_llm", "__pycache__", ".ipynb_checkpoints"}  # in a folder with --from
PATIENCE_S = 300  # for git and the network
NOTE = """\
**The course's version of this TODO is now the one below.** It may differ from the one that you answered. Your answer
stands under it, as you wrote it: if its check passes, all is well; else take over what changed. Then delete this note.

```python
{stub}
```"""


class UpdateError(Exception):
    """One sentence: what stands in the way. Whatever was not updated is as it was."""


def main(argv):
    """Update this folder; returns 0, or 1 where that is impossible."""
    parser = argparse.ArgumentParser(prog="python3 -m course update", description="Take the course's new version.")
    parser.add_argument("--from", dest="place", metavar="PLACE", help="a zip or an unpacked folder of the new version, "
                        "where this folder was not made by git clone")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            if options.place:
                install(unpacked(Path(options.place), Path(folder)), None)
            else:
                from_git(Path(folder))
    except UpdateError as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"{problem.filename or ROOT} could not be written or read: {problem.strerror or problem}. Each file is "
              "the old one or the new one; run the same command again.", file=sys.stderr)
        return 1
    return 0


def notebook(path):
    """For Colab: write the course's version of the notebook at `path`, with its answers and own cells, beside it.

    path: the notebook on the mounted Drive, under any name. It stays as it is, for the page that shows it would
    write over any change. Raises ValueError for a file that is no notebook of the course.
    """
    path = Path(path)
    try:
        mine = nbformat.read(path, as_version=4)
    except Exception as problem:
        raise ValueError(f"{path} cannot be read as a notebook ({type(problem).__name__}).") from None
    ids = {cell.get("id") for cell in mine.cells}
    books = [nbformat.read(ROOT / "notebooks" / name / f"{name}.ipynb", as_version=4) for name in NOTEBOOKS]
    new = max(books, key=lambda book: len(ids & {cell.id for cell in book.cells}))
    if not ids & {cell.id for cell in new.cells if cell.id not in ("setup", "imports")}:
        raise ValueError(f"{path.name} is no notebook of this course: none of its cells is known.")
    if is_current(mine, new):
        print(f"{path.name} is the course's newest version already.")
        return
    book, found = merged(mine, new)
    target = next(p for n in itertools.count(1) if not (p := path.with_suffix(f".new-{n}.ipynb")).exists())
    write(target, (nbformat.writes(book) + "\n").encode())
    print(f"{target.name}, beside the old one, is the course's new version with {found.words()}.")
    for line in found.lines:
        print(line)


# Where a new version comes from ----------------------------------------------------------------------------------

def from_git(folder):
    """Fetch what this clone's branch follows, install it, and let the branch follow on."""
    if not (ROOT / ".git").exists():
        raise UpdateError("This folder was not made by `git clone`. Download the course's new version as a zip, then "
                          "name it: python3 -m course update --from FILE.zip")
    try:
        git("fetch", "--quiet")
    except UpdateError as problem:
        raise UpdateError(f"The new version could not be fetched, and nothing was changed. {problem}") from None
    head = git("rev-parse", "HEAD")
    new, base = git("rev-parse", "@{upstream}"), git("merge-base", "HEAD", "@{upstream}")
    if new == base:
        print("This is the course's newest version already.")
        return
    names = install(checkout(new, folder / "new"), checkout(base, folder / "base"))
    if head != base:  # the learner has commits: one more brings both sides together
        index = {"GIT_INDEX_FILE": str(folder / "index")}
        git("read-tree", "HEAD", **index)
        git("update-index", "--add", "--remove", "--", *names, **index)
        message = "Take the course's new version"
        new = git("commit-tree", git("write-tree", **index), "-p", "HEAD", "-p", new, "-m", message)
    git("reset", "--quiet", "--mixed", new)


def git(*words, **variables):
    """What a git command prints. Raises UpdateError with the last line of its complaint."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
                              errors="replace", timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
                              env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **variables})
    except FileNotFoundError:
        raise UpdateError("git is not installed; without it, a zip can be named: --from FILE.zip") from None
    except subprocess.TimeoutExpired:
        raise UpdateError(f"`git {words[0]}` did not answer within {PATIENCE_S} s.") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it failed ({done.returncode})"]
        reason = next((line for line in said if line.startswith("fatal:")), said[-1])
        raise UpdateError(f"`git {words[0]}` says: {reason}")
    return done.stdout.strip()


def checkout(commit, folder):
    """A commit's files, written into `folder`; returns it."""
    index = {"GIT_INDEX_FILE": f"{folder}.index"}
    git("read-tree", commit, **index)
    git("checkout-index", "--all", f"--prefix={folder.as_posix()}/", **index)
    return folder


def unpacked(place, folder):
    """The folder that holds the course in a folder or a zip, which is unpacked into `folder`."""
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            archive.extractall(folder)
        place = folder
    for found in (place, *(sorted(place.iterdir()) if place.is_dir() else [])):  # a zip holds one folder with all
        if (found / "helpers" / "checks").is_dir() and (found / "notebooks").is_dir():
            if found.resolve() == ROOT:
                raise UpdateError(f"{place} is this folder itself: name the one with the new version.")
            return found
    raise UpdateError(f"{place} is not the course: name a zip or a folder with `helpers` and `notebooks` in it.")


# Putting it in place ---------------------------------------------------------------------------------------------

def install(new, base):
    """Put the version in folder `new` here; returns the names of the files in which the course has changed.

    base: a folder with the version that this one began as, or None where nobody knows; then each file that differs
    may hold the learner's changes.
    """
    aside = Aside()
    renew_program(new, base or ROOT, aside)  # first: it asks what helpers/ was
    names = sorted(files(new) | (files(base) if base else set()), key=lambda name: (name.startswith("course/"), name))
    changed = [name for name in names if read(new / name) != (read(base / name) if base else read(ROOT / name))]
    for name in changed:  # this program's own files last
        replace(ROOT / name, name, new / name, base / name if base else None, aside)
    aside.say()
    if changed:
        print("The course is up to date. Where JupyterLab is open: close each notebook, open it again, and restart its "
              "kernel.")
    else:
        print("Nothing is new: the course is the same there as here.")
    return changed


def replace(here, name, new, base, aside):
    """Bring one file from its version `base` (None: not known) to `new`; either may be missing there."""
    mine, old, wanted = read(here), read(base) if base else None, read(new)
    if mine == wanted or wanted == old:
        return
    if wanted is None:
        if mine == old:
            here.unlink()
        return
    own = mine not in (None, old)
    if own and name.startswith("notebooks/") and name.endswith(".ipynb"):
        renew_notebook(here, wanted)
        return
    if own:
        aside.keep(here, name)
    write(here, wanted)
    shutil.copymode(new, here)


def renew_notebook(here, wanted):
    """Replace a learner's notebook by the bytes of a new one, with the learner's cells in it; says what it did."""
    new, lines = nbformat.reads(wanted.decode("utf-8"), as_version=4), []
    try:
        mine = nbformat.read(here, as_version=4)
        if is_current(mine, new):
            return
        book, found = merged(mine, new)
        words, lines = found.words(), found.lines
        content = (nbformat.writes(book) + "\n").encode("utf-8") if found.anything else wanted
    except Exception as problem:  # whatever it is, it is kept
        words, content = f"none of your cells: yours cannot be read ({type(problem).__name__})", wanted
    kept = set_aside(here)
    write(here, content)
    print(f"{here.name}: new, with {words}. As it was: {kept.name}")
    for line in lines:
        print(f"  {line}")


def renew_program(new, base, aside):
    """Bring the course's share of the learner's tiny_llm/ up to date: training/, and the last section of each file."""
    root = parts.folder()
    if (root / "training").is_dir():
        for name in sorted(files(new / "helpers" / "training") | files(base / "helpers" / "training")):
            replace(root / "training" / name, f"tiny_llm/training/{name}", new / "helpers" / "training" / name,
                    base / "helpers" / "training" / name, aside)
    parts.renew_tails(base / "helpers", new / "helpers")


class Aside:
    """The folder before-update-N/, made when the first file is kept in it."""

    def __init__(self):
        self.folder, self.names = None, []

    def keep(self, path, name):
        if self.folder is None:
            self.folder = next(p for n in itertools.count(1) if not (p := ROOT / f"before-update-{n}").exists())
        write(self.folder / name, path.read_bytes())
        self.names.append(name)

    def say(self):
        if self.names:
            few = ", ".join(self.names[:3]) + (", ..." if len(self.names) > 3 else "")
            print(f"Not as the course had released them, or older: {few}. They are new now; as they were, they lie in "
                  f"{self.folder.name}/.")


def files(folder):
    """The names of the files below a folder, with /; without what is nobody's version of the course."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")
            if path.is_file() and not NOT_THE_COURSE & set(path.relative_to(folder).parts)}


def read(path):
    """A file's bytes, or None where there is none."""
    return path.read_bytes() if path.is_file() else None


# In a notebook ---------------------------------------------------------------------------------------------------

class Found:
    """What of a learner's was found in a notebook."""

    def __init__(self):
        self.answers, self.cells, self.lines = 0, 0, []

    @property
    def anything(self):
        return bool(self.answers or self.cells)

    def words(self):
        answers = f"{self.answers} answer{'' if self.answers == 1 else 's'}"
        return f"{answers} and {self.cells} other cell{'' if self.cells == 1 else 's'} of yours"


def is_current(mine, new):
    """Whether a notebook has all cells of the new one, as they are there but for what a learner wrote into them."""
    def stamps(book):  # an id or a checksum is made from a cell's text as it was released
        return {(cell.get("id"), cell.metadata.get("nbgrader", {}).get("checksum")) for cell in book.cells}

    return stamps(new) <= stamps(mine)


def merged(mine, new):
    """A notebook like `new` with what a learner wrote in `mine`, and what that was: (notebook, Found)."""
    book, found = copy.deepcopy(new), Found()
    theirs = [plain(cell) for cell in mine.cells]
    solutions = {cell.id: cell for cell in book.cells if kind(cell) == "solution"}
    where, notes = {}, {}  # position of a learner's cell -> grade_id; grade_id -> the note that belongs above it
    for grade_id, cell in solutions.items():
        source, places, _ = find(grade_id, cell.source, theirs, where)
        where.update(dict.fromkeys(places, grade_id))
        untouched = len(places) == 1 and as_released(mine.cells[places[0]])
        if source is None or untouched or source.strip() == cell.source.strip():
            continue
        found.answers += 1
        began_as = {mine.cells[place].metadata.get("nbgrader", {}).get("checksum") for place in places}
        if began_as - {None} != {cell.metadata.nbgrader.checksum}:
            text = NOTE.format(stub=cell.source)
            notes[grade_id] = nbformat.v4.new_markdown_cell(text, id=f"note-{digest(text)}")
            found.lines.append(f"TODO {grade_id[5:]} may have changed since you answered it: you find both versions.")
        cell.source = source
    before = own_cells(mine, book, where, notes, found)
    book.cells = [each for cell in book.cells
                  for each in (*before.get(cell.id, []), *([notes[cell.id]] if cell.id in notes else []), cell)]
    book.cells += before.get(None, [])
    return book, found


def own_cells(mine, book, where, notes, found):
    """{id of the cell in `book` before which they belong: [the learner's own cells]}; None for the end.

    An example or a text of the course that the learner changed takes its place in `book` at once.
    """
    places = {cell.id: n for n, cell in enumerate(book.cells)}
    lost = {cell.id for cell in book.cells} - {cell.get("id") for cell in mine.cells}  # as in files of nbformat 4.4
    by_text = {cell.source.strip(): cell.id for cell in book.cells if cell.id in lost and not kind(cell)}
    before, waiting, changed = {}, [], []
    for place, cell in enumerate(mine.cells):
        grade_id, anchor = cell.metadata.get("nbgrader", {}).get("grade_id"), where.get(place)
        second = anchor is None and kind(cell) == "solution" and not as_released(cell)  # another answer was taken
        if anchor is None and grade_id in places and not second:
            anchor = grade_id
            if not as_released(cell):
                changed.append(grade_id)
        elif anchor is None and cell.get("id") in places and not second:
            anchor = cell.id
            if not as_released(cell):
                book.cells[places[anchor]] = own(cell)
                found.cells += 1
        elif anchor is None and as_released(cell):
            continue  # the course's, of an older version
        elif anchor is None:
            anchor = by_text.get(cell.source.strip())
        if anchor:
            before.setdefault(anchor, []).extend(
                each for each in waiting if not (anchor in notes and each.id.startswith("note-")))
            waiting = []
        elif cell.source.strip():
            waiting.append(own(cell))
            found.cells += not waiting[-1].id.startswith("note-")
    before[None] = waiting
    if changed:
        found.lines.append(f"Cells of the course that you had changed are the course's again: {', '.join(changed)}.")
    return before


def own(cell):
    """A learner's cell without outputs and without the course's marks."""
    kept = copy.deepcopy(cell)
    for mark in ("nbgrader", "deletable", "editable"):
        kept.metadata.pop(mark, None)
    if "id" not in kept or kept.id == cell.metadata.get("nbgrader", {}).get("grade_id"):
        kept.id = f"own-{uuid.uuid4().hex[:8]}"  # the course's cell keeps the other
    if kept.cell_type == "code":
        kept.outputs, kept.execution_count = [], None
    return kept
