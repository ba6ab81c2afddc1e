"""One submission with many answers: a cell that ends its kernel, or never ends, costs its own TODO and no other."""
import shutil

import nbformat
import pytest

from course import PHASES, build
from course.grade.execute import Limits, execute
from course.grade.steps import to_run
from course.grade.transplant import transplant
from course.stubs import clear

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"),
                                reason="bubblewrap is not installed, so nothing is sandboxed")


def ran(phase, **instead):
    """The phase with all its answers, but for those in `instead` -> {test or answer: how it ended}, what is suspicious.
    """
    book = build.source_notebook(phase)
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = instead.get(cell.id.replace("-", "_"), clear(cell.source, keep=range(1, 32)))
    run, _, flags = transplant(book, phase)
    done = nbformat.reads(execute(to_run(run), Limits(fast=True, cell_seconds=10, seconds=120)).decode(), as_version=4)
    findings = done.metadata["grading"]
    return {name: cell["status"] for name, cell in findings["cells"].items()
            if name.startswith(("test-", "todo-"))}, flags + findings["changed"]


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "2_modules"])
def test_right_answers_of_every_phase(phase):
    """All tests pass, and nothing looks suspicious; test_grade.py does the same for 2_modules."""
    outcomes, suspicious = ran(phase)
    assert set(outcomes.values()) == {"ok"} and suspicious == []


def test_the_stand_in_is_nobodys_answer():
    """4_model works with the course's causal_mask until TODO 21 is done: it earns no points."""
    for instead in ("pass", "_lent = causal_mask\ndef causal_mask(n, device=None):\n    return _lent(n, device)"):
        outcomes, _ = ran("4_model", todo_21=instead)
        assert "test-21" in [name for name, status in outcomes.items() if status != "ok"]


def test_what_a_dead_and_a_stuck_cell_cost():
    """4_model: the tokenizer's cell ends the kernel, the mask's never ends; the model and `generate` lose nothing."""
    outcomes, _ = ran("4_model", todo_21="while True:\n    pass", todo_22_24="import os\nos._exit(1)")
    assert {name for name, status in outcomes.items() if status != "ok"} == {
        "todo-21", "test-21", "todo-22-24", "test-22", "test-23", "test-24"}
    assert (outcomes["todo-21"], outcomes["todo-22-24"]) == ("stuck", "ended")
