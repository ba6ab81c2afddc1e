"""`course bench`: its numbers have the right shape, and are true."""
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
