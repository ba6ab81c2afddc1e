"""A whole class through the real command: real sandboxes, real kernels, real nbgrader."""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from handed_in import CLASS, PHASE, files

from course import ROOT, setup
from course.grade import intake

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"),
                                reason="bubblewrap is not installed, so nothing is sandboxed")


# Folders of students, and how they are shown.
ODD_NAMES = {"<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>", "=HYPERLINK(1)": "'=HYPERLINK(1)",
             "two\nlines\x1b[2J": "two?lines?[2J", os.fsdecode(b"caf\xe9"): "caf?", "ada": "ada", "Ada": "Ada"}


def grade(submissions, into, *options):
    """`python3 -m course grade`."""
    command = [sys.executable, "-m", "course", "grade", PHASE, str(submissions), "--into", str(into), *options]
    return subprocess.run(command, cwd=ROOT, env=setup.environment(), capture_output=True, text=True, timeout=1200)


def rows(into):
    with open(into / "grading" / "reports" / PHASE / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def hand_in(folder, cases):
    for name, case in cases.items():
        (folder / name).mkdir(parents=True)
        for file, body in case.files().items():
            (folder / name / file).write_bytes(body)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory):
    """The class, graded once."""
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder / "submissions", CLASS)
    secret = folder / "secret.ipynb"
    secret.write_text("not theirs", encoding="utf-8")
    for name in ODD_NAMES:
        (folder / "submissions" / name).mkdir()
        (folder / "submissions" / name / "a.ipynb").write_bytes(CLASS["all"].files()[f"{PHASE}.ipynb"])
    (folder / "submissions" / "linked").mkdir()
    (folder / "submissions" / "linked" / f"{PHASE}.ipynb").symlink_to(secret)
    outcome = grade(folder / "submissions", folder / "class", "--fast", "--cell-seconds", "10", "--seconds", "60")
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def table(everybody):
    return rows(everybody / "class")


@pytest.mark.parametrize("name", CLASS)
def test_each_student(everybody, table, name):
    case, row = CLASS[name], table[name]
    page = everybody / "class" / "grading" / "feedback" / row["student"] / PHASE / f"{PHASE}.html"
    report = (everybody / "class" / "grading" / "reports" / PHASE / "report.html").read_text(encoding="utf-8")
    about = report.split(f'<th scope="row">{name}</th>')[1].split("</tr>")[0]
    assert row["status"] == case.status, row
    assert case.note in about
    if case.flag is not None:
        assert (case.flag in row["flags"]) if case.flag else row["flags"] == ""
    if case.status in ("missing", "unreadable"):
        assert row["score"] == "" and not page.exists()  # a failure never looks like a zero
    elif case.right is not None:
        assert {todo for todo in (4, 5) if row[f"TODO {todo}"] == "2"} == case.right, row
        assert float(row["score"]) == 2 * len(case.right)


def test_everybody_has_one_status(table):
    assert set(table) == {*CLASS, "linked", *ODD_NAMES.values()}
    assert {table[shown]["score"] for shown in ODD_NAMES.values()} == {"4"}
    assert len({row["student"] for row in table.values()}) == len(table)
    assert {row["status"] for row in table.values()} == {"graded", "partly", "several", "unreadable", "missing"}
    assert table["linked"]["status"] == "unreadable" and "is a link" in table["linked"]["why"]


def test_no_page_holds_a_script_or_a_hidden_test(everybody):
    pages = [*(everybody / "class").rglob("*.html")]
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text and "http" not in text.replace("http-equiv", "")
        assert "HIDDEN TESTS" not in text and str(ROOT) not in text
    message = everybody / "class" / "grading" / "feedback" / "script-in-message" / PHASE / f"{PHASE}.html"
    assert "&lt;script&gt;alert(1)" in message.read_text(encoding="utf-8")


def test_again_does_only_what_is_left_and_changes_nothing(everybody):
    """The same class a second time: the same grades and the same pages, byte for byte; a new student is added."""
    into = everybody / "class"
    before = {path: path.read_bytes() for path in (into / "grading" / "feedback").rglob("*.html")}
    results = into / "grading" / "executed"
    first, executed = rows(into), {path.stat().st_mtime_ns for path in results.iterdir()}
    hand_in(everybody / "submissions", {"newcomer": CLASS["half"]})
    outcome = grade(everybody / "submissions", into, "--fast")
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert {path: path.read_bytes() for path in before} == before
    again = rows(into)
    assert again.pop("newcomer")["score"] == "2" and again == first
    assert executed == {path.stat().st_mtime_ns for path in results.iterdir()}  # the same work as `half`


def test_a_fresh_run_without_fast_gives_the_same(everybody, tmp_path):
    some = {name: CLASS[name] for name in ("all", "half", "checks-replaced", "split-marked")}
    hand_in(tmp_path / "submissions", some)
    outcome = grade(tmp_path / "submissions", tmp_path / "class", "--workers", "1")
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    first = rows(everybody / "class")
    for name, row in rows(tmp_path / "class").items():
        assert row == first[name]
        page = f"grading/feedback/{row['student']}/{PHASE}/{PHASE}.html"
        assert (tmp_path / "class" / page).read_bytes() == (everybody / "class" / page).read_bytes()


def test_a_zip_from_an_lms(tmp_path):
    """Canvas' names; a member that would land elsewhere, and one that is a link, are not read."""
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        body = files()()[f"{PHASE}.ipynb"]
        archive.writestr("lovelaceada_12345_67890_My work-1.ipynb", body)
        archive.writestr("hopper_LATE_777_888_x.ipynb", files(keep={5})()[f"{PHASE}.ipynb"])
        archive.writestr("../../escape.ipynb", body)
        archive.writestr(zipfile.ZipInfo("kay_3_4_x.ipynb", (1980, 0, 0, 0, 0, 0)), body)  # no such day
        archive.writestr("ritchie_5_6_answer.docx", b"PK")
        link = zipfile.ZipInfo("eve_1_2_link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    outcome = grade(tmp_path / "all.zip", tmp_path / "class", "--fast", "--workers", "1")
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    table = rows(tmp_path / "class")
    assert {name: (row["status"], row["score"], row["late"]) for name, row in table.items()} == {
        "lovelaceada": ("graded", "4", ""), "hopper": ("graded", "2", "late"), "eve": ("unreadable", "", ""),
        "kay": ("graded", "4", ""), "ritchie": ("missing", "", "")}
    assert not (tmp_path.parent / "escape.ipynb").exists()


@pytest.mark.parametrize("names, students", [
    (["class/ann/{}", "class/bob/{}", "__MACOSX/class/ann/._{}", "class/.DS_Store"], ["ann", "bob"]),
    (["class/ann/{}", "class/bob/{}", ".DS_Store"], ["ann", "bob"]),
    (["class/ann.ipynb", "class/bob.ipynb"], ["ann", "bob"]),
    (["ann/{}", "ann/2_modules-Copy1.ipynb"], ["ann"]),
    (["Ann_7_assignsubmission_file_/first.ipynb", "Ann_7_assignsubmission_file_/second.ipynb"], ["Ann_7"]),
])
def test_who_is_who_in_a_zip(tmp_path, names, students):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in names:
            archive.writestr(name.format(f"{PHASE}.ipynb"), files()()[f"{PHASE}.ipynb"])
    assert [s.student for s in intake.collect(tmp_path / "all.zip", PHASE)] == students


def test_a_folder_that_may_not_be_opened():
    """It is its student's status, and nobody else's."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to everybody else
        for name in ("ann", "bob", "cy"):
            (Path(folder) / name).mkdir()
            (Path(folder) / name / f"{PHASE}.ipynb").write_bytes(files()()[f"{PHASE}.ipynb"])
        (Path(folder) / "bob").chmod(0o644)
        (Path(folder) / "cy").chmod(0)
        Path(folder).chmod(0o755)
        mine, root = os.geteuid(), os.geteuid() == 0
        if root:  # may open everything
            os.chown(folder, 65534, 65534)
            for name in ("ann", "bob", "cy"):
                os.chown(Path(folder) / name, 65534, 65534)
            os.seteuid(65534)
        try:
            found = {s.student: (s.status, s.why) for s in intake.collect(folder, PHASE)}
        finally:
            os.seteuid(mine)
            for name in ("bob", "cy"):
                (Path(folder) / name).chmod(0o755)
    assert found["ann"] == ("ready", "")
    for student in ("bob", "cy"):
        assert found[student][0] == "unreadable" and "no right to read" in found[student][1], found


@pytest.mark.parametrize("what, says", [
    ("cut.zip", "damaged zip"), ("nowhere", "There is no"), ("file.txt", "neither a folder nor a zip"),
    ("empty", "holds no submissions")])
def test_nothing_to_grade(tmp_path, what, says):
    for name in ("file.txt", "cut.zip"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    outcome = grade(tmp_path / what, tmp_path / "class")
    assert outcome.returncode == 1 and says in outcome.stderr and "Traceback" not in outcome.stderr


def test_without_bubblewrap_it_refuses(tmp_path):
    (tmp_path / "submissions" / "ada").mkdir(parents=True)
    environment = {**setup.environment(), "PATH": str(tmp_path)}
    outcome = subprocess.run([sys.executable, "-m", "course", "grade", PHASE, str(tmp_path / "submissions")], cwd=ROOT,
                             env=environment, capture_output=True, text=True, timeout=100)
    assert outcome.returncode == 1 and "apt install bubblewrap" in outcome.stderr and "--unsafe" in outcome.stderr


def test_no_kernel_is_left(everybody):
    """Every sandbox that was made is gone."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not [line for line in listing.splitlines() if line.startswith("bwrap") and "kernel.py" in line]
    executed = next((everybody / "class" / "grading" / "executed").iterdir())
    assert json.loads(executed.read_text(encoding="utf-8"))["metadata"]["grading"]
