"""python3 -m course pictures: draw README's pictures again, from the trained model of 0_welcome.

They are figures of the notebooks. What README says of each to those who do not see it has the numbers computed here.
"""
import base64
import re

from course import ROOT

FOLDER = ROOT / "docs" / "pictures"
README = ROOT / "README.md"


def main(argv):
    """Write the pictures and their descriptions in README; returns 0, or 2 for an argument it does not know."""
    from course.build import write
    from helpers.plots import base

    if argv:
        print("usage: python3 -m course pictures")
        return 2
    text = README.read_text(encoding="utf-8")
    for name, picture in figures().items():
        data, _ = base.bundle(picture, picture.alt)
        write(FOLDER / f"{name}.png", base64.b64decode(data["image/png"]))
        text = described(text, name, picture.alt)
    write(README, text.encode("utf-8"))
    return 0


def figures():
    """{name: figure}, each with its description in `alt`."""
    from helpers import inside, welcome, widgets

    model, tokenizer = welcome.load()
    explorers = {
        "attention": widgets.attention(lambda text: inside.look(model, tokenizer.encode(text)).weights,
                                       "O my love, the king", alphabet=tokenizer.chars),
        "architecture": widgets.architecture(model, tokenizer, "Hello"),
    }
    return {name: explorer.figure(**explorer.values) for name, explorer in explorers.items()}


def described(text, name, alt):
    """README's text with `alt` as the description of the picture `name`.

    >>> described("![old](docs/pictures/map.png)", "map", "new")
    '![new](docs/pictures/map.png)'
    """
    return re.sub(rf"!\[[^\]]*\](?=\(docs/pictures/{name}\.png\))", lambda _: f"![{alt}]", text)
