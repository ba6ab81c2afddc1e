"""The instructor's browser: feedback, report and Formgrader show what strangers handed in, and nothing of it runs."""
import json
import shutil
import subprocess
import sys

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from handed_in import PHASE, at, cell, code, solved
from nbgrader.api import Gradebook
from playwright.sync_api import sync_playwright

from browser import lab
from course import ROOT, build, setup

RUN = "new Image().src='ran-here.png'"  # a request that the tests see
LINK = f"javascript:void({RUN})"
BAD = f"""<script>{RUN}</script><img src=x onerror="{RUN}"><svg onload="{RUN}"></svg><details open ontoggle="{RUN}">
</textarea></pre></style></title></script><script>{RUN}</script><a href="{LINK}">a</a>
<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>"""
NAME = "<img src=x onerror=this.onerror=null,this.src='ran-here.png'>"  # of a folder: no slash
SHOWN = {kind: BAD for kind in ("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "image/png",
                                "application/javascript")}
SHOWN["application/javascript"] = RUN
SHOWN["text/markdown"] += f"\n\n[a]({LINK})"

pytestmark = pytest.mark.skipif(
    not (lab.CHROMIUM and shutil.which("bwrap")),
    reason="Formgrader was not opened in a browser: Chromium or bubblewrap is missing. On Debian: apt-get install "
           "chromium bubblewrap")


def in_its_outputs(book):
    """It shows and raises markup while it runs, and has saved some before."""
    show = (f"from IPython.display import display\nBAD = {BAD!r}\ndisplay({SHOWN!r}, raw=True)\nprint(BAD)\n"
            "import sys\nprint('\\x1b[31m' + BAD, file=sys.stderr)\nraise type(BAD, (Exception,), {})(BAD)")
    own = code(show)
    own.outputs = [nbformat.v4.new_output("display_data", SHOWN),
                   nbformat.v4.new_output("error", ename=BAD, evalue=BAD, traceback=[BAD])]
    book.cells.insert(at(book, "todo-4-5"), own)
    cell(book, "todo-4-5").source += f"\ndef forward(self, x):\n    raise ValueError({BAD!r})\n" \
        "TwoLayerNet.forward = forward"


def in_its_text(book):
    """It is written into every part of a notebook that somebody may show."""
    book.metadata.update({"title": BAD, "authors": [{"name": BAD}], "kernelspec": {
        "name": BAD, "display_name": BAD, "language": BAD}, "language_info": {"name": BAD, "pygments_lexer": BAD}})
    for one in book.cells:
        if one.cell_type == "markdown":
            one.source = f"{BAD}\n\n[a]({LINK}) ![a](attachment:a.svg) $$\\href{{{LINK}}}{{a}}$$"
            one.attachments = {"a.svg": {"image/svg+xml": BAD}}
    answer = cell(book, "todo-4-5")
    answer.source = "# " + BAD.replace("\n", "\n# ") + f"\n'''{BAD}'''\n" + answer.source
    cell(book, "test-5").metadata.nbgrader.update(grade_id=BAD, points=BAD)
    again = nbformat.from_dict(answer)
    again.id, again.cell_type, again.source = "other", "markdown", BAD
    book.cells.append(again)
    book.cells.append(nbformat.v4.new_raw_cell(BAD, metadata={"raw_mimetype": "text/html", "format": "text/html"}))


def honest(book):
    """Nothing."""


CLASS = {"in its outputs": in_its_outputs, "in its text": in_its_text, NAME: honest, "honest": honest}


def written(folder, name):
    """Hand one in."""
    book = solved()
    CLASS[name](book)
    folder.mkdir(parents=True)
    (folder / (f"{NAME}.ipynb" if name == NAME else f"{PHASE}.ipynb")).write_text(json.dumps(book), encoding="utf-8")


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """A class that the command has graded, with one submission that waits for Formgrader's own buttons."""
    folder = tmp_path_factory.mktemp("class")
    for name in CLASS:
        written(folder / "handed-in" / name, name)
    (folder / "handed-in" / f"{NAME}2").mkdir()  # missing, and named in the report
    outcome = subprocess.run(
        [sys.executable, "-m", "course", "grade", PHASE, str(folder / "handed-in"), "--into", str(folder), "--fast"],
        cwd=ROOT, env=setup.environment(), capture_output=True, text=True, timeout=600)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    (folder / "nbgrader_config.py").write_text(
        f"load_subconfig({str(ROOT / 'nbgrader_config.py')!r})\nc = get_config()\n"
        f"c.CourseDirectory.root = {str(folder)!r}\n"
        f"c.CourseDirectory.source_directory = {str(build.SOURCE_NOTEBOOKS)!r}\n", encoding="utf-8")
    for name in ("in its outputs", "in its text"):  # past the intake
        written(folder / "grading" / "submitted" / f"raw {name}".replace(" ", "-") / PHASE, name)
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=lab.FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def formgrader(classroom, tmp_path_factory):
    """The address of Formgrader, in a server whose root is the class' folder."""
    running = lab.Server(tmp_path_factory.mktemp("home"), classroom, PATH=setup.environment()["PATH"])
    yield running.address + "/formgrader"
    running.stop()


@pytest.fixture
def page(browser):
    """A page that notes in `ran` whatever ran that should not."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.ran = []
    page.on("request", lambda request: page.ran.append(request.url) if request.url.endswith("/ran-here.png") else None)
    page.on("dialog", lambda dialog: (page.ran.append(dialog.message), dialog.dismiss()))
    yield page
    page.close()


def opened(page, address):
    """Go there, wait until it is still, and click on whatever markup a submission could have put there."""
    page.goto(address, wait_until="load")
    page.wait_for_load_state("networkidle")
    for link in page.locator("a[href^='javascript:' i]").all():
        link.evaluate("link => link.click()")
    return page.content()


def files(classroom, pattern):
    return sorted((classroom / "grading").rglob(pattern))


def test_the_tests_would_see_it(page, tmp_path):
    """The markup does run where nobody takes care."""
    for number, piece in enumerate([BAD, f"<script>{RUN}</script>", NAME, f"<svg onload=\"{RUN}\"></svg>",
                                    f"<a href=\"{LINK}\">a</a>"]):
        (tmp_path / f"{number}.html").write_text(piece, encoding="utf-8")
        page.ran.clear()
        opened(page, (tmp_path / f"{number}.html").as_uri())
        assert page.ran, piece


def test_feedback_and_report(page, classroom):
    pages = files(classroom, "*.html")
    assert len(pages) == len(CLASS) + 1
    for path in pages:
        content = opened(page, path.as_uri())
        assert page.ran == [] and "<script" not in content and "<img" not in content and "<svg" not in content, path
    report = (classroom / "grading" / "reports" / PHASE / "report.html").read_text(encoding="utf-8")
    assert "&lt;img src=x onerror" in report


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_feedback_and_report_are_accessible(browser, classroom, scheme):
    page = browser.new_page(color_scheme=scheme, viewport={"width": 700, "height": 900})
    for path in files(classroom, "*.html"):
        page.goto(path.as_uri())
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path  # only tables scroll sideways
    for link in page.locator("td a").all():  # from the report to each page
        assert (classroom / "grading" / "reports" / PHASE / link.get_attribute("href")).resolve().is_file()
    page.close()


def test_formgrader_makes_the_released_notebook(page, classroom, formgrader):
    """Generate, pressed in the browser: the same bytes that `course build` has made."""
    opened(page, f"{formgrader}/manage_assignments")
    page.locator("tr", has_text=PHASE).locator(".assign a").click()
    page.locator("#success-modal .modal-footer button").click(timeout=120_000)
    made = classroom / "notebooks" / PHASE / f"{PHASE}.ipynb"
    assert made.read_bytes() == build.notebook_path(PHASE).read_bytes()


def test_formgraders_own_buttons_are_safe_too(page, classroom, formgrader):
    """Autograde and Generate Feedback, pressed in the browser, on notebooks that nobody has looked at."""
    opened(page, f"{formgrader}/manage_submissions/{PHASE}")
    for student in ("raw-in-its-outputs", "raw-in-its-text"):
        for button, done in ((".autograde", "autograded"), (".generate-feedback", "feedback")):
            row = page.locator("tr", has_text=student)
            row.locator(f"{button} a").click()
            page.locator("#success-modal .modal-footer button").click(timeout=120_000)
            page.locator("#success-modal").wait_for(state="detached")
            made = files(classroom, f"{done}/{student}/{PHASE}/*.[ih]*")
            assert made, f"{button} made nothing for {student}"
        content = opened(page, made[0].as_uri())
        assert page.ran == [] and "<script" not in content
        opened(page, f"{formgrader}/manage_submissions/{PHASE}")
    with Gradebook(f"sqlite:///{classroom}/gradebook.db") as gradebook:
        assert gradebook.find_submission(PHASE, "raw-in-its-text").score == 4
        assert gradebook.find_submission(PHASE, "raw-in-its-outputs").score < 4
    ran = json.loads(files(classroom, f"autograded/raw-in-its-text/{PHASE}/*.ipynb")[0].read_text(encoding="utf-8"))
    assert ran["metadata"]["grading"]["cells"]["test-4"]["status"] == "ok"  # in our sandbox, not nbgrader's kernel


def test_formgraders_pages(page, classroom, formgrader):
    """Its lists, and each student's notebook as it is read and given points by hand."""
    with Gradebook(f"sqlite:///{classroom}/gradebook.db") as gradebook:
        students = [student.id for student in gradebook.students]
        submissions = [notebook.id for notebook in gradebook.notebook_submissions(PHASE, PHASE)]
    assert len(submissions) >= len(CLASS)
    lists = ["manage_assignments", f"manage_submissions/{PHASE}", "gradebook", f"gradebook/{PHASE}",
             f"gradebook/{PHASE}/{PHASE}", "manage_students", *(f"manage_students/{student}" for student in students)]
    for path in lists + [f"submissions/{submission}/" for submission in submissions]:
        opened(page, f"{formgrader}/{path}")
        assert page.ran == [], path
    assert page.locator(".score").count() == 2  # the last one opened is a notebook with its two tests
