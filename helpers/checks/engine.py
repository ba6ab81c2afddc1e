"""What all 31 checks share, and what their author reads first: how a check is written. How a learner's code is run
safely is in guard.py; how results are compared and findings put into words is in compare.py.

A check is a function decorated with `@check(n)`. It gets a `Trial` and the learner's answers, runs them with
`trial.call`, compares with PyTorch's own result (`trial.equal`, `trial.against`), and returns a line on what was
compared. What is wrong leaves as `Wrong`, which the decorator turns into one `AssertionError` with a readable message.

A known misconception is one entry in a check's table:

    Mistake("no scale", "your weights equal softmax(q k^T), not divided by sqrt(C)",
            line="weights = softmax(q k^T / sqrt(C))", hint=1,
            makes=lambda case: attend(case, scale=1.0))

`makes(case)` returns what an answer with this mistake gives. When the learner's result differs from the truth and
equals that, the message names the mistake. The table can only name: it never decides whether an answer is right.
"""
import contextlib
import copy
import dataclasses
import math
import random
import re
import typing

import torch
from torch import nn

from helpers.checks import compare, guard
from helpers.checks.compare import difference, kind_of, same, sentence

SINGLE, DOUBLE, HALF = torch.float32, torch.float64, torch.bfloat16


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A known misconception. `makes(case)` gives the outcome it leads to (a None in a tuple: that part is free);
    `raises(case, error)` says whether an exception is its sign. One of the two is enough."""
    name: str
    says: str
    makes: typing.Callable | None = None
    line: str = ""                # the line of the formula it concerns
    hint: int = 1                 # which of the two hints helps
    raises: typing.Callable | None = None


class Wrong(Exception):
    """Inside a check: the answer is wrong. `name` is the known mistake; `kind` is what can be said of any answer
    ("wrong shape", "gradient cut") and is shown when there is no name. `error` is the learner's exception."""

    def __init__(self, says, name=None, line="", hint=1, *, kind=None, case=None, error=None, picture=None):
        super().__init__(says)
        self.says, self.name, self.line, self.hint = says, name, line, hint
        self.kind, self.case, self.error, self.picture = kind, case, error, picture
        self.printed = self.repaired = ""


class Unfinished(Exception):
    """Inside a check: the learner's code raised NotImplementedError("TODO n")."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


def mistake_made(mistake, case=None):
    """The Wrong that names `mistake`."""
    return Wrong(mistake.says, mistake.name, mistake.line, mistake.hint, case=case)


def named(mistakes, case, got):
    """Raise the named Wrong of the first mistake whose result is exactly `got` (lists, text, numbers)."""
    for mistake in mistakes:
        try:
            fits = mistake.makes is not None and mistake.makes(case) == got
        except Exception:  # this mistake cannot be made in this case
            continue
        if fits is True:
            raise mistake_made(mistake, case)


def raised(mistakes, case, wrong):
    """The same for an exception that the learner's code raised; else `wrong` again."""
    wrong.case = wrong.case or case
    for mistake in mistakes:
        if wrong.error is not None and mistake.raises and mistake.raises(case, wrong.error):
            raise mistake_made(mistake, case) from None
    raise wrong


# While a class is graded: the TODOs whose checks run, each in the cell of its test. A check lends out pieces of the
# course, and nobody is to call it for these.
awake = None


def check(todo, *, pieces=None, forbids=()):
    """Make the public `todo_N(*answers, seed=None, quiet=False)` out of `function(trial, *answers)`.

    The function returns the text that follows "TODO N passed: ". `pieces` maps the names of other pieces of the
    course that an answer may use as globals to PyTorch's stand-ins: they are put there while the check runs, so that
    an earlier mistake costs only the earlier TODO. `forbids` are parts of the names of PyTorch's functions that the
    TODO asks to write: an answer that calls one is told so.
    """
    pieces = pieces or {}

    def decorate(function):
        def public(*answers, seed=None, quiet=False):
            if awake is not None and todo not in awake:
                return
            theirs = guard.mend()  # first of all: until then not even isinstance can be trusted
            try:
                seed = guard.fresh_seed() if seed is None else seed
                with guard.as_found():
                    says, wrong = _judge(function, Trial(todo, seed, forbids), answers, pieces)
                    if isinstance(wrong, Wrong) and guard.has_own(answers, pieces):
                        # Perhaps the learner's own pieces fit together in another way than the contract's do.
                        again, still = _judge(function, Trial(todo, seed, forbids), answers, {})
                        says, wrong = (says, wrong) if still else (again, None)
                error = None
                if isinstance(wrong, Unfinished):
                    error = wrong.error
                elif wrong is not None:
                    compare.show_picture(wrong)
                    error = AssertionError(compare.message(todo, wrong, answers, seed))
                else:
                    if not quiet:
                        print(compare.ascii_only(f"TODO {todo} passed: {says}"))
                    _keep(todo, answers)
                if not quiet:
                    _record(todo, answers, wrong is None)
            finally:
                guard.put_back(theirs)
            if error is not None:
                raise error from None

        public.__name__ = public.__qualname__ = f"todo_{todo}"
        public.__doc__, public.__module__ = function.__doc__, function.__module__
        public.todo, public.forbids = todo, forbids
        return public
    return decorate


def _judge(function, trial, answers, pieces):
    """Run one check in a safe place -> (text, None) or (None, Wrong or Unfinished)."""
    def work():
        try:
            return function(trial, *answers), None
        except (Wrong, Unfinished) as wrong:
            return None, wrong
        except guard.TimeUp:
            raise
        except BaseException as error:  # an object that misbehaves when merely looked at ends here
            return None, Wrong(compare.describe(error))

    with guard.substitute(answers, pieces), guard.quiet() as printed:
        torch.manual_seed(trial.seed)
        random.seed(trial.seed)
        outcome = guard.in_time(work)
    says, wrong = outcome or (None, Wrong(f"it did not finish within {guard.TIME_LIMIT:g} seconds. Is there a loop "
                                          "that never ends?", kind="too slow"))
    if wrong is None and trial.repaired:
        says = f"{says} ({trial.repair_note()})"
    if isinstance(wrong, Wrong):
        wrong.printed, wrong.repaired = printed.text(), trial.repair_note()
    return says, wrong


def _keep(todo, answers):
    """Hand a right answer to helpers.parts (imported here, because it imports the checks)."""
    from helpers import parts
    parts.keep(todo, *answers)


def _record(todo, answers, right):
    """Tell helpers.progress() how the check ended."""
    from helpers.progress import record
    record(todo, answers, right)


class Trial:
    """What a check works with: random inputs, a guarded `call`, comparison."""

    def __init__(self, todo, seed, forbids=()):
        self.todo, self.seed, self.forbids = todo, seed, tuple(forbids)
        self.rng = random.Random(seed)                      # for sizes and choices
        self.gen = torch.Generator().manual_seed(seed)      # for tensors
        self.repaired = set()                               # earlier TODOs that were replaced for this check
        self.suspects = []                                  # mistakes that other cases of this check showed
        self.in_vain = 0                                    # how often no mistake of the table fitted
        self.made = {}                                      # what `once` made
        self.random_states = {}                             # PyTorch's random state after each call -> that before it

    def repair_note(self):
        if not self.repaired:
            return ""
        which = " and ".join(f"TODO {n}" for n in sorted(self.repaired))
        return f"{which} is not right yet and was repaired for this check"

    # --- inputs --------------------------------------------------------------------------------------------------

    def sizes(self, *ranges):
        """One random size from each (low, high), all different, so that no two dimensions can be confused."""
        while True:
            sizes = [self.rng.randint(low, high) for low, high in ranges]
            if len(set(sizes)) == len(sizes):
                return sizes

    def randn(self, *shape, dtype=torch.float64):
        return torch.randn(*shape, generator=self.gen, dtype=torch.float64).to(dtype)

    def randint(self, high, *shape):
        return torch.randint(high, shape, generator=self.gen)

    def fill(self, module, scale=1.0):
        """Random weights of a size that makes every part of a layer count (PyTorch's own start is much smaller)."""
        with torch.no_grad():
            for parameter in module.parameters():
                fan_in = parameter.shape[-1] if parameter.dim() > 1 else 1
                parameter.copy_(self.randn(*parameter.shape) * scale / math.sqrt(fan_in))
        return module

    # --- running the learner's code ------------------------------------------------------------------------------

    def call(self, function, *args, keep_inputs=True, mode=None, **kwargs):
        """Run the learner's code; whatever it raises becomes Wrong, and its inputs must stay as they were."""
        before, random_before = guard.copies((args, kwargs)), torch.get_rng_state()
        calls = guard.Calls(self.forbids) if self.forbids else contextlib.nullcontext()
        try:
            with mode or calls:
                result = function(*args, **kwargs)
        except (Wrong, Unfinished, guard.TimeUp, guard.Elsewhere):
            raise
        except NotImplementedError as error:
            if re.fullmatch(r"TODO \d+", compare.text_of(error)):
                raise Unfinished(error) from None
            raise Wrong(compare.describe(error), error=error) from None
        except BaseException as error:
            raise Wrong(compare.describe(error), error=error) from None
        finally:
            guard.mend()
            left = guard.reset_modes()
        if left:
            raise Wrong(f"it leaves {left} for everything that runs after it.", kind="global setting left changed")
        if self.forbids and calls.found:
            raise Wrong(f"it calls PyTorch's own {calls.found[0]}. Here you write that part yourself, from smaller "
                        "operations.", kind="PyTorch's own layer")
        if keep_inputs:
            self.unchanged(before, (args, kwargs))
        self.seeds_nothing(random_before)
        return result

    def unchanged(self, before, args):
        """Raise Wrong if the arguments are not what their copies are."""
        what = guard.changed(before, args)
        if what == "tensor":
            raise Wrong("it changes its input in place (for example with +=, masked_fill_ or x[...] = ...): the "
                        "caller's tensor is not the same after the call.", kind="changes its input")
        if what:
            raise Wrong(f"it changes its input: the caller's {what} is not the same after the call.",
                        kind="changes its input")

    def seeds_nothing(self, before):
        """Raise Wrong if the call that began with the random state `before` ended with the state that another call
        ended with, which began otherwise: then the seed is set inside."""
        before, after = bytes(before.numpy()), bytes(torch.get_rng_state().numpy())
        if after != before:
            torch.rand(())  # so that the next call does not begin where this one ended
            if self.random_states.setdefault(after, before) != before:
                raise Wrong("it sets the random seed: whatever is random after it would be the same each time.",
                            kind="sets the random seed")

    def refuses(self, function, *args, because, error=ValueError, **kwargs):
        """The contract's error must be raised, with a sentence; `because` says what makes no sense, e.g.
        "embed_dim 7, num_heads 2"."""
        before = guard.copies(args)
        try:
            result = self.call(function, *args, **kwargs)
        except Wrong as wrong:
            if wrong.error is None:
                raise
            if not isinstance(wrong.error, error):
                raise Wrong(f"for {because} it should raise {error.__name__} with a sentence. {sentence(wrong.says)}",
                            kind="wrong kind of error") from None
            if error is ValueError and not re.search(r"[^\W\d_]{2}", compare.text_of(wrong.error)):
                raise Wrong(f"for {because} it raises {error.__name__} without a sentence: say what is wrong.",
                            kind="error without a sentence") from None
            return self.unchanged(before, args)
        raise Wrong(f"for {because} it should raise {error.__name__}, but it returns {kind_of(result)}.",
                    kind="no error raised")

    def cases(self, cases, run, patterns=None):
        """Run `run(case)` for every case; when some fail, the pattern of failures may itself name the mistake.

        A mistake that two of the failing cases show, or a third of them, comes first (one that fits only a special case
        would mislead); then "works only for ...", when all cases that pass share something that none of the failing
        ones has; then the first failure.
        """
        passed, failed = [], []
        for case in cases:
            try:
                run(case)
                passed.append(case)
            except Wrong as wrong:
                if passed and not failed and not wrong.name and wrong.kind in (None, "wrong shape"):
                    self.forgets(run, case)
                if wrong.kind in ("changes its input", "mode changed", "weights changed"):
                    wrong.name = wrong.kind  # whatever the cases in which it happens have in common
                wrong.case = wrong.case or case
                failed.append(wrong)
                alike = [w for w in failed if w.name and w.name == wrong.name]
                if len(alike) == min(2, len(cases)):
                    raise alike[0] from None
        if not failed:
            return
        names = [wrong.name for wrong in failed if wrong.name]
        most = max(names, key=names.count, default=None)
        if names and names.count(most) * 3 >= len(failed):
            raise next(wrong for wrong in failed if wrong.name == most)
        name = compare.pattern(passed, [wrong.case for wrong in failed], patterns)
        if name:
            failed[0].name = f"works only {name}"
            failed[0].says = f"your answer is right {name}, but not in general: {failed[0].says}"
            raise failed[0]
        failed[0].name = None
        raise failed[0]

    def once(self, key, make):
        """make() the first time, and the same again for the same key: a module is called many times in its life."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def forgets(self, run, case):
        """Raise Wrong if this case, which failed, is right with modules that nobody called before."""
        if self.made:
            self.made.clear()
            try:
                run(case)
            except Wrong:
                return
            raise Wrong("a new instance gives the right result, but one that was called before with another input does "
                        "not: it keeps something from call to call (a mask, a size, a table?).",
                        name="remembers an earlier call", case=case)

    # --- comparing -----------------------------------------------------------------------------------------------

    def parts(self, result, names):
        """The learner's result as a tuple with one entry per name."""
        if len(names) == 1:
            if type(result) in (tuple, list):
                raise Wrong(f"it should return one tensor, the {names[0]}, but it returns {kind_of(result)}.",
                            kind="wrong number of results")
            return (result,)
        if result is None:
            raise Wrong("it returns None. Is the line with return missing?", kind="nothing returned")
        if not isinstance(result, (tuple, list)) or len(result) != len(names):
            raise Wrong(f"it should return {len(names)} things, ({', '.join(names)}), but it returns "
                        f"{kind_of(result)}.", kind="wrong number of results")
        return tuple(result)

    def equal(self, names, got, expected, mistakes=(), case=None, dtype=None, tolerance=None):
        """Compare tensors (or tuples of them) with the truth; a difference raises Wrong, named where it is known.

        `expected` may be float64 for float32 answers. `dtype` is what the contract asks for ("exact": expected's own).
        `tolerance` is a number or a tensor of absolute tolerances; by default what rounding in `dtype` explains.
        """
        if isinstance(names, str):
            names, got, expected = (names,), (got,), (expected,)
        for name, mine, right in zip(names, got, expected):
            says = difference(name, mine, right, right.dtype if dtype == "exact" else dtype, tolerance)
            if says:
                if says.kind is None and mine.numel() > 1 and not mine.any():
                    raise Wrong(f"every number of the {name} is 0.", name="all zero", case=case)
                wrong_ones = [(n, r, m) for n, m, r in zip(names, got, expected) if type(m) is torch.Tensor
                              and not same(m, r, tolerance=tolerance)]
                picture = next((p for p in wrong_ones if p[0] in compare.DRAWN), (name, right, mine))
                try:
                    self.name_it(mistakes, case, got, tolerance, expected)
                except Wrong as wrong:
                    wrong.picture = picture
                    raise
                kind, hint = compare.relation(mine, right) if says.kind in (None, "wrong shape") else (None, "")
                raise Wrong(hint + sentence(says.text), kind=kind or says.kind, case=case, picture=picture)

    def name_it(self, mistakes, case, got, tolerance=None, expected=None):
        """Raise a named Wrong if `got` (a tuple) equals what one of the mistakes gives."""
        # Trying a whole table takes long: what fitted another case comes first, and three times in vain is enough.
        likely = [mistake for mistake in mistakes if mistake in self.suspects]
        rest = [mistake for mistake in mistakes if mistake not in likely] if self.in_vain < 3 else []
        mistake = compare.mistake_that_makes(got, likely + rest, case, tolerance, expected)
        if mistake is None:
            self.in_vain += 1
            return
        self.suspects.append(mistake)
        raise mistake_made(mistake, case)

    def facts(self, got, expected, mistakes=(), case=None):
        """Compare two dicts of plain facts (see `layer_facts`); a mistake's `makes` gives the facts it changes."""
        wrong = [key for key, value in expected.items() if got.get(key, "missing") != value]
        if not wrong:
            return
        for mistake in mistakes:
            made = mistake.makes(case) if mistake.makes else {}
            if any(key in wrong for key in made) and all(got.get(key, "missing") == made[key] for key in made):
                raise mistake_made(mistake, case)
        mine = got.get(wrong[0], "missing")
        raise Wrong(f"{wrong[0]} should be {expected[wrong[0]]}, but it is {mine}.", case=case)

    def against(self, mine, truth, inputs, *, names=("output",), dtype=torch.float32, mistakes=(), case=None,
                gradients=True, through=1):
        """Compare the learner's module with PyTorch's on the same inputs and weights: results, then gradients.

        Gradients are compared through the first `through` results. `truth` is float64; floating inputs are given in
        float64 and reach the learner's module in `dtype`.
        """
        x, *rest = inputs
        x = x.to(dtype) if x.is_floating_point() else x
        exact = x.double() if x.is_floating_point() else x  # the truth sees the same rounded numbers
        exact = exact.clone().requires_grad_(exact.is_floating_point())
        expected = truth(exact, *rest)
        expected = expected if isinstance(expected, tuple) else (expected,)
        leaf = x.detach().clone().requires_grad_(gradients and exact.requires_grad)

        def answer():  # gets a copy that is no leaf: PyTorch forbids in-place changes of a leaf only
            with self.left_alone(mine):
                return self.parts(self.call(mine, leaf * 1 if leaf.requires_grad else leaf, *rest), names)

        try:
            got = answer()
        except Wrong as wrong:
            for mistake in mistakes:
                if wrong.error is not None and mistake.raises and compare.holds(mistake.raises, case, wrong.error):
                    raise mistake_made(mistake, case) from None
            raise
        try:
            self.equal(names, got, expected, mistakes, case, dtype)
        except Wrong as wrong:
            if wrong.name is None and wrong.kind is None and not all(map(same, answer(), got)):
                wrong.name, wrong.says = "random results", "two calls with the same input give different results"
            raise
        if gradients:
            self.gradients(mine, truth, leaf, exact, got[:through], expected[:through], names, dtype)
        return got

    @contextlib.contextmanager
    def left_alone(self, module):
        """Raise Wrong if a call changes the weights or the modes of the learner's module."""
        if not isinstance(module, nn.Module):
            yield
            return
        modes = [(part, part.training) for part in module.modules()]
        weights = [(name, p, p.detach().clone()) for name, p in module.named_parameters()]
        yield
        for part, mode in modes:
            if part.training != mode:
                raise Wrong(f"the call leaves {type(part).__name__} in {'evaluation' if mode else 'training'} mode; it "
                            f"was in {'training' if mode else 'evaluation'} mode before.", kind="mode changed")
        for name, parameter, before in weights:
            if not torch.equal(parameter, before):
                raise Wrong(f"the call changes the module's own {name}: only the optimizer may change weights.",
                            kind="weights changed")

    def gradients(self, mine, truth, leaf, exact, got, expected, names, dtype):
        """Gradients of a random weighted sum of the results, for the input and for every parameter of the truth."""
        weigh = [self.randn(*e.shape) for e in expected]
        wanted = {"the input": exact} if exact.requires_grad else {}
        wanted |= dict(truth.named_parameters()) if isinstance(truth, nn.Module) else {}
        if not wanted:
            return
        right = torch.autograd.grad(sum((e * w).sum() for e, w in zip(expected, weigh)), list(wanted.values()),
                                    allow_unused=True)
        own = dict(mine.named_parameters(remove_duplicate=False)) if isinstance(mine, nn.Module) else {}
        for name, part, e in zip(names, got, expected):
            if e.requires_grad and not part.requires_grad:
                raise Wrong(f"the {name} is cut off from the graph (detach, no_grad, .data, .item() or a new "
                            "torch.tensor(...)): no gradient can flow back through it.", kind="gradient cut")
        total = sum((g * w.to(g.dtype)).sum() for g, w in zip(got, weigh) if g.requires_grad)
        leaves = [leaf if name == "the input" else own[name] for name in wanted]
        found = self.call(torch.autograd.grad, total, leaves, allow_unused=True, keep_inputs=False)
        says = compare.gradients_differ(list(wanted), found, right, dtype)
        if says:
            raise Wrong(says.text, kind=says.kind)

    def elsewhere(self, mine, inputs, names=("output",)):
        """Does the answer work where its input lives? The inputs (and the module's own tensors) pretend to live on
        another device; a tensor made without device=... does not."""
        args = [x.clone() if _is_tensor(x) else x for x in inputs]
        guard.Faraway.send(*[x for x in args if _is_tensor(x)])
        if isinstance(mine, nn.Module):
            guard.Faraway.send(*mine.parameters(), *mine.buffers())
        stays = Wrong("it does not work on another device: a tensor that you make (or keep as a plain attribute) stays "
                      "on the processor while the input lives elsewhere. Make it with device=x.device.",
                      name="hard-coded device")
        pretence = guard.Faraway()
        try:
            got = self.parts(self.call(mine, *args, mode=pretence, keep_inputs=False), names)
        except guard.Elsewhere:
            raise stays from None
        except Wrong:
            return  # it failed for a reason that only the pretence has
        if not pretence.undecided and not all(guard.Faraway.sent(g) for g in got if _is_tensor(g)):
            raise stays

    # --- building ------------------------------------------------------------------------------------------------

    def build(self, cls, args, like, todo, **attributes):
        """An instance of the learner's class for a check of its `forward`, with the parts of the contract.

        `like` is the stand-in with the same parts. A part that is missing, of another kind or not separate from an
        earlier one is replaced by a copy of like's, and `todo` (the __init__) is reported as repaired. Everything else
        that __init__ made stays.
        `attributes` (num_heads, ...) are set where __init__ did not get so far.
        """
        module_class(cls)
        module = cls.__new__(cls)
        try:
            self.call(module.__init__, *args)
        except (Wrong, Unfinished):
            self.repaired.add(todo)
        if "_modules" not in module.__dict__:
            kept = dict(module.__dict__)
            nn.Module.__init__(module)
            module.__dict__.update(kept)
        taken, rightly = set(), set()  # where the weights of the parts so far lie, and those of like's parts
        for name, part in like.named_children():
            mine, tied = module._modules.get(name), places(part) & rightly
            if not compare.same_kind(mine, part) or (places(mine) & taken and not tied):
                for store in (module.__dict__, module._parameters, module._buffers, module._modules):
                    store.pop(name, None)
                module._modules[name] = copy.deepcopy(part)
                self.repaired.add(todo)
            taken |= places(module._modules[name])
            rightly |= places(part)
        if todo in self.repaired:
            for name, value in attributes.items():
                if name not in module.__dict__ and not hasattr(module, name):
                    setattr(module, name, value)
        return module

    def layers(self, module, like):
        """After an __init__: are all the layers that `like` (the stand-in) has there, of the right kind and size, and
        with numbers of their own, not those of an instance that this check made before?"""
        found = compare.layers_differ(module, like)
        earlier = self.once("instances", list)
        for other in earlier:
            found = found or compare.instances_differ(module, other, like)
        earlier.append(module)
        if found:
            raise Wrong(found.text, found.name, kind=found.kind)

    def make(self, cls, *args, **kwargs):
        """An instance of the learner's class, for a check of its __init__."""
        module_class(cls)
        module = self.call(cls, *args, **kwargs)
        if not isinstance(module, nn.Module):
            raise Wrong(f"making your class gives {kind_of(module)}.", kind="not a module class")
        return module

    def same_weights(self, mine, truth, dtype=torch.float32):
        """Put truth's weights (float64) into the learner's module -> (mine in `dtype`, truth with the same numbers)."""
        mine.to(dtype)
        own = dict(mine.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, parameter in truth.named_parameters():
                own[name].copy_(parameter)
                parameter.copy_(own[name])  # rounded to dtype, so that both hold the same numbers
        return mine, truth


def _is_tensor(value):
    return isinstance(value, torch.Tensor)


def places(module):
    """Where the module's weights lie in memory."""
    return {parameter.data_ptr() for parameter in module.parameters()}


def module_class(cls):
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise Wrong(f"the check needs your class, derived from nn.Module, but it got {kind_of(cls)}.",
                    kind="not a module class")
