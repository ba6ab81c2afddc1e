"""One list of dependencies, and Binder reads it as we mean it."""
import os
import shutil
import subprocess
import sys

import pytest
from repo2docker.app import Repo2Docker

from course import ROOT


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


@pytest.mark.skipif(os.name == "nt", reason="Binder is Linux")
def test_post_build_wires_the_environment(tmp_path):
    """postBuild, run by bash as Binder does, in an environment of its own: `helpers` is found from any folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    path = os.pathsep.join([str(tmp_path / "env" / "bin"), os.environ["PATH"]])
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"PATH": path}
    subprocess.run(["bash", str(ROOT / ".binder" / "postBuild")], cwd=ROOT, env=variables, check=True)
    found = subprocess.run([str(tmp_path / "env" / "bin" / "python"), "-c", "import helpers; print(helpers.__file__)"],
                           cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)
    assert str(ROOT / "helpers") in found.stdout
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)
