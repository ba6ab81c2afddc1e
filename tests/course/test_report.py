"""grades.csv, and the forms of Canvas and Moodle: every name survives, and nobody without a grade gets one."""
import csv
import io
import zipfile
from pathlib import PurePosixPath

import pytest

from course import build
from course.grade import intake
from course.grade.export import canvas, moodle
from course.grade.report import NOT_GRADED, as_csv, grades_table, row_of

NAMES = ["Smith, John", 'Ann "Nan" Lee', "Zoë Łuć 王芳", '=HYPERLINK("http://x")', "+1", "-2", "@SUM(A1)", "\uff1d1+1",
         "two\nlines", "\tTab", "\x00nul", "O'Hara; Pat", "Semi;colon", "🦊", "<b>bold</b>"]


def row(name, score=4.0, **changes):
    """A graded student's row."""
    submission = intake.Submission(name, name, "ready", lms=changes.pop("lms", ""))
    test = {"name": "TODO 4", "score": 1.5, "most": 2.0, "mistake": "no <bias>"}
    return {**row_of(submission, None, None, None), "status": "graded", "score": score, "most": 4.0, "tests": [test],
            "why": "", **changes}


def table(rows, make, *more):
    return list(csv.reader(io.StringIO(as_csv(make(rows, *more)))))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make, more, column", [(grades_table, (), 1), (canvas, ("2_modules",), 0), (moodle, (), 1)])
def test_every_name_survives_and_none_is_a_formula(name, make, more, column):
    header, line = table([row(name, lms="7")], make, *more)
    cell = line[column]
    assert len(header) == len(line)
    assert cell.removeprefix("'") == " ".join(name.replace("\x00", " ").split())
    assert cell[0] not in "=+-@\uff1d"


def test_grades_say_the_points_of_each_todo():
    header, line = table([row("ada", late=True, penalty=0.5, flags=["looks odd"])], grades_table)
    assert dict(zip(header, line)) == {
        "student": "ada", "name": "ada", "status": "graded", "score": "4", "most": "4", "TODO 4": "1.5",
        "late": "late", "penalty": "0.5", "mistakes": "TODO 4: no <bias>", "flags": "looks odd", "why": ""}


def test_canvas_reads_it():
    """What its importer asks for: "Student", "ID" and "Section" come first; the number identifies."""
    header, line = table([row("lovelaceada", score=3.5, lms="12345")], canvas, "2_modules")
    assert header == ["Student", "ID", "Section", "2_modules"] and len(header) > 3
    assert line == ["lovelaceada", "12345", "", "3.5"]


def test_moodle_reads_it():
    """What its worksheet importer asks for: these three columns by name, and "Participant " before the number."""
    header, line = table([row("Ada Lovelace", lms="12345"), row("no number")], moodle)
    found = dict(zip(header, line))
    assert {"Identifier", "Grade", "Last modified (grade)"} <= set(header)
    assert found["Identifier"] == "Participant 12345" and found["Grade"] == "4"
    assert found["Feedback comments"] == "TODO 4: 1.5 of 2 (no &lt;bias&gt;)"  # Moodle shows it as HTML


@pytest.mark.parametrize("status", ["missing", "unreadable"])
def test_whoever_has_no_grade_has_no_zero(status):
    """... in grades.csv, and is not in the forms at all: an empty cell would delete what Canvas has."""
    nobody = row_of(intake.Submission("bob", "bob", status, "nothing was handed in", lms="1"), None, None, None)
    failed = row_of(intake.Submission("eve", "eve", "ready", cells=[], lms="2"), "the disk is full", None, None)
    assert failed["status"] == NOT_GRADED and failed["why"] == "the disk is full"
    header, *lines = table([row("ada", lms="3"), nobody, failed], grades_table)
    for line, says in zip(lines[1:], (status, NOT_GRADED)):
        found = dict(zip(header, line))
        assert found["status"] == says and found["score"] == found["TODO 4"] == "" and found["why"]
    for make, more in ((canvas, ("2_modules",)), (moodle, ())):
        assert len(table([nobody, failed], make, *more)) == 1


def test_namesakes_of_an_lms_are_two_students(tmp_path):
    """They keep their ids when another one joins them."""
    body = build.notebook_path("2_modules").read_bytes()
    ids = {}
    for numbers in ((55, 77), (11, 55, 77)):
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for number in numbers:
                archive.writestr(f"smithjohn_{number}_900{number}_x.ipynb", body)
            archive.writestr("John Smith_5_assignsubmission_file_mine.ipynb", body)  # Moodle, without folders
        found = intake.collect(tmp_path / "all.zip", "2_modules")
        assert all(s.status == "ready" for s in found) and len(found) == len(numbers) + 1
        assert {s.name for s in found} == {"smithjohn", "John Smith"}
        ids[numbers] = {s.lms: s.student for s in found}
    assert ids[55, 77].items() <= ids[11, 55, 77].items() and len(set(ids[11, 55, 77].values())) == 4


def test_names_that_look_alike_are_two_students():
    """Folders whose names differ in what no terminal can show, or far behind the part of a name that is shown."""
    names = ["caf\udce9", "caf\udce8", "x" * 210 + "1", "x" * 210 + "2"]
    files = intake.by_student([(PurePosixPath(name), None) for name in names], "2_modules")
    found = intake.with_ids([intake.Submission("", intake.printable(name)) for name, _ in files])
    assert len({s.student for s in found}) == 4 and {s.name for s in found} == {"caf?", "x" * 200}
