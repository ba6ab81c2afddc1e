"""Kernels that a stranger's code may run in: each in a sandbox of its own, made by bubblewrap.

A sandbox sees the system and the course's helpers read-only, and a small folder in memory. /proc is read-only, too:
where the grader is root, the owner of the system's settings in it is the same. It has no network, and no view of the
sources, of the gradebook, of other submissions, of anybody's home or of other processes. The kernel inside is an
ordinary user without capabilities (kernel.py). Its sockets lie in the sandbox's own memory; the grader reaches them
through /proc, so that nothing on the disk can be written at all.
"""
import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import zmq
from jupyter_client import BlockingKernelClient

from course import ROOT
from course.grade import kernel

START = 60.0  # seconds a kernel may take until it answers
LARGEST = 2**23  # bytes of one message; a connection that sends more is closed
WAITING = 50  # messages that may wait to be read: what a kernel sends faster is lost, and fills nobody's memory
HELP = ("Grading runs strangers' code, so each submission runs in a sandbox, and bubblewrap makes it. {why} "
        "On Debian or Ubuntu: `sudo apt install bubblewrap`. On Ubuntu 24.04 and later also allow it to make user "
        "namespaces (see docs/grading.md, 'When the sandbox does not start'). On Windows use WSL. With --unsafe the "
        "submissions run without a sandbox: they can then read and change everything that you can.")


class SandboxError(Exception):
    """One sentence or two: why there is no sandbox here, and what to do."""


class KernelGone(Exception):
    """The kernel ended, or does not answer."""


def require():
    """Make sure, by trying, that a sandbox works here and hides what it must; raises SandboxError."""
    if platform.system() != "Linux" or platform.machine() not in kernel.CALLS:
        raise SandboxError(HELP.format(why=f"It does not exist for {platform.system()} on {platform.machine()}."))
    if not shutil.which("bwrap"):
        raise SandboxError(HELP.format(why="It is not installed."))
    probe = subprocess.run([*walls(), "/bin/sh", "-c", 'test ! -e "$0" && echo hidden', str(ROOT / "source")],
                           capture_output=True, text=True)
    if probe.stdout.strip() != "hidden":
        raise SandboxError(HELP.format(why=f"It does not work here: {probe.stderr.strip() or 'no reason given'}."))


def walls():
    """bubblewrap's arguments: all that a sandbox can see, and nothing else."""
    system = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            system += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            system += ["--ro-bind", str(path), str(path)]
    seen = ["/usr", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", *dict.fromkeys([sys.base_prefix, sys.prefix])]
    for path in [*seen, str(ROOT / "helpers"), str(ROOT / "data")]:
        system += ["--ro-bind-try", path, path]
    for device in ("null", "zero", "full", "random", "urandom"):
        system += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    return ["bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--hostname", "grading",
            "--die-with-parent", "--new-session", "--cap-drop", "ALL",
            # /tmp first: what comes later lies on it, so that the course may be in a folder there
            "--size", str(2**28), "--tmpfs", "/tmp", *system, "--proc", "/proc", "--remount-ro", "/proc",
            "--dir", kernel.HERE, "--ro-bind", kernel.__file__, "/tmp/kernel.py",
            "--ro-bind-try", font_cache(), "/tmp/matplotlib",
            "--remount-ro", "/", "--chdir", kernel.HERE, "--clearenv", *(word for name, value in environment().items()
                                                                     for word in ("--setenv", name, value))]


def environment(home="/tmp", folder=kernel.HERE):
    """The environment of a kernel: the same on every machine."""
    return {
        "HOME": home, "USER": "student", "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg",
        "MPLCONFIGDIR": f"{home}/matplotlib", "IPYTHONDIR": f"{folder}/.ipython", "NBGRADER_EXECUTION": "autograde",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def font_cache():
    """matplotlib's list of fonts on this machine, so that not every kernel looks for them anew."""
    import matplotlib
    return matplotlib.get_cachedir()


class Kernel:
    """One kernel, started; `run` gives it code. Close it, or use it in a `with`."""

    def __init__(self, limits):
        """limits: an execute.Limits."""
        key, self.folder = secrets.token_hex(16), None
        settings = {"key": key, "sandboxed": not limits.unsafe, "memory": limits.memory, "seconds": limits.seconds,
                    "address": f"{kernel.HERE}/s"}
        if limits.unsafe:
            self.folder = tempfile.mkdtemp(prefix="grade")
            settings["address"], settings["folder"] = f"{self.folder}/s", self.folder
            self.process = subprocess.Popen(
                [sys.executable, "-I", kernel.__file__, json.dumps(settings)], cwd=self.folder, start_new_session=True,
                env={**environment(self.folder, self.folder), "JPY_PARENT_PID": str(os.getpid())},  # it ends with us
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            address = settings["address"]
        elif limits.fast:
            address = self._fork(settings)
        else:
            address = self._start(settings)
        self.client = BlockingKernelClient(context=context())
        self.client.load_connection_info({
            "transport": "ipc", "ip": address, "key": key, "signature_scheme": "hmac-sha256", "shell_port": 1,
            "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5})
        self.client.start_channels(stdin=False, hb=False)
        self._wait(time.monotonic() + START)

    def _start(self, settings):
        """A new Python in a new sandbox -> where its sockets are."""
        self.process, pid = sandboxed([sys.executable, "-I", "/tmp/kernel.py", json.dumps(settings)],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return f"/proc/{pid}/root{settings['address']}"

    def _fork(self, settings):
        """A copy of the nursery's process moves into a new sandbox, which lasts as long as the copy does."""
        reading, writing = os.pipe()
        try:
            self.process, pid = sandboxed(["/bin/sh", "-c", "echo; exec cat"], stdin=reading, stdout=subprocess.PIPE)
            self.process.stdout.readline()  # from now on the sandbox is complete
            nursery().fork({**settings, "pid": pid, "environment": environment()}, writing)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            os.close(reading)
            os.close(writing)
        return f"/proc/{pid}/root{settings['address']}"

    def _wait(self, deadline):
        """Until the kernel answers and its output is heard, too: what it prints before that is lost to us."""
        answers = heard = False
        while not (answers and heard):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise KernelGone("the kernel did not start")
            self.client.kernel_info()
            asked = time.monotonic()
            while not (answers and heard) and time.monotonic() < asked + 0.3:
                message = self._next()
                kind = message["msg_type"] if message else ""
                answers, heard = answers or kind == "kernel_info_reply", heard or kind == "status"

    def run(self, code, seconds, say, **options):
        """Run code; `say(message)` gets what it prints and shows -> the content of the kernel's reply.

        Raises TimeoutError after `seconds`, KernelGone if the kernel ends.
        """
        number, reply, idle = self.client.execute(code, allow_stdin=False, **options), None, False
        deadline, quiet_until = time.monotonic() + seconds, None
        while not (reply and idle):
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError
            if reply and now > (quiet_until := quiet_until or now + 2):
                break  # the end of its output was lost, as happens when it sends more than we take
            message = self._next()
            if message is None:
                if self.process.poll() is not None and reply is None:
                    raise KernelGone("the kernel ended")
                continue
            if message["parent_header"].get("msg_id") != number:
                continue
            if message["msg_type"] == "execute_reply":
                reply = message["content"]
            elif message["msg_type"] == "status":
                idle = idle or message["content"].get("execution_state") == "idle"
            else:
                say(message)
        return reply

    def _next(self):
        """The next message of either channel, or None after a short while."""
        shell, output = self.client.shell_channel, self.client.iopub_channel
        poller = zmq.Poller()
        for channel in (shell, output):
            poller.register(channel.socket, zmq.POLLIN)
        ready = dict(poller.poll(100))
        for channel in (output, shell):  # what was printed first: the reply may overtake it
            if channel.socket in ready:
                try:
                    message = channel.get_msg(timeout=1)
                except Exception:  # not a message: a student's code writes to the socket
                    return None
                made_up = not (isinstance(message["parent_header"], dict) and isinstance(message["content"], dict))
                return None if made_up else message
        return None

    def close(self):
        """End the kernel and all that is in its sandbox."""
        if hasattr(self, "client"):
            self.client.stop_channels()
        if self.folder:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.close()


def sandboxed(command, **streams):
    """A command in a new sandbox -> (bubblewrap's process, the id of the first process inside)."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen([*walls()[:1], "--info-fd", str(writing), *walls()[1:], *command],
                                   pass_fds=[writing], stderr=subprocess.DEVNULL, **streams)
        os.close(writing)
        writing = None
        with open(reading, "rb", closefd=False) as information:
            told = information.read()
        if not told:
            process.wait()
            raise SandboxError(HELP.format(why="It does not start."))
        return process, json.loads(told)["child-pid"]
    finally:
        os.close(reading)
        if writing is not None:
            os.close(writing)


_context = None


def context():
    """One ZeroMQ context for this process, whose sockets refuse messages that are too large."""
    global _context
    if _context is None:
        _context = zmq.Context()
        _context.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        _context.setsockopt(zmq.RCVHWM, WAITING)
        _context.setsockopt(zmq.LINGER, 0)
        _context.setsockopt(zmq.RECONNECT_IVL, 10)  # milliseconds: a kernel is there in less than the usual 100
    return _context


# --- the nursery: a process that has PyTorch loaded, and forks ----------------------------------------------------

FORKS_NEED = (
    "ipykernel.ipkernel", "ipykernel.kernelapp", "IPython.core.completerlib", "IPython.core.debugger",
    "IPython.extensions.storemagic", "torch", "helpers.checks", "helpers.parts", "helpers.plots", "helpers.training",
    "helpers.widgets", "tqdm", "stack_data", "pygments.formatters.html", "pygments.formatters.terminal256",
    "pygments.lexers.python")  # from stack_data on: for the first error
_nursery, _making_it = None, threading.Lock()


def nursery():
    """This process' nursery."""
    global _nursery
    with _making_it:
        if _nursery is None or _nursery.process.poll() is not None:
            _nursery = Nursery()
        return _nursery


class Nursery:
    """Our end of it: `fork` asks for a kernel."""

    def __init__(self):
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen([sys.executable, "-I", "-c", "from course.grade.sandbox import be_nursery; "
                                             f"be_nursery({theirs.fileno()})"], pass_fds=[theirs.fileno()],
                                            env={**environment(), "MPLCONFIGDIR": font_cache()},
                                            stdin=subprocess.DEVNULL)
        self.ours, self.one_at_a_time = ours, threading.Lock()  # a Dask worker has several threads
        self.ours.settimeout(2 * START)
        self.ours.recv(1)  # everything is loaded
        atexit.register(self.close)

    def fork(self, settings, lifeline):
        """A kernel in the sandbox of process settings["pid"]; it keeps `lifeline` open as long as it lives."""
        with self.one_at_a_time:
            try:
                socket.send_fds(self.ours, [json.dumps(settings).encode()], [lifeline])
                answer = self.ours.recv(1)
            except OSError:
                answer = b""
            if not answer:  # it was ended, or takes too long: nursery() makes another
                self.close()
                raise KernelGone("the kernel was not forked")
        if answer != b"k":
            raise SandboxError("A kernel could not be forked into its sandbox. Try without --fast.")

    def close(self):
        self.ours.close()
        self.process.kill()  # it would take seconds to take PyTorch apart in good order
        self.process.wait()


def be_nursery(channel):
    """Their end: load everything, then fork a kernel for each request, until the grader goes away."""
    for name in FORKS_NEED:
        importlib.import_module(name)
    sys.modules["torch"].ones(2, 2, device="meta").tril()  # the test of TODO 21 asks for it: it loads much of PyTorch
    gc.freeze()  # a fork that looks for garbage passes over all this, and does not make a copy of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ours = socket.socket(fileno=channel)
    with contextlib.suppress(BrokenPipeError):  # the grader was ended meanwhile
        ours.send(b"r")
    while True:
        try:
            request, descriptors, _, _ = socket.recv_fds(ours, 65536, 1)
        except ConnectionResetError:  # the grader was killed before it had read our last answer
            request = b""
        if not request:
            os._exit(0)  # see Nursery.close
        if os.fork() == 0:
            enter(json.loads(request), descriptors[0], ours)
        os.close(descriptors[0])


def enter(settings, lifeline, ours):
    """In the fork: move into the sandbox, then be the kernel there. Never returns."""
    outcome = 1
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        worlds = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000  # CLONE_NEWUSER, NS, PID,
        sandbox = os.pidfd_open(settings["pid"])                                              # NET, IPC and UTS
        kernel.must(libc.setns(sandbox, worlds))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.fork() == 0:  # the namespace of process ids holds for children only
            ours.send(b"k")
            be_kernel(settings, lifeline)
        outcome = 0
    except BaseException:
        ours.send(b"x")
    finally:
        os._exit(outcome)


def be_kernel(settings, lifeline):
    """In the sandbox: nothing of the nursery is left but its memory."""
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.dup2(lifeline, 3)
    os.closerange(4, 65536)
    os.environ.clear()
    os.environ.update(settings["environment"])
    kernel.main(settings)
