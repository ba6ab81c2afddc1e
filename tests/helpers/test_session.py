"""A whole run: what it learns, shows and keeps; interrupted, killed, out of time, out of room, with damaged files."""
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers import oracle, training
from helpers.training import checkpoints, live

ROOT = Path(__file__).resolve().parents[2]
TEXT = "the cat sat on the mat; " * 300
TOKENIZER = oracle.CharTokenizer(TEXT)
SMALL = {"embed_dim": 32, "num_heads": 4, "num_layers": 1, "block_size": 16, "batch_size": 8, "epochs": 4}


def session(folder=None, seed=0, sample=None, train=None, watch=None, **changes):
    """A Session that runs in a few seconds."""
    torch.manual_seed(seed)
    preset = training.preset("quick", **{**SMALL, **changes})
    model = oracle.TinyLLM(TOKENIZER.vocab_size, **preset.model)
    ids = TOKENIZER.encode(TEXT)
    sets = [oracle.TextDataset(part, preset.block_size) for part in (ids[:6400], ids[6400:])]
    return training.Session(model, *sets, preset, folder=folder, sample=sample, watch=watch)


def same(model, other):
    return all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


# What it learns and says

def test_it_learns_and_says_how(capsys):
    run = session(sample=lambda: "a sample\nof two lines")
    history = run.run(oracle.train)
    assert abs(history["train_loss"][0] - math.log(TOKENIZER.vocab_size)) < 0.6
    assert len(history["train_loss"]) == 4 * 49 and len(history["val_loss"]) == 4
    assert history["val_loss"][-1] < 0.6  # chance is ln 12 = 2.5
    assert history["val_loss"][-1] == pytest.approx(oracle.evaluate(run.model, run.val_loader))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1  step 1  loss 2.")
    assert lines[1] == f"epoch 1 done: validation loss {history['val_loss'][0]:.3f}"
    assert lines[2:4] == ["    a sample", "    of two lines"]
    assert re.fullmatch(r"196 steps in \d+ s; validation loss 0\.\d+", lines[-1])
    assert all(line.isascii() for line in lines)


def test_what_is_sampled_does_not_change_what_is_learned(capsys):
    models = []
    for sample in (None, lambda: str(torch.rand(5))):
        run = session(dropout=0.2, sample=sample)
        run.run(oracle.train)
        models.append(run.model)
    assert same(*models)


def test_what_watches_changes_nothing_and_is_kept(tmp_path):
    runs = []
    for folder, watch in ((None, None), (tmp_path, lambda: torch.rand(5))):
        runs.append(session(folder, dropout=0.2, epochs=2, watch=watch))
        runs[-1].run(oracle.train)
    assert same(*(run.model for run in runs)) and "moments" not in runs[0].history
    moments = runs[1].history["moments"]
    assert [step for step, _ in moments] == [0, 10, 20, 49, 50, 98]  # an epoch has 49 steps
    again = session(tmp_path, seed=3, dropout=0.2, epochs=2, watch=lambda: None).run(oracle.train)["moments"]
    assert [step for step, _ in again] == [step for step, _ in moments]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(again, moments))
    unwatched = checkpoints.load(tmp_path)
    del unwatched["history"]["moments"]
    checkpoints.save(tmp_path, unwatched)
    assert session(tmp_path, dropout=0.2, epochs=2, watch=lambda: 7).run(oracle.train)["moments"] == [(98, 7)]


def test_surprise_is_the_loss_of_each_character():
    model, ids = session(dropout=0.2).model, TOKENIZER.encode(TEXT[:53])  # three blocks of 16, and 4 more
    losses, state = training.surprise(model, ids), torch.get_rng_state()
    x, y = torch.tensor(ids[:-1]), torch.tensor(ids[1:])
    blocks = [(x[i:i + 16][None], y[i:i + 16][None]) for i in range(0, 52, 16)]
    assert losses.shape == (52,) and losses.mean().item() == pytest.approx(oracle.evaluate(model, blocks), abs=1e-5)
    assert training.expected(model, ids).exp().sum(-1).numpy() == pytest.approx(1)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="at least 2 characters"):
        training.surprise(model, ids[:1])


def test_a_line_every_few_seconds(capsys, monkeypatch):
    clock = [0.0]

    def train(*args, on_step, **kwargs):
        for step in range(50):
            clock[0] += 1.0
            on_step(step, 4.0)
        return {"val_loss": [3.0]}

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    session(epochs=2).run(train)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "epoch 1  step 11/98  loss 4.000  1.0 steps/s  1 min 27 s left"
    assert lines[-1] == "100 steps in 1 min 40 s; validation loss 3.000"


def test_curve_has_words_and_theme_colours():
    picture = live.curve([4.0, 3.0, 2.5], [(3, 2.6)], 10)
    assert 'aria-label="training loss 2.50 after 3 of 10 steps; validation loss 2.600"' in picture
    assert "currentColor" in picture and live.curve([], [], 10) == ""


# Time

@pytest.mark.parametrize("budget", [0.001, 3.0])
def test_a_time_budget_is_kept_and_the_schedule_fits(budget):
    run = session(budget=budget)
    started = time.monotonic()
    history = run.run(oracle.train)
    taken = time.monotonic() - started
    assert history["train_loss"] and history["val_loss"]
    assert len(history["val_loss"]) == run.epoch
    if budget == 3.0:
        assert 0.7 * budget < taken < 2 * budget  # loose: a step may be slow where tests run side by side
        rates = [group["lr"] / group["initial_lr"] for group in run.optimizer.param_groups]
        assert all(rate < 0.1 for rate in rates)


# Interrupts

class Interrupting:
    """The course's train, with a SIGINT at one of its steps: before the step is done."""

    def __init__(self, at):
        self.at = at

    def __call__(self, model, train_loader, val_loader, optimizer, epochs, scheduler, on_step):
        def watched(step, loss):
            self.at -= 1
            if self.at == 0:
                signal.raise_signal(signal.SIGINT)
            on_step(step, loss)
        return oracle.train(model, train_loader, val_loader, optimizer, epochs, scheduler, watched)


def test_interrupted_it_keeps_model_history_and_checkpoint_and_goes_on(tmp_path, capsys):
    whole = session(dropout=0.1)
    whole.run(oracle.train)
    run = session(tmp_path, dropout=0.1)
    history = run.run(Interrupting(at=70))
    assert run.stopped and len(history["train_loss"]) == 70 and len(history["val_loss"]) == 1
    assert "Stopped after 70 steps" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = session(tmp_path, seed=3, dropout=0.1)  # as after a restart
    assert again.run(oracle.train) == whole.history and not again.stopped
    assert same(again.model, whole.model)
    assert "Going on from the checkpoint" in capsys.readouterr().out
    assert run.run(oracle.train) == whole.history  # the interrupted one itself can go on too
    assert same(run.model, whole.model)


def test_a_finished_run_is_not_run_again(tmp_path):
    history = session(tmp_path).run(oracle.train)

    def train(*args, **kwargs):
        raise AssertionError("nothing is left to do")
    assert session(tmp_path, seed=5).run(train) == history
    assert len(session(tmp_path, epochs=5).run(oracle.train)["val_loss"]) == 5  # but more epochs can follow


KILLED = """
import sys, time, torch
sys.path[:0] = [{tests!r}]
import test_session
from helpers import oracle
torch.set_num_threads(1)
run = test_session.session({folder!r}, dropout=0.1)
run.minutes = 0  # a checkpoint after each step
def train(*args, on_step, **kwargs):
    def slowly(step, loss):
        on_step(step, loss)
        print(len(run.history["train_loss"]), flush=True)
        time.sleep(0.01)
    return oracle.train(*args, on_step=slowly, **kwargs)
run.run(train)
"""


@pytest.mark.parametrize("after", [3, 61])
def test_killed_at_any_moment_it_ends_as_if_nothing_had_happened(tmp_path, after):
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        for line in process.stdout:
            if line.strip().isdigit() and int(line) >= after:
                time.sleep(0.005 * torch.rand(()).item())
                break
    finally:
        process.kill()
        process.wait()
    state = checkpoints.load(tmp_path)
    assert after - 1 <= len(state["history"]["train_loss"]) < 196
    whole = session(dropout=0.1)
    whole.run(oracle.train)
    rest = session(tmp_path, seed=9, dropout=0.1)
    assert rest.run(oracle.train) == whole.history
    assert same(rest.model, whole.model)


# Files

@pytest.fixture
def two(tmp_path):
    """A folder with two checkpoints: after one epoch, and after two."""
    session(tmp_path, epochs=2).run(oracle.train)
    assert checkpoints.read(tmp_path / "previous.pt")["epoch"] == 1
    return tmp_path


@pytest.mark.parametrize("damage, says", [
    (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged, was only half written"),
    (lambda path: path.write_bytes(b""), "damaged, was only half written"),
    (lambda path: path.write_text("To be, or not to be"), "file of another kind"),
    (lambda path: torch.save({"model": {}}, path), "is not a checkpoint of this course's training"),
    (lambda path: torch.save({"format": checkpoints.FORMAT, "version": 0}, path), "another version of the course"),
    (lambda path: torch.save({"format": checkpoints.FORMAT, "code": os.system}, path), "cannot be read"),
])
def test_a_file_that_cannot_be_used_is_named_and_the_one_before_is_taken(two, capsys, damage, says):
    damage(two / "checkpoint.pt")
    assert checkpoints.load(two)["epoch"] == 1
    said = capsys.readouterr().out
    assert says in said and "Going on from the checkpoint before it" in said and said.count("\n") == 1
    damage(two / "previous.pt")
    with pytest.raises(checkpoints.CheckpointError, match="Move it away to start anew"):
        checkpoints.load(two)


def test_killed_between_two_renames(two):
    (two / "checkpoint.pt").unlink()
    assert checkpoints.load(two)["epoch"] == 1


FULL = """
import os, sys
sys.path[:0] = [{tests!r}]
import test_session
from helpers import oracle
run = test_session.session({folder!r}, epochs=4)
history = run.run(oracle.train)
print(len(history["val_loss"]), sorted(os.listdir({folder!r})), test_session.checkpoints.load({folder!r})["epoch"])
"""


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap, which makes a small disk here, is not installed")
def test_a_full_disk_costs_a_line_and_no_checkpoint(two, tmp_path):
    """A real disk with room for two checkpoints and a bit: all that follow are lost, and training goes on."""
    room, disk = sum(path.stat().st_size for path in two.iterdir()), tmp_path / "disk"
    disk.mkdir()
    code = FULL.format(tests=str(Path(__file__).parent), folder=str(disk))
    outcome = subprocess.run(["bwrap", "--dev-bind", "/", "/", "--size", str(int(1.25 * room)), "--tmpfs", str(disk),
                              sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                             capture_output=True, text=True, timeout=100)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.count("No checkpoint could be written") == 2, outcome.stdout
    assert outcome.stdout.splitlines()[-1] == "4 ['checkpoint.pt', 'previous.pt'] 2"


def test_a_checkpoint_of_another_run_is_refused(two, monkeypatch):
    with pytest.raises(checkpoints.CheckpointError, match="belongs to a run with another embed_dim"):
        session(two, embed_dim=64).run(oracle.train)
    monkeypatch.setattr(sys.modules[__name__], "TEXT", TEXT.replace("the mat", "the cat"))  # as long as before
    with pytest.raises(checkpoints.CheckpointError, match="belongs to a run with another text"):
        session(two).run(oracle.train)


# Trouble

def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    def train(model, *args, on_step, **kwargs):
        def poisoned(step, loss):
            if step == 30:
                with torch.no_grad():
                    next(model.parameters()).fill_(math.nan)
            on_step(step, loss)
        return oracle.train(model, *args, on_step=poisoned, **kwargs)

    run = session(tmp_path)
    run.minutes = 0
    with pytest.raises(training.Diverged, match=r"the loss is nan at step 32.* half the learning rates.*from before"):
        run.run(train)
    state = checkpoints.load(tmp_path)
    assert state["batch"] == 30 and all(torch.isfinite(p).all() for p in state["model"].values())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
                                   RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), MemoryError()])
def test_out_of_memory_says_what_to_lower(error):
    def train(*args, **kwargs):
        raise error
    with pytest.raises(MemoryError, match=r"Lower it, with training.preset\('quick', batch_size=4\)"):
        session().run(train)


def test_other_errors_are_left_alone():
    def train(*args, **kwargs):
        raise RuntimeError("shapes do not fit")
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        session().run(train)


# What a notebook shows

def test_panel_draws_the_curve_and_escapes_the_sample(capsys):
    panel = live.Panel()
    moment = live.Moment(step=3, steps=10, exactly=True, epoch=1, loss=2.5, speed=4.0, left=90)
    panel.step(moment, [4.0, 3.0, 2.5], [])
    assert "<svg" in panel.widget.value
    assert "epoch 1  step 3/10  loss 2.500  4.0 steps/s  1 min 30 s left" in panel.widget.value
    panel.epoch([4.0, 3.0, 2.5], [(3, 2.4)], "<script>alert(1)</script>")
    assert "&lt;script&gt;" in panel.widget.value and "<script>" not in panel.widget.value
    assert "<circle" in panel.widget.value
    panel.say("done")
    assert capsys.readouterr().out.endswith("done\n")  # this stays when the notebook is saved
    assert "<circle" in panel.widget.value and "done" not in panel.widget.value  # so it is said once


@pytest.mark.parametrize("environment, widgets", [
    ({"JPY_SESSION_NAME": "/home/x/5_training.ipynb"}, True), ({"VSCODE_CWD": "/home/x"}, True), ({}, False),
    ({"JPY_SESSION_NAME": "/home/x/5_training.ipynb", "NBGRADER_EXECUTION": "autograde"}, False),
])
def test_widgets_only_where_somebody_sees_them(environment, widgets, monkeypatch):
    import IPython
    for name in list(os.environ):
        if name.startswith("VSCODE_") or name in ("JPY_SESSION_NAME", "NBGRADER_EXECUTION"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert type(live.view()) is live.Lines  # no kernel
    shell = type("Shell", (), {"kernel": object()})()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    assert type(live.view()) is (live.Panel if widgets else live.Lines)
