"""The notebooks in a real browser: what a learner sees in JupyterLab, solved and empty.

Set TINYLLM_SHOTS to a folder, and pictures of all pages are left there.
"""
import os
import re
from pathlib import Path

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from browser import lab
from course import NOTEBOOKS, PHASES, ROOT, build, solve

TODO = re.compile(r"(waiting for )?TODO \d+\b")
# ipywidgets gives the handle of a slider no name; the label stands beside it.
KNOWN = {("aria-input-field-name", "noUi-handle")}
THEMES = "JupyterLab Light", "JupyterLab Dark"
BUDGET = ("preset = training.preset()", 'preset = training.preset("quick", budget="4s")')


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One for the whole session: of each worker, where tests run side by side."""
    home, root = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("root")
    running = lab.Server(home, root, PYTHONPATH=str(ROOT), TINYLLM_FAST="1",
                         TINYLLM_DATA=str(ROOT / "data" / "sample_play.txt"))
    yield running
    running.stop()


@pytest.fixture(scope="module")  # while playwright runs, no test of another file could run a kernel
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=lab.FLAGS)
        yield started
        started.close()


@pytest.fixture
def run(server, browser, request):
    """run(phase, kind, notebook): write the notebook, open it in JupyterLab, run all its cells."""
    opened = []

    def open_and_run(phase, kind, notebook):
        for other in NOTEBOOKS:  # links between notebooks lead somewhere
            path = server.root / kind / other / f"{other}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook if other == phase else nbformat.v4.new_notebook(), path)
        opened.append(lab.NotebookPage(browser, server, f"{kind}/{phase}/{phase}.ipynb"))
        opened[0].run_all()
        return opened[0]

    yield open_and_run
    for page in opened:
        if os.environ.get("TINYLLM_SHOTS"):
            page.screenshots(Path(os.environ["TINYLLM_SHOTS"]), re.sub(r"\W+", "_", request.node.name))
        page.shut_down()


def streams(outputs, name):
    return [output["text"] for cell in outputs for output in cell
            if output["output_type"] == "stream" and output["name"] == name]


def errors(outputs):
    return [f"{output['ename']}: {output['evalue']}" for cell in outputs for output in cell
            if output["output_type"] == "error"]


def inaccessible(page):
    """What axe finds in the outputs, in a light and in a dark theme, without what is known: (rule, element, why)."""
    found = []
    for theme in THEMES:
        page.change_theme(theme)
        for rule in Axe().run(page.page, context=".jp-OutputArea").response["violations"]:
            for node in rule["nodes"]:
                if not any(rule["id"] == known and sign in node["html"] for known, sign in KNOWN):
                    found.append((theme, rule["id"], node["html"][:300], node.get("failureSummary")))
    return found


def solved(run, phase):
    """Nothing but results: no error, no warning, all pictures there and accessible, explorers at the keyboard."""
    notebook = solve.answered(phase)
    if phase == "5_training":
        cell = next(cell for cell in notebook.cells if BUDGET[0] in cell.source)
        cell.source = cell.source.replace(*BUDGET)
    page = run(phase, "solved", notebook)
    outputs = page.outputs()
    assert errors(outputs) == [] and streams(outputs, "stderr") == []
    for number, cell in enumerate(outputs):
        explorers = [output for output in cell if {lab.WIDGET, "image/png"} <= set(output.get("data", ()))]
        shown = page.explorers(number, len(explorers))
        assert len(shown) == len(explorers)
        for explorer in shown:
            page.move_a_control(explorer)
    assert inaccessible(page) == []
    assert page.errors == []


def empty(run, phase):
    """A learner who runs all cells before writing anything reads nothing but what is to do."""
    notebook = nbformat.read(build.notebook_path(phase), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata["tags"] = ["raises-exception"]  # JupyterLab would stop at the first error
    page = run(phase, "empty", notebook)
    outputs = page.outputs()
    found = errors(outputs)
    assert found and [error for error in found if not re.match(rf"NotImplementedError: {TODO.pattern}", error)] == []
    assert streams(outputs, "stderr") == [] and page.errors == []


if lab.CHROMIUM:
    CASES = [(solved, phase) for phase in NOTEBOOKS] + [(empty, phase) for phase in PHASES]
else:
    CASES = [pytest.param(None, None, id="none", marks=pytest.mark.skip(
        reason="no notebook was opened in a browser: there is no Chromium here. On Debian: apt-get install chromium "
               "fonts-dejavu-core"))]


@pytest.mark.parametrize("looks, phase", CASES)
def test_in_a_browser(looks, phase, run):
    looks(run, phase)
