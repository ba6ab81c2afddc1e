"""What a student gets: everything to begin with, and nothing that answers a TODO."""
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest

from course import NOTEBOOKS, PHASES, build, release, setup, stubs
from course.grade.execute import is_test
from course.grade.transplant import without_hidden

PHASE = "3b_attention"


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """{phase: path of its zip}, made once."""
    released = build.release(tmp_path_factory.mktemp("notebooks"))
    folder = tmp_path_factory.mktemp("zips")
    for phase in PHASES:
        (folder / f"{phase}.zip").write_bytes(release.zipped(phase, released))
    return {phase: folder / f"{phase}.zip" for phase in PHASES}


@pytest.fixture(scope="module")
def unpacked(zips, tmp_path_factory):
    """A student's folder after the zips of two weeks."""
    folder = tmp_path_factory.mktemp("student")
    for phase in (PHASE, "4_model"):
        zipfile.ZipFile(zips[phase]).extractall(folder)
    return folder / release.FOLDER


def secrets():
    """The lines of the solutions and hidden tests of all phases that no phase shows."""
    whole, shown = set(), set()
    for phase in NOTEBOOKS:
        for cell in build.source_notebook(phase).cells:
            whole |= set(cell.source.splitlines())
            shown |= set((without_hidden(cell.source) if is_test(cell) else stubs.clear(cell.source)).splitlines())
    return {line.strip() for line in whole - shown if len(line.strip()) > 40}


def test_no_solution_and_no_hidden_test(zips):
    hidden = secrets()
    assert len(hidden) > 100
    for path in zips.values():
        for name in zipfile.ZipFile(path).namelist():
            if name.endswith(".ipynb"):
                book = nbformat.reads(zipfile.ZipFile(path).read(name).decode(), as_version=4)
                text = "\n".join(cell.source for cell in book.cells)
                assert "### BEGIN" not in text and not hidden & {line.strip() for line in text.splitlines()}, name
            assert not re.match(r"[^/]+/(source|tests|course/(grade|build|solution|solve)|build)\b", name)


def test_each_holds_its_own_notebook_alone(zips):
    """So that the zip of a new week never writes over the work of another."""
    for phase, path in zips.items():
        names = {name for name in zipfile.ZipFile(path).namelist() if name.endswith(".ipynb")}
        assert names == {f"tinyllm/notebooks/{name}/{name}.ipynb" for name in ("0_welcome", phase)}


def test_a_student_can_begin(unpacked):
    """The front desk knows its two commands and finds what it sets up; the notebook runs and waits for its TODOs."""
    desk = subprocess.run([sys.executable, "-m", "course"], cwd=unpacked, capture_output=True, text=True, timeout=60)
    assert desk.returncode == 0 and re.findall(r"^  (\S+)", desk.stdout, re.MULTILINE) == ["lab", "update"]
    ready = "from course import lab, setup; setup.fingerprint(); print(setup.requirements()[0])"
    found = subprocess.run([sys.executable, "-c", ready], cwd=unpacked, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == setup.requirements()[0], found.stderr
    path = unpacked / "notebooks" / PHASE / f"{PHASE}.ipynb"
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells[:4] if cell.cell_type == "code")
    where = "\nimport pathlib\nprint(pathlib.Path(helpers.__file__).parents[1])"
    ran = subprocess.run([sys.executable, "-c", code + where], cwd=path.parent, capture_output=True, text=True,
                         timeout=60)
    assert ran.stdout.strip() == str(unpacked), ran.stderr


def test_a_corrected_notebook_takes_the_answers_along(zips, tmp_path):
    zipfile.ZipFile(zips[PHASE]).extractall(tmp_path)
    folder, name = tmp_path / release.FOLDER, f"notebooks/{PHASE}/{PHASE}.ipynb"
    mine = (folder / name).read_text(encoding="utf-8")
    mine = mine.replace('raise NotImplementedError(\\"TODO 12\\")', "self.mine = 1")
    (folder / name).write_text(mine, encoding="utf-8")
    corrected = tmp_path / "corrected.zip"
    with zipfile.ZipFile(zips[PHASE]) as old, zipfile.ZipFile(corrected, "w") as new:
        for member in old.namelist():
            ids = (b'"id": "text-', b'"id": "text-c') if member.endswith(name) else (b"", b"")  # of other texts
            new.writestr(member, old.read(member).replace(*ids))
    code = "import sys; from course import update; sys.exit(update.main(sys.argv[1:]))"
    told = subprocess.run([sys.executable, "-c", code, "--from", corrected], cwd=folder, capture_output=True, text=True)
    assert told.returncode == 0 and f"{PHASE}.ipynb: new, with 1 answer and 0 other cells of yours" in told.stdout, told
    text = (folder / name).read_text(encoding="utf-8")
    assert "self.mine = 1" in text and '"id": "text-c' in text
    assert (folder / name).with_name(f"{PHASE}.mine-1.ipynb").read_text(encoding="utf-8") == mine


def test_the_same_course_makes_the_same_zip(zips, tmp_path):
    again = release.zipped(PHASE, build.release(tmp_path))
    assert again == zips[PHASE].read_bytes() and len(again) < 2e6


def test_a_file_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "FILES", ("helpers/nothing.py",))
    with pytest.raises(build.BuildError, match=r"helpers/nothing\.py is missing"):
        release.zipped(PHASE, build.release(tmp_path))
