"""What a student's code reaches from inside the sandbox: tried there, in both ways of starting a kernel."""
import json
import os
import resource
import select
import shutil
import socket
import sys
import time

import nbformat
import pytest

from course import ROOT
from course.grade import sandbox
from course.grade.execute import Limits, Run
from course.grade.sandbox import Kernel

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"),
                                reason="bubblewrap is not installed, so nothing is sandboxed")

# Each line is tried alone; what succeeds is printed. {...} is filled in.
ATTEMPTS = """
open({source!r})
open({secret!r})
os.listdir({root!r} + "/tests")
os.listdir({root!r} + "/.git")
open({root!r} + "/helpers/new.py", "w")
open({prefix!r} + "/new.py", "w")
open("/usr/new", "w")
os.mkdir("/new")
os.kill({grader}, 0)
os.fork()
subprocess.run(["/bin/true"])
os.posix_spawn("/bin/true", ["true"], {{}})
socket.create_connection(("127.0.0.1", {port}), timeout=2)
socket.create_connection(("1.1.1.1", 53), timeout=2)
socket.socket(socket.AF_VSOCK)
open("/proc/sys/kernel/core_pattern", "w")
open("/proc/sys/kernel/domainname", "w")
open("/proc/1/mem", "r+b")
open("/proc/self/mem", "r+b")
os.memfd_create("x")
done(libc.shmget(0, 2**20, 0o1600))
done(libc.ptrace(16, 1, 0, 0))
done(libc.unshare(0x10000000))
done(libc.mount(b"x", b"/tmp", b"tmpfs", 0, 0))
done(libc.setuid(0))
resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))
bytearray(5 * 2**30)
open("x", "wb").write(bytes(2**28 + 1))
[open(str(n), "wb").write(bytes(2**26)) for n in range(5)]
[name for name in os.environ if "TOKEN" in name or "DASK" in name][0]
[name for name in glob.glob("/proc/self/fd/*") if os.path.isfile(name)][0]
"""

TRY = """
import ctypes, glob, os, resource, socket, subprocess
libc = ctypes.CDLL(None)
def done(outcome):
    assert outcome != -1
tried = 0
for line in {attempts!r}:
    tried += 1
    try:
        exec(line)
    except BaseException:
        continue
    print("SUCCEEDED", line)
print(tried, "tried")
"""


def said_by(kernel, code):
    said = []
    kernel.run(code, 60, lambda message: said.append(str(message["content"].get("text", message["content"]))))
    return "".join(line for line in said if "'code'" not in line)


@pytest.mark.parametrize("fast", [False, True])
def test_nothing_outside_can_be_reached(fast, tmp_path):
    secret = tmp_path / "gradebook.db"
    secret.write_text("not theirs", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = ATTEMPTS.format(
            source=str(ROOT / "source" / "2_modules" / "2_modules.py"), secret=str(secret), root=str(ROOT),
            prefix=sys.prefix, grader=os.getpid(), port=server.getsockname()[1])
        attempts = [line for line in text.splitlines() if line]
        os.environ["A_TOKEN"] = "secret"
        try:
            with Kernel(Limits(fast=fast)) as kernel:
                assert said_by(kernel, TRY.format(attempts=attempts)) == f"{len(attempts)} tried\n"
                assert said_by(kernel, "print(len(bytearray(2 * 2**30)))") == f"{2 * 2**30}\n"  # an honest one may
                before = os.stat("/dev/full").st_mode
                said_by(kernel, "import os; os.chmod('/dev/full', 0o600); os.fchmod(os.open('/dev/full', 2), 0o600)")
                after = os.stat("/dev/full").st_mode
                if after != before:
                    os.chmod("/dev/full", before & 0o777)
                assert after == before  # also where the grader is root, and so its owner
        finally:
            del os.environ["A_TOKEN"]


def test_a_flood_of_output_fills_nobodys_memory():
    """A kernel that sends faster than the grader reads, for five seconds: what waits is little."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Kernel(Limits(fast=True)) as kernel:
        flood = ("import time\nkernel = get_ipython().kernel\nsession = kernel.session\n"
                 "message = session.msg('stream', {'name': 'stdout', 'text': 'x' * 4_000_000}, kernel.get_parent())\n"
                 "parts = session.serialize(message, ident=b'stream')\n"
                 "while True:\n    kernel.iopub_socket.send_multipart(parts)\n    time.sleep(0.01)")
        started = time.monotonic()
        with pytest.raises((TimeoutError, sandbox.KernelGone)):
            kernel.run(flood, 5, lambda message: time.sleep(0.5))
        assert time.monotonic() - started < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_a_nursery_that_dies_is_replaced():
    sandbox.nursery().process.kill()
    with Run(nbformat.v4.new_notebook(), Limits(fast=True), 1).start() as kernel:
        assert said_by(kernel, "print(6 * 7)") == "42\n"


def test_a_nursery_whose_grader_is_killed_ends_in_silence(capfd):
    nursery = sandbox.Nursery()
    socket.send_fds(nursery.ours, [json.dumps({"pid": 0}).encode()], [0])
    assert select.select([nursery.ours], [], [], 60)[0]  # its answer is there, and nobody will read it
    nursery.ours.close()
    assert nursery.process.wait(60) == 0
    assert capfd.readouterr().err == ""


def test_the_first_line_of_output_is_heard(monkeypatch):
    """A kernel may answer before we are connected to its output; no answer is taken for a start until we are."""
    class LateListener(sandbox.BlockingKernelClient):
        asked = 0

        def kernel_info(self, *arguments, **options):
            if self.asked == 0:
                self.iopub_channel.socket.unsubscribe(b"")
            if self.asked == 3:
                self.iopub_channel.socket.subscribe(b"")
            self.asked += 1
            return super().kernel_info(*arguments, **options)

    monkeypatch.setattr(sandbox, "BlockingKernelClient", LateListener)
    with Kernel(Limits(fast=True)) as kernel:
        assert said_by(kernel, "print(6 * 7)") == "42\n"


def test_a_kernel_that_does_not_start_is_nobodys_zero(monkeypatch, tmp_path):
    """The grader stops, and does not say that the student's cell failed."""
    (tmp_path / "kernel.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    monkeypatch.setattr(sandbox.kernel, "__file__", str(tmp_path / "kernel.py"))
    monkeypatch.setattr(sandbox, "START", 0.5)
    with pytest.raises(sandbox.SandboxError, match="did not start"):
        Run(nbformat.v4.new_notebook(), Limits(), 1).start()


def test_the_walls_are_tried_inside():
    """An attempt that must succeed, so that the list above is really run."""
    with Kernel(Limits(fast=True)) as kernel:
        assert "SUCCEEDED" in said_by(kernel, TRY.format(attempts=["tried = 1"]))
