"""The generator with a memory: the same text as the learner's own, only sooner."""
import pytest
import torch
from torch import nn

from course import solution
from helpers import generator, oracle

PIECES = solution.pieces()


def model(max_len=12, **other):
    torch.manual_seed(3)
    made = PIECES.TinyLLM(9, embed_dim=12, num_heads=3, num_layers=2, max_len=max_len, **other)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)  # so that it has opinions
    return made


@pytest.mark.parametrize("batch, prompt, new", [(1, 1, 11), (2, 5, 7), (3, 12, 4), (2, 20, 3), (1, 4, 30), (2, 3, 0)])
def test_greedy_text_is_the_learners_id_for_id(batch, prompt, new):
    m, ids = model(dropout=0.3), torch.randint(9, (batch, prompt))
    kept = ids.clone()
    assert torch.equal(generator.generate(m, ids, new, 0.0), PIECES.generate(m, ids, new, 0.0))
    assert torch.equal(ids, kept) and m.training
    m.eval()
    generator.generate(m, ids, 1)
    assert not m.training


def test_other_ways_to_write_the_model():
    """The stand-in keeps its number of heads elsewhere; a tied head may have its logits made smaller."""
    class Smaller(PIECES.TinyLLM):
        def forward(self, ids):
            return super().forward(ids) / 7

    ids = torch.randint(9, (2, 4))
    for m, own in ((oracle.TinyLLM(9, 12, 3, 2, 12), oracle.generate), (Smaller(9, 12, 3, 2, 12), PIECES.generate)):
        assert torch.equal(generator.generate(m, ids, 9, 0.0), own(m, ids, 9, 0.0))
    torch.manual_seed(0)
    m = Smaller(9, 12, 3, 2, 40)
    nn.init.normal_(m.head.weight, std=3.0)
    assert shares(m, generator.generate) == pytest.approx(shares(m, PIECES.generate), abs=0.03)


def shares(m, generate, **how):
    """How often each id comes, as the second of two new ones: 20,000 texts, so that 0.03 is more than 8 deviations."""
    torch.manual_seed(1)
    ids = torch.zeros(20_000, 3, dtype=torch.int64)
    return (torch.bincount(generate(m, ids, 2, **how)[:, -1], minlength=9) / 20_000).tolist()


@pytest.mark.parametrize("how", [{}, {"temperature": 0.5}, {"top_k": 3}, {"temperature": 2.0, "top_k": 1}])
def test_sampled_text_has_the_same_distribution(how):
    m = model()
    assert shares(m, generator.generate, **how) == pytest.approx(shares(m, PIECES.generate, **how), abs=0.03)


@pytest.mark.parametrize("arguments", [{"max_new_tokens": -1}, {"temperature": -0.1}, {"top_k": 0},
                                       {"ids": torch.zeros(1, 0, dtype=torch.int64)}])
def test_bad_arguments_are_one_sentence(arguments):
    with pytest.raises(ValueError, match="the prompt needs at least one id"):
        generator.generate(model(), **{"ids": torch.zeros(1, 2, dtype=torch.int64), "max_new_tokens": 1} | arguments)


def test_what_it_writes_can_be_trained_on():
    m = model()
    written = generator.generate(m, torch.zeros(1, 2, dtype=torch.int64), 5)
    m(written).sum().backward()
    assert m.token_embedding.embedding.weight.grad is not None
