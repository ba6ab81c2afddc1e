"""The set-up: each thing a machine can lack is one sentence that says what to do."""
import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from course import ROOT, setup

BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def bare_course(tmp_path):
    """A folder with what the front desk needs and no environment, and a pip that can reach nothing."""
    shutil.copytree(ROOT / "course", tmp_path / "course", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "environment.yml", tmp_path)
    hidden = ("PIP_", "PYTHON", "VIRTUAL_ENV")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    variables.update(PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1",
                     HTTPS_PROXY="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")

    def run(*arguments):
        return subprocess.run([BASE_PYTHON, "-m", "course", *arguments], cwd=tmp_path, env=variables,
                              capture_output=True, text=True, timeout=120)

    return run


def test_the_front_desk_is_readable_by_an_old_python():
    for name in ("__init__.py", "__main__.py", "setup.py"):
        ast.parse((ROOT / "course" / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_the_front_desk_needs_nothing_installed():
    allowed = set(sys.stdlib_module_names) | {"course"}
    for name in ("__init__.py", "__main__.py", "setup.py"):
        tree = ast.parse((ROOT / "course" / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed
            if isinstance(node, ast.ImportFrom):
                assert node.module.split(".")[0] in allowed


def test_too_old_a_python():
    with pytest.raises(setup.SetupError, match=r"this is Python 3\.9, the course needs 3\.10 or newer"):
        setup.check_python((3, 9, 18))
    setup.check_python((3, 10, 0))


def test_a_missing_venv_module():
    with pytest.raises(setup.SetupError, match="sudo apt install python3-venv"):
        setup.check_venv_module(("venv", "no_such_module_anywhere"))
    setup.check_venv_module()


def test_too_little_disk(tmp_path):
    with pytest.raises(setup.SetupError, match=r"the disk is nearly full: [\d.]+ GB free"):
        setup.check_disk(tmp_path, gigabytes=10**9)
    setup.check_disk(tmp_path, gigabytes=0)


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(setup.SetupError, match="cannot be written"):
        setup.check_disk(tmp_path / "not there")


@pytest.mark.parametrize("output, sentence", [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
    ("The virtual environment was not created successfully because ensurepip is not available.", "python3-venv"),
    ("ERROR: No matching distribution found for torch==2.13.0", "torch==2.13.0 does not exist for this Python"),
    ("something\nerror: metadata-generation-failed\n", "a step failed (error: metadata-generation-failed)"),
])
def test_a_failed_step_is_explained(output, sentence):
    assert sentence in setup.explain(output)


def test_no_network_says_so_and_can_be_repeated(bare_course):
    for _ in range(2):
        outcome = bare_course("lab", "--no-browser")
        assert outcome.returncode == 1
        assert outcome.stderr.strip() == (
            "Set-up stopped: the network cannot be reached. Connect (or set your proxy), then run the same command "
            "again."
        )


def test_an_unknown_command_installs_nothing(bare_course, tmp_path):
    outcome = bare_course("solv")
    assert outcome.returncode == 2
    assert "There is no command 'solv'." in outcome.stderr
    assert not (tmp_path / ".venv").exists()


def test_help_lists_every_command():
    listed = subprocess.run([BASE_PYTHON, "-m", "course"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [*(ROOT / "course").glob("*.py"), *(ROOT / "course").glob("*/__init__.py")]
    names = {path.parent.name if path.parent.parent == ROOT / "course" else path.stem for path in files
             if "def main(argv" in path.read_text(encoding="utf-8")}
    assert {line.split()[0] for line in listed.splitlines()[2:]} == {n.replace("_", "-") for n in names - {"__main__"}}


def test_the_fingerprint_follows_the_list_of_packages(monkeypatch, tmp_path):
    before = setup.fingerprint()
    assert before == setup.fingerprint()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    (tmp_path / "environment.yml").write_text("other")
    assert setup.fingerprint() != before


def test_requirements_are_read_from_environment_yml():
    torch, options, others = setup.requirements()
    assert torch.startswith("torch==")
    assert options == ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]
    assert {"jupyterlab", "ipywidgets", "matplotlib", "requests", "nbgrader"} <= {p.split(">")[0] for p in others}
    for package in [torch, *others]:  # pip refuses a line with a comment behind it
        Requirement(package)


def test_the_running_environment_is_wired():
    """`import helpers` from any folder, and the kernel's extension: what wire() promises."""
    outcome = subprocess.run([sys.executable, "-c", "import helpers; print(helpers.__file__)"], cwd=Path("/"),
                             capture_output=True, text=True, check=True)
    assert Path(outcome.stdout.strip()).parents[1] == ROOT
    assert "helpers.waiting" in (Path(sys.prefix) / "etc" / "ipython" / "ipython_kernel_config.py").read_text()
