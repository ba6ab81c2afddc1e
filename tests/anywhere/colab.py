"""`python3 -m course test --colab`: every notebook, solved, as Colab runs it. It takes minutes, so no other run has it.

Opened from GitHub, a notebook lies alone in Colab's folder, and its first cell brings the course. The Python it meets
has Colab's versions and no nbgrader. It is made once, in build/colab-floor; TINYLLM_COLAB_PYTHON may name another one,
such as that of Colab's own image.
"""
import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from anywhere import places
from course import NOTEBOOKS, ROOT, build, setup, solve
from helpers.parts import PIECE_OF
from helpers.progress import FETCHED

FLOOR = ROOT / "build" / "colab-floor"
VERSIONS = ["ipython==7.34.0", "ipykernel==6.17.1", "ipywidgets==7.7.1", "traitlets==5.7.1", "matplotlib==3.10.0",
            "numpy==2.1.3", "nbclient==0.10.4", "nbformat==5.11.1", "tornado==6.5.7", "pyzmq==26.2.1",
            "nbconvert==7.17.1"]
TORCH = "torch==2.11.0"
WIDGET = "application/vnd.jupyter.widget-view+json"

# What a Colab kernel has from its first moment, where the real thing is not there.
STARTUP = """
import sys, types
try:
    import google.colab
except ImportError:
    sys.modules["google.colab"] = types.ModuleType("google.colab")
"""
# The last cell here: move each control of each explorer, as a hand would, and say where we are.
MOVE = """
import importlib.util
from course.bench.widgets import moves
from helpers.widgets.base import Explorer
explorers = [shown for shown in Out.values() if isinstance(shown, Explorer)]
for explorer in explorers:
    pictures = {explorer.picture.value}
    for control, value in moves(explorer):
        control.value = value
        pictures.add(explorer.picture.value)
    assert len(pictures) > 1 and not any("alert" in picture for picture in pictures), explorer.controls
print("explorers:", len(explorers))
print("helpers:", helpers.__file__)
print("nbgrader:", importlib.util.find_spec("nbgrader"))
"""


@pytest.fixture(scope="module")
def python():
    """A Python with Colab's versions of what the notebooks use, and nothing of the rest of our environment."""
    if os.environ.get("TINYLLM_COLAB_PYTHON"):
        return os.environ["TINYLLM_COLAB_PYTHON"]
    python, stamp = FLOOR / setup.BIN.name / setup.PYTHON.name, FLOOR / "ready"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != f"{VERSIONS} {TORCH}":
        subprocess.run([sys.executable, "-m", "venv", "--clear", FLOOR], check=True)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, "requests", *VERSIONS], check=True)
        index = setup.requirements()[1][-1]
        if subprocess.run([*install, "--retries", "0", "--index-url", index, TORCH]).returncode:
            link_our_torch(install)
        stamp.write_text(f"{VERSIONS} {TORCH}", encoding="utf-8")
    return python


def link_our_torch(install):
    """Without PyTorch's own index: this environment's PyTorch, and what it needs, but nothing else of ours."""
    needs = [need for need in importlib.metadata.requires("torch") if "extra ==" not in need]
    subprocess.run([*install, *needs], check=True)
    mine, its = (Path(sysconfig.get_path("purelib", vars=vars)) for vars in (None, {"base": str(FLOOR)}))
    for name in {file.parts[0] for file in importlib.metadata.files("torch")} - {".."}:
        (its / name).symlink_to(mine / name)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """(Colab's folder, environment variables): there git finds the course under its public address."""
    home, origin = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("origin")
    places.files_of_the_course(origin)
    somebody = ["-c", "user.name=somebody", "-c", "user.email="]
    for words in (["init", "-q"], ["add", "-A"], [*somebody, "commit", "-q", "-m", "the course"]):
        subprocess.run(["git", *words], cwd=origin, check=True)
    startup = home / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-colab.py").write_text(STARTUP, encoding="utf-8")
    return tmp_path_factory.mktemp("content"), {
        "IPYTHONDIR": str(home / "ipython"), "TINYLLM_DATA": str(ROOT / "data" / "sample_play.txt"),
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": build.repository()}


@pytest.mark.parametrize("phase", NOTEBOOKS)
def test_in_colab(phase, python, content):
    """Later notebooks find the pieces of earlier ones, as in one session."""
    folder, variables = content
    notebook = solve.answered(phase, budget="10s")
    first = next(cell for cell in notebook.cells if cell.id == "setup")
    first.source = first.source.replace("/content/", f"{folder}/")
    notebook.cells.append(nbformat.v4.new_code_cell(MOVE))
    ran = places.run(notebook, folder / f"{phase}.ipynb", python, **variables)
    pictures = places.assert_ran_well(ran)
    shown = sum(WIDGET in picture.data for picture in pictures)
    assert places.printed(ran).splitlines()[-3:] == [
        f"explorers: {shown}", f"helpers: {folder / 'tinyllm' / 'helpers' / '__init__.py'}", "nbgrader: None"]
    for name in FETCHED.get(phase, ()):
        assert PIECE_OF[name].phase == phase or f"{name}: yours, from TODO" in places.printed(ran)
