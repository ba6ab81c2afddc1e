"""The notebooks in a real browser: what a learner sees in JupyterLab, solved and empty.

Set TINYLLM_SHOTS to a folder, and pictures of all pages are left there, in each theme.
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
# What axe looks for in each theme: everything, and in the others what a theme can spoil.
THEMES = {"JupyterLab Light": {}, "JupyterLab Dark": {"runOnly": ["color-contrast"]},
          "JupyterLab Dark High Contrast": {"runOnly": ["color-contrast"]}}
LARGEST_KERNEL = 1e9  # bytes
SHORTER = ("epochs=1 if grading else 20", "epochs=2")  # the parrot of 5_training takes a third of its time otherwise

pytestmark = pytest.mark.skipif(
    not lab.CHROMIUM, reason="no notebook was opened in a browser: there is no Chromium here. On Debian: apt-get "
                             "install chromium fonts-dejavu-core")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One for the whole session: of each worker, where tests run side by side."""
    home, root = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("root")
    running = lab.Server(home, root, PYTHONPATH=str(ROOT), TINYLLM_FAST="1",
                         TINYLLM_DATA=str(ROOT / "data" / "sample_play.txt"))
    yield running
    running.stop()


@pytest.fixture(scope="module")  # while playwright runs, no test of another file could run a kernel
def window(server):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=lab.CHROMIUM, args=lab.FLAGS)
        yield lab.Window(browser, server)
        browser.close()


@pytest.fixture
def opened(server, window, request):
    """opened(phase, kind, notebook): write the notebook and open it in JupyterLab."""
    def open_it(phase, kind, notebook):
        for other in NOTEBOOKS:  # links between notebooks lead somewhere
            path = server.root / kind / other / f"{other}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook if other == phase else nbformat.v4.new_notebook(), path)
        window.open(f"{kind}/{phase}/{phase}.ipynb")
        return window

    yield open_it
    for theme in THEMES if os.environ.get("TINYLLM_SHOTS") else ():
        window.change_theme(theme)
        window.screenshots(Path(os.environ["TINYLLM_SHOTS"]), re.sub(r"\W+", "_", f"{request.node.name} {theme}"))
    window.close()


def learners(phase, answered=True, budget="2s"):
    """The notebook that learners get; if `answered`, with all their answers in it."""
    notebook = nbformat.read(build.notebook_path(phase), as_version=4)
    sources = {cell.id: cell.source for cell in solve.answered(phase, budget).cells}
    for cell in notebook.cells if answered else ():
        if not cell.id.startswith("test"):  # their tests hold no hidden ones
            cell.source = sources[cell.id].replace(*SHORTER)
    return notebook


def streams(outputs, name):
    return [output["text"] for cell in outputs for output in cell
            if output["output_type"] == "stream" and output["name"] == name]


def errors(outputs):
    return [f"{output['ename']}: {output['evalue']}" for cell in outputs for output in cell
            if output["output_type"] == "error"]


def inaccessible(window):
    """What axe finds in the outputs, without what is known: (theme, rule, element, why)."""
    found = []
    for theme, options in THEMES.items():
        window.change_theme(theme)
        options = {"resultTypes": ["violations"], **options}
        seen = Axe().run(window.page, context=".jp-OutputArea", options=options).response
        assert "color-contrast" in [rule["id"] for rule in seen["passes"]], "something lies over the text"
        for rule in seen["violations"]:
            for node in rule["nodes"]:
                if not any(rule["id"] == known and sign in node["html"] for known, sign in KNOWN):
                    found.append((theme, rule["id"], node["html"][:300], node.get("failureSummary")))
    return found


@pytest.mark.parametrize("phase", NOTEBOOKS)
def test_solved(phase, opened, server):
    """Nothing but results: no error, no warning, all pictures there and accessible, explorers at the keyboard."""
    page = opened(phase, "solved", learners(phase))
    page.run_all()
    outputs = page.outputs()
    assert errors(outputs) == [] and streams(outputs, "stderr") == []
    for number, cell in enumerate(outputs):
        explorers = [output for output in cell if {lab.WIDGET, "image/png"} <= set(output.get("data", ()))]
        shown = page.explorers(number, len(explorers))
        assert len(shown) == len(explorers)
        for explorer in shown:
            page.move_a_control(explorer)
    assert inaccessible(page) == []
    assert page.errors == [] and page.foreign == []
    assert server.memory() < LARGEST_KERNEL


@pytest.mark.parametrize("phase", PHASES)
def test_empty(phase, opened):
    """A learner who runs all cells before writing anything reads nothing but what is to do."""
    notebook = learners(phase, answered=False)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata["tags"] = ["raises-exception"]  # JupyterLab would stop at the first error
    page = opened(phase, "empty", notebook)
    page.run_all()
    outputs = page.outputs()
    found = errors(outputs)
    assert found and [error for error in found if not re.match(rf"NotImplementedError: {TODO.pattern}", error)] == []
    assert streams(outputs, "stderr") == [] and page.errors == [] and page.foreign == []


def test_first_a_wrong_answer_then_the_right_one(opened):
    """A learner types: the check names the mistake and draws it, and lets pass what is right."""
    notebook, cells = learners("3b_attention", answered=False), learners("3b_attention").cells
    at = {cell.id: number for number, cell in enumerate(notebook.cells)}
    right = cells[at["todo-10-11"]].source
    wrong = right.replace(" / math.sqrt(x.shape[-1])", "")
    assert wrong != right
    page = opened("3b_attention", "typed", notebook)

    def answer(source):
        """Write it into the cell and run that: the outputs of the check of TODO 11."""
        page.write(at["todo-10-11"], source)
        assert page.run_cell(at["todo-10-11"]) == []
        return page.run_cell(at["test-11"])

    for number in range(at["todo-10-11"]):
        if notebook.cells[number].cell_type == "code":
            page.run_cell(number)
    [picture, message] = answer(wrong)
    assert "image/png" in picture["data"] and "the scores are not divided by the square root" in message["evalue"]
    [passed] = answer(right)
    assert passed["text"].startswith("TODO 11 passed")
    look = at["test-11"] + 2
    page.run_cell(look)
    page.move_a_control(*page.explorers(look, 1))
    assert page.errors == []


def test_the_square_button_keeps_what_was_learned(opened):
    """Training is stopped in its first epoch: the notebook goes on, with the model, its history and a checkpoint."""
    notebook = learners("5_training", budget="10min")
    cells = [cell for cell in notebook.cells
             if cell.cell_type == "code" and not re.search("practice|parrot", cell.source)]  # models to practise on
    train = next(number for number, cell in enumerate(cells) if "session.run(" in cell.source)
    kept = nbformat.v4.new_code_cell("len(history['train_loss']), val_loss > 0, (folder / 'checkpoint.pt').is_file()")
    notebook.cells = [*cells[:train + 1], kept]
    page = opened("5_training", "stopped", notebook)
    page.start()
    page.cell(train).get_by_text("steps/s").wait_for()
    page.interrupt()
    page.finish()
    outputs = page.outputs()
    assert errors(outputs) == [] and streams(outputs, "stderr") == [] and page.errors == []
    stopped = re.search(r"Stopped after (\d+) steps\. The model keeps what it has learned\. A checkpoint is in ",
                        "".join(streams(outputs, "stdout")))
    assert page.cell(train + 1).locator(".jp-OutputArea-output").inner_text() == f"({stopped[1]}, True, True)"
