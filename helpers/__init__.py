"""What the notebooks import: data, plots, checks, parts and training. Each file can be read on its own."""
import os

# Both settings only count before torch is imported.
# A container often shows all of its host's cores but may use only some: PyTorch would start a thread for each.
if os.environ.get("CPU_LIMIT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, int(float(os.environ["CPU_LIMIT"])))))

# Threads that wait by spinning cost a busy machine more time than the work itself: let them sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from helpers import waiting

waiting.install()
