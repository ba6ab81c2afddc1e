"""The page that a student gets, by the command and by nbgrader's own, from notebooks that ran in real sandboxes."""
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbgrader.api import Gradebook

from course import ROOT, build, setup
from course.grade.feedback import mistake_in, presentable
from course.grade.transplant import without_hidden
from course.stubs import clear

PHASE = "3b_attention"
CELLS = {cell.id: cell.source for cell in build.source_notebook(PHASE).cells}
HEAD, HEADS = (clear(CELLS[name], keep={10, 11, 12, 13}) for name in ("todo-10-11", "todo-12-13"))
NO_SCALE = HEAD.replace(" / math.sqrt(x.shape[-1])", "")
NOT_THREE_HEADS = HEADS.replace("return self.dropout(output)", "return self.dropout(output * (x.shape[-1] != 12))")
CLASS = {  # student -> the answers' cells
    "ada": {"todo-10-11": HEAD, "todo-12-13": HEADS},
    "bob": {"todo-10-11": NO_SCALE, "todo-12-13": clear(CELLS["todo-12-13"], keep={12})},
    "cyd": {"todo-10-11": "import os\nos._exit(1)", "todo-12-13": NOT_THREE_HEADS},
    "eve": {"todo-10-11": HEAD},
    "dan": {"todo-10-11": HEAD + "\nopen('/etc/secret/of/the/grader')", "todo-12-13": HEADS + "\nclass Broken(:"},
}

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"),
                                reason="bubblewrap is not installed, so nothing is sandboxed")


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """The class' folder, graded by the command."""
    folder = tmp_path_factory.mktemp("class")
    for student, answers in CLASS.items():
        book = nbformat.read(build.notebook_path(PHASE), as_version=4)
        for cell in book.cells:
            cell.source = answers.get(cell.id, cell.source)
        book.cells = [cell for cell in book.cells if cell.id in answers or not cell.id.startswith("todo-")]
        path = folder / "handed-in" / student / f"{PHASE}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(book, path)
    outcome = subprocess.run(
        [sys.executable, "-m", "course", "grade", PHASE, str(folder / "handed-in"), "--into", str(folder), "--fast"],
        cwd=ROOT, env=setup.environment(), capture_output=True, text=True, timeout=600)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return folder


def written(folder):
    """{student: page}"""
    return {student: (folder / "grading" / "feedback" / student / PHASE / f"{PHASE}.html").read_text(encoding="utf-8")
            for student in CLASS}


@pytest.fixture(scope="module")
def pages(classroom):
    """The pages as Formgrader's button makes them again, after a person has looked at some."""
    by_the_command = written(classroom)
    with Gradebook(f"sqlite:///{classroom}/gradebook.db") as gradebook:
        gradebook.find_grade("test-12", PHASE, PHASE, "bob").manual_score = 2
        gradebook.find_grade("test-10", PHASE, PHASE, "eve").manual_score = 1
        gradebook.find_comment("todo-12-13", PHASE, PHASE, "bob").manual_comment = "A good start.\n<b>Go on!</b>"
        gradebook.find_comment("todo-10-11", PHASE, PHASE, "cyd").manual_comment = "On the very first cell."
        gradebook.db.commit()
    api = build.nbgrader_api(root=str(classroom), source_directory=str(build.SOURCE_NOTEBOOKS))
    for student in CLASS:
        outcome = api.generate_feedback(PHASE, student, force=True)
        assert outcome["success"], outcome["log"]
    pages = written(classroom)
    assert [student for student in CLASS if pages[student] != by_the_command[student]] == ["bob", "cyd", "eve"]
    return pages


def part(page, todo):
    """The text of one TODO's section."""
    section = re.search(rf'<section id="test-{todo}".*?</section>', page, re.DOTALL)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def test_all_right(pages):
    assert "18 of 18 points" in pages["ada"] and "Well done" in pages["ada"] and "Next:" not in pages["ada"]


def test_a_known_mistake_is_named_with_its_hint(pages):
    told = part(pages["bob"], 11)
    assert "TODO 11: not yet right, 0 of 6 points" in told and "TODO 11 is not right yet: no scale." in told
    assert "(open hint 2)" in told and "Next: Open hint 2 (&#34;the functions you need&#34;)" in told
    assert 'href="#test-11"' in pages["bob"]


def test_what_is_not_written_yet_says_where_to_begin(pages):
    told = part(pages["bob"], 13)
    assert "Not written yet" in told and "how much of TODO 11 can stay?" in told and "NotImplementedError" not in told


def test_what_a_person_wrote_and_set(pages):
    told = part(pages["eve"], 10)
    assert "partly right, 1 of 2 points" in told and "ran to its end" in told and "failed" not in told
    told = part(pages["bob"], 12)
    assert "TODO 12: partly right, 2 of 3 points" in told and "set by a person" in told
    assert "A good start. &lt;b&gt;Go on!&lt;/b&gt;" in told and pages["bob"].count("A good start.") == 1
    assert "On the very first cell." in part(pages["cyd"], 10) and pages["cyd"].count("On the very first cell.") == 1


def test_a_further_test_is_not_shown(pages):
    told = part(pages["cyd"], 13)
    assert "not a further test" in told and "line by line" in told
    secrets = {line.strip() for cell, source in CELLS.items() if cell.startswith("test-")
               for line in set(source.splitlines()) - set(without_hidden(source).splitlines())}
    for page in pages.values():
        assert not [line for line in secrets if len(line) > 8 and line in page]


def test_an_answer_that_ends_the_kernel_or_does_not_run(pages):
    assert "ended the whole kernel" in part(pages["cyd"], 11) and "does each of them end" in part(pages["cyd"], 11)
    told = part(pages["dan"], 13)
    assert "SyntaxError: invalid syntax (line " in told and "Mend that first" in told and "NameError" not in told


def test_a_cell_that_is_missing(pages):
    assert "Note: the cell is missing." in part(pages["eve"], 12) and "missing" not in part(pages["eve"], 13)


def test_nothing_of_this_machine_and_of_no_other_student(pages):
    for student, page in pages.items():
        assert not re.search(r"/(etc|tmp|work|home|usr)/|" + re.escape(str(ROOT)), page)
        assert not [other for other in CLASS if other != student and re.search(rf"\b{other}\b", page)]
        assert "<script" not in page and not re.search(r"(src|href)=\"(?!#)", page)


@pytest.mark.parametrize("says, shown", [
    ("see /home/ada/course/x.py", "see x.py"), ("(B/H/T) or km/h", "(B/H/T) or km/h"),
    ("at https://docs.pytorch.org/docs/stable", "at https://docs.pytorch.org/docs/stable"),
    ("<object at 0x7f00aa55bb11>", "<object at 0x...>"), ("bad (123456.py, line 3)", "bad (line 3)"),
    ("", "This test failed: what your code gives is not what it should be."), ("x" * 9000, "x" * 2000 + " ..."),
    ("assert _hidden == 12345", "This test failed. Its message is not shown, because it repeats a part of the test.")])
def test_what_is_shown_of_a_message(says, shown):
    error = nbformat.v4.new_output("error", ename="AssertionError", evalue=says, traceback=[])
    assert presentable(error, ["assert _hidden == 12345"]) == shown


def test_only_a_check_names_a_mistake():
    def error(says):
        return nbformat.v4.new_output("error", ename="AssertionError", evalue=says, traceback=[])
    assert mistake_in(error("TODO 11 is not right yet: no scale.\nMore.")) == "no scale"
    assert mistake_in(error("TODO 11 is not right yet.\nMore.")) == mistake_in(error("no")) == mistake_in(None) == ""
