"""A page for each student: points, what the check found, and where to go on. No hidden test, no path, no traceback."""
import re
import typing

from jinja2 import Environment, PackageLoader
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook

from course.build import todo_numbers
from course.grade.execute import is_test
from course.grade.transplant import without_hidden

LONGEST = 2000  # characters of one message
PAGES = Environment(loader=PackageLoader("course.grade", "pages"), autoescape=True,
                    trim_blocks=True, lstrip_blocks=True)
HINT = re.compile(r"<summary><b>Hint (\d)</b>: (.+?)</summary>")
WITHHELD = "This test failed. Its message is not shown, because it repeats a part of the test."

# What to do next, by how a test ended. {one} and {two} stand for the hints below the TODO, {named} for the one that the
# check's message names.
NEXT = {
    "no error": "The test ran to its end. If it is not clear why points are missing, ask.",
    "not written": "Not written yet. Read the part above it once more, and let {one} give you a start.",
    "known mistake": "Open {named}, change what it speaks of, and run the cell and its check again.",
    "not right": "Compare the message with the shapes and names in the TODO's own text. If that does not show it, "
                 "open {one}, then {two}.",
    "further test": "Your code passes the check in the notebook, but not a further test with other sizes or numbers. "
                    "Look for a case that is left out, or a number where a name should stand; then open {two}.",
    "answer stopped": "Your cell itself ended with this error, so that the test had nothing to try. Mend that first: "
                      "restart the kernel, run the cells from the top, and you will meet it again.",
    "did not end": "Restart the kernel and run the cells from the top: does each of them end? A loop needs a line that "
                   "makes its condition false; a list that only grows fills the memory.",
    "error": "Restart the kernel and run the cells from the top: you will meet the same error, and see the line. If a "
             "name is missing, its cell was changed or deleted.",
}


class Grade(typing.NamedTuple):
    """What one test came to."""
    score: float
    most: float
    by_hand: bool = False  # a person has set the score
    comment: str = ""  # what a person wrote in Formgrader below the answer's cell


class FeedbackPage(HTMLExporter):
    """What nbgrader's generate_feedback, and Formgrader's button for it, make of a graded notebook."""

    def from_notebook_node(self, nb, resources=None, **kw):
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            grades = grades_of(gradebook, where["assignment"], where["student"])
            submission = gradebook.find_submission(where["assignment"], where["student"])
            late, penalty = submission.total_seconds_late > 0, submission.late_submission_penalty
        page = feedback(where["assignment"], where["student"], nb, grades, late, penalty=penalty)
        return page, {**resources, "output_extension": ".html"}


def feedback(phase, name, book, grades, late=False, why="", penalty=0.0):
    """The page, self-contained. grades: {name of the test cell: Grade}; penalty: points taken off for being late"""
    tests = tests_of(book, grades)
    return PAGES.get_template("feedback.html").render(
        phase=phase, name=name, late=late, why=why, tests=tests,
        notes=book.metadata.get("submission", {}).get("notes", {}),
        penalty=penalty, score=sum(test["score"] for test in tests) - penalty, most=sum(test["most"] for test in tests))


def grades_of(gradebook, phase, student):
    """{name of the test cell: Grade}"""
    notebook = gradebook.find_submission_notebook(phase, phase, student)
    comments = {f"test-{todo}": comment.manual_comment or "" for comment in notebook.comments
                for todo in todo_numbers(comment.name.removeprefix("todo-"))}
    return {grade.name: Grade(grade.score or 0.0, grade.max_score, grade.manual_score is not None,
                              comments.get(grade.name, "")) for grade in notebook.grades}


def tests_of(book, grades):
    """What each test came to, as dicts in the notebook's order: id, name, score, most, by_hand, comment, kind, message,
    mistake, says, notes, next.

    `kind` is "right" or one of NEXT; `mistake` is the name of a known mistake and `says` the check's sentence on it.
    """
    hidden = [line.strip() for cell in book.cells if is_test(cell)
              for line in set(cell.source.splitlines()) - set(without_hidden(cell.source).splitlines())]
    hidden = [line for line in hidden if len(line) > 15 and not line.startswith("###")]
    said = book.metadata.get("submission", {}).get("notes", {})  # what was unusual about a cell
    tests, hints, answer, once = [], {}, None, {}
    for cell in book.cells:
        if cell.cell_type == "markdown":
            hints = dict(HINT.findall(cell.source)) or hints
        elif cell.metadata.get("nbgrader", {}).get("solution"):
            answer, once = error_of(cell), {"note": said.get(cell.id, "")}
        if not is_test(cell) or cell.id not in grades:
            continue
        grade, error = grades[cell.id], error_of(cell)
        if error and answer and not error.evalue.startswith("TODO "):  # what the test says is only a consequence
            error = answer
        kind = kind_of(cell, error, answer) if grade.score < grade.most else "right"
        message = presentable(error, hidden) if error and kind != "right" else ""
        named = re.search(r"\(open hint (\d)\)", message)
        tests.append({
            "id": cell.id, "name": cell.id.replace("test-", "TODO "), **grade._asdict(), "kind": kind,
            "message": message, "mistake": mistake_in(error), "says": explained(message) if error else "",
            "comment": grade.comment if once else "", "notes": [*filter(None, [once.get("note"), said.get(cell.id)])],
            "next": NEXT[kind].format(one=hint("1", hints), two=hint("2", hints),
                                      named=hint(named[1] if named else "1", hints)) if kind != "right" else ""})
        once = {}  # what belongs to an answer's cell stands at the first of its tests
    return tests


def error_of(cell):
    """The error in which a cell ended, or None."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def kind_of(cell, error, answer):
    """Why a test does not have all its points: one of NEXT."""
    if error is None:
        return "no error"
    if error.ename == "Stopped":
        return "did not end"
    if error.ename == "NotImplementedError" and error.evalue.startswith("TODO "):
        return "not written"
    if mistake_in(error):
        return "known mistake"
    if error.evalue.startswith("TODO "):
        return "not right"
    if error is answer:
        return "answer stopped"
    passed = any("passed: " in output.text for output in cell.outputs if output.output_type == "stream")
    return "further test" if passed else "error"


def hint(number, hints):
    """hint 1 ("which dimension is which?")"""
    return f'hint {number} ("{hints[number]}")' if number in hints else f"hint {number}"


def presentable(error, hidden):
    """The message of a failed test, without anything that is not the student's to see."""
    text = str(error.evalue)
    if error.ename not in ("AssertionError", "Stopped"):
        text = f"{error.ename}: {text}"
    if any(line in text for line in hidden):
        return WITHHELD
    text = re.sub(r"(?<![\w/:])(/[\w.@+-]+){2,}", lambda path: path[0].rsplit("/", 1)[-1], text)  # no folders from here
    text = re.sub(r"\((<[^>]*>|\d+\.py), line ", "(line ", text)  # IPython's name for a cell
    text = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x...", text)  # an address, different in each run
    text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
    return text or "This test failed: what your code gives is not what it should be."


def mistake_in(error):
    """The name of the mistake, if the check named one: "TODO 11 is not right yet: no scale." -> "no scale"."""
    first = str(error.evalue).partition("\n")[0] if error else ""
    found = re.match(r"TODO \d+ is not right yet: (.{1,100})\.$", first)
    return found[1] if found else ""


def explained(message):
    """The check's sentence on the mistake: the second line of its message."""
    return message.partition("\n")[2].partition("\n")[0][:300] if message.startswith("TODO ") else ""
