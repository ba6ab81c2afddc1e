"""`course bench`: its numbers have the right shape, and are true."""
import json
import re

import answers
import pytest

from course import bench
from course.bench import checks

TODO = 4  # a quick one


def test_checks_prints_median_worst_and_sum(capsys):
    assert bench.main(["checks", str(TODO), "6"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert [line[0] for line in lines] == [str(TODO), "6", "sum"]
    numbers = [[float(n) for n in line[1:]] for line in lines]
    assert all(len(row) == 2 and 0 < row[0] <= row[1] for row in numbers)
    for column in range(2):
        assert numbers[2][column] == pytest.approx(numbers[0][column] + numbers[1][column], abs=0.0021)


def test_widgets_prints_times_and_the_memory_of_a_kernel(capsys):
    assert bench.main(["widgets", "matmul", "waves", "--times", "1"]) == 0
    _, *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["matmul", "waves"]
    assert all(0 < float(median) <= float(worst) < 150 for _, median, worst, _ in map(str.split, lines))
    assert 200 < int(re.fullmatch(r"a kernel with 2 of them open: (\d+) MB", last)[1]) < 1000


def test_seconds_are_those_of_the_check(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(checks.time, "perf_counter", lambda: next(clock) ** 2)  # each run takes longer than the last
    assert checks.seconds(TODO) == [1, 5, 9, 13, 17]


def test_answers_counts_the_bank(capsys):
    bank = answers.cases(TODO)
    wrong, right = (sum(a.kind == kind for a in bank) for kind in ("wrong", "right"))
    named = sum(a.named is not None for a in bank)
    assert bench.main(["answers", str(TODO), "--seeds", "1"]) == 0
    *_, line, total = (re.findall(r"\d+", line) for line in capsys.readouterr().out.splitlines())
    assert line[1:] == total == [str(n) for n in (wrong, wrong, right, right, named, wrong)]


def test_misjudged_answers_are_told(monkeypatch, capsys):
    """A check that lets everything pass, and one that lets nothing pass."""
    bank = answers.cases(TODO)
    wrong, right = ([a for a in bank if a.kind == kind] for kind in ("wrong", "right"))
    for says, left in ((None, wrong), (AssertionError("no"), right)):
        monkeypatch.setattr(answers, "outcome", lambda answer, seed, says=says: says)
        found = checks.score(TODO, range(2))
        assert found.misjudged == left and found.named == 0
        assert (found.caught, found.passed) == ((0, len(right)) if says is None else (len(wrong), 0))
        assert bench.main(["answers", str(TODO)]) == 1
        assert capsys.readouterr().out.count("misjudged: ") == len(left)


def test_a_number_that_is_no_todo(capsys):
    with pytest.raises(SystemExit):
        bench.main(["answers", "32"])
    assert "there is no TODO 32" in capsys.readouterr().err


# --- train and generate ------------------------------------------------------------------------------------------

@pytest.fixture
def text(tmp_path):
    (tmp_path / "text.txt").write_text("the cat sat on the mat; the rat ran. " * 150, encoding="utf-8")
    return str(tmp_path / "text.txt")


def test_train_prints_one_json_line_per_seed(text, capfd):
    numbers = ["--seeds", "2", "--set", "epochs=2", "batch_size=8"]
    assert bench.main(["train", "--preset", "quick", "--data", text, *numbers]) == 0
    runs = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [run["seed"] for run in runs] == [0, 1] and runs[0]["val_loss"] != runs[1]["val_loss"]
    for run in runs:
        assert run["steps"] == 18 and run["tokens"] == 18 * 8 * 64 and len(run["val_losses"]) == 2
        assert run["tokens_per_s"] == pytest.approx(run["tokens"] / run["wall_s"], rel=0.2)
        assert run["val_loss"] == run["val_losses"][-1] < 2.6 and 150 < run["memory_mb"] < 2000
        assert 0 < run["loading_share"] < 0.5 and run["ms_per_step"] > 0
        assert run["settings"]["epochs"] == 2 and run["characters"] == 5550


def test_train_keeps_to_a_budget(text, capfd):
    assert bench.main(["train", "--preset", "quick", "--data", text, "--budget", "2s"]) == 0
    run = json.loads(capfd.readouterr().out)
    assert run["budget_s"] == 2 and 1 < run["wall_s"] < 6  # without it: a quick run takes 30 s


@pytest.mark.parametrize("words, says", [
    (["--preset", "huge"], "there is no preset called 'huge'"), (["--budget", "0"], "budget must be longer than 0"),
    (["--data", "nowhere.txt"], "there is no file nowhere.txt"), (["--set", "epochs"], "--set takes NAME=NUMBER"),
    (["--set", "epoch=3"], "no number called 'epoch'"), (["--seeds", "0"], "--seeds should be at least 1"),
])
def test_train_refuses_what_makes_no_sense(words, says, capsys):
    with pytest.raises(SystemExit):
        bench.main(["train", *words])
    assert says in capsys.readouterr().err


def test_generate_compares_the_two(capsys):
    assert bench.main(["generate", "--context", "20", "--new", "10", "--times", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spread"][0] <= found["times_faster"] <= found["spread"][1]
    assert found["learner_chars_per_s"] > 0 and found["settings"]["max_len"] == 30


# --- search ------------------------------------------------------------------------------------------------------

def test_search_prints_a_table_of_what_helped(text, capsys, monkeypatch):
    from course import search
    monkeypatch.setenv("TINYLLM_DATA", text)
    trials = ["the recipe", "head tied to the embedding", "mean of the latest weights (EMA 0.99)", "AdamW alone"]
    assert search.main([*trials, "--characters", "4000", "--seeds", "1", "--workers", "2"]) == 0
    *lines, = capsys.readouterr().out.splitlines()
    runs = [json.loads(line) for line in lines[:4]]
    assert [run["trial"] for run in runs] == trials
    assert len({run["val_loss"] for run in runs}) == 4 and all(1 < run["val_loss"] < 4 for run in runs)
    assert [line.split("|")[1].strip() for line in lines[-4:]] == trials


def test_search_knows_its_trials(capsys):
    from course import search
    with pytest.raises(SystemExit):
        search.main(["more magic"])
    assert "there is no trial called 'more magic'" in capsys.readouterr().err
