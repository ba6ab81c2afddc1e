"""A new version of the course, and one TODO given back: whatever a learner wrote is there afterwards."""
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from anywhere import places
from nbgrader.utils import compute_checksum

from course import NOTEBOOKS, answers

PHASE = "3b_attention"
BOOK = f"notebooks/{PHASE}/{PHASE}.ipynb"
IDENTITY = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
RUN = "import sys; from course import {0}; sys.exit({0}.main(sys.argv[1:]))"


def variables(**more):
    return places.variables(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", **more)


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, env=variables(**IDENTITY), capture_output=True, text=True,
                          check=True).stdout.strip()


def run(folder, *arguments, command="update", code=RUN, **more):
    """A command of the course that lies in `folder`, as the front desk starts it."""
    return subprocess.run([sys.executable, "-c", code.format(command), *map(str, arguments)], cwd=folder,
                          env=variables(**more), capture_output=True, text=True, timeout=120)


def read(path):
    return nbformat.read(path, as_version=4)


def write(path, book):
    path.write_text(nbformat.writes(book) + "\n", encoding="utf-8")


def cell(book, id_):
    return next(each for each in book.cells if each.id == id_)


def sources(book):
    return [each.source for each in book.cells]


def examples(book):
    """The course's examples: code cells without a mark."""
    return [each for each in book.cells if each.cell_type == "code" and re.match(r"code-[0-9a-f]{8}", each.id)]


def retell(each, source):
    """Change a cell as the course does: its id, or its checksum, follows its text."""
    each.source = source
    if each.metadata.get("nbgrader"):
        each.metadata.nbgrader.checksum = compute_checksum(each)
    else:
        each.id = f"{each.id.partition('-')[0]}-{answers.digest(source)}"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The course, without what no test here needs, as a git repository."""
    folder = tmp_path_factory.mktemp("published") / "tinyllm"
    places.files_of_the_course(folder)
    for name in ("source", "data"):
        shutil.rmtree(folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def status(folder):
    return {line.strip() for line in git(folder, "status", "--porcelain").splitlines()}


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A version")


def new_version(folder, number=2):
    """What authors do between two versions, committed."""
    book = read(folder / BOOK)
    retell(book.cells[2 + number], f"# version {number}\n" + book.cells[2 + number].source)
    retell(examples(book)[0], f"# version {number}\n" + examples(book)[0].source)
    stub = cell(book, "todo-10-11")
    retell(stub, stub.source.replace("Self-attention with one head.", f"Self-attention, version {number}."))
    retell(cell(book, "imports"), cell(book, "imports").source + f"\nversion = {number}")
    where = next(n for n, each in enumerate(book.cells) if each.id == "test-10")
    book.cells.insert(where, nbformat.v4.new_markdown_cell(f"Version {number} begins here."))
    retell(book.cells[where], book.cells[where].source)
    write(folder / BOOK, book)
    for name in ("helpers/plots/base.py", "helpers/training/presets.py", "course/lab.py"):
        append(folder / name, f"# version {number}\n")
    tail = folder / "helpers" / "tails" / "train.py"
    text = tail.read_text(encoding="utf-8").replace('"""Train on a text', f'"""Version {number}: train on a text')
    tail.write_text(text, encoding="utf-8")
    (folder / "docs" / f"version_{number}.md").write_text("new\n")
    if number == 2:
        (folder / "docs" / "training.md").unlink()
    commit(folder)


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


MINE_11 = '        q, k = self.q_proj(x), self.k_proj(x)  # mine: "\u00fc\u4eba"\n'


def write_work(folder):
    """What a learner does in a week."""
    book = read(folder / BOOK)
    stub = cell(book, "todo-10-11")
    stub.source = stub.source.replace('        raise NotImplementedError("TODO 10")\n', "        self.mine_10 = 1\n")
    stub.source = stub.source.replace('        raise NotImplementedError("TODO 11")', MINE_11.rstrip())
    stub = cell(book, "todo-12-13")
    stub.source = stub.source.replace('raise NotImplementedError("TODO 12")', "self.mine_12 = 1")
    first, second = examples(book)[:2]
    first.source += "\nprint('played with the first')"
    second.source += "\nprint('played with the second')"
    second.outputs = [nbformat.v4.new_output("stream", text="much output\n")]
    text = next(each for each in book.cells if each.cell_type == "markdown" and each.id != book.cells[0].id
                and "softmax" in each.source and "##" in each.source)
    text.source += "\n\nMy own remark in the course's text."
    at = book.cells.index(second)
    book.cells[at + 1:at + 1] = [
        nbformat.v4.new_code_cell("my_own = 1", id="3f2a-own-code"),
        nbformat.v4.new_markdown_cell("My own **words** \u00fc.", id="77aa-own-text",
                                      attachments={"image.png": {"image/png": "aGk="}})]
    book.cells.append(nbformat.v4.new_code_cell("my_last = 2", id="99-last"))
    write(folder / BOOK, book)
    append(folder / "helpers" / "plots" / "base.py", "# my colours\n")  # the course changes this file too
    append(folder / "helpers" / "data.py", "# my source of texts\n")  # and this one not
    (folder / "notes.txt").write_text("mine")
    (folder / "notebooks" / PHASE / "play.ipynb").write_text("{}")
    program = folder / "tiny_llm"
    shutil.copytree(folder / "helpers" / "training", program / "training")
    tail = (folder / "helpers" / "tails" / "train.py").read_text(encoding="utf-8")
    (program / "train.py").write_text("my_lines = 1\n\n\n" + tail[tail.index("# ----"):], encoding="utf-8")
    append(program / "training" / "session.py", "# my own, and the course does not change it\n")


@pytest.fixture
def learner(published, tmp_path):
    """(the published course, a learner's clone with a week of work in it), in a folder whose name needs care."""
    theirs, mine = tmp_path / "published", tmp_path / "Mein Kurs \u00fc" / "tinyllm"
    shutil.copytree(published, theirs)
    git(tmp_path, "clone", "--quiet", theirs, mine)
    write_work(mine)
    return theirs, mine


def assert_work_is_there(book, notes=1):
    """All that `write_work` wrote into the notebook, at its places in the version that is there now."""
    text = sources(book)
    assert MINE_11.strip() in cell(book, "todo-10-11").source and "self.mine_10 = 1" in cell(book, "todo-10-11").source
    assert "self.mine_12 = 1" in cell(book, "todo-12-13").source
    assert 'raise NotImplementedError("TODO 13")' in cell(book, "todo-12-13").source
    assert sum("played with the first" in each for each in text) == 1
    assert sum("played with the second" in each for each in text) == 1
    assert sum("My own remark in the course's text." in each for each in text) == 1
    at = text.index("my_own = 1")
    assert "played with the second" in text[at - 1] and text[at + 1] == "My own **words** \u00fc."
    assert book.cells[at + 1].attachments["image.png"]["image/png"] == "aGk="
    assert text[-1] == "my_last = 2"
    assert len({each.id for each in book.cells}) == len(book.cells)
    if notes is not None:
        assert sum(each.startswith("**The course's version of this TODO") for each in text) == notes
    nbformat.validate(book)


def assert_is_version(book, released):
    """The course's part of a learner's notebook is that of the released one, in its order."""
    ids = [each.id for each in released.cells]
    assert [each.id for each in book.cells if each.id in ids] == ids
    for each in released.cells:
        if answers.kind(each) != "solution" and "played" not in cell(book, each.id).source:
            assert cell(book, each.id).source.startswith(each.source)
        assert cell(book, each.id).metadata == each.metadata


def test_a_new_version_brings_all_work_along(learner):
    theirs, mine = learner
    before, old = (mine / BOOK).read_bytes(), (mine / "helpers" / "plots" / "base.py").read_bytes()
    new_version(theirs)
    outcome = run(mine)
    assert outcome.returncode == 0 and outcome.stderr == "", outcome.stderr
    book, released = read(mine / BOOK), read(theirs / BOOK)
    assert_work_is_there(book)
    assert_is_version(book, released)
    at = book.cells.index(cell(book, "todo-10-11"))
    assert cell(released, "todo-10-11").source in book.cells[at - 1].source, "both versions, side by side"
    assert (mine / "notebooks" / PHASE / f"{PHASE}.mine-1.ipynb").read_bytes() == before
    assert (f"{PHASE}.ipynb: new, with 2 answers and 6 other cells of yours. As it was: {PHASE}.mine-1.ipynb"
            in outcome.stdout)
    assert "TODO 10-11 may have changed" in outcome.stdout and "TODO 12-13" not in outcome.stdout
    # What is no notebook
    plots = "helpers/plots/base.py"
    assert (mine / plots).read_bytes() == (theirs / plots).read_bytes()
    assert (mine / "before-update-1" / plots).read_bytes() == old
    assert f"{plots}. They are new now; as they were, they lie in before-update-1/." in outcome.stdout
    assert (mine / "helpers" / "data.py").read_text(encoding="utf-8").endswith("# my source of texts\n")
    assert (mine / "notes.txt").read_text() == "mine" and (mine / "notebooks" / PHASE / "play.ipynb").exists()
    assert (mine / "docs" / "version_2.md").exists() and not (mine / "docs" / "training.md").exists()
    # The learner's program
    program = mine / "tiny_llm"
    assert (program / "training" / "presets.py").read_text(encoding="utf-8").endswith("# version 2\n")
    assert (program / "training" / "session.py").read_text(encoding="utf-8").endswith("the course does not change it\n")
    text = (program / "train.py").read_text(encoding="utf-8")
    assert text.startswith("my_lines = 1\n") and text.count("def main") == 1 and '"""Version 2: train on' in text
    # And git: the new version, with the learner's changes as before
    assert git(mine, "rev-parse", "HEAD") == git(theirs, "rev-parse", "HEAD")
    assert status(mine) == {f"M {BOOK}", "M helpers/data.py", "?? notes.txt", f"?? notebooks/{PHASE}/play.ipynb"}
    again = run(mine)
    assert again.returncode == 0 and again.stdout == "This is the course's newest version already.\n"
    assert read(mine / BOOK) == book


def test_learners_who_commit(learner):
    """Their history and the course's come together, again and again, and work that was not committed stays."""
    theirs, mine = learner
    git(mine, "commit", "--quiet", "--all", "--message", "My week")
    first = git(mine, "rev-parse", "HEAD")
    append(mine / "helpers" / "data.py", "# not committed\n")
    for number in (2, 3):
        new_version(theirs, number)
        outcome = run(mine, **IDENTITY)
        assert outcome.returncode == 0, outcome.stderr
        assert git(mine, "rev-list", "--parents", "-1", "HEAD").split()[2] == git(theirs, "rev-parse", "HEAD")
        git(mine, "merge-base", "--is-ancestor", first, "HEAD")
        book = read(mine / BOOK)
        assert_work_is_there(book)
        assert_is_version(book, read(theirs / BOOK))
        assert status(mine) == {"M helpers/data.py", "?? notes.txt", f"?? notebooks/{PHASE}/play.ipynb"}
    assert (mine / "docs" / "version_2.md").exists() and (mine / "docs" / "version_3.md").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_version_from_a_zip_or_a_folder(learner, tmp_path, zipped):
    """Without git nobody knows which files the learner changed: each that differs is kept."""
    theirs, mine = learner
    shutil.rmtree(mine / ".git")
    new_version(theirs)
    place = theirs
    if zipped:
        place = tmp_path / "tinyllm-main.zip"
        with zipfile.ZipFile(place, "w") as archive:
            for path in sorted(theirs.rglob("*")):
                if path.is_file() and ".git" not in path.parts:
                    archive.write(path, Path("tinyllm-main") / path.relative_to(theirs))
    outcome = run(mine, "--from", place)
    assert outcome.returncode == 0 and outcome.stderr == "", outcome.stderr
    assert_work_is_there(read(mine / BOOK))
    assert_is_version(read(mine / BOOK), read(theirs / BOOK))
    kept = {path.relative_to(mine / "before-update-1").as_posix() for path in (mine / "before-update-1").rglob("*.py")}
    assert kept == {"helpers/plots/base.py", "helpers/data.py", "helpers/tails/train.py", "helpers/training/presets.py",
                    "course/lab.py"}
    assert "does not change it" in (mine / "tiny_llm" / "training" / "session.py").read_text(encoding="utf-8")
    assert (mine / "tiny_llm" / "training" / "presets.py").read_text(encoding="utf-8").endswith("# version 2\n")
    book = (mine / BOOK).read_bytes()
    assert run(mine, "--from", place).returncode == 0
    assert (mine / BOOK).read_bytes() == book and len(list(mine.glob("before-update-*"))) == 1


KILLED = """
import os, signal, sys
from course import update
left, real_replace, real_git = int(sys.argv[1]), os.replace, update.git

def passed_one():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def replace(*paths):
    passed_one()
    real_replace(*paths)

def git(*words, **variables):
    passed_one()
    return real_git(*words, **variables)

os.replace, update.git = replace, git
sys.exit(update.main([]))
"""


def test_killed_at_any_moment(published, tmp_path):
    """SIGKILL before each file is put in place, and before each step of git: old or new, never half."""
    theirs, before = tmp_path / "published", tmp_path / "before"
    shutil.copytree(published, theirs)
    git(tmp_path, "clone", "--quiet", theirs, before)
    write_work(before)
    git(before, "commit", "--quiet", "--all", "--message", "My week")
    new_version(theirs)
    good = tmp_path / "good"
    shutil.copytree(before, good)
    assert run(good, **IDENTITY).returncode == 0
    names = [f"notebooks/{name}/{name}.ipynb" for name in NOTEBOOKS]
    names += ["helpers/plots/base.py", "helpers/data.py", "tiny_llm/train.py", "tiny_llm/training/presets.py"]
    for moment in range(1, 100):
        mine = tmp_path / "mine"
        shutil.copytree(before, mine)
        outcome = run(mine, moment, code=KILLED, **IDENTITY)
        for name in names:
            old, new = (before / name).read_bytes(), (good / name).read_bytes()
            assert (mine / name).read_bytes() in (old, new), (moment, name)
        for kept in (mine / "notebooks").rglob("*.mine-*.ipynb"):
            assert kept.read_bytes() == (before / BOOK).read_bytes()
        if outcome.returncode == 0:
            break
        assert outcome.returncode == -signal.SIGKILL, outcome.stderr
        if moment % 3 == 0:  # the same command goes on from there
            after = run(mine, **IDENTITY)
            assert after.returncode == 0, (moment, after.stderr)
            assert all((mine / name).read_bytes() == (good / name).read_bytes() for name in names)
            assert len(list((mine / "notebooks").rglob("*.mine-*.ipynb"))) == 1
            assert git(mine, "diff", "HEAD", "--stat") == git(good, "diff", "HEAD", "--stat")
        shutil.rmtree(mine)
    assert moment > 15
