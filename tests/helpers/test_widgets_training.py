"""The explorers of phase 5: what they say is computed from the learner's own pieces."""
import torch

from helpers import oracle, widgets
from helpers.plots.learned import label_sides
from tests.helpers.test_widgets import finding

TEXT = "the cat sat on the mat"
TOKENIZER = oracle.CharTokenizer(TEXT)


def test_shifted_names_the_question_and_counts_what_is_equal():
    explorer = widgets.shifted(oracle.TextDataset, TOKENIZER, TEXT, block_size=6)
    explorer.widget()
    assert finding(explorer) == "Window 0, question 3: after 'the ' comes 'c'. y equals the next x at 5 of 5 places."
    explorer.controls["start"].value, explorer.controls["question"].value = 99, 5
    assert finding(explorer).startswith("Window 15, question 5: after 'the ma' comes 't'.")

    class Unshifted(oracle.TextDataset):
        def __getitem__(self, i):
            return self.ids[i:i + self.block_size], self.ids[i:i + self.block_size]

    explorer = widgets.shifted(Unshifted, TOKENIZER, TEXT, block_size=6)
    explorer.widget()
    assert finding(explorer).endswith("y equals the next x at 0 of 5 places.")
    assert explorer.picture.value.count("\u2260") == 5


def test_surprise_is_the_model_s_and_its_mean_the_loss_of_evaluate():
    torch.manual_seed(0)
    model = oracle.TinyLLM(TOKENIZER.vocab_size, embed_dim=8, num_heads=2, num_layers=1, max_len=10)
    x, y = torch.tensor(TOKENIZER.encode(TEXT[10:21])).unfold(0, 10, 1)[:, None]
    explorer = widgets.surprise(model, TOKENIZER, TEXT, 1.25)
    explorer.widget()
    explorer.controls["block"].value, explorer.controls["character"].value = 1, 3
    p = model(x)[0, 3].softmax(-1)
    said = finding(explorer)
    assert said.startswith("Block 1, character 3: after 't on' the model expects ")
    assert f"What comes is space, to which it gave {p[TOKENIZER.encode(' ')[0]]:.1%}" in said
    assert f"a loss of {-p[TOKENIZER.encode(' ')[0]].log():.2f}." in said
    assert said.endswith(f"Mean of this block: {oracle.evaluate(model, [(x, y)]):.2f}; of the whole text: 1.25.")
    assert f"({p.max():.0%})" in said and "and it comes" in explorer.picture.value


def test_learned_when_counts_who_is_half_way_down():
    moments = [(0, torch.tensor([4.0, 1, 4, 3])), (10, torch.tensor([2.0, 1, 3.5, 3])),
               (50, torch.tensor([2.0, 1, 2, 1.5]))]  # of the characters "a", "t", " " and "e"
    explorer = widgets.learned_when(moments, "?at e")
    explorer.widget()
    assert finding(explorer) == ("After 0 steps the loss is lowest for consonants (1.00) and highest for space (4.00). "
                                 "Half of the way down: 0 of 3.")
    explorer.controls["moment"].value = 1
    assert finding(explorer).endswith("highest for space (3.50). Half of the way down: 1 of 3 (vowels).")
    assert "after 50 steps" in explorer.picture.value and "never" in explorer.picture.value
    explorer.controls["single"].value = True
    assert finding(explorer).endswith("1 of 4 ('a').")


def test_the_map_measures_before_after_and_the_change():
    before, after = torch.eye(4, 5), torch.eye(4, 5)
    after[:2] += torch.tensor([0, 0, 0, 0, 2.0])  # both vowels were moved in the same way
    explorer = widgets.embedding_map(before, after, "aebc")
    explorer.widget()
    assert "two vowels 1.00" in finding(explorer) and "Nearest to 'a': 'e' 1.00" in finding(explorer)
    explorer.controls["which"].value = "after training"
    assert "two vowels 0.80" in finding(explorer)  # 4 / (1 + 4)
    explorer.controls["which"].value = "before training"
    assert "two vowels 0.00" in finding(explorer)
    explorer.controls["character"].value = 3
    assert "Nearest to 'c': " in finding(explorer)


def test_a_mean_just_below_zero_is_zero():
    nearly_opposite = torch.tensor([[1.0, 0.0], [-0.002, 1.0]])
    explorer = widgets.embedding_map(nearly_opposite, nearly_opposite, "ab")
    for said in (finding(explorer, which="after training"), explorer.figure("after training", 0).alt):
        assert "-0.00" not in said and "0.00" in said


def test_labels_of_marks_that_nearly_touch_are_apart():
    x, y = [0.0, 6.0, 3.0], [0.0, 0.0, 5.0]
    written = [torch.tensor([a + dx, b + dy]) for a, b, (dx, dy) in zip(x, y, label_sides(x, y))]
    assert min((written[i] - written[j]).norm().item() for i in range(3) for j in range(i)) > 14
    assert label_sides([0.0, 100.0], [0.0, 0.0]) == [(13.0, 0.0)] * 2  # with room enough, right of the mark
