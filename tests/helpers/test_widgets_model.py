"""The explorers of the blocks and of the model: what they say is what the learner's own code does."""
import html
import re

import pytest
import torch

from course.bench import widgets as bench
from helpers import widgets


@pytest.fixture(scope="module")
def made():
    return bench.trained()


def finding(explorer):
    return html.unescape(re.findall(r"<p [^>]*>(.*?)</p>", explorer.html(), re.DOTALL)[-1])


def shares(explorer):
    """The numbers behind the bars."""
    return [float(share) / 100 for share in re.findall(r">([\d.]+)%", explorer.html())]


def test_next_character_follows_the_model(made):
    explorer = widgets.next_character(made.model, made.tokenizer, "To be")
    with torch.no_grad():
        logits = made.model(torch.tensor([made.tokenizer.encode("To be")]))[0, -1]
    best = logits.topk(12)
    assert shares(explorer) == pytest.approx(logits.softmax(-1)[best.indices].tolist(), abs=0.0006)
    explorer.controls["temperature"].value = 0.5
    explorer.controls["top_k"].value = 3
    kept = (best.values[:3] / 0.5).softmax(-1)
    assert shares(explorer)[:3] == pytest.approx(kept.tolist(), abs=0.0006)
    assert explorer.html().count("removed by top-k") == 9 and explorer.html().count("stroke-dasharray") == 9
    assert f"3 of {len(logits)}" in finding(explorer)
    assert f"Entropy {torch.special.entr(kept).sum():.2f}" in finding(explorer)
    explorer.controls["temperature"].value = 0.0
    assert "with 100.0%. 1 of" in finding(explorer) and "Entropy 0.00" in finding(explorer)


def test_generation_shows_what_generate_draws(made):
    calls = []

    def generate(*arguments):
        calls.append(arguments)
        return made.pieces.generate(*arguments)

    explorer = widgets.generation(made.model, made.tokenizer, generate, "To be", steps=6)
    state = torch.get_rng_state()
    explorer.controls["seed"].value, explorer.controls["temperature"].value = 3, 0.7
    said = [explorer.controls["step"].set_trait("value", step) or finding(explorer) for step in range(1, 7)]
    assert len(calls) == 1  # all steps at once
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(3)
    ids = torch.tensor([made.tokenizer.encode("To be")])
    for step, words in enumerate(said, 1):
        with torch.no_grad():
            chances = (made.model(ids)[0, -1] / 0.7).softmax(-1)
        ids = made.pieces.generate(made.model, ids, 1, 0.7)
        drawn = ids[0, -1].item()
        rank = (chances > chances[drawn]).sum().item() + 1
        assert f"Step {step} of 6" in words and f"{chances[drawn]:.1%} number {rank} of" in words
        assert ascii(made.tokenizer.chars[drawn]) in words or made.tokenizer.chars[drawn] in " \n"
    explorer.controls["temperature"].value = 0.0
    assert "100.0% number 1 of" in finding(explorer) and "in 6 of 6 steps" in finding(explorer)


def test_generation_leaves_room_for_what_is_written(made):
    explorer = widgets.generation(made.model, made.tokenizer, made.pieces.generate, "To be")
    explorer.controls["text"].value = "a" * 105
    assert "1 to 104 characters" in explorer.html()
    explorer.controls["text"].value = ""
    assert "1 to 104 characters" in explorer.html()
