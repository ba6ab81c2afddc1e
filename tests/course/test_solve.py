"""The notebooks run: solved from the first cell to generated text, and empty with nothing but TODOs to be seen."""
import re
import subprocess
import sys

import nbformat
import pytest

from course import NOTEBOOKS, PHASES, ROOT, build, solve

ALLOWED = re.compile(r"(waiting for )?TODO \d+\b")


def errors(notebook):
    return [(cell.id, output.ename, output.evalue) for cell in notebook.cells if cell.cell_type == "code"
            for output in cell.outputs if output.output_type == "error"]


def test_all_solved(like_binder):
    """`course solve --fast`, as a maintainer runs it, with no more than Binder gives: every notebook shows figures."""
    outcome = subprocess.run([sys.executable, "-m", "course", "solve", "--fast"], cwd=ROOT, capture_output=True,
                             text=True, timeout=900)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    for phase in NOTEBOOKS:
        assert re.search(rf"^{phase} \.\.\. \d+ s$", outcome.stdout, re.MULTILINE)
        notebook = nbformat.read(solve.SOLVED / f"{phase}.ipynb", as_version=4)
        assert errors(notebook) == []
        outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
        assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
        images = [o for o in outputs if "image/png" in o.get("data", {})]
        assert images and all('alt="' in o.data["text/html"] for o in images)
        for todo in [c.id[5:] for c in notebook.cells if c.id.startswith("test-")]:
            assert any(f"TODO {todo} passed" in o.get("text", "") for o in outputs)
        setup_cell = next(cell for cell in notebook.cells if cell.id == "setup")
        assert setup_cell.outputs == []
        assert (solve.SOLVED / f"{phase}.html").stat().st_size > 100_000
    assert any('This is the preset "quick", because Binder lends you' in o.get("text", "") for o in outputs)


def test_an_unknown_phase_is_named():
    outcome = subprocess.run([sys.executable, "-m", "course", "solve", "3_attention"], cwd=ROOT, capture_output=True,
                             text=True)
    assert outcome.returncode == 2 and "no phase is called '3_attention'" in outcome.stderr


@pytest.mark.parametrize("phase", PHASES)
def test_an_empty_notebook_shows_only_what_is_to_do(phase, tmp_path, monkeypatch):
    """Run top to bottom with errors allowed: every error is a TODO's own, or 'waiting for TODO n'."""
    monkeypatch.setenv("TINYLLM_PARTS", str(tmp_path))
    monkeypatch.setenv("TINYLLM_FAST", "1")
    notebook = nbformat.read(build.notebook_path(phase), as_version=4)
    executed = solve.execute(notebook, phase, allow_errors=True)
    seen = errors(executed)
    assert [error for error in seen if error[1] != "NotImplementedError" or not ALLOWED.match(error[2])] == []
    graded = {cell.id for cell in executed.cells if cell.id.startswith("test-")}
    assert graded <= {cell for cell, _, _ in seen}, "every graded cell of an empty notebook fails"
    assert not list(tmp_path.iterdir()), "nothing passed, so nothing is kept"
