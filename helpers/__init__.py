"""What the notebooks import: data, plots, checks, parts and training. Each file can be read on its own.

`helpers.progress()` shows which TODOs have passed.
"""
import os

# Both settings only count before torch is imported.
# A container often shows all of its host's cores but may use only some: PyTorch would start a thread for each.
if os.environ.get("CPU_LIMIT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, int(float(os.environ["CPU_LIMIT"])))))

# A waiting thread spins before it sleeps. PyTorch's default is so long that two busy programs on two cores nearly stop
# each other; with no spinning at all, a training step alone on its machine takes 1.6 times as long.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from helpers import waiting
from helpers.progress import progress

__all__ = ["progress"]

waiting.install()
