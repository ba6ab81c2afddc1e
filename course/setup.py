"""The environment: `.venv` with what environment.yml lists. Standard library alone, Python 3.6 syntax.

`ensure()` is safe to stop and to call again: the stamp that says "ready" is written last, and pip
installs only what is missing.
"""
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "course-ready"
LOG = VENV / "setup.log"
OLDEST = (3, 10)
GIGABYTES = 3  # the environment takes 1.6 GB, its downloads the rest


class SetupError(Exception):
    """One sentence: what is wrong, and what to do."""


def ensure():
    """Make the environment if it is missing or out of date; returns the path of its Python.

    Raises SetupError when this machine cannot have one yet.
    """
    check_python(sys.version_info)
    if STAMP.is_file() and STAMP.read_text() == fingerprint() and PYTHON.is_file():
        return str(PYTHON)
    check_venv_module()
    check_disk(ROOT)
    print("Setting up the course in .venv (once; a few minutes).", flush=True)
    started = time.time()
    make_venv()
    torch, options, others = requirements()
    install("PyTorch", torch_command(torch, options))
    install("JupyterLab and the other packages", others)
    run_or_explain([str(PYTHON), "-c", "from course.setup import wire; wire()"])
    STAMP.write_text(fingerprint())
    print(f"Set up in {time.time() - started:.0f} s.", flush=True)
    return str(PYTHON)


def is_inside():
    """Whether this Python is the environment's own."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def environment():
    """This process's variables, with the environment's programs first on the PATH (nbgrader calls alembic by name)."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return dict(os.environ, PATH=path, VIRTUAL_ENV=str(VENV))


def hand_over(command):
    """Go on as another program of the environment; its exit status is ours."""
    variables = environment()
    if os.name == "posix":
        os.execve(command[0], command, variables)
    # Windows has no exec: wait for the child, and leave Ctrl-C to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.call(command, env=variables)


def fingerprint():
    """Changes when the list of packages, this file, the folder or the Python that makes the environment changes."""
    parts = [(ROOT / "environment.yml").read_bytes(), Path(__file__).read_bytes(), str(ROOT).encode()]
    parts.append(repr(sys.version_info[:2]).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def check_python(version):
    """Raises SetupError for a Python older than the course needs."""
    if tuple(version[:2]) < OLDEST:
        raise SetupError(
            "this is Python {}.{}, the course needs {}.{} or newer. Install it from https://www.python.org/downloads/ "
            "and start the command with it, for example `python3.12 -m course lab`.".format(*version[:2], *OLDEST)
        )


def check_venv_module(modules=("venv", "ensurepip")):
    """Raises SetupError where Python came without its venv module, as on Debian and Ubuntu."""
    if any(importlib.util.find_spec(name) is None for name in modules):
        raise SetupError(
            "this Python cannot make environments: its venv module is missing. On Debian or Ubuntu run "
            "`sudo apt install python3-venv`, then the same command again."
        )


def check_disk(folder, gigabytes=GIGABYTES):
    """Raises SetupError when `folder` cannot be written, or its disk has less than `gigabytes` free."""
    if not os.access(str(folder), os.W_OK):
        raise SetupError(f"the folder {folder} cannot be written. Clone the course into a folder of your own.")
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"the disk is nearly full: {free:.1f} GB free at {folder}, the course needs {gigabytes:.0f}. "
            "Free some space, then run the same command again."
        )


def make_venv():
    """A fresh .venv where there is none, or where the one there is does not run (moved, or half made)."""
    works = PYTHON.is_file() and subprocess.call(
        [str(PYTHON), "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) == 0
    if STAMP.is_file():
        STAMP.unlink()
    if not works:
        run_or_explain([sys.executable, "-m", "venv", "--clear", str(VENV)])


def requirements(text=None):
    """What environment.yml's pip section lists: (torch's line, pip options for it, the other packages)."""
    if text is None:
        text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    lines = [re.sub(r"\s+#.*", "", line) for line in text.split("- pip:")[1].splitlines()]  # without comments
    lines = [line.strip()[2:].strip() for line in lines if line.strip().startswith("- ")]
    options = [word for line in lines if line.startswith("-") for word in line.split()]
    packages = [line for line in lines if not line.startswith("-")]
    torch = next(line for line in packages if re.match(r"torch\b", line))
    return torch, options, [line for line in packages if line != torch]


def torch_command(torch, options):
    """pip's arguments for PyTorch: from its CPU index where that is wanted and can be reached, else the usual index.

    On Linux the usual index carries the CUDA build (3 GB); on macOS and Windows it carries the CPU build anyway.
    """
    index = options[-1]
    if not sys.platform.startswith("linux") or shutil.which("nvidia-smi"):
        return [torch]
    try:  # pip itself would retry an unreachable index for half a minute
        urllib.request.urlopen(index + "/torch/", timeout=3).close()
    except (OSError, ValueError):
        return [torch]
    return ["--retries", "0", "--index-url", index, torch]


def install(what, arguments):
    """pip install, one line on the screen, everything else in .venv/setup.log."""
    print(f"  installing {what} ...", end="", flush=True)
    started = time.time()
    try:
        run_or_explain([str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *arguments])
    except SetupError:
        print()
        raise
    print(f" {time.time() - started:.0f} s", flush=True)


def run_or_explain(command):
    """Run a step of the set-up with its output in the log; a failure raises SetupError with the likely cause."""
    output = subprocess.run(command, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = output.stdout.decode("utf-8", "replace")
    try:
        VENV.mkdir(exist_ok=True)
        with LOG.open("a", encoding="utf-8") as log:
            log.write("$ {}\n{}\n".format(" ".join(command), text))
    except OSError:
        pass  # a full disk: the sentence below says so
    if output.returncode:
        raise SetupError(explain(text))


def explain(output):
    """The one sentence for a failed step, from what it printed."""
    if re.search(r"No space left on device|Errno 28|not enough space|Disk quota exceeded", output):
        return f"the disk is full. Free about {GIGABYTES} GB, then run the same command again."
    if re.search(r"ensurepip is not|No module named (venv|ensurepip)", output):
        return "it cannot make environments. On Debian or Ubuntu run `sudo apt install python3-venv`, then retry."
    if re.search(r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Max retries|Connection refused|"
                 r"Temporary failure in name resolution|ProxyError|Could not fetch URL|Network is unreachable", output):
        return "the network cannot be reached. Connect (or set your proxy), then run the same command again."
    if "No matching distribution" in output:
        package = re.search(r"No matching distribution found for (\S+)", output)
        return (
            "{} does not exist for this Python ({}.{}) and system. Use Python 3.10 to 3.13 on Linux, Windows or an "
            "Apple-silicon Mac, or open the course on Colab."
        ).format(package and package.group(1), *sys.version_info[:2])
    last = [line for line in output.splitlines() if line.strip()][-1:]
    return "a step failed ({}). The whole output is in {}.".format("".join(last).strip(), LOG)


def wire():
    """Make `import helpers` work from any folder in the running Python, and its kernels explain what is missing.

    Called inside an environment: .venv here, the image's own on Binder.
    """
    packages = Path(sysconfig.get_path("purelib"))
    (packages / "tinyllm-course.pth").write_text(str(ROOT) + "\n", encoding="utf-8")
    config = Path(sys.prefix) / "etc" / "ipython"
    config.mkdir(parents=True, exist_ok=True)
    (config / "ipython_kernel_config.py").write_text(
        "# a cell run out of order is told what it waits for, from the kernel's first moment\n"
        "c = get_config()\n"
        'c.InteractiveShellApp.extensions = ["helpers.waiting"]\n',
        encoding="utf-8",
    )
