"""What a learner's cell may do, by accident or on purpose: the checks stay right, and leave everything as found."""
import builtins
import contextlib
import html
import math
import os
import random
import re
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from answers.todo_11 import made
from torch import nn

from helpers import checks
from helpers.checks import guard

ROOT = Path(__file__).parents[2]


def right(self, x, mask=None):
    scores = self.q_proj(x) @ self.k_proj(x).mT / x.shape[-1]**0.5
    weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
    return weights @ self.v_proj(x), weights


def no_scale(self, x, mask=None):
    scores = self.q_proj(x) @ self.k_proj(x).mT
    weights = (scores if mask is None else scores.masked_fill(mask == 0, -torch.inf)).softmax(-1)
    return weights @ self.v_proj(x), weights


def fails(forward):
    """The message with which TODO 11 fails for a SelfAttention with this forward."""
    with pytest.raises(AssertionError) as caught:
        checks.todo_11(made(forward), quiet=True)
    assert type(caught.value) is AssertionError and str(caught.value).isascii()
    return str(caught.value)


# --- odd results -------------------------------------------------------------------------------------------------

class Agreeable:
    """Equal to everything, with every attribute."""
    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return Agreeable()

    def __call__(self, *args, **kwargs):
        return self

    __hash__ = None


class AlwaysEqual(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True


ODD = {
    "agreeable object": lambda x: (Agreeable(), Agreeable()),
    "agreeable result": lambda x: Agreeable(),
    "tensor subclass": lambda x: (torch.zeros(3).as_subclass(AlwaysEqual), torch.zeros(3).as_subclass(AlwaysEqual)),
    "NaN": lambda x: (x * math.nan, x @ x.mT),
    "infinite": lambda x: (x / 0, x @ x.mT),
    "complex": lambda x: (x + 0j, x @ x.mT + 0j),
    "integers": lambda x: (x.long(), (x @ x.mT).long()),
    "sparse": lambda x: (x.to_sparse(), (x @ x.mT).to_sparse()),
    "meta": lambda x: (x.to("meta"), (x @ x.mT).to("meta")),
    "numbers": lambda x: (1.0, 1.0),
    "text": lambda x: "output, weights",
    "empty": lambda x: (x[:0], x[:0]),
    "class": lambda x: (torch.Tensor, torch.Tensor),
    "not implemented": lambda x: NotImplemented,
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_results_fail(odd):
    fails(lambda self, x, mask=None: ODD[odd](x))


@pytest.mark.parametrize("answer", [Agreeable(), Agreeable, None, 3, "SelfAttention", torch.zeros(2), lambda x: x,
                                    nn.Linear(2, 2)])
def test_odd_answers_fail(answer):
    for check in (checks.todo_9, checks.todo_10, checks.todo_11, checks.todo_13):
        with pytest.raises(AssertionError):
            check(answer, quiet=True)
    with pytest.raises(AssertionError):
        checks.todo_3(answer, answer, quiet=True)


def test_missing_answer():
    with pytest.raises(AssertionError):
        checks.todo_3(lambda x, num_heads: x)


def test_requires_grad_and_non_contiguous_results_pass():
    def forward(self, x, mask=None):
        output, weights = right(self, x, mask)
        return output.mT.contiguous().mT, weights.mT.contiguous().mT
    checks.todo_11(made(forward), quiet=True)


# --- replaced functions ------------------------------------------------------------------------------------------

PATCHES = [(torch, "allclose"), (torch, "equal"), (torch, "isfinite"), (torch.testing, "assert_close"),
           (F, "scaled_dot_product_attention"), (F, "multi_head_attention_forward"), (F, "softmax"),
           (builtins, "isinstance"), (builtins, "abs"), (builtins, "type"), (builtins, "any"), (builtins, "all"),
           (builtins, "len"),
           (torch.Tensor, "__eq__"), (torch.Tensor, "any"), (torch.Tensor, "abs"), (nn.Linear, "forward"),
           (nn.Module, "__call__"), (math, "sqrt"), (random, "Random")]


@contextlib.contextmanager
def patched(owner, name, value):
    """Like monkeypatch, but also for names without which pytest itself cannot live."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@pytest.mark.parametrize(("owner", "name"), PATCHES, ids=[f"{o.__name__}.{n}" for o, n in PATCHES])
def test_a_replaced_function_does_no_harm(owner, name):
    todo_11, wrong_answer, right_answer = checks.todo_11, made(no_scale), made(right)
    caught, still = None, False

    def always(*args, **kwargs):
        return True

    with patched(owner, name, always):
        try:
            todo_11(wrong_answer, quiet=True)
        except AssertionError as error:
            caught = error
        todo_11(right_answer, quiet=True)
        still = getattr(owner, name) is always
    assert "no scale" in str(caught)
    assert still, "the check should leave it as it found it"


def test_functions_replaced_while_the_answer_runs():
    def forward(self, x, mask=None):
        torch.equal = torch.allclose = builtins.isinstance = lambda *a, **k: True
        return x, x
    before = torch.equal, torch.allclose, isinstance
    fails(forward)
    assert before == (torch.equal, torch.allclose, isinstance)


def test_every_layer_that_the_checks_use_is_watched():
    """A cell that replaces nn.LayerNorm.forward must not change what it is compared with."""
    files = [ROOT / "helpers/oracle.py", *(ROOT / "helpers/checks").glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files if path.name != "guard.py")
    assert set(re.findall(r"\bnn\.([A-Z]\w+)", source)) == {layer.__name__ for layer in guard.LAYERS}


# --- trouble -----------------------------------------------------------------------------------------------------

def test_endless_loop(monkeypatch):
    monkeypatch.setattr(guard, "TIME_LIMIT", 0.3)

    def forward(self, x, mask=None):
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                pass
    start = time.monotonic()
    assert "too slow" in fails(forward)
    assert time.monotonic() - start < 5
    assert not [t for t in threading.enumerate() if t.daemon and t.name.startswith("Thread-") and "work" in t.name]


def test_sleeping_answer(monkeypatch):
    monkeypatch.setattr(guard, "TIME_LIMIT", 0.3)
    start = time.monotonic()
    assert "too slow" in fails(lambda self, x, mask=None: time.sleep(4))
    assert time.monotonic() - start < 3


def test_no_check_loads_pytorchs_compiler():
    """It takes two seconds, and PyTorch's own optimizers load it: a check should answer within one."""
    code = ("import sys, torch, answers; from helpers import checks\n"
            "for todo in (28, 30):\n"
            "    right = next(a for a in answers.cases(todo) if a.kind == 'right')\n"
            "    assert answers.outcome(right, 0) is None\n"
            "assert 'torch._dynamo' not in sys.modules")
    paths = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})


def test_loop_that_only_prints(monkeypatch, capsys):
    monkeypatch.setattr(guard, "TIME_LIMIT", 0.5)

    def forward(self, x, mask=None):
        while True:
            print("here", "x" * 10000)
    message = fails(forward)
    assert "too slow" in message and len(message) < 2000
    assert capsys.readouterr() == ("", "")


class OddError(BaseException):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [
    SystemExit(0), KeyboardInterrupt(), GeneratorExit(), OddError(), MemoryError(), StopIteration(),
    AssertionError("mine"), NotImplementedError(), NotImplementedError("later"), ValueError("\u2603")])
def test_any_exception_becomes_one_sentence(error):
    def forward(self, x, mask=None):
        raise error
    assert type(error).__name__ in fails(forward)


def test_recursion():
    def forward(self, x, mask=None):
        return self(x, mask)
    assert "RecursionError" in fails(forward) or "recursion" in fails(forward)


def test_the_message_shows_the_learners_line():
    def forward(self, x, mask=None):
        scores = self.q_proj(x) @ self.k_proj(x)
        return scores, scores
    message = fails(forward)
    assert "scores = self.q_proj(x) @ self.k_proj(x)" in message and "in forward" in message


def test_unfinished_passes_through_unchanged():
    unfinished = NotImplementedError("TODO 11")

    def forward(self, x, mask=None):
        raise unfinished
    with pytest.raises(NotImplementedError) as caught:
        checks.todo_11(made(forward))
    assert caught.value is unfinished


def test_warnings_and_prints_stay_out_of_sight(capfd):
    def forward(self, x, mask=None):
        warnings.warn("look out", stacklevel=1)
        print("shape", x.shape)
        return right(self, x, mask)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        checks.todo_11(made(forward))
    out, err = capfd.readouterr()
    assert out.startswith("TODO 11 passed: ") and out.count("\n") == 1 and out.isascii()
    assert err == "" and not seen


def test_what_a_failing_answer_printed_is_shown():
    def forward(self, x, mask=None):
        print("scores of", tuple(x.shape))
        return None
    assert "Your code printed:\nscores of (" in fails(forward)


# --- state -------------------------------------------------------------------------------------------------------

def state():
    return (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(),
            torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads(),
            list(warnings.filters), isinstance)


@pytest.mark.parametrize("forward", [right, no_scale])
def test_everything_is_left_as_found(forward):
    def careless(self, x, mask=None):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        return forward(self, x, mask)
    torch.rand(3), random.random(), np.random.rand()
    before = state()
    with contextlib.suppress(AssertionError):
        checks.todo_11(made(careless), quiet=True)
    assert state() == before


@pytest.mark.parametrize("todo", [n for n in range(1, 14)])
def test_each_check_leaves_everything_as_found(todo):
    import answers
    before = state()
    for kind in ("right", "wrong"):
        answers.outcome([a for a in answers.cases(todo) if a.kind == kind][-1], seed=None)
    assert state() == before


SETTINGS = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "seed": lambda: torch.manual_seed(0),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
}


def modes():
    return (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.is_anomaly_enabled())


@pytest.mark.parametrize("setting", SETTINGS)
def test_checks_do_not_depend_on_settings(setting):
    try:
        SETTINGS[setting]()
        before = modes()
        for todo in (1, 3, 5, 7, 8, 9, 10, 11, 12, 13):
            import answers
            good = next(a for a in answers.cases(todo) if a.kind == "right")
            assert answers.outcome(good, seed=None) is None
        assert "no scale" in fails(no_scale)
        assert modes() == before
    finally:
        torch.autograd.set_detect_anomaly(False)
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.set_grad_enabled(True)


@pytest.mark.parametrize(("change", "says"), [(lambda: torch.set_grad_enabled(False), "gradients switched off"),
                                              (lambda: torch.set_default_dtype(torch.float64), "default dtype"),
                                              (lambda: torch.set_default_device("meta"), "default device")])
def test_an_answer_that_changes_settings_is_told(change, says):
    def forward(self, x, mask=None):
        result = right(self, x, mask)
        change()
        return result
    assert says in fails(forward)
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()


# --- seeds -------------------------------------------------------------------------------------------------------

def test_fresh_inputs_on_each_call_and_the_same_with_the_seed():
    seen = []

    def forward(self, x, mask=None):
        seen.append(x.detach().sum().item())
        return x, x
    first, second = fails(forward), fails(forward)
    assert len({s for s in seen}) > len(seen) // 3 and first != second
    seed = int(first.rpartition("seed=")[2].rstrip(")"))
    with pytest.raises(AssertionError) as caught:
        checks.todo_11(made(forward), seed=seed)
    assert str(caught.value) == first
    torch.manual_seed(0)
    third = fails(forward)
    torch.manual_seed(0)
    assert fails(forward) != third


# --- the pieces of earlier TODOs ---------------------------------------------------------------------------------

def test_a_wrong_earlier_piece_costs_only_its_own_todo():
    space = {"nn": nn, "torch": torch, "sinusoidal_table": lambda max_len, embed_dim: torch.zeros(max_len, embed_dim)}
    exec("""
class PositionalEncoding(nn.Module):
    def __init__(self, embed_dim, max_len):
        super().__init__()
        self.register_buffer("table", sinusoidal_table(max_len, embed_dim))

    def forward(self, x):
        if x.shape[1] > len(self.table):
            raise ValueError("too long")
        return x + self.table[:x.shape[1]]
""", space)
    own = space["sinusoidal_table"]
    checks.todo_9(space["PositionalEncoding"], quiet=True)
    assert space["sinusoidal_table"] is own
    with pytest.raises(AssertionError):
        checks.todo_8(own, quiet=True)


def test_own_pieces_with_another_signature_are_right_too():
    from helpers import oracle
    space = {"nn": nn, "torch": torch, "oracle": oracle}
    exec("""
def sinusoidal_table(max_len, embed_dim, as_batch=False):
    table = oracle.sinusoidal_table(max_len, embed_dim)
    return table[None] if as_batch else table

class PositionalEncoding(nn.Module):
    def __init__(self, embed_dim, max_len):
        super().__init__()
        self.register_buffer("table", sinusoidal_table(max_len, embed_dim, as_batch=True)[0])

    def forward(self, x):
        if x.shape[1] > len(self.table):
            raise ValueError("too long")
        return x + self.table[:x.shape[1]]
""", space)
    checks.todo_9(space["PositionalEncoding"], quiet=True)


def test_a_repaired_part_is_told(capsys):
    class SelfAttention(made(right)):
        def __init__(self, embed_dim):
            nn.Module.__init__(self)
    checks.todo_11(SelfAttention)
    assert "TODO 10 is not right yet and was repaired" in capsys.readouterr().out


def test_a_part_under_two_names_is_fine():
    class SelfAttention(made(right)):
        def __init__(self, embed_dim):
            nn.Module.__init__(self)
            self.all = nn.ModuleList(nn.Linear(embed_dim, embed_dim, bias=False) for _ in range(3))
            self.q_proj, self.k_proj, self.v_proj = self.all
    checks.todo_10(SelfAttention, quiet=True)
    checks.todo_11(SelfAttention, quiet=True)


@pytest.mark.parametrize("grading", [False, True])
def test_a_failing_check_draws_target_and_yours_in_a_notebook(tmp_path, grading):
    import nbclient
    import nbformat
    cells = [f"import os, sys, torch; sys.path.insert(0, {str(ROOT)!r}); from helpers import checks\n"
             + ("os.environ['NBGRADER_EXECUTION'] = 'autograde'" if grading else ""),
             "def causal_mask(seq_len, device=None):\n    return torch.ones(seq_len, seq_len).tril(-1) > 0\n"
             "checks.todo_21(causal_mask, seed=3)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True,
                            resources={"metadata": {"path": tmp_path}}).execute()
    *pictures, error = notebook.cells[1].outputs
    assert error["output_type"] == "error" and error["ename"] == "AssertionError" and "diagonal" in error["evalue"]
    assert len(pictures) == (0 if grading else 1)
    for picture in pictures:
        alt = html.unescape(re.match(r'<img alt="([^"]*)"', picture["data"]["text/html"]).group(1))
        assert re.match(r"The expected mask beside yours: (\d+) numbers of \d+ differ, .* expected 1, yours 0\.", alt)
