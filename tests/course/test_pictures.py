"""README's pictures: there, small, and described with the numbers that the model has now."""
import re

from course import ROOT, pictures


def test_the_pictures_are_small_and_described_with_their_own_numbers():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[([^\]]*)\]\(docs/pictures/(\w+)\.png\)", text))
    shown = {name: alt for alt, name in shown.items()}
    made = {name: figure.alt for name, figure in pictures.figures().items()}
    assert shown == made, "run `python3 -m course pictures`"
    assert {path.stem for path in pictures.FOLDER.iterdir()} == set(made)
    for path in pictures.FOLDER.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG") and 2_000 < path.stat().st_size < 100_000


def test_the_command_writes_both(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# A\n![old](docs/pictures/attention.png) ![other](x.png)\n", encoding="utf-8")
    monkeypatch.setattr(pictures, "README", readme)
    monkeypatch.setattr(pictures, "FOLDER", tmp_path / "pictures")
    assert pictures.main([]) == 0
    assert re.search(r"!\[Attention of 4 heads[^\]]*\d+%[^\]]*\]\(docs/pictures/attention.png\) !\[other\]",
                     readme.read_text(encoding="utf-8"))
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["architecture.png", "attention.png"]


def test_an_argument_is_refused(capsys):
    assert pictures.main(["--help"]) == 2 and "usage" in capsys.readouterr().out
