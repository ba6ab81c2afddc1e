"""A learner's finished tiny_llm/ as programs: model.py checks itself, train.py trains, goes on and writes, alone or in
several processes. The pieces are the sources' solutions."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course import solution
from helpers import parts
from helpers.training import checkpoints

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--preset", "quick", "--batch-size", "8"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder as the notebooks leave it when every check has passed."""
    place = tmp_path_factory.mktemp("course") / "tiny_llm"
    before, os.environ["TINYLLM_PARTS"] = os.environ.get("TINYLLM_PARTS"), str(place)
    cells = solution.cells()
    for piece in parts.PIECES:
        source = "\n\n\n".join(cell for name in piece.names for cell in cells
                                 if re.search(rf"^(class|def) {name}\b", cell, re.M))
        parts._write(piece, source + "\n")
    os.environ.pop("TINYLLM_PARTS") if before is None else os.environ.update(TINYLLM_PARTS=before)
    (place.parent / "text.txt").write_text("the cat sat on the mat; the rat ran. " * 150, encoding="utf-8")
    return place


def run(*words, cwd, path="", status=0):
    """Run Python with these words, PyTorch within reach and `path` before everything else -> what it printed."""
    done = subprocess.run([sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=240,
                          env={**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"})
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def train(finished, *words, **how):
    return run(finished / "train.py", "--data", finished.parent / "text.txt", *SMALL, *words,
               **{"cwd": finished.parent} | how)


def losses(folder):
    return checkpoints.load(folder)["history"]


def test_both_read_like_files_a_person_wrote(finished):
    for file, first in (("model.py", "split_heads"), ("train.py", "class TextDataset")):
        text = (finished / file).read_text()
        assert text.startswith('"""') and text.isascii() and first in text
        titles = re.findall(r"^# ---- (.*?) -*$", text, re.M)
        assert titles == [p.title for p in parts.PIECES if p.file == file] + [titles[-1]] and "python" in titles[-1]
        assert not re.search(r"\n\n\n\n|SOLUTION|[ \t]$", text, re.M)
        assert max(map(len, text.splitlines())) <= 120
    assert "helpers" not in (finished / "train.py").read_text()
    for file in (finished / "training").glob("*.py"):  # PyTorch is all it needs; widgets are for notebooks
        imports = re.findall(r"^(?:from|import) (\w+)", file.read_text(), re.M)
        assert set(imports) <= {"torch", *sys.stdlib_module_names}


def test_model_prints_a_table_of_the_todos(finished, tmp_path):
    lines = run(finished / "model.py", cwd=tmp_path, path=ROOT).splitlines()
    assert [int(line[:4]) for line in lines[:-1]] == list(range(3, 32))
    assert all(line.endswith("  passed") for line in lines[:-1]) and lines[-1] == "29 of 29 TODOs pass."


def test_a_mistake_and_a_gap_stand_in_the_table(finished, tmp_path):
    place = tmp_path / "tiny_llm"
    shutil.copytree(finished, place)
    text = (place / "model.py").read_text()
    (place / "model.py").write_text(text.replace("# ---- TODO 21:", "# ---- once TODO 21:"))
    text = (place / "train.py").read_text()
    (place / "train.py").write_text(text.replace("optimizer.zero_grad()", "pass"))
    said = run(place / "model.py", cwd=tmp_path, path=ROOT, status=1)
    assert re.search(r"^  21  causal_mask +not there yet: 4_model$", said, re.M), said
    assert re.search(r"^  28  train_step +not right yet: gradients not cleared$", said, re.M), said
    assert said.endswith("27 of 29 TODOs pass.\n")


def test_model_without_the_course_says_so(finished, tmp_path):
    (tmp_path / "helpers.py").write_text("raise ImportError\n")
    said = run(finished / "model.py", cwd=tmp_path, path=tmp_path, status=1)
    assert said == "The checks are in the course's folder: put tiny_llm/ back there to run them.\n"


def test_train_trains_goes_on_and_writes(finished, tmp_path):
    out = tmp_path / "a run"
    said = train(finished, "--out", out, "--epochs", 2, "--prompt", "the cat")
    assert re.search(r"epoch 1 done: validation loss \d\.\d+", said) and "\nthe cat" in said
    first = losses(out)
    said = train(finished, "--out", out, "--epochs", 3)
    assert "Going on from the checkpoint" in said and "epoch 3 done" in said and "epoch 2 done" not in said
    assert losses(out)["train_loss"][:len(first["train_loss"])] == first["train_loss"]
    assert len(losses(out)["val_loss"]) == 3 and losses(out)["val_loss"][-1] < 2.0


@pytest.mark.parametrize("words, says", [
    (["--budget", "0"], "budget must be longer than 0 seconds"),
    (["--epochs", "0"], "epochs must be a whole number of at least 1, not 0"),
    (["--preset", "huge"], "there is no preset called 'huge'; there are: quick, cpu, gpu"),
    (["--data", "nowhere.txt"], "No such file or directory: 'nowhere.txt'"),
    (["--prompt", "Zebra!"], "which is not in the vocabulary"),
    (["--data", "short.txt"], "a text of 38 characters is too short for block_size 64"),
])
def test_bad_arguments_are_one_sentence(finished, tmp_path, words, says):
    (tmp_path / "short.txt").write_text("to be or not to be " * 20, encoding="utf-8")
    said = train(finished, "--out", tmp_path / "run", *words, cwd=tmp_path, status=1)
    assert says in said and said.strip().count("\n") == 0, said


def test_a_folder_that_is_not_finished_says_what_is_missing(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "tiny_llm")
    text = (tmp_path / "tiny_llm/train.py").read_text()
    (tmp_path / "tiny_llm/train.py").write_text(text.replace("def evaluate(", "def evaluated("))
    said = train(tmp_path / "tiny_llm", status=1)
    assert said.startswith("Not finished yet: evaluate.")


def torchrun(finished, count, out, *words):
    return run("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}", finished / "train.py",
               "--data", finished.parent / "text.txt", *SMALL, "--out", out, *words,
               cwd=finished.parent)


def test_two_processes_learn_what_one_learns(finished, tmp_path):
    train(finished, "--out", tmp_path / "one", "--epochs", 2)
    said = torchrun(finished, 2, tmp_path / "two", "--epochs", 2)
    assert said.count("epoch 1 done") == 1 and "Warning" not in said  # one of them speaks
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    for name in ("train_loss", "val_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-4)
    weights = [checkpoints.load(tmp_path / name)["model"]["head.weight"] for name in ("one", "two")]
    assert torch.allclose(*weights, atol=1e-3)


def test_one_process_and_then_two(finished, tmp_path):
    train(finished, "--out", tmp_path / "run", "--epochs", 1)
    assert "Going on from the checkpoint" in torchrun(finished, 2, tmp_path / "run", "--epochs", 2)
    assert len(losses(tmp_path / "run")["val_loss"]) == 2
