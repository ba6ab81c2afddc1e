"""Every file of helpers/ and course/, read as text: nothing that Windows, macOS or Python 3.10 does not have."""
import ast
import re

import pytest

from course import ROOT, setup

FILES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
         for folder in ("helpers", "course") for path in sorted((ROOT / folder).rglob("*.py"))}
LINUX = {"course/grade/kernel.py", "course/grade/sandbox.py"}  # the sandbox: elsewhere it says that it cannot be
UNIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
UNIX_NAMES = {
    "os": {"chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid", "getuid", "killpg",
           "mkfifo", "nice", "pidfd_open", "sched_getaffinity", "setpgid", "setsid", "setuid", "statvfs", "uname",
           "wait", "WNOHANG"},
    "signal": {"alarm", "pause", "setitimer", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP",
               "SIGTSTP", "SIGUSR1", "SIGUSR2"},
    "socket": {"AF_UNIX", "recv_fds", "send_fds"},
    "time": {"tzset"},
}
UNIX_PATHS = re.compile(r"/(tmp|dev|proc|etc|usr|var|home)(/|$)")
SAYS = {"print", "exit", "write", "error", "_say", "_say_as_it_is", "say"}  # functions whose words a console may show


def nodes(kind, leave_out=()):
    return [(name, node) for name, tree in FILES.items() if name not in leave_out
            for node in ast.walk(tree) if isinstance(node, kind)]


def called(node):
    """The last part of the name of what a call calls."""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def test_no_module_of_unix_is_imported_with_ours():
    """In a function it may be, where a system without it is thought of."""
    found = []
    for name, tree in FILES.items():
        for node in tree.body:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(name, module) for module in modules if module.split(".")[0] in UNIX_MODULES]
    assert found == []


def test_nothing_of_unix_is_called():
    found = [(name, ast.unparse(node)) for name, node in nodes(ast.Attribute, LINUX)
             if isinstance(node.value, ast.Name) and node.attr in UNIX_NAMES.get(node.value.id, ())]
    asked_first = {(name, f"{ast.unparse(node.args[0])}.{node.args[1].value}") for name, node in nodes(ast.Call)
                   if called(node) == "hasattr" and isinstance(node.args[1], ast.Constant)}
    assert set(found) - asked_first == set()


def test_no_folder_of_unix_is_named():
    assert [(name, node.value) for name, node in nodes(ast.Constant, LINUX)
            if isinstance(node.value, str) and UNIX_PATHS.match(node.value)] == []


def test_no_file_is_read_or_written_in_the_system_s_own_encoding():
    """On Windows that is not UTF-8."""
    found = []
    for name, node in nodes(ast.Call):
        words = {keyword.arg for keyword in node.keywords}
        given = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        path_method = isinstance(node.func, ast.Attribute) and (called(node), len(node.args)) in {
            ("read_text", 0), ("write_text", 1)}
        opened = isinstance(node.func, ast.Name) and called(node) == "open" and not any(
            isinstance(mode, str) and "b" in mode for mode in given[-1:])
        if (path_method or opened) and "encoding" not in words:
            found.append((name, ast.unparse(node.func)))
    assert set(found) <= {("course/setup.py", "STAMP.read_text"), ("course/setup.py", "STAMP.write_text")}  # digits


def test_what_is_printed_is_ascii():
    """Other characters stop a program on many consoles of Windows."""
    spoken = [(name, node) for name, node in nodes((ast.Raise, ast.Call))
              if isinstance(node, ast.Raise) or called(node) in SAYS or called(node).endswith(("Error", "Exit"))]
    assert len(spoken) > 300
    assert [(name, part.value) for name, node in spoken for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and not part.value.isascii()] == []


@pytest.mark.parametrize("folder", ["helpers", "course", "source", "tests"])
def test_the_oldest_python_can_read_it(folder):
    for path in (ROOT / folder).rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=setup.OLDEST)
