"""One list of dependencies, and Binder reads it as we mean it."""
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from repo2docker.app import Repo2Docker

from course import ROOT, solve


def test_the_two_environment_files_are_the_same_bytes():
    assert (ROOT / ".binder" / "environment.yml").read_bytes() == (ROOT / "environment.yml").read_bytes()


def test_binder_builds_what_we_mean(tmp_path, monkeypatch):
    """repo2docker's own reading of the repository, rendered without docker."""
    shutil.copytree(ROOT / ".binder", tmp_path / ".binder")
    shutil.copy(ROOT / "environment.yml", tmp_path)
    monkeypatch.chdir(tmp_path)
    app = Repo2Docker()
    packs = [pack(app.base_image) for pack in app.buildpacks]
    pack = next(pack for pack in packs if pack.detect())
    pack.platform = "linux/amd64"  # as mybinder.org sets it
    assert type(pack).__name__ == "CondaBuildPack"
    assert pack.python_version == "3.11"
    dockerfile = pack.render({})
    assert ".binder/environment.yml" in dockerfile and ".binder/postBuild" in dockerfile
    assert "torch" in (tmp_path / pack.binder_path("environment.yml")).read_text()


# What JupyterLab's file browser lists at the course's root, read with the settings that a server finds.
LISTED = """
import asyncio, sys
from jupyter_server.serverapp import ServerApp
app = ServerApp()
app.initialize(["--no-browser", f"--ServerApp.root_dir={sys.argv[1]}"], find_extensions=False, new_httpserver=False)
print(*(entry["name"] for entry in asyncio.run(app.contents_manager.get("", type="directory"))["content"]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder, variables) of an environment of its own after postBuild, run by bash as Binder does."""
    env = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    path = os.pathsep.join([str(env / "bin"), os.environ["PATH"]])
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"PATH": path}
    subprocess.run(["bash", str(ROOT / ".binder" / "postBuild")], cwd=ROOT, env=variables, check=True)
    return env, variables


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Binder is Linux")


@on_linux
def test_post_build_wires_the_environment(built, tmp_path):
    """`helpers` is found from any folder."""
    env, variables = built
    found = subprocess.run([str(env / "bin" / "python"), "-c", "import helpers; print(helpers.__file__)"],
                           cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)
    assert str(ROOT / "helpers") in found.stdout
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)


@on_linux
@pytest.mark.parametrize("binder", [True, False])
def test_a_learner_on_binder_sees_no_solutions(built, binder):
    env, variables = built
    if binder:
        variables = variables | {"JUPYTER_CONFIG_PATH": str(env / "etc" / "jupyter")}
    listed = subprocess.run([sys.executable, "-c", LISTED, str(ROOT)], env=variables, capture_output=True, text=True,
                            check=True).stdout.split()
    assert {"notebooks", "helpers", "README.md"} <= set(listed)
    assert ({"source", "tests"} & set(listed)) == (set() if binder else {"source", "tests"})


def test_pytorch_starts_as_many_threads_as_there_are_processors_to_use():
    """Binder says it in CPU_LIMIT; the container itself shows all processors of its host."""
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {"CPU_LIMIT": "1.0"}
    threads = subprocess.run([sys.executable, "-c", "import helpers, torch; print(torch.get_num_threads())"],
                             env=variables, capture_output=True, text=True, check=True).stdout
    assert threads == "1\n"


@on_linux
def test_a_kernel_with_binder_s_limits(like_binder):
    """The limits in which all solved notebooks run (tests/course/test_solve.py) are really there."""
    cells = ["import helpers, os, torch; print(len(os.sched_getaffinity(0)), torch.get_num_threads())",
             "torch.empty(2 * 2**30, dtype=torch.uint8)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    first, second = solve.execute(notebook, "1_tensors", allow_errors=True).cells
    assert first.outputs[0].text == "1 1\n"
    if "memory" in like_binder:
        assert "allocate" in second.outputs[0].evalue
