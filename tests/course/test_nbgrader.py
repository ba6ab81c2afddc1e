"""Real nbgrader, from release to feedback: a right submission gets all its points, an empty one exactly none,
a half-filled one the points of the TODOs it holds, in every cell."""
import csv
import subprocess
import sys

import nbformat
import pytest
from nbgrader.api import Gradebook

from course import PHASES, ROOT, build, setup
from course.stubs import clear


def nbgrader(*arguments):
    """One nbgrader command, started at the course's root as an instructor does."""
    outcome = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=ROOT, env=setup.environment(),
                             capture_output=True, text=True, timeout=600)
    assert outcome.returncode == 0, outcome.stderr[-3000:]


def submit(phase, folder, solved):
    """A student's notebook: the released one, with the solutions of the TODOs in `solved` filled in."""
    solutions = {c.id: c.source for c in build.source_notebook(phase).cells}
    notebook = nbformat.read(build.notebook_path(phase), as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = clear(solutions[cell.id], keep=solved)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{phase}.ipynb")


def points_of(phase):
    """{TODO: its points} of one phase."""
    tests = [c for c in build.source_notebook(phase).cells if c.metadata.get("nbgrader", {}).get("grade")]
    return {int(c.id[5:]): c.metadata.nbgrader.points for c in tests}


def scores_of(gradebook, phase, student):
    """{TODO: the points this student got}."""
    grades = gradebook.find_submission_notebook(phase, phase, student).grades
    return {int(grade.name[5:]): grade.score for grade in grades}


@pytest.mark.parametrize("phase", PHASES)
def test_a_class_of_three(phase, tmp_path):
    points = points_of(phase)
    todos = sorted(points)
    students = {"all": set(todos), "half": set(todos[: len(todos) // 2]), "none": set()}
    build.release(tmp_path / "build")  # makes the source notebooks
    api = build.nbgrader_api(root=str(tmp_path), source_directory=str(build.SOURCE_NOTEBOOKS))
    api.config.GenerateAssignment.no_database, api.config.SaveCells.enabled = False, True
    outcome = api.generate_assignment(phase)
    assert outcome["success"], outcome["log"]
    assert (tmp_path / "notebooks" / phase / f"{phase}.ipynb").read_bytes() == build.notebook_path(phase).read_bytes()
    for student, solved in students.items():
        submit(phase, tmp_path / "grading" / "submitted" / student / phase, solved)
        outcome = api.autograde(phase, student)
        assert outcome["success"], outcome["log"]
    with api.gradebook as gradebook:
        for student, solved in students.items():
            right = {todo: points[todo] if todo in solved else 0 for todo in todos}
            assert scores_of(gradebook, phase, student) == right, student


def test_the_instructors_commands(tmp_path):
    """generate_assignment, autograde, generate_feedback and export, as README lists them."""
    phase, points = "2_modules", points_of("2_modules")
    build.release(tmp_path / "build")
    own = (f"--course-dir={tmp_path}", f"--CourseDirectory.source_directory={build.SOURCE_NOTEBOOKS}")
    nbgrader("generate_assignment", phase, *own)
    submit(phase, tmp_path / "grading" / "submitted" / "ada" / phase, set(points))
    submit(phase, tmp_path / "grading" / "submitted" / "bob" / phase, {5})  # the later of two TODOs in one class
    nbgrader("autograde", phase, *own)
    nbgrader("generate_feedback", phase, *own)
    gradebook_url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    nbgrader("export", f"--db={gradebook_url}", f"--to={tmp_path / 'grades.csv'}")

    with Gradebook(gradebook_url) as gradebook:
        assert scores_of(gradebook, phase, "bob") == {4: 0, 5: points[5]}
    for student, text in {"ada": "TODO 5: right, 2 of 2 points", "bob": "TODO 4: not yet right, 0 of 2 points"}.items():
        page = tmp_path / "grading" / "feedback" / student / phase / f"{phase}.html"
        assert text in page.read_text(encoding="utf-8")
    with open(tmp_path / "grades.csv", newline="", encoding="utf-8") as file:
        rows = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert rows == {"ada": sum(points.values()), "bob": points[5]}
