"""What comes out for the instructor: grades.csv, the forms that an LMS imports, and report.html, from the gradebook and
the graded notebooks."""
import collections
import csv
import io
import re
import unicodedata

from course.answers import MISSING
from course.build import write
from course.grade.export import canvas, moodle
from course.grade.feedback import PAGES, feedback, tests_of
from course.grade.summary import summary

EARLIER = "an earlier one was graded, and its points and page are still there"
NOT_GRADED = "not graded"  # a status: it is not the student's fault, and another run may mend it


def report(classroom, phase, submissions, failures):
    """Write grades.csv, canvas.csv, moodle.csv, report.html and the feedback; returns the lines for the terminal.

    failures: {student: why there is no grade}.
    """
    folder, rows = classroom.folder / "reports" / phase, []
    with classroom.gradebook() as gradebook:
        for submission in submissions:
            book, grades = classroom.graded(phase, submission.student), None
            if submission.cells is not None and submission.student not in failures:
                grades = classroom.grades(gradebook, phase, submission.student)
                gradebook.db.expunge_all()  # three hundred students' rows are not needed at once
            row = row_of(submission, failures.get(submission.student), book, grades)
            rows.append(row)
            if row["tests"]:
                page = feedback(phase, row["name"], book, grades[0], row["late"], submission.why, row["penalty"])
                write(classroom.folder / "feedback" / row["student"] / phase / f"{phase}.html", page.encode("utf-8"))
    for name, table in (("grades", grades_table(rows)), ("canvas", canvas(rows, phase)), ("moodle", moodle(rows))):
        write(folder / f"{name}.csv", as_csv(table).encode("utf-8"))
    page = PAGES.get_template("report.html").render(phase=phase, rows=rows, **summary(rows))
    write(folder / "report.html", page.encode("utf-8"))
    counts = collections.Counter(row["status"] for row in rows)
    return "\n".join([", ".join(f"{number} {status}" for status, number in sorted(counts.items())),
                      *(f"  {row['name']}: {row['status']}: {row['why']}" for row in rows if row["why"]),
                      f"Grades and report: {folder}"])


def row_of(submission, failure, book, grades):
    """All that is known of one student's submission. book, grades: what `Classroom` has of it, or None."""
    row = {"student": submission.student, "name": submission.name, "lms": submission.lms, "status": submission.status,
           "why": submission.why, "flags": [], "notes": {}, "tests": [], "score": None, "most": None, "penalty": 0.0,
           "late": submission.late, "seconds": None}
    if submission.cells is None:
        return {**row, "why": f"{row['why']}; {EARLIER}"} if book else row
    if failure or book is None or grades is None:
        return {**row, "status": NOT_GRADED, "why": failure or "it was not this one's turn yet; run again"}
    scores, row["penalty"], late = grades
    said, ran = book.metadata.get("submission", {}), book.metadata.get("grading", {})
    row["tests"] = tests_of(book, scores)
    row["score"] = sum(grade.score for grade in scores.values()) - row["penalty"]
    row["most"] = sum(grade.most for grade in scores.values())
    row["notes"], row["seconds"] = said.get("notes", {}), ran.get("seconds")
    row["flags"] = [*said.get("flags", []), *ran.get("odd", []),
                    *(f"{name} was replaced while it ran" for name in ran.get("changed", []))]
    row["late"] = submission.late or late
    broken = {name: cell["status"] for name, cell in ran.get("cells", {}).items()
              if cell["status"] in ("stuck", "ended", "not run")}
    lost = {name: note for name, note in row["notes"].items() if note == MISSING}
    if submission.status == "ready":
        row["status"] = "partly" if broken or lost else "graded"
    reasons = [submission.why, *(f"{name}: {what}" for name, what in {**broken, **lost}.items())]
    row["why"] = "; ".join(filter(None, reasons))
    return row


def grades_table(rows):
    """grades.csv: a line for each student, whatever the status; no points where there is no grade."""
    names = sorted({test["name"] for row in rows for test in row["tests"]},
                   key=lambda name: int(re.sub(r"\D", "", name) or 0))
    yield ["student", "name", "status", "score", "most", *names, "late", "penalty", "mistakes", "flags", "why"]
    for row in rows:
        scores = {test["name"]: test["score"] for test in row["tests"]}
        yield [row["student"], row["name"], row["status"], row["score"], row["most"],
               *(scores.get(name) for name in names), "late" if row["late"] else "", row["penalty"] or None,
               "; ".join(f"{t['name']}: {t['mistake']}" for t in row["tests"] if t["mistake"]),
               "; ".join(row["flags"]), row["why"]]


def as_csv(table):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([safe(cell) for cell in row] for row in table)
    return out.getvalue()


def safe(cell):
    """A cell's text: "" for None, no .0 at whole numbers; an apostrophe keeps a spreadsheet from taking it for a
    formula."""
    if isinstance(cell, float):
        return f"{cell:g}"
    text = "" if cell is None else " ".join("".join(c if c.isprintable() else " " for c in str(cell)).split())
    return f"'{text}" if unicodedata.normalize("NFKC", text[:1]) in tuple("=+-@") else text
