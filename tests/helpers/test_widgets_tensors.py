"""The explorers of phase 1: what they say about memory, products and shapes is what PyTorch does."""
import re

import pytest
import torch

from helpers import widgets
from tests.helpers.test_widgets import finding

X = 10 * torch.arange(3)[:, None] + torch.arange(6)


def split(x, num_heads):
    B, T, C = x.shape
    return x.reshape(B, T, num_heads, C // num_heads).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(2)


def test_strides_lead_to_the_element():
    explorer = widgets.strides(X, split, merge)
    tensors = {"x, as made": X, "x.reshape(6, 3)": X.reshape(6, 3), "x.transpose(0, 1)": X.T,
               "split_heads, 2 heads": split(X[None], 2), "x.reshape(1, 2, 3, 3)": X.reshape(1, 2, 3, 3),
               "merge_heads of those heads": X[None], "those heads.reshape(3, 6)": split(X[None], 2).reshape(3, 6)}
    assert [*tensors] == [*explorer.controls["view"].options]
    for view, t in tensors.items():
        for element in (0, 7, 17):
            said = re.match(r"Element \[(.*)\], the (\d+), lies at place (.*) = (\d+)\.", finding(
                explorer, view=view, element=element))
            index = tuple(map(int, said[1].split(", ")))
            assert int(said[2]) == t[index] == t.flatten()[element], view
            assert eval(said[3]) == int(said[4]) == sum(i * s for i, s in zip(index, t.stride()))


def test_strides_tell_a_copy_from_a_view():
    def copying(x, num_heads):
        return torch.stack(x.chunk(num_heads, dim=-1), dim=1)

    for split_heads, copied in ((split, False), (copying, True)):
        explorer = widgets.strides(X, split_heads, merge)
        assert ("The numbers were copied." in finding(explorer, view="split_heads, 2 heads")) == copied
        assert ("not contiguous" in finding(explorer, view="split_heads, 2 heads")) != copied
        assert "Nothing was copied." in finding(explorer, view="x.transpose(0, 1)")
    explorer = widgets.strides(X, split, merge)
    assert "(contiguous). The numbers were copied." in finding(explorer, view="those heads.reshape(3, 6)")
    assert "in its rows by 6, down its columns by 1" in finding(explorer, view="x.transpose(0, 1)")


def test_strides_of_a_part_of_a_table_are_those_of_its_copy():
    wide = torch.arange(40.0).reshape(4, 10)[1:, 2:6]  # begins in the middle of a longer memory
    assert "the 12, lies at place 0*4 + 0*1 = 0" in finding(widgets.strides(wide, split, merge), view="x, as made",
                                                           element=0)
    with pytest.raises(ValueError, match="at most 24 numbers"):
        widgets.strides(torch.zeros(5, 6), split, merge)


A, ROW, COLUMN = torch.tensor([[1.0, -2, 3], [4, 5, 6]]), torch.tensor([10.0, 20, 30]), torch.tensor([[100.0], [200]])


def test_a_product_is_written_out():
    explorer = widgets.matmul(A, A.T, A @ A.T, rows=["first", "second"])
    assert finding(explorer, row=0, column=1) == (
        "Row 0 of a (first) with column 1 of b (1): 1*4 + (-2)*5 + 3*6 = 12.")
    assert "where they meet in the product, 77." in explorer.draw(row=1, column=1)
    wrong = widgets.matmul(A, A.T, torch.full((2, 2), 5.0))  # what is drawn is the learner's
    assert "where they meet in the product, 5." in wrong.draw(row=1, column=1)
    assert wrong.draw(row=1, column=1).count(">5<") == 1 + 1 + 4  # in a, in b and four times in the result
    with pytest.raises(ValueError, match=r"must fit together .* \(2, 3\), \(2, 3\) and \(2, 2\)"):
        widgets.matmul(A, A, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="names for 3 rows and 2 columns were given"):
        widgets.matmul(A, A.T, A @ A.T, rows=["cat", "bat", "duck"])


def test_broadcasting_says_what_pytorch_does():
    tensors = {"a": A, "row": ROW, "column": COLUMN, "means": A.mean(dim=-1), "one": torch.ones(1)}
    explorer = widgets.broadcasting(**tensors)
    for left, p in tensors.items():
        for right, q in tensors.items():
            said = finding(explorer, left=left, right=right, step=3)
            try:
                result = p + q
                assert f"{left} + {right} has the shape {tuple(result.shape)}: {result.numel()} numbers" in said
            except RuntimeError as refused:
                assert str(refused).strip(".") in said and said.startswith("PyTorch refuses ")
                assert "do not fit" in finding(explorer, left=left, right=right, step=2)
                assert "is not" in finding(explorer, left=left, right=right, step=1)
    assert "dimension -2: missing, becomes 2; dimension -1: 1 becomes 3." in finding(
        explorer, left="column", right="row", step=1)
    assert finding(explorer, left="column", right="row", step=2).startswith("column is used 3 times, row 2 times;")
    assert "nothing is copied" in finding(explorer, left="a", right="a", step=2)
    for sign, number in (("+", 18), ("-", 22), ("*", -40)):  # the middle of the first row: 20 and -2
        assert f">{number}<" in explorer.draw("row", sign, "a", 3)


def test_broadcasting_marks_the_copies():
    explorer = widgets.broadcasting(row=ROW, column=COLUMN)
    dashes = [explorer.draw("row", "+", "column", step).count('stroke-dasharray="4 3"') for step in (1, 2, 3)]
    assert dashes == [1, 1 + 3 + 4, 1 + 3 + 4]  # the missing dimension, a copy of the row, two of the column
    with pytest.raises(ValueError, match="row must have at most 4 rows and columns"):
        widgets.broadcasting(row=torch.zeros(5), column=COLUMN)
