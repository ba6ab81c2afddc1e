"""The explorers: every control changes the picture, the finding is in words, and a figure can stand in for each."""
import html
import re

import pytest

from course.bench import widgets as bench
from helpers import widgets


def test_every_explorer_has_an_example():
    assert sorted(bench.EXAMPLES) == sorted(widgets.__all__)


@pytest.fixture(scope="module", params=list(bench.EXAMPLES))
def explorer(request):
    made = bench.EXAMPLES[request.param]()
    made.widget()
    return made


def finding(explorer, **values):
    """The sentence under the picture: the one that is shown, or what would be said for other `values`."""
    shown = explorer.picture.value if explorer.picture else explorer.html()
    picture = explorer.draw(**(explorer.values | values)) if values else shown
    return html.unescape(re.findall(r"<p [^>]*>(.*?)</p>", picture, re.DOTALL)[-1])


def test_each_control_changes_the_picture_and_back(explorer):
    first = explorer.picture.value
    pictures = []
    for control, value in bench.moves(explorer):
        control.value = value
        pictures.append(explorer.picture.value)
    assert all(picture != first for picture in pictures[::2]), list(explorer.controls)
    assert all(picture == first for picture in pictures[1::2])


def test_the_finding_has_numbers_and_is_spoken(explorer):
    assert re.search(r"\d", finding(explorer)) and finding(explorer).isascii()
    for tag in re.findall(r"<(?:svg|img)[^>]*>", explorer.picture.value):
        words = re.search(r'(?:aria-label|alt)="([^"]+)"', tag)
        assert words and html.unescape(words[1]).isascii(), tag
    assert "http" not in explorer.picture.value.replace("http://www.w3.org/2000/svg", "")
    assert len(explorer.picture.value) < 150_000
    for size in re.findall(r"font-size: ?([\d.]+)px", explorer.picture.value):
        assert float(size) >= 12  # 9 points


def test_the_twin_is_a_figure_with_a_description(explorer):
    figure = explorer.figure(**explorer.values)
    assert re.search(r"\d", figure.alt) and figure.alt.isascii()


def test_every_control_has_a_name(explorer):
    assert all(control.description for control in explorer.controls.values())


def test_a_bad_text_is_one_sentence():
    explorer = bench.EXAMPLES["attention"]()
    explorer.widget()
    explorer.controls["text"].value = "\u2603"
    assert explorer.picture.value.count("role=\"alert\"") == 1 and "never seen" in explorer.picture.value
    explorer.controls["text"].value = ""
    assert "must have 1 to" in explorer.picture.value
    explorer.controls["text"].value = "To be"
    assert "alert" not in explorer.picture.value
