"""A page for each student: points, what the check found, and where to go on. No hidden test, no path, no traceback."""
import re

from jinja2 import Environment, PackageLoader
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook

from course.grade.execute import is_test
from course.grade.transplant import without_hidden

LONGEST = 2000  # characters of one message
PAGES = Environment(loader=PackageLoader("course.grade", "pages"), autoescape=True,
                    trim_blocks=True, lstrip_blocks=True)


class FeedbackPage(HTMLExporter):
    """What nbgrader's generate_feedback, and Formgrader's button for it, make of a graded notebook."""

    def from_notebook_node(self, nb, resources=None, **kw):
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            grades = grades_of(gradebook, where["assignment"], where["student"])
            late = gradebook.find_submission(where["assignment"], where["student"]).total_seconds_late > 0
        page = feedback(where["assignment"], where["student"], nb, grades, late)
        return page, {**resources, "output_extension": ".html"}


def feedback(phase, name, book, grades, late=False, why=""):
    """The page, self-contained. grades: {name of the test cell: (score, the most there is)}"""
    tests = tests_of(book, grades)
    return PAGES.get_template("feedback.html").render(
        phase=phase, name=name, late=late, why=why, tests=tests,
        notes=book.metadata.get("submission", {}).get("notes", {}),
        score=sum(test["score"] for test in tests), most=sum(test["most"] for test in tests))


def grades_of(gradebook, phase, student):
    """{name of the test cell: (score, the most there is)}"""
    notebook = gradebook.find_submission_notebook(phase, phase, student)
    return {grade.name: (grade.score or 0.0, grade.max_score) for grade in notebook.grades}


def tests_of(book, grades):
    """[{name, todo, score, most, message, mistake}] for each test cell, in the notebook's order."""
    hidden = [line.strip() for cell in book.cells if is_test(cell)
              for line in set(cell.source.splitlines()) - set(without_hidden(cell.source).splitlines())]
    hidden = [line for line in hidden if len(line) > 15 and not line.startswith("###")]
    tests = []
    for cell in book.cells:
        if not is_test(cell) or cell.id not in grades:
            continue
        score, most = grades[cell.id]
        error = next((o for o in cell.get("outputs", []) if o.output_type == "error"), None)
        message = presentable(error, hidden) if error else ""
        tests.append({"id": cell.id, "name": cell.id.replace("test-", "TODO "), "score": score, "most": most,
                      "message": message,
                      "mistake": mistake_in(error)})
    return tests


def presentable(error, hidden):
    """The message of a failed test, without anything that is not the student's to see."""
    text = str(error.evalue)
    if error.ename not in ("AssertionError", "Stopped"):
        text = f"{error.ename}: {text}"
    if any(line in text for line in hidden):
        return "This test failed. Its message is not shown, because it repeats a part of the test."
    text = re.sub(r"(/[\w.@+-]+){2,}", lambda path: path[0].rsplit("/", 1)[-1], text)  # no folders of this machine
    text = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x...", text)  # an address, different in each run
    text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    return text or "This test failed: what your code gives is not what it should be."


def mistake_in(error):
    """The name of the mistake, if the check named one: "TODO 11 is not right yet: no scale." -> "no scale"."""
    found = re.match(r"TODO \d+ is not right yet: (.+?)\.$", str(error.evalue).partition("\n")[0]) if error else None
    return found[1] if found else ""
