"""The explorers of the blocks and of the model: what they say is what the learner's own code does."""
import re

import pytest
import torch
from torch import nn

from course.bench import widgets as bench
from helpers import inside, oracle, widgets
from tests.helpers.test_widgets import finding


@pytest.fixture(scope="module")
def made():
    return bench.trained()


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
    explorer.controls["text"].value = "a" * 109
    assert "1 to 108 characters" in explorer.html()
    explorer.controls["text"].value = ""
    assert "1 to 108 characters" in explorer.html()


def test_the_lens_ends_at_what_the_model_says(made):
    torch.manual_seed(0)
    model = made.pieces.TinyLLM(made.tokenizer.vocab_size, embed_dim=16, num_heads=2, num_layers=2)
    ids = made.tokenizer.encode("To be")
    seen = inside.look(model, ids)
    assert inside.lens(model, seen).shape == (5, 5, made.tokenizer.vocab_size)
    assert torch.allclose(inside.lens(model, seen)[-1], seen.logits, atol=1e-5)
    at_first = model.head(model.final_norm(seen.embedded))
    assert torch.allclose(inside.lens(model, seen)[0], at_first, atol=1e-5)
    assert len(inside.depths(2)) == 5

    forward = type(model).forward
    scaled = type("Scaled", (type(model),), {"forward": lambda self, ids: 0.25 * forward(self, ids)})
    model.__class__ = scaled  # as with a head that shares the embedding's weights
    assert torch.allclose(inside.lens(model, inside.look(model, ids))[0], 0.25 * at_first, atol=1e-5)


def test_the_lens_says_when_a_model_only_guesses(made):
    explorer = widgets.logit_lens(made.model, made.tokenizer, "To be")
    with torch.no_grad():
        last = made.model(torch.tensor([made.tokenizer.encode("To be")]))[0, -1].softmax(-1)
    assert f"with {last.max():.1%}. At first" in finding(explorer) and "nearly an even guess" in finding(explorer)
    assert shares(explorer)[-5:] == pytest.approx(last.topk(5).values.tolist(), abs=0.006)
    explorer.controls["text"].value = "To"
    assert "position 1," in finding(explorer) and explorer.controls["position"].value == 1

    class Sure(type(made.model)):  # the same model with logits twenty times as large
        def forward(self, ids):
            return 20 * super().forward(ids)

    sure = Sure(made.tokenizer.vocab_size, embed_dim=16, num_heads=2, num_layers=1)
    assert "even guess" not in finding(widgets.logit_lens(sure, made.tokenizer, "To be"))


def test_architecture_measures_the_model(made):
    model = made.pieces.TinyLLM(made.tokenizer.vocab_size, embed_dim=16, num_heads=2, num_layers=3, max_len=9)
    model.train()
    anatomy = inside.anatomy(model, made.tokenizer.encode("To be"))
    V = made.tokenizer.vocab_size
    assert model.training and not any(part.module._forward_hooks for part in anatomy.parts.values())
    assert (anatomy.ids, anatomy.blocks, anatomy.num_heads, anatomy.max_len) == ((1, 5), 3, 2, 9)
    assert anatomy.parts["token_embedding"].takes == (1, 5) and anatomy.parts["head"].gives == (1, 5, V)
    assert anatomy.parts["blocks.2.attention"].gives == (1, 5, 16) and len(anatomy.parts) == 16
    assert sum(part.parameters for part in anatomy.parts.values()) == anatomy.parameters

    explorer = widgets.architecture(model, made.tokenizer, "To be")
    explorer.controls["part"].value, explorer.controls["block"].value = "feed_forward", 2
    count = sum(p.numel() for p in model.blocks[2].feed_forward.parameters())
    assert f"feed_forward of block 2 takes (1, 5, 16) and gives (1, 5, 16). It learns {count:,}" in finding(explorer)
    assert f"{count / anatomy.parameters:.1%} of {anatomy.parameters:,}" in finding(explorer)
    assert f"{anatomy.parameters:,} parameters" in explorer.figure(**explorer.values).alt
    explorer.controls["text"].value = "To be, or not"
    assert "has 13" in explorer.html()

    model.head.weight = model.token_embedding.embedding.weight  # shared: counted once
    anatomy = inside.anatomy(model, [0])
    assert anatomy.parts["head"].parameters == V and anatomy.parts["token_embedding"].parameters == 16 * V
    assert sum(part.parameters for part in anatomy.parts.values()) == anatomy.parameters


def test_architecture_measures_a_stand_in():
    """PyTorch's layer does the work of its blocks, so that a run calls no part of them."""
    anatomy = inside.anatomy(oracle.TinyLLM(9, 12, 3, 2, 8), [1, 2, 3])
    assert {part.gives for name, part in anatomy.parts.items() if name.startswith("blocks.")} == {(1, 3, 12)}


# ---- blocks ---------------------------------------------------------------------------------------------------------

def test_gelu_and_relu_have_their_values_and_slopes():
    explorer = widgets.gelu_relu()
    assert "GELU gives -0.159 with slope -0.083; ReLU gives 0.000 with slope 0.000" in finding(explorer)
    assert "learns nothing" in finding(explorer)
    explorer.controls["x"].value = 1.0
    assert "GELU gives 0.841 with slope 1.083; ReLU gives 1.000 with slope 1.000" in finding(explorer)
    assert "learns nothing" not in finding(explorer)


def test_gradients_are_those_of_the_notebooks_function():
    explorer = widgets.gradients(lambda residual, layers: [2.0 if residual else 10.0**i for i in range(layers)], 6)
    assert "6 layers: with residuals, layer 0 gets 1 times the gradient of layer 5; without, 1e-05" in finding(explorer)
    explorer.controls["layers"].value = 3
    assert "layer 2; without, 0.01 times" in finding(explorer)
    faded = widgets.gradients(lambda residual, layers: [1.0, 1.0] if residual else [0.0, 1.0], 2)
    assert "without, 0 times" in finding(faded)  # and no point at 0, which a log scale does not have


def test_layer_norm_undoes_scale_and_shift():
    explorer = widgets.layer_norm(nn.LayerNorm(4), torch.tensor([[2.0, 4, 6, 8], [1, 0, 0, 1]]))
    explorer.controls["position"].value, explorer.controls["scale"].value = 0, 10.0
    explorer.controls["shift"].value = 5.0
    assert "before the norm, mean 55.00 and standard deviation 22.36; after it, mean 0.00" in finding(explorer)
    assert "no output of the norm by more than 0.0000" in finding(explorer)
    explorer.controls["scale"].value = 0.0  # all features alike: nothing is left to bring back
    assert "no output of the norm by more than 1.34" in finding(explorer)
    unlike = widgets.layer_norm(nn.Identity(), torch.tensor([[2.0, 4], [1, 0]]))
    unlike.controls["scale"].value = 2.0
    assert "by more than 1.0000" in finding(unlike)
    assert "-0.00" not in finding(widgets.layer_norm(nn.Identity(), torch.tensor([[-0.001, 0.0]])))


def test_residual_measures_what_the_blocks_add(made):
    torch.manual_seed(0)
    blocks = nn.ModuleList(made.pieces.TransformerBlock(8, 2) for _ in range(2))
    x, text = torch.randn(5, 8), "to be"
    explorer = widgets.residual(blocks, x, text)
    explorer.controls["half"].value, explorer.controls["character"].value = "block 1 feed-forward", 3
    with torch.no_grad():
        mask = torch.ones(5, 5).tril()
        x1 = blocks[0](x[None], mask)
        gathered = x1 + blocks[1].attention(blocks[1].norm1(x1), mask)[0]
        size, added = gathered[0, 3].norm(), blocks[1].feed_forward(blocks[1].norm2(gathered))[0, 3].norm()
        end = blocks[1](x1, mask)[0].norm(dim=-1).mean()
    said = f"block 1 feed-forward adds {added:.2f} to the stream of size {size:.2f}: {added / size:.0%}"
    assert said in finding(explorer)
    assert f"from {x.norm(dim=-1).mean():.2f} to {end:.2f}" in finding(explorer)
    with pytest.raises(ValueError, match="1 to 24 characters"):
        widgets.residual(blocks, torch.randn(25, 8), "a" * 25)
