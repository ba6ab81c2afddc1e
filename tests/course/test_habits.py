"""Good habits, looked at before each commit as well (.pre-commit-config.yaml): style, spelling, made notebooks."""
import subprocess
import sys

import nbformat
import pytest

from course import NOTEBOOKS, ROOT, build


def run(*words, cwd=ROOT):
    done = subprocess.run([sys.executable, "-m", *words], cwd=cwd, capture_output=True, text=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr


def test_style():
    status, said = run("ruff", "check", "--output-format=concise", ".")
    assert status == 0, said


def test_spelling():
    status, said = run("codespell_lib")
    assert status == 0, said


@pytest.mark.parametrize("name", ["README.md", "docs/page.md", "source/2_modules/2_modules.py", "helpers/data.py"])
def test_both_read_what_people_write(name, tmp_path):
    """The settings leave out nothing that they should not: a misspelling and a wrong style are found there."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(f"# Rec{'ie'}ve\nimport os\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    assert "==> Receive" in run("codespell_lib", cwd=tmp_path)[1]
    assert name.endswith(".md") or "`os` imported but unused" in run("ruff", "check", ".", cwd=tmp_path)[1]


def test_notebooks_are_made_and_have_no_outputs():
    """Made by `course build` alone: whatever came from running one of them is found."""
    status, said = run("course", "build", "--check")
    assert status == 0, said
    for name in NOTEBOOKS:
        for cell in nbformat.read(build.notebook_path(name), as_version=4).cells:
            assert cell.cell_type != "code" or (cell.outputs, cell.execution_count) == ([], None), (name, cell.id)


def test_the_hook_runs_these(tmp_path):
    """pre-commit takes the configuration, and what it starts is this file."""
    (tmp_path / "config.yaml").write_bytes((ROOT / ".pre-commit-config.yaml").read_bytes())
    assert run("pre_commit", "validate-config", str(tmp_path / "config.yaml")) == (0, "")
    assert "course test tests/course/test_habits.py" in (tmp_path / "config.yaml").read_text(encoding="utf-8")
