"""One submission with many answers: a cell that ends its kernel, or never ends, costs its own TODO and no other."""
import shutil

import nbformat
import pytest

from course import PHASES, build
from course.grade.execute import Limits, execute, with_pythons_own
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


K_IS_Q = answer("3b_attention", "todo-10-11").replace(
    "self.k_proj = nn.Linear(embed_dim, embed_dim, bias=False)", "self.k_proj = self.q_proj")
SAME_ATTRIBUTE = answer("5_training", "todo-25-27").replace("self.ids", "self.data")
NO_DROPOUT = answer("3b_attention", "todo-12-13").replace("self.dropout = ", "_ = ")


@pytest.mark.parametrize("phase, instead, costs", [
    ("3a_embeddings", {"todo_8": "def another_name():\n    pass"}, {"test-8"}),
    ("3b_attention", {"todo_10_11": K_IS_Q}, {"test-10"}),
    ("3b_attention", {"todo_12_13": NO_DROPOUT}, {"test-12"}),
    ("3c_blocks", {"todo_14_15": "x = ("}, {"test-14", "test-15"}),
    ("5_training", {"todo_25_27": SAME_ATTRIBUTE}, set()),
])
def test_a_wrong_answer_costs_itself_alone(phase, instead, costs):
    assert all(text != answer(phase, name.replace("_", "-")) for name, text in instead.items())
    outcomes, suspicious = ran(phase, **instead)
    assert {name for name, status in outcomes.items() if name.startswith("test-") and status != "ok"} == costs
    assert suspicious == []


def test_an_object_may_be_the_answer():
    written = answer("1_tensors", "todo-3")
    source = written.replace("def split_heads", "def _split").replace("def merge_heads", "def _merge") + """
class Step:
    def __init__(self, function):
        self.function = function
    def __call__(self, *inputs):
        return self.function(*inputs)
split_heads, merge_heads = Step(_split), Step(_merge)
"""
    outcomes, suspicious = ran("1_tensors", todo_3=source)
    assert outcomes["test-3"] == "ok" and suspicious == []


HELD = """
space, python = {}, s.modules["builtins"]
text = python.open(s.modules["helpers." + "oracle"].__file__).read()
python.exec(python.compile(text, "/tmp/ipykernel_1/2.py", "exec"), space)
split_heads, merge_heads = space["split_heads"], space["merge_heads"]
"""  # s: Python's module sys, under whatever name
EMPTY = """
def split_heads(x, num_heads):
    return x
def merge_heads(x):
    return x
"""
FORGED = EMPTY + """
import json
J, old = json.JSONDecoder, json.JSONDecoder.decode
def decode(self, text, *rest, **named):
    found = old(self, text, *rest, **named)
    if type(found) is dict and "HIDDEN" in str(found.get("code")) and split_heads is not object:
        found["code"] = "pass"
    return found
J.decode = decode
"""
AT_SYS = """
def read(self, name):
    return getattr(self, f"{name}s")
def put(self, name, value):
    setattr(self, name, value)
try:
    checks.todo_99
except AttributeError as error:
    s = read(error.obj.engine.guard, "sy")
"""
WRAPPED = """
def split_heads(x, num_heads):
    return o.split_heads(x, num_heads)
def merge_heads(x):
    return o.merge_heads(x)
"""
LOADED = """
u, path = s.modules["importlib.util"], s.modules["helpers." + "oracle"].__file__
spec = u.spec_from_file_location("mine", path.replace("helpers/", "helpers/./"))
o = u.module_from_spec(spec)
spec.loader.exec_module(o)
""" + WRAPPED
NO_ERROR = """
old = s.exc_info
put(s, "exc_info", lambda: old() if split_heads is object else (None, None, None))
""" + EMPTY
OTHER_LINES = """
M = s.modules["IPython.core.inputtransformer2"]
old = M.make_tokens_by_line
def make_tokens_by_line(lines):
    if "HIDDEN" in "".join(lines) and split_heads is not object:
        lines[:] = ["pass\\n"]
    return old(lines)
put(M, "make_tokens_by_line", make_tokens_by_line)
""" + EMPTY
OTHER_WATCH = """
class Other:
    def __getattr__(self, name):
        return (lambda: []) if name in ("asked_for", "followed") else getattr(real, name)
real = s.modules["grading"]
s.modules["grading"] = Other()
o = s.modules["helpers." + "oracle"]
""" + WRAPPED
PUT = "def put(self, name, value):\n    setattr(self, name, value)\n"
TYPED = """
import typing
hint, _ = typing.get_args(typing.Optional['__imp' + 'ort__("sys")'])
s = hint._evaluate({}, {}, recursive_guard=frozenset())
"""

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
    "a module that an object holds": ("1_tensors", 3, dict(
        todo_3="import warnings\nw = warnings.catch_warnings()\ns = w._module.sys\n" + HELD), "asked Python for"),
    "a module through typing": ("1_tensors", 3, dict(todo_3=TYPED + HELD), "asked Python for"),
    "the cells arrive forged": ("1_tensors", 3, dict(todo_3=FORGED), "json"),
    "a check with other defaults": ("1_tensors", 3, dict(
        todo_3=answer("1_tensors", "todo-3") + "\n" + PUT
        + "put(checks.todo_3, '__kwdef' + 'aults__', {'seed': 5, 'quiet': False})"), "asked Python for"),
    "a property on PyTorch's layer": ("3b_attention", 11, dict(
        own={"todo-10-11": "L = nn.Linear\nL.weight = property(lambda self: self._parameters['weight'])"}), "torch.nn"),
    "PyTorch's layer under another name": ("3b_attention", 11, dict(
        own={"todo-10-11": "work = F.scaled_dot_product_attention"}), "keeps what the answer is to be"),
    "a copy of the course's answers": ("1_tensors", 3, dict(todo_3=AT_SYS + LOADED), "asked Python for exec"),
    "no error is one": ("1_tensors", 3, dict(todo_3=AT_SYS + NO_ERROR), "sys"),
    "another test in its place": ("1_tensors", 3, dict(todo_3=AT_SYS + OTHER_LINES), "another test in the place"),
    "another watch": ("1_tensors", 3, dict(todo_3=AT_SYS + OTHER_WATCH), "the watch"),
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


@pytest.mark.parametrize("source, runs", [
    ("n = sum(x)", "n = __import__('builtins').sum(x)"),
    ("n = max(x)", "n = max(x)"),  # nobody has taken this one
    ("f = lambda sum: sum + 1", "f = lambda sum: sum + 1"),
    ("sum = 1\nprint(sum)", "sum = 1\nprint(sum)"),
])
def test_the_courses_cells_mean_pythons_own(source, runs):
    assert with_pythons_own(source, {"sum"}) == runs


HONEST = {
    "everything of PyTorch": ("1_tensors", {"todo-1": "from torch import *"}),
    "names that the hidden tests use": ("1_tensors", {"todo-1": (
        "sum = 0\nlist = [1]\ntype = 'x'\nall = [1]\ntuple = (1,)\nabs = 3\nrange = torch.arange(5)")}),
    "settings": ("1_tensors", {
        "todo-1": "torch.set_default_dtype(torch.float64)\ntorch.autograd.set_detect_anomaly(True)"}),
    "beside PyTorch's": ("3b_attention", {"todo-12-13": (
        "q = torch.randn(1, 2, 4)\nprint(id(q), F.scaled_dot_product_attention(q, q, q))\n"
        "nn.MultiheadAttention(4, 2)")}),
    "a dataclass": ("2_modules", {"todo-4-5": (
        "from dataclasses import dataclass, field\n@dataclass\nclass Config:\n    width: int = 4\n"
        "    names: list = field(default_factory=list)\nprint(Config())")}),
    "compiled": ("2_modules", {"todo-4-5": "m = torch.compile(nn.Linear(2, 2))"}),
    "switched off": ("2_modules", {"test-4": "%%script echo skipping\nclass TwoLayerNet:\n    pass"}),
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
