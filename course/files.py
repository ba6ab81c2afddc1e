"""Files that hold somebody's work: written whole or not at all, kept before they are replaced."""
import itertools
import os


def write(path, content):
    """Write bytes so that at every moment the old file or the new one is there, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def same_bytes(first, second):
    """Whether both files exist with the same content."""
    return second.is_file() and first.read_bytes() == second.read_bytes()


def set_aside(path):
    """Keep a copy of a notebook beside it, as 3b_attention.mine-1.ipynb; returns the copy's path."""
    for number in itertools.count(1):
        kept = path.with_suffix(f".mine-{number}{path.suffix}")
        if not kept.exists():
            write(kept, path.read_bytes())
        if same_bytes(path, kept):  # just now, or by a command that was stopped before it could do more
            return kept
