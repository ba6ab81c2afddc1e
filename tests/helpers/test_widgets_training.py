"""The explorers of phase 5: what they say is computed from the learner's own pieces."""
from helpers import oracle, widgets
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
