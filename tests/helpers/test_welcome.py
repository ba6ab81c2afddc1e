"""The small trained model: there, small, able to write; a damaged file is named; the command makes another."""
import pytest
import torch

from course import welcome as command
from helpers import data, oracle, training, welcome


def test_it_is_small_and_writes_like_the_plays():
    assert welcome.FILE.stat().st_size < 2_000_000
    model, tokenizer = welcome.load()
    torch.manual_seed(0)
    text = oracle.generate_text(model, tokenizer, "ROMEO:\n", max_new_tokens=400)
    known = set(data.load_text(data.DATA / "sample_play.txt").lower().split()) | {"the", "and", "of", "to", "my", "i"}
    words = text.lower().split()
    assert sum(word.strip(".,:;!?'") in known for word in words) > 0.3 * len(words), text
    newborn, _ = welcome.load(trained=False)
    assert [p.shape for p in newborn.parameters()] == [p.shape for p in model.parameters()]
    words = oracle.generate_text(newborn, tokenizer, "ROMEO:\n", max_new_tokens=400).lower().split()
    assert sum(word.strip(".,:;!?'") in known for word in words) < 0.3 * len(words)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a file"])
def test_a_missing_or_damaged_file_is_named(tmp_path, content):
    file = tmp_path / "model.pt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pt is missing or damaged .* `python3 -m course welcome`"):
        welcome.load(file)


def test_a_file_with_code_in_it_is_refused(tmp_path):
    torch.save({"model": print}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="missing or damaged"):
        welcome.load(tmp_path / "model.pt")


def test_the_command_makes_a_model_that_can_be_loaded(tmp_path):
    text = data.load_text(data.DATA / "sample_play.txt")[:8000]
    preset = training.preset("quick", epochs=2)
    losses = [command.make(text, preset, tmp_path / name) for name in ("a.pt", "b.pt")]
    assert losses[0] == losses[1] < 3.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt", "b.pt"]
    first, second = (welcome.load(tmp_path / name)[0].state_dict() for name in ("a.pt", "b.pt"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_text_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TINYLLM_DATA", str(data.DATA / "sample_play.txt"))
    assert command.main(["--out", str(tmp_path / "model.pt")]) == 1
    assert "needs tiny Shakespeare" in capsys.readouterr().out and not list(tmp_path.iterdir())
