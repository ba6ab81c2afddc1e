"""What a learner reads when something is missing, in a real kernel."""
import nbformat
from nbclient import NotebookClient

from helpers import waiting

FIRST = "import helpers"
UNFINISHED = 'def attend(x):\n    raise NotImplementedError("TODO 11")'


def last_error(*cells):
    """Run the cells in one fresh kernel; the last one's error as (name, message)."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(notebook, allow_errors=True, timeout=60, kernel_name="python3").execute()
    found = [o for o in notebook.cells[-1].outputs if o.output_type == "error"]
    assert len(found) == 1, "a missing piece must stay an error: a grader would take silence for success"
    return found[0].ename, found[0].evalue


def test_an_unfinished_todo_keeps_its_own_message():
    assert last_error(FIRST, UNFINISHED, "attend(1)") == ("NotImplementedError", "TODO 11")


def test_a_name_that_an_unfinished_cell_would_have_made():
    message = last_error(FIRST, UNFINISHED, "weights = attend(1)", "print(weights)")
    assert message == ("NotImplementedError", "waiting for TODO 11 (this cell uses `weights`, which it makes)")


def test_waiting_is_handed_on():
    message = last_error(FIRST, UNFINISHED, "a = attend(1)", "b = a + 1", "print(b)")
    assert message == ("NotImplementedError", "waiting for TODO 11 (this cell uses `b`, which it makes)")


def test_running_from_the_middle_after_a_restart():
    """No cell of the course has run, not even the first."""
    name, message = last_error("checks.todo_11(SelfAttention)")
    assert name == "NameError"
    assert message.startswith("name 'checks' is not defined. If a cell above makes it, run that one")


def test_a_finished_todo_no_longer_waits():
    notebook = [FIRST, UNFINISHED, "weights = attend(1)", "def attend(x):\n    return x", "weights = attend(1)",
                "weights / 0"]
    assert last_error(*notebook)[0] == "ZeroDivisionError"


def test_other_errors_are_left_alone():
    assert last_error(FIRST, "raise NotImplementedError('my own')") == ("NotImplementedError", "my own")
    assert last_error(FIRST, "1 / 0") == ("ZeroDivisionError", "division by zero")


def test_names_made():
    made = waiting.names_made("for i in range(3):\n    a, (b, c) = f(i)\nimport x.y as z\ndef g(): pass")
    assert made >= set("iabczg")
    assert waiting.names_made("%matplotlib inline") == set()


def test_a_failing_check_shows_the_learners_lines_and_none_of_ours():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (
        "from helpers import checks", "def causal_mask(T, device=None):\n    raise NotImplementedError('TODO 21')",
        "checks.todo_21(causal_mask)", "checks.todo_21(lambda T, device=None: None)")])
    NotebookClient(notebook, allow_errors=True, timeout=60, kernel_name="python3").execute()
    unfinished, wrong = ("\n".join(cell.outputs[-1].traceback) for cell in notebook.cells[2:])
    assert "NotImplementedError" in unfinished and "causal_mask" in unfinished and "engine.py" not in unfinished
    assert "TODO 21 is not right yet" in wrong and "engine.py" not in wrong
