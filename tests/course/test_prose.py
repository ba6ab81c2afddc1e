"""What is read, read aloud as well: headings in order, links that say where they go, pictures with a description."""
import re

import pytest
from documents import DOCUMENTS, name_of

from course import NOTEBOOKS, ROOT, build

FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[((?:!\[[^\]]*\]\([^)]*\)|[^\[\]])*)\]\([^)]*\)|<a\b[^>]*>(.*?)</a>", re.DOTALL)
PICTURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)|<img\b([^>]*)>", re.DOTALL)
ALT = re.compile(r"""\balt=["']([^"']+)["']""")
VAGUE = {"", "here", "this", "there", "link", "this link", "click here", "click", "read more", "more", "page",
         "this page", "see here"}
PAGES = [*NOTEBOOKS, *map(name_of, DOCUMENTS)]


def wrong(text):
    """What is wrong with a text in Markdown, as a list of sentences."""
    found, before = [], 0
    text = FENCED.sub("", text)
    headings = re.findall(r"^(#{1,6}) +(.*?)[ #]*$", text, re.MULTILINE)
    if [len(marks) for marks, _ in headings].count(1) != 1 or len(headings[0][0]) != 1:
        found.append("it must begin with its one heading of level 1")
    for marks, title in headings:
        if len(marks) > before + 1:
            found.append(f"the heading {title!r} skips a level")
        before = len(marks)
    for picture in PICTURE.finditer(text):
        alt = picture[1] if picture[1] is not None else (ALT.search(picture[2]) or [None, ""])[1]
        if not alt.strip():
            found.append(f"no description: {picture[0]}")
    for link in LINK.finditer(text):
        words = PICTURE.sub(lambda picture: picture[1] or picture[2], link[1] or link[2] or "")
        words = re.sub(r"[\s`*_.,:!]+", " ", words).strip().lower()
        if words in VAGUE or re.match(r"(https? |www )", words):
            found.append(f"this link does not say where it goes: {link[0]}")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_page_can_be_read_aloud(page):
    if page in NOTEBOOKS:
        cells = build.source_notebook(page).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = (ROOT / page).read_text(encoding="utf-8")
    assert wrong(text) == []


@pytest.mark.parametrize("phase", NOTEBOOKS)
def test_links_are_seen(phase):
    """JupyterLab shows the code in a link like any other code: nobody would know that it is one."""
    for cell in build.source_notebook(phase).cells:
        assert cell.cell_type == "code" or re.findall(r"\[`[^]]*\]\(", cell.source) == []


@pytest.mark.parametrize("text, sentence", [
    ("## Part", "one heading of level 1"),
    ("# Title\n# Another", "one heading of level 1"),
    ("no heading", "one heading of level 1"),
    ("# Title\n### Deep", "the heading 'Deep' skips a level"),
    ("# Title\nSee [here](x.md).", r"where it goes: \[here\]"),
    ("# Title\nSee [`this\nlink`](x.md).", "where it goes"),
    ("# Title\nSee <a href='x.md'>Click here!</a>", "where it goes"),
    ("# Title\n[](x.md)", "where it goes"),
    ("# Title\n[https://pytorch.org/docs](https://pytorch.org/docs)", "where it goes"),
    ("# Title\n![](x.png)", r"no description: !\[\]"),
    ("# Title\n[![](badge.svg)](x)", "no description"),
    ("# Title\n<img src='x.png' alt=''>", "no description"),
])
def test_what_is_wrong_is_named(text, sentence):
    assert [found for found in wrong(text) if re.search(sentence, found)]


def test_what_is_right_passes():
    assert wrong("# Title\n```\n# no heading [here](x)\n```\n## Part\n### Deeper\n## Part\n[the next notebook](x.md)"
                 " ![A map](x.png) <img src='x' alt='A map'> [![Open in Colab](x.svg)](y)") == []
