"""Real nbgrader, from release to feedback: a right submission gets all its points, an empty one exactly none,
a half-filled one the points of the TODOs it holds, in every cell."""
import csv
import subprocess
import sys

import nbformat
import pytest
from nbgrader.api import Gradebook

from course import PHASES, ROOT, build, setup
from course.release import clear


def nbgrader(command, phase, course, *options):
    """One nbgrader command, started at the course's root as an instructor does, with its class in `course`."""
    outcome = subprocess.run(
        [sys.executable, "-m", "nbgrader", command, *([phase] if phase else []), f"--course-dir={course}",
         f"--CourseDirectory.source_directory={build.SOURCE_NOTEBOOKS}", *options],
        cwd=ROOT, env=setup.environment(), capture_output=True, text=True, timeout=600)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return outcome


def submit(released, phase, folder, solved):
    """A student's notebook: the released one, with the solutions of the TODOs in `solved` filled in."""
    solutions = {c.id: c.source for c in build.source_notebook(phase).cells}
    notebook = nbformat.read(released, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = clear(solutions[cell.id], keep=solved)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{phase}.ipynb")


@pytest.mark.parametrize("phase", PHASES)
def test_a_class_of_three(phase, tmp_path):
    tests = [c for c in build.source_notebook(phase).cells if c.metadata.get("nbgrader", {}).get("grade")]
    points = {int(c.id[5:]): c.metadata.nbgrader.points for c in tests}
    todos = sorted(points)
    students = {"all": set(todos), "half": set(todos[: len(todos) // 2]), "none": set()}

    build.release(tmp_path / "build")  # makes the source notebooks
    nbgrader("generate_assignment", phase, tmp_path)
    released = tmp_path / "notebooks" / phase / f"{phase}.ipynb"
    assert released.read_bytes() == build.notebook_path(phase).read_bytes()
    for student, solved in students.items():
        submit(released, phase, tmp_path / "submitted" / student / phase, solved)
    nbgrader("autograde", phase, tmp_path)

    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        for student, solved in students.items():
            notebook = gradebook.find_submission_notebook(phase, phase, student)
            scores = {int(grade.name[5:]): grade.score for grade in notebook.grades}
            assert scores == {todo: points[todo] if todo in solved else 0 for todo in todos}, student

    nbgrader("generate_feedback", phase, tmp_path)
    for student in students:
        assert f"{phase}" in (tmp_path / "feedback" / student / phase / f"{phase}.html").read_text(encoding="utf-8")
    nbgrader("export", None, tmp_path, f"--to={tmp_path / 'grades.csv'}")
    with open(tmp_path / "grades.csv", newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert rows == {student: sum(points[todo] for todo in solved) for student, solved in students.items()}
