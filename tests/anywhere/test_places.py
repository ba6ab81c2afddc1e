"""The course in other places: odd folders, a folder that cannot be written, without widgets, on a plane."""
import re
import socket
import subprocess
import sys
import time

import pytest

from anywhere import places
from course import ROOT, solve
from helpers import data

BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)
WIDGET = "application/vnd.jupyter.widget-view+json"

# Starts `course lab` in the folder argv[1], as a learner does, says what its server answers, and ends it.
VISIT = """
import json, os, re, subprocess, sys, time, urllib.request
from pathlib import Path
runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
lab = subprocess.Popen([sys.executable, "-m", "course", "lab", "--no-browser"], cwd=sys.argv[1])
try:
    until = time.monotonic() + 60
    while not (found := list(runtime.glob("jpserver-*.json"))) and lab.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.5)
    server = json.loads(found[0].read_text())
    def get(path):
        asked = urllib.request.Request(server["url"] + path, headers={"Authorization": "token " + server["token"]})
        return urllib.request.urlopen(asked, timeout=30).read().decode()
    page = get("lab/tree/notebooks")
    print("loads:", *re.findall(r'<(?:script|link)[^>]*? (?:src|href)="([^"]+)"', page))
    print("cells:", len(json.loads(get("api/contents/notebooks/0_welcome/0_welcome.ipynb"))["content"]["cells"]))
finally:
    lab.terminate()
    lab.wait(30)
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """(folder, Python): a course of its own, in a folder whose name needs care."""
    folder = tmp_path_factory.mktemp("home") / "Mein Kurs f\u00fcr 2 \u4eba (neu)" / "tinyllm"
    return folder, places.copy_of_the_course(folder)


def solved(folder, phase):
    return folder / "notebooks" / phase / "solved.ipynb"


def test_a_folder_with_spaces_and_other_letters(elsewhere):
    """A notebook runs there, what it makes is kept there, and a command of the front desk works there."""
    folder, python = elsewhere
    ran = places.run(solve.answered("1_tensors"), solved(folder, "1_tensors"), python)
    places.assert_ran_well(ran)
    assert "def split_heads" in (folder / "tiny_llm" / "model.py").read_text(encoding="utf-8")
    desk = subprocess.run([BASE_PYTHON, "-m", "course", "build", "--check"], cwd=folder, env=places.variables(),
                          capture_output=True, text=True)
    assert desk.returncode == 0, desk.stderr


def test_a_kernel_that_stands_at_the_course_s_root(elsewhere):
    """As in VS Code, when its setting for the notebooks' folder is the workspace."""
    folder, python = elsewhere
    first = solve.answered("1_tensors")
    first.cells = [cell for cell in first.cells if cell.cell_type == "code"][:2]
    ran = places.run(first, folder / "1_tensors.ipynb", python, VSCODE_PID="1")
    assert places.outputs(ran) == []


@places.needs_bubblewrap
def test_a_read_only_folder(elsewhere):
    """All checks pass; that nothing can be kept costs a line."""
    folder, python = elsewhere
    ran = places.run(solve.answered("2_modules"), solved(folder, "2_modules"), python,
                     places.walls("--ro-bind", folder, folder))
    places.assert_ran_well(ran)
    assert re.search(r"^TwoLayerNet could not be kept for later notebooks in .*: Read-only file system$",
                     places.printed(ran), re.M)


@places.needs_bubblewrap
def test_the_lab_on_a_plane_in_a_read_only_folder(elsewhere, tmp_path):
    """`course lab` needs no network and writes nothing into the course; its page asks for nothing from afar."""
    folder, _ = elsewhere
    visit = subprocess.run(
        [*places.walls("--unshare-net", "--ro-bind", folder, folder), BASE_PYTHON, "-c", VISIT, folder],
        env=places.variables(JUPYTER_RUNTIME_DIR=str(tmp_path / "runtime"), JUPYTER_DATA_DIR=str(tmp_path / "data"),
                             JUPYTER_CONFIG_DIR=str(tmp_path / "config"), IPYTHONDIR=str(tmp_path / "ipython")),
        capture_output=True, text=True)
    assert visit.returncode == 0, visit.stderr[-3000:]
    said = dict(line.split(": ", 1) for line in visit.stdout.splitlines())
    assert int(said["cells"]) > 10
    assert said["loads"] and all(address.startswith("/") for address in said["loads"].split())


@places.needs_bubblewrap
@pytest.mark.parametrize("phase", ["0_welcome", "5_training"])
def test_a_notebook_on_a_plane(elsewhere, phase):
    """With the network off: the finished model plays, and the first training runs, on the course's own text."""
    folder, python = elsewhere
    ran = places.run(solve.answered(phase, budget="4s"), solved(folder, phase), python, places.walls("--unshare-net"))
    places.assert_ran_well(ran)
    said = places.printed(ran)
    if phase == "5_training":
        lines = [line for line in said.splitlines() if line.startswith("Using the course's own sample play")]
        assert len(lines) == 1 and "could not be reached" in lines[0]
        assert f"{data.SAMPLE_PLAY_FLOOR:.2f}" in "".join(
            picture.data["text/html"] for picture in places.outputs(ran) if "image/png" in picture.get("data", {}))
        assert re.search(r"^validation loss: \d\.\d{3} nats per character$", said, re.M)
        assert list((folder / "tiny_llm" / "run").iterdir())


def test_a_network_that_does_not_answer(tmp_path, monkeypatch, capsys):
    """A proxy that takes every connection and says nothing, as before signing in to a hotel's network."""
    monkeypatch.setattr(data, "DATA", tmp_path)
    monkeypatch.setattr(data, "_gave_up", None)
    monkeypatch.setattr(data, "CONNECT_SECONDS", 1)
    monkeypatch.delenv("TINYLLM_DATA", raising=False)
    (tmp_path / "sample_play.txt").write_bytes((ROOT / "data" / "sample_play.txt").read_bytes())
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        data.load_text()
    assert time.monotonic() - started < 10  # 2 for the two sources, the rest for starting pip on a busy machine
    assert re.search(r"sample play instead of Shakespeare \(.*did not answer in time; .*\)\.$", capsys.readouterr().out)


def test_a_kernel_without_widgets(tmp_path):
    """Each explorer shows its figure, and says what it would need to move."""
    python = places.copy_of_the_course(tmp_path / "tinyllm", without=("ipywidgets",))
    ran = places.run(solve.answered("3b_attention"), solved(tmp_path / "tinyllm", "3b_attention"), python)
    places.assert_ran_well(ran)
    explorers = sum(len(re.findall(r"^widgets\.", cell.source, re.M)) for cell in ran.cells if cell.cell_type == "code")
    assert not any(WIDGET in output.get("data", {}) for output in places.outputs(ran))
    assert places.printed(ran).count("need the package ipywidgets") == explorers > 0
