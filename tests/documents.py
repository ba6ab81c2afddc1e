"""The course's documents, for the tests that read them."""
from course import ROOT

DOCUMENTS = [path for folder in (".", "docs", "data") for path in sorted((ROOT / folder).glob("*.md"))]


def name_of(path):
    """A file's path from the course's folder, as it is written in documents."""
    return path.relative_to(ROOT).as_posix()


def text_of(path):
    """What is in a text file."""
    return path.read_text(encoding="utf-8")
