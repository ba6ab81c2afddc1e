"""Inside the sandbox: a Jupyter kernel that gives up, before the first line of a student's code, whatever it could
do harm with. This file is all of the course's grading that a sandbox contains, and it uses Python's own library alone.

`course/grade/sandbox.py` starts it (`python -I kernel.py JSON`), or forks it from a process that has PyTorch loaded.
"""
import ctypes
import json
import os
import platform
import struct
import sys

HERE = "/tmp/work"  # the kernel's folder: private, in memory, gone with the kernel
# System call numbers, from Linux' asm/unistd.h: (AUDIT_ARCH, clone, clone3, those that start a process, other worlds).
# The last column: ptrace, mount, umount2, unshare, setns, bpf, userfaultfd, keyctl, add_key, io_uring_setup.
CALLS = {
    "x86_64": (0xC000003E, 56, 435, (57, 58), (101, 165, 166, 272, 308, 321, 323, 250, 248, 425)),
    "aarch64": (0xC00000B7, 220, 435, (), (117, 40, 39, 97, 268, 280, 282, 219, 217, 425)),
}
CLONE_THREAD = 0x00010000


def main(settings):
    """Confine this process, then be a kernel until the client says good-bye."""
    os.makedirs(HERE if settings["sandboxed"] else settings["folder"], exist_ok=True)
    os.chdir(HERE if settings["sandboxed"] else settings["folder"])
    sys.argv = ["ipykernel"]
    from ipykernel.kernelapp import IPKernelApp
    if settings["sandboxed"]:
        confine(settings["memory"], settings["seconds"])
    app = IPKernelApp.instance(
        transport="ipc", ip=settings["address"], shell_port=1, iopub_port=2, stdin_port=3, control_port=4, hb_port=5,
        connection_file=os.path.join(os.getcwd(), ".kernel.json"), log_level=50, capture_fd_output=False)
    app.config.Session.key = settings["key"].encode()
    app.config.HistoryManager.enabled = False
    app.initialize([])
    app.start()


def confine(memory, seconds):
    """Limits that hold for the rest of this process' life, and cannot be raised again."""
    import resource  # here and not above: Windows has none, and `course build` reads nbgrader_config.py there, too

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


def forbid(libc, architecture, clone, clone3, starts, others):
    """From now on this process may start threads but no process, so that the memory limit is one for all it does.

    A filter in the form of linux/filter.h; each step is (code, jump if true, jump if false, value).
    """
    LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
    ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # with an errno in the lower half
    EPERM, EAGAIN, ENOSYS = 1, 11, 38

    def unless(number, errno):
        """Two steps: this call ends with errno, all others go on."""
        return [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE | errno)]

    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, REFUSE | EPERM),  # another machine's calls
             (LOAD, 0, 0, 0), (0x35, 0, 1, 0x40000000), (RETURN, 0, 0, REFUSE | EPERM)]  # x86's second set of numbers
    for number in others:
        steps += unless(number, EPERM)
    for number in starts:
        steps += unless(number, EAGAIN)
    steps += unless(clone3, ENOSYS)  # the C library then takes clone, whose flags can be seen
    steps += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, 16), (ANY_BIT, 1, 0, CLONE_THREAD), (RETURN, 0, 0, REFUSE | EAGAIN),
              (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HL", len(steps), ctypes.addressof(code)))
    must(libc.prctl(22, 2, program, 0, 0))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def must(outcome):
    if outcome != 0:
        raise OSError(ctypes.get_errno(), f"the kernel could not be confined: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
