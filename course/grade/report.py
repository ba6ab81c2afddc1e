"""What comes out for the instructor: grades.csv and report.html, from the gradebook and the graded notebooks."""
import collections
import csv
import io
import re

from course.build import write
from course.grade.feedback import PAGES, feedback, tests_of
from course.grade.transplant import MISSING


def report(classroom, phase, submissions):
    """Write grades.csv, report.html and the feedback; returns the lines for the terminal."""
    rows = [row_of(classroom, phase, submission) for submission in submissions]
    folder = classroom.folder / "reports" / phase
    write(folder / "grades.csv", as_csv(rows).encode("utf-8"))
    for row in rows:
        if row["tests"]:
            page = feedback(phase, row["name"], classroom.graded(phase, row["student"]),
                            classroom.grades(phase, row["student"]), row["late"], row["why"])
            write(classroom.folder / "feedback" / row["student"] / phase / f"{phase}.html", page.encode("utf-8"))
    page = PAGES.get_template("report.html").render(phase=phase, rows=rows, **summary(rows))
    write(folder / "report.html", page.encode("utf-8"))
    counts = collections.Counter(row["status"] for row in rows)
    return "\n".join([", ".join(f"{number} {status}" for status, number in sorted(counts.items())),
                      *(f"  {row['name']}: {row['status']}: {row['why']}" for row in rows if row["why"]),
                      f"Grades and report: {folder}"])


def row_of(classroom, phase, submission):
    """All that is known of one student's submission."""
    row = {"student": submission.student, "name": submission.name, "status": submission.status, "why": submission.why,
           "flags": [], "notes": {}, "tests": [], "score": None, "most": None, "late": submission.late, "seconds": None}
    if submission.cells is None:
        return row
    book, grades = classroom.graded(phase, submission.student), classroom.grades(phase, submission.student)
    said, ran = book.metadata.get("submission", {}), book.metadata.get("grading", {})
    row["tests"] = tests_of(book, grades)
    row["score"] = sum(grade.score for grade in grades.values())
    row["most"] = sum(grade.most for grade in grades.values())
    row["notes"], row["seconds"] = said.get("notes", {}), ran.get("seconds")
    row["flags"] = said.get("flags", []) + [f"{name} was replaced while it ran" for name in ran.get("changed", [])]
    row["late"] = submission.late or classroom.late(phase, submission.student) > 0
    broken = {name: cell["status"] for name, cell in ran.get("cells", {}).items()
              if cell["status"] in ("stuck", "ended", "not run")}
    lost = {name: note for name, note in row["notes"].items() if note == MISSING}
    if submission.status == "ready":
        row["status"] = "partly" if broken or lost else "graded"
    reasons = [submission.why, *(f"{name}: {what}" for name, what in {**broken, **lost}.items())]
    row["why"] = "; ".join(filter(None, reasons))
    return row


def as_csv(rows):
    """One line for each student; a text that a spreadsheet would take for a formula gets an apostrophe."""
    names = sorted({test["name"] for row in rows for test in row["tests"]},
                   key=lambda name: int(re.sub(r"\D", "", name) or 0))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["student", "name", "status", "score", "most", *names, "late", "mistakes", "flags", "why"])
    for row in rows:
        scores = {test["name"]: number(test["score"]) for test in row["tests"]}
        cells = [row["student"], row["name"], row["status"], number(row["score"]), number(row["most"]),
                 *(scores.get(name, "") for name in names), "late" if row["late"] else "",
                 "; ".join(f"{t['name']}: {t['mistake']}" for t in row["tests"] if t["mistake"]),
                 "; ".join(row["flags"]), row["why"]]
        table.writerow([safe(cell) for cell in cells])
    return out.getvalue()


def safe(cell):
    text = " ".join(str(cell).split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def number(score):
    """"" for none, without .0 for whole ones."""
    return "" if score is None else f"{score:g}"


def summary(rows):
    """What the report shows of the class as a whole."""
    graded = [row for row in rows if row["tests"]]
    mistakes = collections.Counter((t["name"], t["mistake"]) for row in graded for t in row["tests"] if t["mistake"])
    passed = collections.Counter(t["name"] for row in graded for t in row["tests"] if t["score"] == t["most"])
    names = [t["name"] for t in graded[0]["tests"]] if graded else []
    shares = collections.Counter(min(9, int(10 * row["score"] / row["most"])) if row["most"] else 0 for row in graded)
    return {"graded": len(graded), "rates": [(name, passed[name], len(graded)) for name in names],
            "mistakes": mistakes.most_common(15), "distribution": [(10 * n, shares[n]) for n in range(10)],
            "most_common": max(shares.values(), default=1)}
