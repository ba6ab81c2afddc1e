"""Places unlike this one, made for real: another folder, other packages, no network; and a notebook run there."""
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from course import ROOT, setup

needs_bubblewrap = pytest.mark.skipif(
    not shutil.which("bwrap"), reason="not tried without a network or in a read-only folder: that needs bubblewrap (on "
                                      "Debian: apt-get install bubblewrap)")


def files_of_the_course(folder):
    """The course's files, as they are now, in `folder`; without the tests."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def copy_of_the_course(folder, without=()):
    """The course in `folder`, ready to use; returns its Python, as `environment` does."""
    files_of_the_course(folder)
    python = environment(folder / setup.VENV.name, without)
    ready = "from course.setup import STAMP, fingerprint, wire; wire(); STAMP.write_text(fingerprint())"
    subprocess.run([python, "-c", ready], cwd=folder, env=variables(), check=True)
    return python


def environment(folder, without=()):
    """A virtual environment in `folder` with this one's packages, but for those in `without`; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    base = {"base": str(folder), "platbase": str(folder)}
    mine, its = (Path(sysconfig.get_path("purelib", vars=vars)) for vars in (None, base))
    for package in mine.iterdir():
        if package.suffix != ".pth" and not package.name.startswith(tuple(without)):
            (its / package.name).symlink_to(package)
    for part in ("share", "etc"):  # JupyterLab's pages, and which of its extensions are on
        (folder / part).mkdir(exist_ok=True)
        (folder / part / "jupyter").symlink_to(Path(sys.prefix, part, "jupyter"))
    return folder / setup.BIN.name / setup.PYTHON.name


def walls(*options):
    """What to write before a command: all of this machine can be seen, changed by bubblewrap's `options`."""
    return ["bwrap", "--dev-bind", "/", "/", "--die-with-parent", *map(str, options)]


def variables(**more):
    """The environment of a process that knows nothing of this one's."""
    ours = ("TINYLLM_", "PYTHON", "VIRTUAL_ENV", "JUPYTER", "IPYTHON", "NBGRADER")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def run(notebook, path, python, prefix=(), **more):
    """Write a notebook to `path` and run it there by `python`, behind `prefix`; returns it with its outputs.

    prefix: words before the command
    more: environment variables
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    result = subprocess.run(
        [*map(str, prefix), python, "-m", "nbconvert", "--to", "notebook", "--execute", "--log-level=ERROR", "--stdout",
         "--ExecutePreprocessor.timeout=1200", path], env=variables(**more), capture_output=True, encoding="utf-8")
    assert result.returncode == 0, result.stderr[-3000:]
    return nbformat.reads(result.stdout, as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(notebook, stream="stdout"):
    return "".join(output.text for output in outputs(notebook) if output.get("name") == stream)


def assert_ran_well(notebook):
    """A solved notebook: no warning, all checks passed, all pictures there with words for a screen reader."""
    assert printed(notebook, "stderr") == ""
    assert next(cell for cell in notebook.cells if cell.id == "setup").outputs == []
    for todo in [cell.id.removeprefix("test-") for cell in notebook.cells if cell.id.startswith("test-")]:
        assert f"TODO {todo} passed" in printed(notebook)
    pictures = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    assert pictures and all('alt="' in picture.data["text/html"] for picture in pictures)
    return pictures
