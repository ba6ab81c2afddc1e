"""What docs/grading.md tells of the time after a phase was graded, done: points by hand, and days late."""
import csv
import os
import re
import shlex
import shutil
import subprocess
import sys

import nbformat
import pytest
from handed_in import PHASE, solved
from nbgrader.api import Gradebook

from course import ROOT, build, setup

GUIDE = (ROOT / "docs" / "grading.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"),
                                reason="bubblewrap is not installed, so nothing is sandboxed")


def command_with(words):
    """The guide's command in which these words are, for this phase."""
    found = [line.partition("#")[0].strip() for line in re.findall(r"^[^|\n]*$", GUIDE, re.MULTILINE) if words in line]
    found += re.findall(rf"`([^`\n]*{re.escape(words)}[^`\n]*)`", GUIDE)
    return min(found, key=len).replace("3b_attention", PHASE)


def run(command, folder):
    outcome = subprocess.run(command, shell=True, cwd=folder, env=setup.environment(), capture_output=True, text=True,
                             timeout=600)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return outcome.stdout


def rows_of(folder):
    with open(folder / "grading" / "reports" / PHASE / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_a_week_after_it_was_graded(tmp_path):
    """Ada has all points, a day and an hour late; a person gives Bob one for a try, and nothing runs twice."""
    for student, keep in {"ada": {4, 5}, "bob": {5}}.items():
        path = tmp_path / "submissions" / student / f"{PHASE}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(solved(keep), path)
        os.utime(path, (1_790_000_000, 1_790_000_000 + (90_000 if student == "ada" else -1)))
    python = f"{shlex.quote(sys.executable)} -m course"
    grade = command_with("--due '").replace("python3 -m course", python)
    grade = re.sub(r"--due '.*?'", "--due '2026-09-21 14:13:20+00:00'", grade)  # the second 1,790,000,000
    grade = grade.replace(" submissions", f" {tmp_path}/submissions --into {tmp_path} --fast")  # it has no space in it
    run(grade, ROOT)
    (tmp_path / "nbgrader_config.py").write_text(
        f"load_subconfig({str(ROOT / 'nbgrader_config.py')!r})\nc = get_config()\n"
        f"c.CourseDirectory.source_directory = {str(build.SOURCE_NOTEBOOKS)!r}\n"
        + re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)[1], encoding="utf-8")
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as gradebook:  # as Formgrader does it
        gradebook.find_grade("test-4", PHASE, PHASE, "bob").manual_score = 1
        gradebook.db.commit()
    executed = {path: path.stat().st_mtime_ns for path in (tmp_path / "grading" / "executed").iterdir()}
    run(command_with("nbgrader autograde"), tmp_path)
    run(grade, ROOT)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "grading" / "executed").iterdir()} == executed
    rows = rows_of(tmp_path)
    assert {name: (row["score"], row["late"], row["penalty"]) for name, row in rows.items()} == {
        "ada": ("2", "late", "2"), "bob": ("3", "", "")}
    pages = {name: (tmp_path / "grading" / "feedback" / name / PHASE / f"{PHASE}.html").read_text(encoding="utf-8")
             for name in rows}
    assert "2 of 4 points" in pages["ada"] and "handed in late (2 points taken off)" in pages["ada"]
    assert "set by a person" in pages["bob"] and "handed in late" not in pages["bob"]
    (tmp_path / "submissions" / "ada" / f"{PHASE}.ipynb").write_text("half a file", encoding="utf-8")
    run(grade, ROOT)
    ada = rows_of(tmp_path)["ada"]
    assert (ada["status"], ada["score"]) == ("unreadable", "") and "an earlier one was graded" in ada["why"]
    assert (tmp_path / "grading" / "feedback" / "ada" / PHASE / f"{PHASE}.html").read_text("utf-8") == pages["ada"]
