"""Inside the sandbox: a Jupyter kernel that gives up, before the first line of a student's code, whatever it could
do harm with. This file is all of the course's grading that a sandbox contains; it uses Python's own library, Jupyter's
kernel and PyTorch.

`course/grade/sandbox.py` starts it (`python -I kernel.py JSON`), or forks it from a process that has PyTorch loaded.
"""
import ctypes
import json
import os
import platform
import struct
import sys

HERE = "/tmp/work"  # the kernel's folder: private, in memory, gone with the kernel
# Numbers of system calls, from Linux' asm/unistd.h: (AUDIT_ARCH, clone, clone3, socket, what starts a process, what is
# without effect, what is refused). Without effect are chmod, fchmod, fchmodat and fchmodat2: where the grader is root,
# /dev/null would be the student's to change. Refused is what reaches into another process or world: ptrace, mount,
# umount2, unshare, setns, bpf, userfaultfd, keyctl, add_key, io_uring_setup, process_vm_readv, process_vm_writev,
# pidfd_getfd, kcmp, perf_event_open, open_by_handle_at; and what takes memory that no limit counts: memfd_create,
# memfd_secret, shmget, msgget, mq_open.
CALLS = {
    "x86_64": (0xC000003E, 56, 435, 41, (57, 58), (90, 91, 268, 452), (
        101, 165, 166, 272, 308, 321, 323, 250, 248, 425, 310, 311, 438, 312, 298, 304, 319, 447, 29, 68, 240)),
    "aarch64": (0xC00000B7, 220, 435, 198, (), (52, 53, 452), (
        117, 40, 39, 97, 268, 280, 282, 219, 217, 425, 270, 271, 438, 272, 241, 265, 279, 447, 194, 186, 180)),
}
CLONE_THREAD = 0x00010000
FAMILIES = (1, 2, 10, 16)  # of sockets: AF_UNIX; AF_INET, AF_INET6 and AF_NETLINK, which ZeroMQ needs, lead nowhere


def main(settings):
    """Confine this process, then be a kernel until the client says good-bye."""
    os.makedirs(HERE if settings["sandboxed"] else settings["folder"], exist_ok=True)
    os.chdir(HERE if settings["sandboxed"] else settings["folder"])
    sys.argv = ["ipykernel"]
    sys.modules["debugpy"] = None  # nobody debugs in here, and loading it takes most of a kernel's start
    import torch  # noqa: F401  before the limits: what it takes itself is no student's
    from ipykernel.kernelapp import IPKernelApp
    if settings["sandboxed"]:
        confine(settings["memory"], settings["seconds"])
    app = IPKernelApp.instance(
        transport="ipc", ip=settings["address"], shell_port=1, iopub_port=2, stdin_port=3, control_port=4, hb_port=5,
        connection_file=os.path.join(os.getcwd(), ".kernel.json"), log_level=50, capture_fd_output=False,
        ignore_cwd=True)  # no file that a cell writes is ever a module
    app.config.Session.key = settings["key"].encode()
    app.config.HistoryManager.enabled = False
    app.config.InteractiveShell.automagic = False  # `time x = 3` is not Python, and no scan reads it
    app.initialize([])
    app.session.pack = packed
    app.shell._format_exception_for_storage = lambda *_, **__: None  # it reads all files that an error went through
    app.start()


def packed(message):
    """A message as JSON, even one with half a character in it, which Jupyter's own way cannot send."""
    from jupyter_client.jsonutil import json_default
    return json.dumps(message, default=json_default).encode("ascii")


def confine(memory, seconds):
    """Limits that hold for the rest of this process' life, and cannot be raised again.

    memory: bytes of address space beside what is taken already, which is 1 GB, or 4 with PyTorch for CUDA
    """
    import resource  # here and not above: Windows has none, and `course build` reads nbgrader_config.py there, too

    with open("/proc/self/statm", encoding="ascii") as file:  # in pages
        memory += int(file.read().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: memory, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 2**28, resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CPU: 2 * seconds,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    libc = ctypes.CDLL(None, use_errno=True)
    give_up_capabilities(libc)
    forbid(libc, *CALLS[platform.machine()])


def give_up_capabilities(libc):
    """No capability is left, and no program that is started can get one back."""
    version_3, everyone = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # linux/capability.h
    number = {"x86_64": 126, "aarch64": 91}[platform.machine()]  # capset
    must(libc.syscall(number, version_3, everyone))
    must(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS


def forbid(libc, architecture, clone, clone3, socket, starts, idle, refused):
    """From now on this process may start threads but no process, so that the memory limit is one for all it does; and
    it makes no sockets of a family that a sandbox without a network does not shut off, such as AF_VSOCK.

    A filter in the form of linux/filter.h; each step is (code, jump if true, jump if false, value).
    """
    LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
    ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # with an errno in the lower half
    EPERM, EAGAIN, ENOSYS, EAFNOSUPPORT = 1, 11, 38, 97

    def unless(number, errno):
        """Two steps: this call ends with errno (0: as if it were done), all others go on."""
        return [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | errno)]

    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, REFUSE | EPERM),  # another machine's calls
             (LOAD, 0, 0, 0), (0x35, 0, 1, 0x40000000), (RETURN, 0, 0, REFUSE | EPERM)]  # x86's second set of numbers
    for number in refused:
        steps += unless(number, EPERM)
    for number in starts:
        steps += unless(number, EAGAIN)
    for number in idle:
        steps += unless(number, 0)
    steps += unless(clone3, ENOSYS)  # the C library then takes clone, whose flags can be seen
    steps += [(EQUAL, 0, 2 + 2 * len(FAMILIES), socket), (LOAD, 0, 0, 16)]
    for family in FAMILIES:
        steps += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    steps += [(RETURN, 0, 0, REFUSE | EAFNOSUPPORT),
              (EQUAL, 0, 3, clone), (LOAD, 0, 0, 16), (ANY_BIT, 1, 0, CLONE_THREAD), (RETURN, 0, 0, REFUSE | EAGAIN),
              (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HL", len(steps), ctypes.addressof(code)))
    must(libc.prctl(22, 2, program, 0, 0))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def must(outcome):
    if outcome != 0:
        raise OSError(ctypes.get_errno(), f"the kernel could not be confined: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
