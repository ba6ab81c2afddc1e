"""Carrying pieces from notebook to notebook: what is kept, in whose words, and what comes back."""
import ast
import linecache
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from helpers import checks, oracle, parts

ROOT = Path(__file__).resolve().parents[2]

HEADS = '''
# How many heads there are does not matter here.
def split_heads(x, num_heads):
    B, T, C = x.shape  # (B, T, C)
    if C % num_heads:
        raise ValueError(f"embed_dim {C} is not divisible by num_heads {num_heads}")
    ### BEGIN SOLUTION
    return x.reshape(B, T, num_heads, -1).transpose(1, 2)  # (B, H, T, D)
    ### END SOLUTION


def merge_heads(x):
    return x.transpose(1, 2).flatten(2)
'''
FEED_FORWARD = '''
class FeedForward(nn.Module):
    """Mine."""

    def __init__(self, embed_dim, hidden_dim=None, dropout=0.0):
        super().__init__()
        self.expand = nn.Linear(embed_dim, hidden_dim or 4 * embed_dim)
        self.project = nn.Linear(hidden_dim or 4 * embed_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.project(F.gelu(self.expand(x))))
'''
BLOCK = '''
class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads, dropout)
        self.feed_forward = FeedForward(embed_dim, dropout=dropout)

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)[0]
        return x + self.feed_forward(self.norm2(x))
'''
SETUP = "import math, torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder for kept pieces, which does not exist yet; and nobody is grading."""
    path = tmp_path / "tiny_llm"
    monkeypatch.setenv("TINYLLM_PARTS", str(path))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    return path


class Notebook:
    """Cells run as IPython runs them, in this process: Python knows their source by a cell's file name."""

    def __init__(self, tmp_path):
        self.place, self.space = tmp_path / "ipykernel_1", {}

    def cell(self, source):
        name = str(self.place / f"{abs(hash(source))}.py")
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), self.space)
        return self

    def keep(self, todo, *names):
        parts.keep(todo, *(self.space[name] for name in names))


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "_in_kernel", lambda: True)
    known = set(linecache.cache)
    yield Notebook(tmp_path).cell(SETUP)
    for name in set(linecache.cache) - known:
        del linecache.cache[name]


@pytest.fixture
def all_pass(monkeypatch):
    """Every check passes, and says which it was; for tests of what happens around the checks."""
    asked = []
    for todo in range(1, 32):
        monkeypatch.setattr(checks, f"todo_{todo}", lambda *answers, todo=todo, quiet: asked.append(todo),
                            raising=False)
    return asked


def fails(monkeypatch, todo, error):
    def check(*answers, quiet):
        raise error
    monkeypatch.setattr(checks, f"todo_{todo}", check, raising=False)


def section(path, title):
    """The lines of a section, without its marker."""
    sections = path.read_text().split("# ---- ")[1:]
    return next(text.split("\n", 1)[1].strip("\n") for text in sections if text.startswith(f"TODO {title}"))


def got(name, capsys):
    """parts.get(name) and the line that it printed: exactly one, in ASCII."""
    capsys.readouterr()
    piece = parts.get(name)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and printed.endswith("\n") and printed.isascii(), printed
    return piece, printed.strip()


# The table

def test_the_table_is_the_contract():
    todos = [todo for piece in parts.PIECES for todo in range(piece.first, piece.last + 1)]
    assert todos == list(range(3, 32))
    assert all(hasattr(oracle, name) for name in parts.PIECE_OF)


# Keeping

def test_own_words_and_nothing_else(notebook, folder):
    notebook.cell("import matplotlib\nget_ipython = lambda: None\nget_ipython()\n" + HEADS +
                  "\nx = torch.ones(1, 2, 4)\nprint(split_heads(x, 2))\nsplit_heads(x, 2)\n")
    notebook.keep(3, "split_heads", "merge_heads")
    expected = "\n".join(line for line in HEADS.strip().split("\n") if "SOLUTION" not in line)
    assert section(folder / "model.py", "3: split_heads, merge_heads") == expected
    assert sorted(os.listdir(folder)) == ["__init__.py", "model.py"]


def test_what_a_piece_needs_comes_along(notebook, folder):
    notebook.cell("from math import sqrt\nimport os\nLIMIT, NAME = 3, 'unused'\nDATA = open(os.devnull).read()\n")
    notebook.cell("# what half does\ndef half(x):\n    return x / 2 * sqrt(LIMIT)\n")
    notebook.cell("BASE = 10000.0; print(BASE)\n"
                  "def sum(x):\n    return half(x)\n"
                  "def sinusoidal_table(max_len, embed_dim):\n    os = DATA\n    return sum(BASE)\n")
    notebook.keep(8, "sinusoidal_table")
    assert section(folder / "model.py", "8: sinusoidal_table") == (
        "from math import sqrt\nLIMIT, NAME = 3, 'unused'\n\n\n# what half does\ndef half(x):\n    return x / 2 * "
        "sqrt(LIMIT)\n\n\nBASE = 10000.0\n\n\ndef sum(x):\n    return half(x)\n\n\n"
        "def sinusoidal_table(max_len, embed_dim):\n    os = DATA\n    return sum(BASE)")


@pytest.mark.parametrize("source, name", [
    ("causal_mask = lambda seq_len, device=None: torch.ones(seq_len, seq_len).tril().bool()\n", "causal_mask"),
    ("@torch.no_grad()\ndef causal_mask(seq_len, device=None):\n    return 1\n", "causal_mask"),
    ("def my_mask(seq_len, device=None):\n    return 1\n", "my_mask"),
    ("if True:\n    def causal_mask(seq_len, device=None):\n        return 1\n", "causal_mask"),
])
def test_other_ways_of_writing_a_function(notebook, folder, all_pass, capsys, source, name):
    notebook.cell(source).keep(21, name)
    line = got("causal_mask", capsys)[1]
    assert line == "causal_mask: yours, from TODO 21."
    assert source.strip() in section(folder / "model.py", "21: causal_mask")


def test_two_functions_from_two_cells(notebook, folder):
    split, merge = HEADS.split("\n\n\n")
    notebook.cell(split + "\n").cell(merge).keep(3, "split_heads", "merge_heads")
    kept = section(folder / "model.py", "3: split_heads, merge_heads")
    assert [node.name for node in ast.parse(kept).body] == ["split_heads", "merge_heads"]


def test_sections_stand_in_the_order_of_the_todos_and_hand_edits_stay(notebook, folder):
    path = folder / "model.py"
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    notebook.cell(BLOCK).keep(17, "TransformerBlock")
    notebook.cell(HEADS).keep(3, "split_heads", "merge_heads")
    edited = path.read_text().replace('"""Mine."""', '"""Mine, edited."""')
    edited = edited.replace("import math\n", "import math\nimport re\n")
    edited += "\n\n# ---- My own end\nprint('hello')\n"
    path.write_text(edited)
    notebook.cell(BLOCK.replace("norm1(x), mask", "norm1(x), mask=mask")).keep(17, "TransformerBlock")
    assert path.read_text() == edited.replace("norm1(x), mask", "norm1(x), mask=mask")
    notebook.cell("def causal_mask(seq_len, device=None):\n    return 1\n").keep(21, "causal_mask")
    titles = [line.strip("# -") for line in path.read_text().splitlines() if line.startswith("# ---- ")]
    assert titles == ["TODO 3: split_heads, merge_heads", "TODO 14-15: FeedForward", "TODO 16-17: TransformerBlock",
                      "TODO 21: causal_mask", "Check it: python tiny_llm/model.py", "My own end"]
    before = path.read_text()
    notebook.keep(21, "causal_mask")
    assert path.read_text() == before  # the same piece again changes nothing


def test_the_files_are_a_package(notebook, folder):
    notebook.cell(HEADS).keep(3, "split_heads", "merge_heads")
    notebook.cell("def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):\n    return ids\n")
    notebook.keep(20, "generate")
    notebook.cell("def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):\n"
                  "    return generate(model, prompt, 1)\n")
    notebook.keep(31, "generate_text")
    assert "\nif __package__:\n    from .model import generate\n" in (folder / "train.py").read_text()
    code = "from tiny_llm import train, model; print(train.generate_text(0, 0, 'to be'), model.merge_heads.__module__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder.parent, capture_output=True, text=True, timeout=120)
    assert done.stdout == "to be tiny_llm.model\n", done.stderr


def test_nothing_is_kept_outside_a_notebook_while_grading_or_for_half_a_piece(notebook, folder, monkeypatch):
    notebook.cell(FEED_FORWARD)
    notebook.keep(14, "FeedForward")
    notebook.keep(1, "FeedForward")
    parts.keep(15, oracle.FeedForward)  # not from a cell
    parts.keep(15, "no piece at all")
    parts.keep(15, None)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    notebook.keep(15, "FeedForward")
    monkeypatch.delenv("NBGRADER_EXECUTION")
    monkeypatch.undo()
    monkeypatch.setenv("TINYLLM_PARTS", str(folder))
    notebook.keep(15, "FeedForward")
    assert not folder.exists()


# Writing when things go wrong

def test_a_folder_that_cannot_be_written_costs_one_line(notebook, folder, capsys):
    folder.write_text("a plain file")
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and printed.isascii()
    assert printed.startswith("FeedForward could not be kept for later notebooks in ") and str(folder) in printed
    assert folder.read_text() == "a plain file"
    assert got("FeedForward", capsys)[0] is oracle.FeedForward


@pytest.mark.skipif(os.name == "nt", reason="there a refusal may pass, so it is worth waiting")
def test_a_refusal_is_told_at_once(notebook, folder, capsys, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(parts.os, "open", refuse)  # a folder that is not ours; a test may run as root
    start = time.monotonic()
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    assert time.monotonic() - start < parts.PATIENCE_S / 2
    assert capsys.readouterr().out.endswith("Permission denied\n")


def test_an_interrupted_write_leaves_the_old_file(notebook, folder, capsys, monkeypatch):
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    before = (folder / "model.py").read_text()

    def full(*paths):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(parts.os, "replace", full)
        notebook.cell(BLOCK).keep(17, "TransformerBlock")
    assert "TransformerBlock could not be kept" in capsys.readouterr().out
    assert (folder / "model.py").read_text() == before
    assert sorted(os.listdir(folder)) == ["__init__.py", "model.py"]  # no lock and no half file


def test_a_file_that_is_not_text_is_left_alone(notebook, folder, capsys):
    folder.mkdir()
    (folder / "model.py").write_bytes(b"\xff\xfe half a file")
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    assert "could not be kept" in capsys.readouterr().out
    assert (folder / "model.py").read_bytes() == b"\xff\xfe half a file"
    piece, line = got("FeedForward", capsys)
    assert piece is oracle.FeedForward and "tiny_llm/model.py cannot be read" in line


WRITER = '''
import sys
from helpers import parts
piece, times = parts.PIECE_OF[sys.argv[1]], int(sys.argv[2])
for i in range(times):
    parts._write(piece, f"def {piece.names[0]}():\\n" + f"    # {i}\\n" * 2000 + f"    return {i}\\n")
'''


def writer(folder, name, times):
    environment = {**os.environ, "TINYLLM_PARTS": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", WRITER, name, str(times)], env=environment)


def test_two_kernels_write_at_once(folder):
    both = [writer(folder, "generate", 60), writer(folder, "causal_mask", 60)]
    assert [process.wait(120) for process in both] == [0, 0]
    space = {}
    exec((folder / "model.py").read_text(), space)
    assert space["generate"]() == space["causal_mask"]() == 59
    assert sorted(os.listdir(folder)) == ["__init__.py", "model.py"]


def test_a_kernel_killed_while_it_writes(folder, notebook, monkeypatch):
    monkeypatch.setattr(parts, "PATIENCE_S", 0.2)
    for _ in range(3):
        process = writer(folder, "generate", 10**9)
        until = time.monotonic() + 60
        while not (folder / "model.py").exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait(60)
        space = {}
        exec((folder / "model.py").read_text(), space)  # whole, whenever it was
        assert space["generate"]() >= 0
        notebook.cell(FEED_FORWARD).keep(15, "FeedForward")  # and the next kernel writes again
        assert "class FeedForward" in section(folder / "model.py", "14-15")
        (folder / "model.py").unlink()


# Getting

def test_a_piece_that_was_never_kept(capsys):
    assert got("MultiHeadAttention", capsys) == (
        oracle.MultiHeadAttention,
        "MultiHeadAttention: a stand-in made of PyTorch's own layers, until TODO 13 passes in 3b_attention.")
    assert got("causal_mask", capsys) == (
        oracle.causal_mask, "causal_mask: the course's stand-in, until TODO 21 passes in 4_model.")


def test_a_kept_piece_comes_back_after_all_its_checks(notebook, all_pass, capsys):
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    piece, line = got("FeedForward", capsys)
    assert line == "FeedForward: yours, from TODO 14-15." and piece.__doc__ == "Mine."
    assert all_pass == [14, 15]
    assert got("FeedForward", capsys)[0] is piece and all_pass == [14, 15]  # asked once for the same file


def test_unknown_name():
    with pytest.raises(ValueError) as caught:
        parts.get("Transformer")
    assert "no piece called 'Transformer'; there are: split_heads, merge_heads, TwoLayerNet" in str(caught.value)


def test_grading_always_takes_the_stand_in(notebook, all_pass, capsys, monkeypatch, folder):
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    piece, line = got("FeedForward", capsys)
    assert piece is oracle.FeedForward and "each phase is graded on its own" in line


def test_pieces_work_together_and_a_broken_one_is_replaced_everywhere(notebook, folder, all_pass, capsys):
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    notebook.cell(BLOCK).keep(17, "TransformerBlock")
    block = got("TransformerBlock", capsys)[0](8, 2)
    assert type(block.feed_forward).__doc__ == "Mine."
    assert isinstance(block.attention, oracle.MultiHeadAttention)
    assert block(torch.randn(2, 3, 8)).shape == (2, 3, 8)
    path = folder / "model.py"
    path.write_text(path.read_text().replace("def forward(self, x):", "def forward(self, x:"))
    piece, line = got("FeedForward", capsys)
    number = 1 + path.read_text().splitlines().index("    def forward(self, x:")
    assert piece is oracle.FeedForward
    assert line.startswith("FeedForward: a stand-in made of PyTorch's own layers: line ")
    assert f"{number} of tiny_llm/model.py is not Python" in line or f"{number + 1} of tiny_llm/model.py" in line
    block, line = got("TransformerBlock", capsys)
    assert line.startswith("TransformerBlock: yours")
    assert isinstance(block(8, 2).feed_forward, oracle.FeedForward)


def test_a_piece_that_no_longer_passes(notebook, capsys, monkeypatch, all_pass):
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    fails(monkeypatch, 14, AssertionError("expand is too small:\n  4\u2260 8"))
    piece, line = got("FeedForward", capsys)
    assert piece is oracle.FeedForward
    assert line == ("FeedForward: a stand-in made of PyTorch's own layers: yours in tiny_llm/model.py does not pass "
                    "TODO 14 now (expand is too small:).")


@pytest.mark.parametrize("change, says", [
    (("class FeedForward", "class Feed"), "does not define it"),
    (("import math\n", "import math\nimport no_such_module\n"), "does not run (ModuleNotFoundError: No module named"),
    (("import math\n", "import math, \n"), "is not Python"),
    (('    """Mine."""', "    raise SystemExit(3)"), "does not run (SystemExit: 3)"),
    (('    """Mine."""', "    print(1 / 0)"), "does not run (ZeroDivisionError: division by zero)"),
    (('    """Mine."""', "    raise ValueError('\u00e4\\n\u00f6')"), "does not run (ValueError: \\xe4 \\xf6)"),
])
def test_a_file_broken_by_hand_gives_the_stand_in_and_a_sentence(notebook, folder, all_pass, capsys, change, says):
    notebook.cell(FEED_FORWARD).keep(15, "FeedForward")
    path = folder / "model.py"
    path.write_text(path.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    piece, line = got("FeedForward", capsys)
    assert piece is oracle.FeedForward and says in line


def test_prints_in_kept_code_are_not_heard(notebook, all_pass, capsys):
    notebook.cell(FEED_FORWARD.replace('"""Mine."""', 'print("made")')).keep(15, "FeedForward")
    assert got("FeedForward", capsys)[1] == "FeedForward: yours, from TODO 14-15."


def test_helpers_of_the_same_name_do_not_collide(notebook, all_pass, capsys):
    notebook.cell("def scale(x):\n    return 1\ndef causal_mask(seq_len, device=None):\n    return scale(seq_len)\n")
    notebook.keep(21, "causal_mask")
    notebook.cell("def scale(x):\n    return 2\ndef sinusoidal_table(max_len, embed_dim):\n    return scale(max_len)\n")
    notebook.keep(8, "sinusoidal_table")
    assert got("causal_mask", capsys)[0](3) == 1
    assert got("sinusoidal_table", capsys)[0](3, 4) == 2


# In real kernels, with the real checks

ATTENTION = '''
class MultiHeadAttention(nn.Module):
    """My own attention."""

    def __init__(self, embed_dim, num_heads, dropout=0.0):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim {embed_dim} is not divisible by num_heads {num_heads}")
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(embed_dim, embed_dim) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        q, k, v = (split_heads(proj(x), self.num_heads) for proj in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, H, T, T)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -math.inf)
        weights = scores.softmax(-1)
        return self.dropout(self.out_proj(merge_heads(weights @ v))), weights
'''


def run(folder, *cells, **environment):
    """The printed text of each cell, run in a kernel of its own notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    before = dict(os.environ)
    os.environ.update({"TINYLLM_PARTS": str(folder), "PYTHONPATH": str(ROOT), **environment})
    try:
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return ["".join(output.text for output in cell.outputs if output.output_type == "stream")
            for cell in notebook.cells]


def test_from_one_notebook_to_another(folder):
    first = SETUP + "from helpers import checks, parts"
    written = run(folder, first, "%time\n" + HEADS, "checks.todo_3(split_heads, merge_heads)",
                  ATTENTION + "print(MultiHeadAttention(4, 2))", "checks.todo_12(MultiHeadAttention)",
                  "checks.todo_13(MultiHeadAttention)")
    assert written[-1].startswith("TODO 13 passed") and written[-1].count("\n") == 1
    kept = (folder / "model.py").read_text()
    assert ATTENTION.strip() + "\n\n\n# ---- Check it" in kept and "get_ipython" not in kept

    graded = run(folder, first, 'print(parts.get("MultiHeadAttention").__doc__)', NBGRADER_EXECUTION="autograde")
    assert "each phase is graded on its own" in graded[1] and "My own" not in graded[1]
    assert (folder / "model.py").read_text() == kept

    later = run(folder, first, 'MultiHeadAttention = parts.get("MultiHeadAttention")',
                "x = torch.randn(2, 3, 8)\nprint(MultiHeadAttention(8, 2)(x)[0].shape, MultiHeadAttention.__doc__)",
                "print(MultiHeadAttention.forward.__globals__['split_heads'].__code__.co_filename)",
                "checks.todo_13(MultiHeadAttention)")
    assert later[1] == "MultiHeadAttention: yours, from TODO 12-13.\n"
    assert later[2] == "torch.Size([2, 3, 8]) My own attention.\n"
    assert later[3].strip() == str(folder / "model.py")
    assert later[4].startswith("TODO 13 passed")
    assert (folder / "model.py").read_text() == kept


def test_graded_work_is_not_kept(folder):
    run(folder, SETUP + "from helpers import checks", HEADS, "checks.todo_3(split_heads, merge_heads)",
        NBGRADER_EXECUTION="autograde")
    assert not folder.exists()
