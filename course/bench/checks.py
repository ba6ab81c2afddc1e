"""`bench checks` and `bench answers`: how fast the checks are, and how good, on the bank in tests/answers/."""
import dataclasses
import statistics
import sys
import time

from course import ROOT

TODOS = range(1, 32)
TIMES = 5  # runs of each check


def add_to(commands):
    """The two commands' arguments."""
    for name, told in (("checks", "the speed of each check"), ("answers", "what they make of the bank's answers")):
        parser = commands.add_parser(name, help=told)
        parser.add_argument("todos", nargs="*", type=int, metavar="TODO", help="for example 11 13 (all)")
        parser.set_defaults(run=run, what=name, parser=parser)
    parser.add_argument("--seeds", type=int, default=2, help="random inputs of so many kinds for each answer (2)")


def run(options):
    """Print one of the two tables; returns 0, or 1 when an answer of the bank is judged wrongly."""
    unknown = [todo for todo in options.todos if todo not in TODOS]
    if unknown:
        options.parser.error(f"there is no TODO {unknown[0]}, only 1 to 31")
    if str(ROOT / "tests") not in sys.path:
        sys.path.insert(0, str(ROOT / "tests"))
    todos = options.todos or TODOS
    if options.what == "checks":
        return print_speed(todos)
    if options.seeds < 1:
        options.parser.error("--seeds should be at least 1")
    return print_scores(todos, range(options.seeds))


# --- checks ------------------------------------------------------------------------------------------------------

def seconds(todo):
    """Wall-clock seconds of TIMES checks of the bank's first right answer to `todo`, in the order they ran.

    The first may be slower, where PyTorch imports something only when it is needed.
    """
    import answers

    answer = next(a for a in answers.cases(todo) if a.kind == "right")
    taken = []
    for seed in range(TIMES):
        start = time.perf_counter()
        failure = answers.outcome(answer, seed)
        taken.append(time.perf_counter() - start)
        if failure is not None:
            raise failure
    return taken


def print_speed(todos):
    """One line per TODO: median and worst of TIMES passing checks; then their sums."""
    print(f"seconds of a passing check, {TIMES} times each\n\nTODO  median   worst")
    medians, worsts = [], []
    for todo in todos:
        taken = seconds(todo)
        medians.append(statistics.median(taken))
        worsts.append(max(taken))
        print(f"{todo:4}  {medians[-1]:6.3f}  {worsts[-1]:6.3f}", flush=True)
    print(f" sum  {sum(medians):6.3f}  {sum(worsts):6.3f}")
    return 0


# --- answers -----------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Score:
    """What the check of one TODO makes of its answers. An answer counts when it is judged well with every seed."""
    wrong: int = 0
    caught: int = 0
    named: int = 0   # wrong ones whose message says which mistake it is
    right: int = 0
    passed: int = 0
    misjudged: list = dataclasses.field(default_factory=list)  # the answers behind a caught < wrong or passed < right

    def __add__(self, other):
        return Score(*(getattr(self, f.name) + getattr(other, f.name) for f in dataclasses.fields(self)))

    def __str__(self):
        return f"{self.caught:6} / {self.wrong:<4}  {self.passed:6} / {self.right:<4}  {self.named:4} / {self.wrong:<4}"


def score(todo, seeds):
    """The Score of one TODO's check on its answers in the bank."""
    import answers

    found = Score()
    for answer in answers.cases(todo):
        outcomes = [answers.outcome(answer, seed) for seed in seeds]
        if answer.kind == "right":
            well = all(outcome is None for outcome in outcomes)
            found.right += 1
            found.passed += well
        else:
            well = all(outcome is not None for outcome in outcomes)
            found.wrong += 1
            found.caught += well
            found.named += well and answer.named is not None and all(answer.named in str(o) for o in outcomes)
        found.misjudged += [] if well else [answer]
    return found


def print_scores(todos, seeds):
    """One line per TODO and one for all; then the answers that are misjudged, if any."""
    print(f"answers of the bank, each with {len(seeds)} seed{'s' * (len(seeds) > 1)}\n")
    print("TODO  wrong caught   right passed  named / wrong")
    total = Score()
    for todo in todos:
        found = score(todo, seeds)
        total += found
        print(f"{todo:4}  {found}".rstrip(), flush=True)
    print(f" all  {total}".rstrip())
    for answer in total.misjudged:
        print(f"misjudged: {answer}")
    return 1 if total.misjudged else 0
