"""The explorers of phase 1: what they say about memory, products and shapes is what PyTorch does."""
import html
import re

import pytest
import torch

from helpers import widgets

X = 10 * torch.arange(3)[:, None] + torch.arange(6)


def split(x, num_heads):
    B, T, C = x.shape
    return x.reshape(B, T, num_heads, C // num_heads).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(2)


def finding(explorer, **values):
    picture = explorer.draw(**(explorer.values | values))
    return html.unescape(re.findall(r"<p [^>]*>(.*?)</p>", picture, re.DOTALL)[-1])


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
