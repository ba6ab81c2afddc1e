"""python3 -m course COMMAND: the front desk.

Runs on the standard library alone, because it must work before anything is installed: it makes the
environment where it is missing, then hands over to `course/<command>.py` inside it.
"""
import importlib.util
import os
import re
import sys

from course import setup

COMMANDS = {
    "lab": "open the notebooks in JupyterLab  [--no-browser] [--port N]",
    "update": "take the course's new version and put your work back into it  [--from ZIP]",
    "reset": "give one TODO back as it was released  TODO N",
    "test": "run every test, or some of them  [--colab] [pytest's own arguments]",
    "build": "make notebooks/ from source/  [--check]",
    "solve": "run the solved notebooks into build/solved/  [PHASE ...] [--fast]",
    "release": "make a zip for students, without solutions, in build/release/  PHASE ...",
    "grade": "grade what a class handed in  PHASE SUBMISSIONS  [--help]",
    "bench": "measure: checks, answers, train, generate, grade, widgets  [--help]",
    "search": "try other numbers for the training recipe  [TRIAL ...] [--seeds N]",
    "bands": "measure which losses are normal, for data/normal_losses.json",
    "welcome": "train the model of 0_welcome again, into data/welcome_model.pt  [--epochs N]",
    "pictures": "draw the pictures of README again, with the model of 0_welcome",
    "sample-play": "write data/sample_play.txt again, from its grammar",
}


def commands():
    """Those of COMMANDS that are here: a student's copy (`course release`) has no more than `lab`."""
    return {name: what for name, what in COMMANDS.items() if importlib.util.find_spec(module(name))}


def module(command):
    """The module whose `main` runs a command."""
    return "course." + command.replace("-", "_")


def usage():
    """The list of commands, one line each."""
    here = commands()
    width = max(map(len, here))
    lines = ["usage: python3 -m course COMMAND  (or --version)", ""]
    lines += [f"  {name.ljust(width)}  {what}" for name, what in here.items()]
    return "\n".join(lines)


def version():
    """The course's version, from its one place."""
    text = (setup.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^version = "(.+?)"', text, re.MULTILINE).group(1)


def main(argv):
    """Run one command; returns its exit status."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if argv[0] == "--version":
        print(f"tinyllm {version()}")
        return 0
    command, rest = argv[0], argv[1:]
    if command not in commands():
        print(f"There is no command '{command}'.\n\n{usage()}", file=sys.stderr)
        return 2
    if not setup.is_inside():
        try:
            python = setup.ensure()
        except setup.SetupError as problem:
            print(f"Set-up stopped: {problem}", file=sys.stderr)
            return 1
        return setup.hand_over([python, "-m", "course", *argv])
    os.environ.update(setup.environment())
    return importlib.import_module(module(command)).main(rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        sys.exit(130)
