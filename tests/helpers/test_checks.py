"""The checks on the bank of answers: every wrong one is caught (and named), every right one passes."""
import os
import pathlib

import answers
import pytest

BANK = pathlib.Path(answers.__file__).parent
TODOS = sorted(int(path.stem[-2:]) for path in BANK.glob("todo_*.py"))
ANSWERS = [answer for todo in TODOS for answer in answers.cases(todo)]
SEEDS = range(int(os.environ.get("BANK_SEEDS", 20)))  # random inputs of this many kinds for each answer


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_answer(answer):
    for seed in SEEDS:
        said = answers.outcome(answer, seed)
        if answer.kind == "right":
            assert said is None, f"seed {seed}: {said}"
            continue
        assert said is not None, f"seed {seed}: this wrong answer passes"
        unfinished = (answer.named or "").startswith("TODO")
        assert type(said) is (NotImplementedError if unfinished else AssertionError)
        assert str(said).isascii()
        if answer.named:
            assert answer.named in str(said), f"seed {seed}"


@pytest.mark.parametrize("todo", TODOS)
def test_the_bank_is_rich_enough(todo):
    wrong = [a for a in answers.cases(todo) if a.kind == "wrong"]
    right = [a for a in answers.cases(todo) if a.kind == "right"]
    assert len(wrong) >= 6 and len(right) >= 3
    assert sum(a.named is not None for a in wrong) >= 0.8 * len(wrong)
