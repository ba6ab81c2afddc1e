"""What every test shares: nothing a test does may touch a learner's own files or settings."""
import gc
import os

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
