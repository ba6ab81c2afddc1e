"""The builder: same input, same bytes; drift is red; nobody's answers are overwritten."""
import ast
import json
import shutil
from pathlib import Path

import nbformat
import pytest

from course import PHASES, ROOT, build

CONTRACT = {  # assignment -> its TODOs (CONTRACT: numbers, order and grouping never change)
    "1_tensors": range(1, 4), "2_modules": range(4, 6), "3a_embeddings": range(6, 10), "3b_attention": range(10, 14),
    "3c_blocks": range(14, 18), "4_model": range(18, 25), "5_training": range(25, 32),
}


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """Each phase's notebook, freshly built."""
    return build.release(tmp_path_factory.mktemp("released"))


@pytest.fixture
def sources():
    """Each phase's source notebook, with solutions."""
    return {phase: build.source_notebook(phase) for phase in PHASES}


def cells(path):
    return nbformat.read(path, as_version=4).cells


def grade_ids(notebook_cells, field):
    return [c.metadata.nbgrader.grade_id for c in notebook_cells if c.metadata.get("nbgrader", {}).get(field)]


def test_notebooks_are_what_the_sources_make(released, capsys):
    assert build.check(released) == 0, capsys.readouterr().err


def test_same_input_same_bytes(released, tmp_path):
    again = build.release(tmp_path)
    assert {phase: path.read_bytes() for phase, path in again.items()} == {
        phase: path.read_bytes() for phase, path in released.items()}


def test_drift_is_named(released, monkeypatch, tmp_path, capsys):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    monkeypatch.setattr(build, "notebook_path", lambda phase: tmp_path / "notebooks" / phase / f"{phase}.ipynb")
    changed = tmp_path / "notebooks" / "2_modules" / "2_modules.ipynb"
    changed.write_bytes(changed.read_bytes() + b" ")
    assert build.check(released) == 1
    assert "notebooks/2_modules/2_modules.ipynb is not what" in capsys.readouterr().err


def test_answers_are_set_aside_before_a_new_notebook(released, monkeypatch, tmp_path):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "notebook_path", lambda phase: tmp_path / phase / f"{phase}.ipynb")
    mine = tmp_path / "3b_attention" / "3b_attention.ipynb"
    mine.parent.mkdir()
    answered = released["3b_attention"].read_text(encoding="utf-8")
    answered = answered.replace('raise NotImplementedError(\\"TODO 10\\")', "pass")
    answered = answered.replace('raise NotImplementedError(\\"TODO 11\\")', "return 42")
    mine.write_text(answered, encoding="utf-8")
    old = tmp_path / "2_modules" / "2_modules.ipynb"  # an old version without answers is simply replaced
    old.parent.mkdir()
    old.write_text(released["2_modules"].read_text(encoding="utf-8").replace("module", "Module"), encoding="utf-8")
    build.install(released)
    assert mine.read_bytes() == released["3b_attention"].read_bytes()
    assert (mine.parent / "3b_attention.mine-1.ipynb").read_text(encoding="utf-8") == answered
    assert [p.name for p in old.parent.iterdir()] == ["2_modules.ipynb"]


def test_every_todo_has_its_place_and_the_points_are_100(sources):
    points = 0
    for phase, todos in CONTRACT.items():
        tests = [c for c in sources[phase].cells if c.metadata.get("nbgrader", {}).get("grade")]
        assert [c.id for c in tests] == [f"test-{n}" for n in todos]
        solved = [n for name in grade_ids(sources[phase].cells, "solution") for n in build.todo_numbers(name[5:])]
        assert solved == list(todos)
        for cell in tests:
            number = cell.id[5:]
            assert cell.source.startswith(f"checks.todo_{number}("), "the visible check comes first"
            assert "### BEGIN HIDDEN TESTS" in cell.source and "assert" in cell.source
            last = ast.parse(cell.source).body[-1]
            assert not isinstance(last, ast.Expr), "nbgrader would take a last expression's value for the score"
            points += cell.metadata.nbgrader.points
    assert points == 100


def test_the_learners_notebooks_hold_no_answers(released):
    for path in released.values():
        text = path.read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text and "HIDDEN TESTS" not in text
        for cell in cells(path):
            if cell.metadata.get("nbgrader", {}).get("solution"):
                for number in build.todo_numbers(cell.id[5:]):
                    assert cell.source.count(f'raise NotImplementedError("TODO {number}")') >= 1
            assert not cell.get("outputs") and cell.get("execution_count") is None
        assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"


def test_each_todo_has_two_collapsed_hints(released):
    for path in released.values():
        groups = len(grade_ids(cells(path), "solution"))
        text = "\n".join(c.source for c in cells(path) if c.cell_type == "markdown")
        assert text.count("<summary><b>Hint 1</b>") >= groups and text.count("<summary><b>Hint 2</b>") >= groups


def test_first_cell_and_links_come_from_one_setting(released, sources):
    address = build.repository()
    first = {cells(path)[1].source for path in released.values()}
    assert len(first) == 1 and f"{address} " in first.pop()
    for phase, path in released.items():
        assert address.removeprefix("https://github.com/") in cells(path)[0].source
        assert address not in (ROOT / "source" / phase / f"{phase}.py").read_text(encoding="utf-8")


def write_source(folder, monkeypatch, text):
    path = folder / "source" / "3b_attention" / "3b_attention.py"
    path.parent.mkdir(parents=True)
    path.write_text("# %% [markdown]\n# # Title\n\n" + text, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", folder)
    monkeypatch.setattr(build, "ROOT", Path(folder))


@pytest.mark.parametrize("text, sentence", [
    ('# %% todo="10"\n### BEGIN SOLUTION 11\nx = 1\n### END SOLUTION\n', r"todo='?10'?.*numbered \['11'\]"),
    ('# %% todo="10"\nx = 1\n', r"numbered \[\]"),
    ('# %% test="10"\nassert True\n', r"it needs points=N"),
])
def test_a_wrong_source_is_one_sentence(tmp_path, monkeypatch, text, sentence):
    write_source(tmp_path, monkeypatch, text)
    with pytest.raises(build.BuildError, match=sentence):
        build.source_notebook("3b_attention")


def test_an_inserted_cell_changes_no_other_id(tmp_path, monkeypatch):
    write_source(tmp_path, monkeypatch, "# %%\na = 1\n\n# %%\nb = 2\n")
    before = [c.id for c in build.source_notebook("3b_attention").cells]
    path = tmp_path / "source" / "3b_attention" / "3b_attention.py"
    path.write_text(path.read_text().replace("# %%\nb", "# %%\nnew = 0\n\n# %%\nb"), encoding="utf-8")
    after = [c.id for c in build.source_notebook("3b_attention").cells]
    assert [i for i in after if i in before] == before and len(after) == len(before) + 1
