"""python3 -m course release PHASE: one zip for students, without sources, solutions, hidden tests or grading.

Each zip is whole: who joins in the fourth week needs only the fourth. All unpack into one folder, and none holds
another phase's notebook, so that a new one never writes over work. The same course makes the same bytes.
"""
import argparse
import io
import sys
import tempfile
import zipfile
from pathlib import Path

from course import PHASES, ROOT, build

FOLDER = "tinyllm"  # what a zip unpacks into
FILES = (  # what a learner needs of the course, beside the notebooks
    "LICENSE", "LICENSE-text", "pyproject.toml", "environment.yml",
    "course/__init__.py", "course/__main__.py", "course/lab.py", "course/setup.py",
    "course/update.py", "course/answers.py", "course/files.py", "course/magics.py",
    "helpers/**/*.py", "data/README.md", "data/sample_play.txt", "data/normal_losses.json", "data/welcome_model.pt")
README = """\
# TinyLLM: {phase}

You need Python 3.10 or newer and 3 GB of disk. In this folder, in a terminal, write

    python3 -m course lab

(on Windows `py` in place of `python3`). The first time, it makes its own environment in `.venv`, which takes a few
minutes; then JupyterLab opens. If this is your first notebook, begin with `0_welcome`, then open
`notebooks/{phase}/{phase}.ipynb`.

Write your answers where it says TODO, and add cells of your own as you like, but leave those that are there. Hand in
that one file, saved.

The next notebook comes in another zip: unpack it into the same place. It leaves your other notebooks alone.
Should a notebook that you have begun come once more, corrected, do not unpack its zip: write

    python3 -m course update --from THE.zip

and your answers and your own cells are put into the new one. The old one is kept beside it.
"""


def main(argv):
    """Write build/release/PHASE.zip for each phase named; returns 0, or 1 when a source is wrong."""
    parser = argparse.ArgumentParser(prog="python3 -m course release", description="Make a zip for students.")
    parser.add_argument("phases", nargs="+", choices=PHASES, metavar="PHASE", help=", ".join(PHASES))
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            released = build.release(Path(folder))  # made anew: notebooks/ may hold somebody's answers
            for phase in options.phases:
                target = ROOT / "build" / "release" / f"{phase}.zip"
                build.write(target, zipped(phase, released))
                print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB, to give to students")
    except build.BuildError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def zipped(phase, released):
    """The zip's bytes. released: {phase: path of the learner's notebook}"""
    members = {"README.md": README.format(phase=phase).encode()}
    for name in ("0_welcome", phase):
        members[f"notebooks/{name}/{name}.ipynb"] = released[name].read_bytes()
    for pattern in FILES:
        paths = sorted(ROOT.glob(pattern))
        if not paths:
            raise build.BuildError(f"{pattern} is missing in {ROOT}: a release needs it.")
        members.update({path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}")  # of 1980: a time of today would change the bytes
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, body)
    return made.getvalue()
