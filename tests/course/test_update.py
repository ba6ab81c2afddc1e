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

from course import NOTEBOOKS, ROOT, answers, build, reset, solve
from helpers import parts

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
    for name in ("source", "data", "docs/pictures", "helpers/widgets", "course/grade", "course/bench"):
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
    text = [each for each in book.cells if each.cell_type == "markdown"][-number]
    retell(text, f"Version {number}.\n" + text.source)
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
        (folder / "docs" / "architecture.md").unlink()
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
    append(folder / "docs" / "architecture.md", "my remark")  # this one is gone in the new version
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
    assert len(book.cells) == len(released.cells) + 5, "four cells of the learner's, one note, none of the old course's"
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
    assert (mine / "docs" / "architecture.md").read_text(encoding="utf-8").endswith("my remark")
    assert status(mine) == {f"M {BOOK}", "M helpers/data.py", "?? docs/architecture.md", "?? notes.txt",
                            f"?? notebooks/{PHASE}/play.ipynb"}
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
import os, pathlib, signal, sys
from course import update
left = int(sys.argv[1])
real_write, real_git = pathlib.Path.write_bytes, update.git

def passed_one(before=lambda: None):
    global left
    left -= 1
    if left == 0:
        before()
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows both end a process at once

def write_bytes(path, content):
    passed_one(lambda: real_write(path, content[:len(content) // 2]))
    return real_write(path, content)

def git(*words, **variables):
    passed_one()
    return real_git(*words, **variables)

pathlib.Path.write_bytes, update.git = write_bytes, git
sys.exit(update.main([]))
"""


def test_killed_at_any_moment(published, tmp_path):
    """SIGKILL in the middle of each file that is written, and before each step of git: old or new, never half."""
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
        assert outcome.returncode == (-signal.SIGKILL if os.name == "posix" else signal.SIGTERM), outcome.stderr
        if moment % 5 == 0:  # the same command goes on from there
            after = run(mine, **IDENTITY)
            assert after.returncode == 0, (moment, after.stderr)
            assert all((mine / name).read_bytes() == (good / name).read_bytes() for name in names)
            assert len(list((mine / "notebooks").rglob("*.mine-*.ipynb"))) == 1
            assert git(mine, "diff", "HEAD", "--stat") == git(good, "diff", "HEAD", "--stat")
        shutil.rmtree(mine)
    assert moment > 20


# What can be in the way ------------------------------------------------------------------------------------------

def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts}


def assert_refused(folder, sentence, *arguments, **more):
    """One sentence, and everything as it was."""
    before = everything(folder)
    outcome = run(folder, *arguments, **more)
    assert outcome.returncode == 1 and outcome.stdout == ""
    assert re.fullmatch(sentence, outcome.stderr.strip()), outcome.stderr
    assert everything(folder) == before


def test_what_is_in_the_way_is_one_sentence(learner, tmp_path):
    theirs, mine = learner
    git(mine, "remote", "set-url", "origin", "http://127.0.0.1:9/course.git")
    assert_refused(mine, r"The new version could not be fetched, and nothing was changed\. "
                         r"`git fetch` says: fatal: unable to access .*127\.0\.0\.1.*")
    assert_refused(mine, r"The new version could not be fetched, .* git is not installed; .*", PATH=str(tmp_path))
    git(mine, "remote", "set-url", "origin", str(theirs))
    git(mine, "checkout", "--quiet", "--detach")
    assert_refused(mine, r"`git rev-parse` says: fatal: .*")
    shutil.rmtree(mine / ".git")
    assert_refused(mine, r"This folder was not made by `git clone`\. .* python3 -m course update --from FILE\.zip")
    assert_refused(mine, r".* is this folder itself: .*", "--from", mine)
    assert_refused(mine, r".* is not the course: name a zip or a folder .*", "--from", tmp_path / "nowhere")


def test_a_notebook_that_cannot_be_read_is_kept(learner):
    theirs, mine = learner
    (mine / BOOK).write_bytes(b'{"cells": [')
    new_version(theirs)
    outcome = run(mine)
    assert outcome.returncode == 0 and "yours cannot be read" in outcome.stdout
    assert (mine / BOOK).read_bytes() == (theirs / BOOK).read_bytes()
    assert (mine / BOOK).with_name(f"{PHASE}.mine-1.ipynb").read_bytes() == b'{"cells": ['


def test_a_copy_that_comes_in_parts(learner):
    """Marks and ids that are lost, a cell that was split: as other programs leave a notebook."""
    theirs, mine = learner
    book = read(mine / BOOK)
    for each in book.cells:
        each.metadata.pop("nbgrader", None)
        del each["id"]
    book.nbformat_minor = 4
    write(mine / BOOK, book)
    new_version(theirs)
    assert run(mine).returncode == 0
    merged = read(mine / BOOK)
    text = sources(merged)
    assert MINE_11.strip() in cell(merged, "todo-10-11").source
    assert "self.mine_12 = 1" in cell(merged, "todo-12-13").source
    assert sum(each.startswith("**The course's version of this TODO") for each in text) == 2  # not known: both
    for mark in ("played with the first", "played with the second", "My own remark", "my_own = 1", "my_last = 2"):
        assert sum(mark in each for each in text) == 1, mark


def test_a_second_answer_stays_too(learner):
    """A copied cell has the marks of the first: the last answer is taken, the other stays as a cell of its own."""
    theirs, mine = learner
    book = read(mine / BOOK)
    first = cell(book, "todo-12-13")
    text = first.source.replace("mine_12 = 1", "mine_12 = 2")
    copied = nbformat.from_dict({**first, "id": "c0-copy", "source": text})
    book.cells.insert(book.cells.index(first) + 1, copied)
    write(mine / BOOK, book)
    new_version(theirs)
    assert run(mine).returncode == 0
    merged = read(mine / BOOK)
    assert "self.mine_12 = 2" in cell(merged, "todo-12-13").source
    assert [each.metadata for each in merged.cells if "self.mine_12 = 1" in each.source] == [{}]
    assert len({each.id for each in merged.cells}) == len(merged.cells)


def test_a_cell_is_the_course_s_until_somebody_changes_it():
    for name in NOTEBOOKS:
        for each in read(ROOT / "notebooks" / name / f"{name}.ipynb").cells:
            assert answers.as_released(each), (name, each.id)
            if each.metadata.get("nbgrader"):
                assert each.metadata.nbgrader.checksum == compute_checksum(each)
            each.source += " "
            assert not answers.as_released(each), (name, each.id)


# On Colab --------------------------------------------------------------------------------------------------------

BARE = """
import sys
for name in ("nbgrader", "jupytext", "jupyterlab"):
    sys.modules[name] = None  # Colab has none of them
from course import update
update.notebook(sys.argv[1])
"""


def test_a_notebook_on_a_drive(learner, tmp_path):
    """The line for Colab: the open notebook stays as it is, the new one lies beside it, whatever its name is."""
    theirs, mine = learner
    drive = tmp_path / "drive" / "Copy of attention.ipynb"
    drive.parent.mkdir()
    shutil.copy(mine / BOOK, drive)
    before = drive.read_bytes()
    new_version(theirs)
    told = run(theirs, drive, code=BARE)
    assert told.stderr == "" and told.stdout.startswith(
        "Copy of attention.new-1.ipynb, beside the old one, is the course's new version with 2 answers and 6 other "
        "cells of yours.\n"), told.stderr
    new = drive.with_name("Copy of attention.new-1.ipynb")
    assert drive.read_bytes() == before
    assert_work_is_there(read(new))
    assert_is_version(read(new), read(theirs / BOOK))
    assert "is the course's newest version already" in run(theirs, new, code=BARE).stdout
    other = tmp_path / "other.ipynb"
    write(other, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]))
    assert "other.ipynb is no notebook of this course" in run(theirs, other, code=BARE).stderr


def first_cell(folder):
    """The first cell as it runs on Colab, with `folder` in the place of /content."""
    source = cell(read(ROOT / BOOK), "setup").source.replace("/content/tinyllm", f"{folder}/tinyllm")
    return "import sys, types; sys.modules['google.colab'] = types.ModuleType('colab')\n" + source


@pytest.mark.skipif(os.name != "posix", reason="Colab is Linux; its shell says other things than that of Windows")
def test_the_first_cell_on_colab(published, tmp_path):
    """It brings the course once, says nothing, and leaves alone what is there; what fails is a sentence."""
    redirect = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_VALUE_0": build.repository(),
                "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf"}
    shown = "\nprint(helpers.__file__)"
    for _ in range(2):
        told = run(tmp_path, code=first_cell(tmp_path).replace("{", "{{").replace("}", "}}") + shown, **redirect)
        assert told.stderr == "" and told.stdout == f"{tmp_path / 'tinyllm' / 'helpers' / '__init__.py'}\n", told.stderr
        (tmp_path / "tinyllm" / "tiny_llm").mkdir(exist_ok=True)
        (tmp_path / "tinyllm" / "tiny_llm" / "model.py").write_text("# mine")
    assert (tmp_path / "tinyllm" / "tiny_llm" / "model.py").read_text() == "# mine"
    elsewhere = first_cell(tmp_path / "elsewhere").replace("{", "{{").replace("}", "}}")
    offline = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    for more, reason in ((offline, "fatal: unable to access .*"), ({"PATH": str(tmp_path)}, ".*git.*not found")):
        told = run(tmp_path, code=elsewhere, **more)
        assert re.fullmatch(rf"ImportError: The course could not be fetched \({reason}\)\. Run this cell again later\.",
                            told.stderr.strip().splitlines()[-1]), told.stderr


def test_work_is_kept_on_the_mounted_drive(tmp_path, monkeypatch):
    """The line that the first cell recommends, in 5_training: pieces, checkpoints and the model land on the drive."""
    book = solve.answered("5_training", budget="2s")
    line = re.search(r"%env TINYLLM_PARTS=(\S+)/tinyllm", cell(book, "setup").source)
    assert line[1] == "/content/drive/MyDrive"
    monkeypatch.setenv("TINYLLM_PARTS", str(tmp_path / "lost"))
    monkeypatch.setenv("TINYLLM_DATA", str(ROOT / "data" / "sample_play.txt"))
    needed = re.compile(r"parts\.get|training\.(preset|Session)\(|session\.run|evaluate\(model|tiny_llm\.pt")
    book.cells = [each for each in book.cells if each.cell_type == "code" and (
        answers.kind(each) in ("solution", "locked") or each.id == "test-27" or needed.search(each.source))]
    drive = tmp_path / "My Drive"
    drive.mkdir()
    book.cells.insert(1, nbformat.v4.new_code_cell(line[0].replace(line[1], str(drive))))
    solve.execute(book, "5_training")
    kept = {path.relative_to(drive).as_posix() for path in drive.rglob("*")}
    assert {"tinyllm/train.py", "tinyllm/training", "tinyllm/run/checkpoint.pt", "tinyllm/tiny_llm.pt"} <= kept
    assert not (tmp_path / "lost").exists()


def test_a_drive_that_is_not_mounted(tmp_path, monkeypatch, capsys):
    """Nothing is written where it would be lost without a word."""
    monkeypatch.setenv("TINYLLM_PARTS", str(tmp_path / "drive" / "MyDrive" / "tinyllm"))
    with pytest.raises(FileNotFoundError):
        parts._write(parts.PIECES[0], "def split_heads(): pass")
    assert not (tmp_path / "drive").exists()


# One TODO --------------------------------------------------------------------------------------------------------

@pytest.fixture
def answered(tmp_path, monkeypatch):
    """A notebook with all of its TODOs answered, in the place of the learner's."""
    path = tmp_path / f"{PHASE}.ipynb"
    monkeypatch.setattr(build, "notebook_path", lambda phase: path.with_name(f"{phase}.ipynb"))
    book, solved = read(ROOT / BOOK), solve.answered(PHASE)
    for each in book.cells:
        if answers.kind(each) == "solution":
            each.source = cell(solved, each.id).source + "\n\n\nprint('a line of my own')"
            each.outputs = [nbformat.v4.new_output("stream", text="seen\n")]
    write(path, book)
    return path


def released_cell(id_):
    """The cell as a learner meets it first."""
    return cell(read(ROOT / BOOK), id_).source


@pytest.mark.parametrize("words", [("TODO", "11"), ("11",), ("todo-11",)])
def test_one_todo_of_a_cell_goes_back(answered, capsys, words):
    before, whole = answered.read_bytes(), read(answered)
    assert reset.main(list(words)) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"TODO 11 in {PHASE}.ipynb is as it was released. As you had it: {PHASE}.mine-1.ipynb, in")
    assert answered.with_name(f"{PHASE}.mine-1.ipynb").read_bytes() == before
    book = read(answered)
    now, mine, stub = (cell(b, "todo-10-11").source for b in (book, whole, read(ROOT / BOOK)))
    assert now.split("    def forward")[0] == mine.split("    def forward")[0], "TODO 10 stays"
    assert now.split("    def forward")[1] == stub.split("    def forward")[1] + "\n\n\nprint('a line of my own')"
    assert [each for each in book.cells if each.id != "todo-10-11"] == [
        each for each in whole.cells if each.id != "todo-10-11"]
    assert reset.main(list(words)) == 0 and "nothing to do" in capsys.readouterr().out
    assert not answered.with_name(f"{PHASE}.mine-2.ipynb").exists()


def test_a_whole_cell_goes_back(answered, capsys):
    assert reset.main(["TODO", "10-11"]) == 0
    assert cell(read(answered), "todo-10-11").source == released_cell("todo-10-11")
    assert cell(read(answered), "todo-12-13").source != released_cell("todo-12-13")


@pytest.mark.parametrize("todo", range(1, 32))
def test_every_todo_can_go_back(todo, tmp_path, monkeypatch, capsys):
    """Of the solved notebook; and all TODOs of a cell, one by one, make the released cell."""
    monkeypatch.setattr(build, "notebook_path", lambda phase: tmp_path / f"{phase}.ipynb")
    phase, id_, stubs = reset.released({todo}, str(todo))
    write(tmp_path / f"{phase}.ipynb", solve.answered(phase))
    assert reset.main([str(todo)]) == 0
    now = cell(read(tmp_path / f"{phase}.ipynb"), id_).source
    assert f'raise NotImplementedError("TODO {todo}")' in now
    todos = build.todo_numbers(id_[5:])
    assert now.count("NotImplementedError") == stubs[id_].count(f'"TODO {todo}"')
    for other in todos:
        reset.main([str(other)])
    assert cell(read(tmp_path / f"{phase}.ipynb"), id_).source == stubs[id_].rstrip("\n")


def test_two_todos_of_three_go_back(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "notebook_path", lambda phase: tmp_path / f"{phase}.ipynb")
    solved, stubs = solve.answered("5_training"), reset.released({25}, "25")[2]
    write(tmp_path / "5_training.ipynb", solved)
    assert reset.main(["TODOs", "25-26"]) == 0
    id_, third = "todo-25-27", "    def __getitem__"
    now = cell(read(tmp_path / "5_training.ipynb"), id_).source
    assert now.split(third) == [stubs[id_].split(third)[0], cell(solved, id_).source.split(third)[1]]


def test_what_cannot_go_back_is_one_sentence(answered, capsys):
    book = read(answered)
    cell(book, "todo-10-11").source = "class SelfAttention(nn.Module:\n"
    book.cells.remove(cell(book, "todo-12-13"))
    write(answered, book)
    before = everything(answered.parent)
    for words, sentence in ((["11"], "SelfAttention.forward cannot be found in your cell"),
                            (["13"], "has no cell for TODO 13 any more"), (["32"], "There is no TODO 32"),
                            (["11-12"], "There is no TODO 11-12"), (["5"], "There is no ")):
        assert reset.main(words) == 1
        assert sentence in capsys.readouterr().err
    with pytest.raises(SystemExit):
        reset.main(["eleven"])
    assert "names no TODO: write, for example, TODO 11" in capsys.readouterr().err
    assert everything(answered.parent) == before
    assert reset.main(["10-11"]) == 0  # what the first sentence recommends
    assert cell(read(answered), "todo-10-11").source == released_cell("todo-10-11")
