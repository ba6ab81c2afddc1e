"""One submission with many answers: a cell that ends its kernel, or never ends, costs its own TODO and no other."""
import shutil

import nbformat
import pytest

from course import PHASES, build
from course.grade.execute import Limits, execute
from course.grade.sandbox import Kernel
from course.grade.steps import to_run
from course.grade.transplant import transplant
from course.stubs import clear

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"),
                                reason="bubblewrap is not installed, so nothing is sandboxed")


def ran(phase, own=None, until=None, **instead):
    """The phase with all its answers, but for those in `instead` -> {test or answer: how it ended}, what is suspicious.

    own: {id of a cell: the student's own cell before it}; until: the id of the last cell that runs.
    """
    book = build.source_notebook(phase)
    for cell in list(book.cells):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = instead.get(cell.id.replace("-", "_"), clear(cell.source, keep=range(1, 32)))
        if cell.id in (own or {}):
            book.cells.insert(book.cells.index(cell), nbformat.v4.new_code_cell(own[cell.id]))
    run, _, flags = transplant(book, phase)
    if until:
        del run.cells[[cell.id for cell in run.cells].index(until) + 1:]
    done = nbformat.reads(execute(to_run(run), Limits(fast=True, cell_seconds=10, seconds=120)).decode(), as_version=4)
    findings = done.metadata["grading"]
    return {name: cell["status"] for name, cell in findings["cells"].items()
            if name.startswith(("test-", "todo-"))}, flags + findings["odd"] + findings["changed"]


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


def test_a_test_whose_kernel_breaks_down_gets_another(monkeypatch):
    run, ended = Kernel.run, []

    def breaks_down_once(self, code, *rest, **options):
        if code.startswith("checks.todo_3") and not ended:
            ended.append(self.process.kill())
        return run(self, code, *rest, **options)

    monkeypatch.setattr(Kernel, "run", breaks_down_once)
    outcomes, suspicious = ran("1_tensors")
    assert ended and set(outcomes.values()) == {"ok"} and suspicious == []


PROBE = """
kept = []
class Probe(nn.Module):
    def __init__(self, embed_dim, max_len):
        super().__init__()
        kept.append(sinusoidal_table)
        raise ValueError
try:
    checks.todo_9(Probe)
except AssertionError:
    pass
def sinusoidal_table(max_len, embed_dim):
    return kept[0](max_len, embed_dim)
"""
SHELL = """
import IPython.display
kind = type(IPython.Application.instance().shell.compile)
old = kind.ast_parse
def ast_parse(self, source, *args, **more):
    return old(self, "pass" if "HIDDEN TESTS" in source else source, *args, **more)
kind.ast_parse = ast_parse
"""
TWO_HEADS = "split_heads, merge_heads = it.split_heads, it.merge_heads"
PYTORCHS = """
def forward(self, x, mask=None):
    q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
    mask = None if mask is None else mask.bool()
    one = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    out = []
    def work(number=0):
        out.extend(F.scaled_dot_product_attention(q, k, values, mask) for values in (v, one))
        return number
    torch.zeros(1).apply_(work) if x.device.type == "cpu" else work()
    return tuple(out)
SelfAttention.forward = forward
"""
KEPT = "def causal_mask(seq_len, device=None):\n    return {}[:seq_len, :seq_len].clone().to(device or 'cpu')"


def answer(phase, name):
    """The course's own answer in a cell."""
    return clear(next(cell.source for cell in build.source_notebook(phase).cells if cell.id == name), range(1, 32))


ATTACKS = {  # on a TODO's points without an answer, and what flags each; None: it does not earn them
    "what a check lends is kept": ("3a_embeddings", 8, dict(todo_8=PROBE), None),
    "a lent piece under its own name": ("3c_blocks", 15, dict(
        todo_14_15="if False:\n    import math as parts\nFeedForward = parts.get('FeedForward')"),
        "own FeedForward did"),
    "a lent piece as a default": ("3c_blocks", 15, dict(
        todo_14_15="def lend(parts=parts.get('FeedForward')):\n    return parts\nFeedForward = lend()"),
        "own FeedForward did"),
    "a subclass of it": ("3c_blocks", 15, dict(
        todo_14_15="class FeedForward(parts.get.__call__('FeedForward')):\n    def func(self):\n        pass"),
        "own FeedForward did"),
    "its method, bound to another object": ("3c_blocks", 15, dict(todo_14_15=(
        "import functools\nclass FeedForward(nn.Module):\n"
        "    def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):\n        super().__init__()\n"
        "        hidden_dim = hidden_dim or 4 * embed_dim\n        self.expand = nn.Linear(embed_dim, hidden_dim)\n"
        "        self.project = nn.Linear(hidden_dim, embed_dim)\n        self.dropout = nn.Dropout(dropout)\n"
        "        self.forward = functools.partial(parts.get('FeedForward').forward, self)")), "own FeedForward did"),
    "what is no function": ("1_tensors", 3, dict(todo_3=(
        "import IPython.display\nit = IPython.utils.importstring.import_item('helpers.oracle')\n"
        "split_heads, merge_heads = it.split_heads.__call__, it.merge_heads.__call__")),
        "no cell defines as a function or class, called split_heads, did"),
    "a thread from before": ("3b_attention", 11, dict(own={"todo-10-11": (
        "import time, tqdm\nclass Worker(tqdm.TMonitor):\n    def run(self):\n        time.sleep(60)\n"
        "worker = Worker(tqdm.tqdm, 1)")}), "test-11: a thread that began before did"),
    "the watch meets other names": ("1_tensors", 3, dict(own={"todo-3": (
        "class set:\n    def update(self, *found): pass\n    add = update\ndef followed():\n    return []")},
        todo_3="import IPython.display\nit = IPython.utils.importstring.import_item('helpers.oracle')\n" + TWO_HEADS),
        "own split_heads did"),
    "a module by its name": ("1_tensors", 3, dict(todo_3=(
        "import IPython.display\nit = IPython.utils.importstring.import_item('helpers.oracle')\n" + TWO_HEADS)),
        "own split_heads did"),
    "a cell that is no Python": ("1_tensors", 3, dict(
        todo_3=TWO_HEADS, own={"todo-3": "time from helpers import oracle as it"}), None),
    "PyTorch's layer out of sight": ("3b_attention", 11, dict(
        todo_10_11=answer("3b_attention", "todo-10-11") + PYTORCHS), "own scaled_dot_product_attention did"),
    "the tests are not compiled": ("1_tensors", 3, dict(
        todo_1="pass", todo_2="pass", todo_3="pass", own={"todo-1": SHELL}), "IPython's methods"),
    "the checks' guard is another": ("2_modules", 5, dict(
        own={"todo-4-5": "[engine] = [checks for checks in [checks.engine]]\nengine.guard = engine.guard.sys"}),
        "helpers.checks.engine"),
    "a table kept in a library": ("4_model", 21, dict(
        own={"todo-18-19": "torch.backends.kept = causal_mask(300)"}, todo_21=KEPT.format("torch.backends.kept")),
        "test-21: it does not pass without the course's own answer"),
    "a table kept in the model": ("4_model", 21, dict(
        todo_18_19=answer("4_model", "todo-18-19").replace(
            "super().__init__()", "super().__init__()\n        self.lookup = causal_mask(300)"),
        todo_21=KEPT.format("model.lookup")), "test-21: it does not pass without the course's own answer"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_borrowed_points_have_a_flag(name):
    phase, todo, changes, says = ATTACKS[name]
    outcomes, suspicious = ran(phase, until=f"test-{todo}", **changes)
    if says is None:
        assert outcomes[f"test-{todo}"] != "ok"
    else:
        assert any(says in flag for flag in suspicious), suspicious


HONEST = {
    "a plot": ("1_tensors", {"todo-1": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);"}),
    "an optimizer": ("3a_embeddings", {"todo-8": (
        "layer = nn.Linear(2, 1)\no = torch.optim.AdamW(layer.parameters())\n"
        "layer(torch.ones(2)).backward()\no.step()")}),
    "above the course's pieces": ("3c_blocks", {"todo-14-15": "print(torch.__version__)\ntime.time()",
                                                "setup": "print('hello')"}),
    "names of Python's own": ("3b_attention", {
        "todo-10-11": "any = 0\nid = 5\nlist = [1]\nset = type = str = map = 3"}),
    "a name like PyTorch's": ("3b_attention", {
        "todo-10-11": "def scaled_dot_product_attention(q, k, v):\n    return v"}),
    "a look at the mask": ("4_model", {"todo-18-19": "mask = causal_mask(4)\nprint(mask)\nchecks.todo_21(causal_mask)",
                                       "todo-20": "m = TinyLLM(9)\nm.eval()"}),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_play_has_no_flag(name):
    phase, own = HONEST[name]
    outcomes, suspicious = ran(phase, own=own)
    assert suspicious == [] and {status for test, status in outcomes.items() if test.startswith("test-")} == {"ok"}
