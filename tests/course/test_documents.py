"""The documents are true: their commands run, their links lead somewhere, their messages can be read."""
import ast
import os
import re
import shutil
import subprocess
import sys
from functools import cache

import pytest
from anywhere import places
from documents import DOCUMENTS, name_of, text_of

from course import NOTEBOOKS, ROOT, build

PROGRAMS = ("python3 ", "python ", "torchrun ", "nbgrader ", "git ", "cd ", ".venv/bin/")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


# --- commands ----------------------------------------------------------------------------------------------------

HERE = "run here, in a clone"
EXAMPLE = "tests/course/test_documents.py::test_the_worked_example"
GUIDE = "tests/course/test_documents.py::test_the_instructors_guide"
# Command -> how it is tried: here, or by the test named, which does the same with other folders or a smaller size.
COMMANDS = {
    # README and CONTRIBUTING
    "git clone {address}": HERE,
    "cd tinyllm": HERE,
    "python3 -m course lab": "tests/anywhere/test_places.py::test_the_lab_on_a_plane_in_a_read_only_folder",
    "python tiny_llm/model.py": "tests/helpers/test_program.py::test_model_prints_a_table_of_the_todos",
    "python tiny_llm/train.py --data my.txt --out my_run":
        "tests/helpers/test_program.py::test_train_trains_goes_on_and_writes",
    "python3 -m course": HERE,
    "python3 -m course --version": HERE,
    "python3 -m course update": "tests/course/test_update.py::test_a_new_version_brings_all_work_along",
    "python3 -m course update --from FILE.zip": "tests/course/test_update.py::test_a_version_from_a_zip_or_a_folder",
    "python3 -m course reset TODO 11": HERE,
    "python3 -m course release 3b_attention": HERE,
    "python3 -m course grade 3b_attention submissions": GUIDE,
    "python3 -m course build": EXAMPLE,
    "python3 -m course test": EXAMPLE,
    "python3 -m course test --colab": "tests/anywhere/colab.py::test_in_colab",
    "python3 -m course build --check": HERE,
    "python3 -m course solve": "tests/course/test_solve.py::test_all_solved",
    "python3 -m course bench answers": "tests/course/test_bench.py::test_answers_counts_the_bank",
    "python3 -m course bench checks": "tests/course/test_bench.py::test_checks_prints_median_worst_and_sum",
    ".venv/bin/python -m pre_commit install": HERE,
    "python3 -m course welcome": "tests/helpers/test_welcome.py::test_the_command_makes_a_model_that_can_be_loaded",
    "python3 -m course sample-play": "tests/course/test_sample_play.py::test_the_command_writes_in_one_step",
    "git checkout data": HERE,
    "git checkout data/welcome_model.pt": HERE,
    "git checkout notebooks/3b_attention": HERE,
    "git status": HERE,
    # docs/grading.md
    "python3 -m course grade 3b_attention submissions --due '2026-12-01 23:59'": GUIDE,
    "python3 -m course grade 3b_attention submissions --into ../class-b": GUIDE,
    "python3 -m course grade 3b_attention submissions --student ada --regrade": GUIDE,
    ".venv/bin/jupytext --to py grading/submitted/*/3b_attention/*.ipynb grading/released/3b_attention/*.ipynb": GUIDE,
    "python3 -m course grade 3b_attention submissions --db postgresql://grader@db.example.org/tinyllm":
        "tests/course/test_grade_scale.py::test_postgresql",
    ".venv/bin/dask scheduler --host ADDRESS": "tests/course/test_grade_scale.py::cluster",
    ".venv/bin/dask worker tcp://ADDRESS:8786 --nworkers 4 --nthreads 1": "tests/course/test_grade_scale.py::cluster",
    "python3 -m course grade 3b_attention submissions --scheduler tcp://ADDRESS:8786":
        "tests/course/test_grade_scale.py::test_dask_loses_a_worker_and_nothing_else",
    "nbgrader autograde 3b_attention --force": "tests/course/test_nbgrader.py::test_the_instructors_commands",
    "nbgrader export": "tests/course/test_nbgrader.py::test_the_instructors_commands",
    # docs/training.md
    "python3 -m course bench train --seeds 3": "tests/course/test_bench.py::test_train_prints_one_json_line_per_seed",
    "python3 -m course bench train --budget 100s --seeds 3": "tests/course/test_bench.py::test_train_keeps_to_a_budget",
    "python3 -m course bench generate": "tests/course/test_bench.py::test_generate_compares_the_two",
    "python3 -m course search": "tests/course/test_bench.py::test_search_prints_a_table_of_what_helped",
    "python tiny_llm/train.py --data FILE --preset cpu --out DIR":
        "tests/helpers/test_program.py::test_train_trains_goes_on_and_writes",
    "torchrun --nproc_per_node=2 tiny_llm/train.py --data FILE --out DIR":
        "tests/helpers/test_program.py::test_two_processes_learn_what_one_learns",
}
# What needs machines that are not there; the document must say so.
NOT_TRIED = {
    "torchrun --nnodes=2 --node_rank=N --nproc_per_node=1 --master_addr=ADDRESS_OF_THE_FIRST --master_port=29500 "
    "tiny_llm/train.py --data FILE --out DIR": "two machines and graphics cards were not at hand",
}
# CONTRIBUTING's section with changes and commands; a test of its own takes them all, in their order.
WORKED = re.compile(r"^## A worked example\n.*?(?=^## )", re.MULTILINE | re.DOTALL)


def commands(text):
    """The commands of a document: the lines of its blocks without a language, and what is quoted in its sentences."""
    text = re.sub(r"^\| `.*? \| ", "", text, flags=re.MULTILINE)  # the messages of an index
    blocks = [block for language, block in FENCED.findall(text) if not language]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    quoted = re.findall(r"`([^`\n]+)`", FENCED.sub("", text).replace("`` ", "").replace(" ``", ""))
    lines += [words for words in quoted if words.startswith(PROGRAMS) or words == "python3 -m course"]
    lines = [re.sub(r"(^|\s)#.*", "", line).strip().replace(build.repository(), "{address}") for line in lines]
    return [re.sub(r"\s+", " ", line) for line in lines if line]


def found():
    """{command: the documents that have it}, without those of the worked example."""
    all_of_them = {}
    for path in DOCUMENTS:
        for command in commands(WORKED.sub("", text_of(path))):
            all_of_them.setdefault(command, []).append(name_of(path))
    return all_of_them


def cloned(folder):
    """What README's first command makes in `folder`, with the files as they are now; returns the course's folder."""
    command = next(command for command in commands(text_of(ROOT / "README.md")) if command.startswith("git "))
    done = run(command.replace("{address}", build.repository()), folder)
    assert done.returncode == 0 and (folder / "tinyllm" / "README.md").is_file(), done.stderr
    places.files_of_the_course(folder / "tinyllm")
    shutil.copytree(ROOT / "tests", folder / "tinyllm" / "tests", dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "tinyllm"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with an environment of its own."""
    folder = cloned(tmp_path_factory.mktemp("home"))
    places.copy_of_the_course(folder)
    run("git add -A && git -c user.name=A -c user.email=a@b.example commit -q -m Now", folder)
    return folder


def run(command, folder, activated=False):
    """What a shell makes of a command, with a user's own Python and the course's address leading to this folder.

    activated: this environment's programs are on the path
    """
    path = [part for part in os.environ["PATH"].split(os.pathsep) if activated or not part.startswith(sys.prefix)]
    address = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
               "GIT_CONFIG_VALUE_0": build.repository()}
    variables = places.variables(PATH=os.pathsep.join(path), OMP_NUM_THREADS="1", **address)
    return subprocess.run(command, shell=True, cwd=folder, env=variables, capture_output=True, text=True,
                          encoding="utf-8", timeout=300)


def test_each_command_is_tried_and_none_is_left_over():
    seen = found()
    assert set(seen) - set(COMMANDS) - set(NOT_TRIED) == set(), "a command of a document needs a line in COMMANDS"
    assert set(COMMANDS) | set(NOT_TRIED) <= set(seen), "no document has this command any more"
    for command, confession in NOT_TRIED.items():
        for name in seen[command]:
            assert confession in " ".join(text_of(ROOT / name).split())


@pytest.mark.parametrize("command", [command for command, how in COMMANDS.items() if how is not HERE])
def test_the_other_test_is_there_and_means_the_same(command):
    file, name = COMMANDS[command].split("::")
    source = text_of(ROOT / file)
    assert f"def {name}(" in source
    if match := re.match(r"python3 -m course (\w+)", command):
        assert re.search(rf"\b{match[1]}\b", source)


@pytest.mark.parametrize("command", [command for command, how in COMMANDS.items() if how is HERE])
def test_the_command_runs(command, clone):
    if command.startswith(("git clone", "cd ")):
        assert clone.is_dir()  # the fixture did both
        return
    done = run(command, clone)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_worked_example(clone):
    """CONTRIBUTING's changes are made one after the other, and its commands run between them: red, then green."""
    section = WORKED.search(text_of(ROOT / "CONTRIBUTING.md"))[0]
    seen = []
    for language, block in FENCED.findall(section):
        if language == "diff":
            patch = subprocess.run(["git", "apply", "-"], cwd=clone, input=block, capture_output=True, text=True)
            assert patch.returncode == 0, patch.stderr
            continue
        for line in block.splitlines():
            command, _, remark = line.partition("#")
            done = run(command, clone)
            said = done.stdout + done.stderr
            assert done.returncode == remark.strip().startswith("red"), said
            seen.append((command.strip(), said))
    said = dict(seen)  # of a command that is there twice, the second time
    assert seen[0][0] == seen[1][0] == "python3 -m course test tests/helpers/test_checks.py -k log_softmax"
    assert "assert 'log_softmax at the end' in" in seen[0][1] and "1 passed" in seen[1][1]
    assert "notebooks/2_modules/2_modules.ipynb: new" in said["python3 -m course build"]
    assert len(said["git diff --stat"].splitlines()) == 5  # two of the check, source and notebook, and the sum


@places.needs_bubblewrap
def test_the_instructors_guide(tmp_path):
    """docs/grading.md's commands, one after the other, with what two students handed in. (The sandbox sees this
    environment, and not one whose packages lie elsewhere.)"""
    clone = cloned(tmp_path)
    (clone / ".venv").symlink_to(sys.prefix)
    for student in ("ada", "bob"):
        (clone / "submissions" / student).mkdir(parents=True)
        shutil.copy(build.notebook_path("3b_attention"), clone / "submissions" / student)
    for command in commands(text_of(ROOT / "docs" / "grading.md")):
        if COMMANDS.get(command) is GUIDE:
            done = run(command, clone, activated=True)
            assert done.returncode == 0, done.stdout + done.stderr
    for folder in (clone / "grading", clone.parent / "class-b" / "grading"):
        table = text_of(folder / "reports" / "3b_attention" / "grades.csv")
        assert len(table.splitlines()) == 3 and "ada" in table and "bob" in table
        assert (folder / "feedback" / "ada" / "3b_attention" / "3b_attention.html").is_file()
    answers = clone / "grading" / "submitted" / "ada" / "3b_attention" / "3b_attention.py"
    assert "class SelfAttention" in text_of(answers)


# --- links, and files that are named -----------------------------------------------------------------------------

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:\.binder|\.ci|course|data|docs|helpers|notebooks|source|tests)/[\w./-]*)`")


def pages():
    """(path, Markdown) of each document and each notebook as learners open it."""
    for path in DOCUMENTS:
        yield path, FENCED.sub("", text_of(path))
    for name in NOTEBOOKS:
        cells = build.source_notebook(name).cells
        yield build.notebook_path(name), "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(text):
    """The anchors that GitHub gives the headings of a text."""
    titles = re.findall(r"^#+ +(.*?)[ #]*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title)).lower().replace(" ", "-") for title in titles}


def test_every_link_inside_leads_somewhere():
    texts = dict(pages())
    for path, text in texts.items():
        for target in LINK.findall(text):
            if re.match(r"https?:|mailto:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / file).resolve() if file else path
            assert there.exists() and there.is_relative_to(ROOT), f"{name_of(path)}: {target}"
            assert not anchor or anchor in anchors(texts[there]), f"{name_of(path)}: {target}"


def test_every_file_that_is_named_is_there():
    for path in DOCUMENTS:
        for target in NAMED.findall(text_of(path)):
            if "NN" not in target and not target.startswith("data/tiny"):
                assert (ROOT / target).exists(), f"{name_of(path)}: {target}"


def test_the_badges_lead_to_this_course():
    address = build.repository().removeprefix("https://github.com/")
    links = re.findall(r"\]\((https://(?:colab|mybinder)[^)]*)\)", text_of(ROOT / "README.md"))
    for link in links:
        assert f"/{address}/" in link or link.endswith(".svg")
        for file in re.findall(r"notebooks/\S+\.ipynb", link):
            assert (ROOT / file).is_file()
    assert len(links) == 4


# --- the index of messages ---------------------------------------------------------------------------------------

INDEX = ROOT / "docs" / "troubleshooting.md"
OTHERS = "## What Python, PyTorch and Jupyter say themselves"
# Errors that never reach a reader as they are: another one, or a status, carries their words.
INNER = {"SourceFailed", "KernelGone"}


def words(node):
    """The text of an expression that makes a message, with ... for what is filled in."""
    if isinstance(node, ast.Constant):
        return re.sub(r"\{[^{}]*\}", "...", node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
    return " ".join(filter(None, map(words, ast.iter_child_nodes(node))))


def pattern(message):
    """What a row of the index stands for: ... and numbers are anything."""
    return re.compile(".*".join(map(re.escape, re.split(r"(?:\.\.\.|\d[\d,.]*)", message))), re.DOTALL)


@cache
def sources():
    """{path: its syntax tree}, of what prints: the course and its helpers, and the notebooks' first cell."""
    files = [*(ROOT / "course").rglob("*.py"), *(ROOT / "helpers").rglob("*.py")]
    return {path: ast.parse(text_of(path)) for path in files if path.name != "sample_play.py"}


@cache
def texts():
    """Every text in the sources, and the whole of each expression that joins several."""
    kinds = (ast.Constant, ast.JoinedStr, ast.BinOp, ast.Call, ast.Return)
    return {" ".join(words(node).split()) for tree in sources().values() for node in ast.walk(tree)
            if isinstance(node, kinds)}


def rows():
    """The messages of the index that are ours."""
    text = text_of(INDEX).partition(OTHERS)[0]
    cells = re.findall(r"^\| (`.*?) \| .* \|$", text, re.MULTILINE)
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


def errors_of_ours():
    """{path and line: words} of each error with a sentence that the course defines and raises itself."""
    kinds = {node.name for tree in sources().values() for node in ast.walk(tree)
             if isinstance(node, ast.ClassDef) and any("Error" in ast.unparse(base) or ast.unparse(base) == "Exception"
                                                       for base in node.bases)} - INNER
    raised = {}
    for path, tree in sources().items():
        if (ROOT / "helpers" / "checks") in path.parents:
            continue  # what is wrong with an answer is told there, in as many ways as there are answers
        for node in ast.walk(tree):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] in kinds:
                raised[f"{name_of(path)}:{node.lineno}"] = " ".join(words(call).split())
    return raised


def test_every_message_of_the_index_can_be_read():
    assert [message for message in rows() if not any(pattern(message).search(text) for text in texts())] == []


def test_every_error_has_its_row():
    index = [pattern(message) for message in rows()]
    missing = {place: said for place, said in errors_of_ours().items()
               if re.search(r"[a-z]{3}", said) and not any(row.search(said) for row in index)}
    assert missing == {}, "docs/troubleshooting.md needs a row for it"


# --- what is said of the code ------------------------------------------------------------------------------------

def test_helpers_never_import_the_course():
    for path, tree in sources().items():
        if ROOT / "helpers" in path.parents:
            names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
            names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert "course" not in {name.partition(".")[0] for name in names}, name_of(path)


def test_the_version_stands_in_one_place():
    version = re.search(r'^version = "([\d.]+)"', text_of(ROOT / "pyproject.toml"), re.MULTILINE)[1]
    python = getattr(sys, "_base_executable", sys.executable)  # with nothing but the standard library: -S
    told = subprocess.run([python, "-S", "-m", "course", "--version"], cwd=ROOT, env=places.variables(),
                          capture_output=True, text=True)
    assert told.stdout == f"tinyllm {version}\n", told.stderr
    assert re.search(r"^## (\d\S+) \(\d{4}-\d\d-\d\d\)$", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)[1] == version
