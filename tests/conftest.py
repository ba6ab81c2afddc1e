"""What every test shares: nothing a test does may touch a learner's own files or settings."""
import gc
import itertools
import json
import os
import shutil
import sys

import pytest

from course import setup

os.environ.update(setup.environment())  # nbgrader calls alembic by name
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests run side by side already


def pytest_collection_finish():
    """What was collected and imported stays: looking through it again and again would take a tenth of the time."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory):
    """Carried work, Jupyter's and IPython's settings go to a folder of the test run."""
    folder = tmp_path_factory.mktemp("home")
    names = ["TINYLLM_PARTS", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(folder / name.lower()) for name in names})
    yield
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def like_binder(tmp_path, monkeypatch):
    """Kernels have what Binder gives them: its variables, and on Linux one processor and 2 GB. Says what is limited.

    The 2 GB are address space, which is stricter than memory; but PyTorch with CUDA, which Binder has not, needs more.
    """
    import torch

    limits = {}
    monkeypatch.setenv("BINDER_REPO_URL", "https://github.com/your-account/tinyllm")
    monkeypatch.setenv("CPU_LIMIT", "1.0")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # CPU_LIMIT decides
    if shutil.which("taskset"):
        limits["processors"] = ["taskset", "-c", str(min(os.sched_getaffinity(0)))]
    if shutil.which("prlimit") and not torch.version.cuda:
        limits["memory"] = ["prlimit", f"--as={2 * 2**30}"]
    kernel = tmp_path / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [*itertools.chain(*limits.values()), sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"display_name": "Python 3", "language": "python", "argv": argv}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return set(limits)
