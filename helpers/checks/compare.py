"""Comparing a learner's result with the truth, and saying what is wrong in words: no judgement here, only findings.

`difference` and `same` compare tensors, `relation` tells how a wrong tensor may come from the right one,
`layers_differ` and `layer_facts` look at the parts of a module, `mistake_that_makes`, `pattern` and `kind_of_error`
name the mistake, `message` writes it all down.
"""
import dataclasses
import itertools
import linecache
import os
import sys

import torch
from torch import nn

DRAWN = ("weights", "mask", "table")  # results that a notebook shows beside the right ones
NOT_THEIRS = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
              os.path.dirname(os.__file__), "<frozen")  # files with these beginnings are not the learner's


# ---------------------------------------------------------------------------------------------------------------
# Two tensors

@dataclasses.dataclass
class Difference:
    """What is wrong: a sentence, what can be said of any answer ("wrong shape"), and the mistake's name if known."""
    text: str
    kind: str | None = None
    name: str | None = None


def difference(what, got, expected, dtype=None, tolerance=None, loose=1):
    """None when `got` is the tensor `expected`, up to rounding; else a Difference that says where and how much.

    `dtype` is what `got` must have (None: any floating one for floating numbers). `tolerance` is absolute, a number or
    a tensor; by default what rounding explains.
    """
    many = what.endswith("s") and not what.startswith("result")
    is_, has, holds, it_is = ("are", "have", "hold", "they are") if many else ("is", "has", "holds", "it is")
    what = f"the {what}" if what else "it"
    dtype = dtype or (expected.dtype if not expected.is_floating_point() else None)
    if got is None:
        return Difference(f"{what} {is_} None. Is a return missing?", "nothing returned")
    if type(got) is not torch.Tensor:
        return Difference(f"{what} should be a torch.Tensor, but {it_is} {kind_of(got)}.", "not a tensor")
    if got.is_sparse or got.layout != torch.strided:
        return Difference(f"{what} should be an ordinary dense tensor, but its layout is {got.layout}.", "not dense")
    if got.shape != expected.shape:
        return Difference(f"{what} {has} shape {tuple(got.shape)}, expected {tuple(expected.shape)}.", "wrong shape")
    if got.is_complex():
        return Difference(f"{what} should hold real numbers, but its dtype is {dtype_name(got.dtype)}.", "wrong dtype")
    if got.dtype != dtype if dtype else not got.is_floating_point():
        dtype = dtype or expected.dtype
        return Difference(f"{what} {has} dtype {dtype_name(got.dtype)}, expected {dtype_name(dtype)}.", "wrong dtype")
    if got.device.type != expected.device.type:
        return Difference(f"{what} {is_} on device {got.device}, expected {expected.device}.", "wrong device")
    wrong = _wrong(got, expected, tolerance, loose)
    if not wrong.any():
        return None
    mine, right = got.detach().double(), expected.detach().double()
    odd = ~torch.isfinite(mine) & (mine != right)
    if odd.any():
        bad = "NaN" if torch.isnan(mine).any() else "an infinite number"
        return Difference(f"{what} {holds} {bad}, first at position {_first(odd)}.", "NaN or infinite numbers")
    where = _first(wrong)
    right_one, mine_one = two_numbers(right[tuple(where)], mine[tuple(where)])
    found = f"{what} {is_} not right: "
    if not where:
        return Difference(f"{found}expected {right_one}, yours is {mine_one}.")
    return Difference(f"{found}the first difference is at position {where}: expected {right_one}, yours is {mine_one}. "
                      f"{int(wrong.sum())} of {wrong.numel()} numbers differ, by up to "
                      f"{_number((mine - right).abs().nan_to_num().max())}.")


def same(got, expected, dtype=None, tolerance=None):
    """True when difference() finds none."""
    return difference("", got, expected, dtype, tolerance) is None


def _wrong(got, expected, tolerance, loose):
    """Which numbers differ by more than rounding explains (bool, of the common shape).

    Rounding: for results made of some hundred operations on numbers of size one, float32 stays far below 2e-5 of the
    largest value, float64 below 1e-10. Known mistakes are thousands of times larger.
    """
    mine, right = got.detach().double(), expected.detach().double()
    if tolerance is None and mine.numel():
        whole = not (got.is_floating_point() or expected.is_floating_point())
        relative, absolute = (0, 0) if whole else (1e-10, 1e-12) if got.dtype == torch.float64 else (2e-5, 1e-6)
        tolerance = absolute + relative * float(right.abs().max())
    close = (mine - right).abs() <= (0 if tolerance is None else tolerance) * loose
    return ~(close | (mine == right))  # equal infinities are equal; a NaN in either is a difference


def relation(mine, right):
    """How a wrong tensor may come from the right one, whatever the task: (name, sentence), or (None, "")."""
    mine, right = mine.detach(), right.detach().to(mine.dtype)
    if mine.numel() < 2 or not mine.is_floating_point():
        return None, ""

    def found(other):
        return same(mine, other)

    if mine.shape == right.shape:
        factor = float((mine * right).sum() / (right * right).sum().clamp(min=1e-30))
        if found(right * factor) and factor:
            return "off by a factor", f"it is everywhere {_number(factor)} times what it should be. "
        if found(right + (mine - right).mean()):
            return "off by a constant", f"it is everywhere {_number((mine - right).mean())} too high. "
    if mine.shape != right.shape and [s for s in mine.shape if s > 1] == [s for s in right.shape if s > 1] \
            and found(right.reshape(mine.shape)):
        lost = mine.dim() < right.dim()
        return ("dimension of size 1 lost", "a dimension of size 1 is lost (squeeze?). ") if lost else (
            "extra dimension", "the right numbers, with a dimension of size 1 too many. ")
    for d in range(right.dim()):
        if mine.shape == right.shape and found(right.flip(d)):
            return "reversed", f"dimension {d} is in reverse order. "
        for name, reduced in (("added up", right.sum(d)), ("averaged", right.mean(d))):
            if found(reduced) or found(reduced.unsqueeze(d)):
                return f"{name} over a dimension", f"it is {name} over dimension {d}, which should stay. "
    for order in itertools.permutations(range(right.dim())) if right.dim() < 5 else ():
        if list(order) != sorted(order) and found(right.permute(order)):
            return "dimensions in another order", f"the right numbers, but the dimensions come in the order {order}. "
    if mine.numel() == right.numel() and found(right.reshape(mine.shape)):
        return "wrong shape", "the right numbers in the right order, but in another shape. "
    return None, ""


def gradients_differ(names, found, right, dtype):
    """The first Difference between the gradients found and the right ones, or None."""
    largest = max(float(r.abs().max()) for r in right if r is not None)
    # Where gradients cancel to nothing (the bias of a key), rounding is that of what cancels.
    relative, absolute = (1e-10, 1e-12) if dtype == torch.float64 else (2e-5, 1e-6)
    least = absolute + relative * largest / 10
    for name, g, r in zip(names, found, right):
        if r is None:
            continue
        if g is None:
            if r.abs().max() < 1e-12:
                continue
            return Difference(f"the results are right, but no gradient reaches {name}: somewhere the graph is cut "
                              "(detach, no_grad, .data, .item() or a new torch.tensor(...)).", "gradient cut")
        if g.dtype == dtype and g.shape == r.shape and float((g - r).abs().max()) <= least:
            continue  # nearly always, and quickly
        says = difference(f"gradient for {name}", g, r, dtype, loose=5,
                          tolerance=max(least, absolute + relative * float(r.abs().max())))
        if says:
            return Difference("the results are right, but not their gradient (is a part of the way cut off, with "
                              f"detach, no_grad or .data?): {says.text}", "wrong gradient")
    return None


def _first(where):
    return [int(i) for i in where.nonzero()[0]]


def _number(value, digits=6):
    value = float(value)
    return str(int(value)) if abs(value) < 1e6 and value == int(value) else f"{value:.{digits}g}"


def two_numbers(right, mine):
    """Both as text, with as many digits as it takes to see that they differ."""
    for digits in range(4, 18):
        texts = _number(right, digits), _number(mine, digits)
        if texts[0] != texts[1]:
            break
    return texts


def dtype_name(dtype):
    return str(dtype).removeprefix("torch.")


# ---------------------------------------------------------------------------------------------------------------
# The parts of a module

# What `layers_differ` compares, by kind of layer.
SETTINGS = {
    "Linear": ("in_features", "out_features", "bias"),
    "Embedding": ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "scale_grad_by_freq", "sparse"),
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine", "bias"),
    "Dropout": ("p",),
}
LAST = ("fc2", "out_proj", "project", "head")  # a last layer may start at zero: it still learns


def layers_differ(module, like):
    """None when all the layers that `like` (the stand-in) has are in `module`, of the right kind and size and each
    with weights of its own; else the first Difference."""
    for name, right in like.named_children():
        found = _layer_differs(module, name, right) or _weights_differ(getattr(module, name), name, right)
        if found:
            return found
    if not all(part.training for part in module.modules()):
        return Difference("it is in evaluation mode when it is made: a new module is in training mode.", "mode changed")
    for first, second in itertools.combinations((name for name, _ in like.named_children()), 2):
        for key, other in _shared(getattr(module, first), getattr(module, second)):
            return Difference(f"{first}.{key} and {second}.{other} are the same numbers: make a layer for each, or "
                              "they change together for ever.", name="shared layer")
    return None


def _layer_differs(module, name, right):
    """The kind of the layer and its settings."""
    kind = type(right).__name__
    if not hasattr(module, name):
        there = ", ".join(n for n, _ in module.named_children()) or "no layer at all"
        return Difference(f"the attribute {name} is missing (there is {there}).", "missing attribute")
    mine = getattr(module, name)
    if not isinstance(mine, type(right)):
        return Difference(f"{name} should be an nn.{kind}, but it is {kind_of(mine)}.", "wrong kind of layer")
    for what in SETTINGS.get(kind, ()):
        a, b = getattr(mine, what, None), getattr(right, what, None)
        if what == "bias":
            a, b = a is not None, b is not None
            if a != b:
                return Difference(f"{name} should have {'a' if b else 'no'} bias, but yours has "
                                  f"{'one' if a else 'none'}.", name="bias" if a else "no bias")
        if a != b:
            return Difference(f"{name}.{what} is {a!r}, expected {b!r}.", f"wrong {what}")
    if not any(part is mine for part in module.modules()):
        return Difference(f"{name} is not registered in the module: set it with self.{name} = ... after "
                          "super().__init__().", "not registered")
    return None


def _weights_differ(mine, name, right):
    """The weights themselves, whatever the layer's settings say: someone may have put others in their place."""
    for key, wanted in right.named_parameters():
        value, what = getattr(mine, key, None), f"{name}.{key}"
        # A leaf is no result of a calculation: weight_norm and the like calculate the weight from their parameters.
        if not isinstance(value, torch.Tensor) or (value.is_leaf and not isinstance(value, nn.Parameter)):
            return Difference(f"{what} is no parameter of the layer, but {kind_of(value)}: no optimizer would change "
                              "it.", "not a parameter")
        if value.shape != wanted.shape:
            return Difference(f"{what} has shape {tuple(value.shape)}, expected {tuple(wanted.shape)}.", "wrong shape")
        if not value.requires_grad:
            return Difference(f"{what} does not require a gradient: it could never learn.", "frozen")
        if value.dtype != torch.float32:
            return Difference(f"{what} has dtype {dtype_name(value.dtype)}, expected float32 (what PyTorch makes when "
                              "you do not ask for a dtype).", "wrong dtype")
        if value.device.type != "cpu":
            return Difference(f"{what} is on the device {value.device}, expected cpu (where PyTorch makes it when you "
                              "do not ask for a device).", "wrong device")
        if not torch.isfinite(value).all():
            return Difference(f"{what} holds NaN or infinite numbers.", "NaN or infinite numbers")
        constant = value.dim() > 1 and value.numel() > 1 and bool((value == value.flatten()[0]).all())
        if constant and name not in LAST:
            return Difference(f"all numbers in {what} are equal: then all features learn the same.", "constant weights")
    return None


def instances_differ(module, earlier, like):
    """None when two instances have numbers of their own; else a Difference. The layers that `like` has are compared,
    where their sizes are equal."""
    for name, _ in like.named_children():
        one, two = getattr(module, name), getattr(earlier, name)
        for key, _ in _shared(one, two):
            return Difference(f"two instances share their {name}.{key}: training one would change the other. Make the "
                              "layer anew in each __init__.", name="shared between instances")
        before = dict(two.named_parameters())
        for key, value in one.named_parameters():
            if key in before and value.numel() > 8 and torch.equal(value, before[key]) and _by_chance(value):
                return Difference(f"two instances start with the same numbers in {name}.{key} (a fixed seed, or a "
                                  "copy?): they should be random.", name="the same start in each instance")
    return None


def _by_chance(value):
    """Are these random numbers, most of them different? A start that is calculated (zeros, an identity) is not."""
    return len(value.detach().unique()) > value.numel() / 2


def _shared(one, two):
    """The names of parameters of two layers that lie in the same memory, as pairs."""
    return [(a, b) for a, p in one.named_parameters() for b, q in two.named_parameters()
            if p.data_ptr() == q.data_ptr()]


def layer_facts(name, layer):
    """What an attribute holds, as facts to compare: {"fc1": "nn.Linear", "fc1.in_features": 3, ...}."""
    kinds = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.ModuleList)
    kind = next((k for k in kinds if isinstance(layer, k)), None)
    if kind is None or any(nn.parameter.is_lazy(p) for p in layer.parameters()):
        return {name: "missing" if layer is None else kind_of(layer)}
    facts = {name: f"nn.{kind.__name__}"}
    weight = getattr(layer, "weight", None)
    if kind is nn.Linear:
        facts |= {f"{name}.in_features": weight.shape[1], f"{name}.out_features": weight.shape[0],
                  f"{name}.bias": layer.bias is not None}
    elif kind is nn.Embedding:
        facts |= {f"{name}.num_embeddings": weight.shape[0], f"{name}.embedding_dim": weight.shape[1],
                  f"{name}.padding_idx": layer.padding_idx}
    elif kind is nn.LayerNorm:
        facts |= {f"{name}.normalized_shape": tuple(layer.normalized_shape), f"{name}.eps": layer.eps,
                  f"{name}.weight": weight is not None, f"{name}.bias": layer.bias is not None}
    elif kind is nn.Dropout:
        facts[f"{name}.p"] = layer.p
    elif kind is nn.ModuleList:
        facts[f"{name} holds"] = len(layer)
    return facts


def same_kind(mine, part):
    """Is the learner's layer what the contract asks for (the same layer of PyTorch, or one derived from it)?"""
    if not isinstance(mine, type(part)) and type(part).__module__.startswith("torch."):
        return False
    if not isinstance(mine, nn.Module):
        return False
    shapes = [{n: tuple(p.shape) for n, p in m.named_parameters()} for m in (mine, part)]
    return (shapes[0] == shapes[1] and all(p.requires_grad for p in mine.parameters())
            and (not type(part).__module__.startswith("torch.") or mine.extra_repr() == part.extra_repr()))


# ---------------------------------------------------------------------------------------------------------------
# Which mistake it is

def mistake_that_makes(got, mistakes, case, tolerance=None, expected=None):
    """The first of the mistakes that gives exactly the results `got` (a tuple), or None."""
    if expected and all(same(g, e, tolerance=tolerance) for g, e in zip(got, expected)):
        return None  # the numbers are right: it is the dtype
    for mistake in mistakes:
        if mistake.makes is None:
            continue
        try:
            made = mistake.makes(case)
        except Exception:  # this mistake cannot be made at these sizes
            continue
        made = made if isinstance(made, (tuple, list)) else (made,)
        if any(m is not None for m in made) and _equal(got, made, tolerance, 10):
            rough = [e.float() if e.is_floating_point() else e for e in expected or ()]
            # At some sizes a mistake does no harm: then it is not this one.
            if not rough or not _equal(rough, made, tolerance, 1):
                return mistake
    return None


def _equal(results, made, tolerance, loose):
    """Are the results what a mistake makes? (A None in `made`: that part is free.)"""
    def agree(r, m):
        return (type(r) is torch.Tensor and r.shape == m.shape and r.layout == torch.strided
                and (r.dtype == m.dtype or (r.is_floating_point() and m.is_floating_point()))
                and not _wrong(r, m, tolerance, loose).any())
    return all(m is None or agree(r, m) for r, m in zip(results, made))


# What the cases that pass may have in common. `case` has x (the input), and where it applies mask.
PATTERNS = {
    "for a batch of 1": lambda c: c.x.shape[0] == 1,
    "without a mask": lambda c: c.mask is None,
    "with a mask": lambda c: c.mask is not None,
    "in float32": lambda c: c.dtype == torch.float32,
    "in float64": lambda c: c.dtype == torch.float64,
    "when T equals C": lambda c: c.x.shape[1] == c.x.shape[2],
    "when T equals B": lambda c: c.x.shape[1] == c.x.shape[0],
    "with one head": lambda c: c.H == 1,
}


def pattern(passed, failed, patterns=None):
    """What all cases that passed have and none of those that failed, as the key in `patterns`, or None."""
    for name, fits in (PATTERNS if patterns is None else patterns).items():
        if passed and all(holds(fits, c) for c in passed) and not any(holds(fits, c) for c in failed):
            return name
    return None


def holds(condition, *args):
    """condition(*args), False where it cannot be asked."""
    try:
        return bool(condition(*args))
    except Exception:
        return False


# What an exception means, by its type and a piece of its text.
ERRORS = [
    ("AttributeError", "before Module.__init__", "super().__init__() missing"),
    ("AttributeError", "has no attribute", "missing attribute"),
    ("RuntimeError", "view size is not compatible", "view of a non-contiguous tensor"),
    ("RuntimeError", "leaf Variable that requires grad", "in-place change breaks the gradient"),
    ("RuntimeError", "inplace operation", "in-place change breaks the gradient"),
    ("RuntimeError", "only supports boolean masks", "mask taken for bool"),
    ("TypeError", "bad operand type for unary ~", "mask taken for bool"),
    ("TypeError", "bitwise_not", "mask taken for bool"),
    ("RuntimeError", "bitwise_not", "mask taken for bool"),
    ("RuntimeError", "same dtype", "hard-coded dtype"),
    ("RuntimeError", "scalar type", "hard-coded dtype"),
    ("RuntimeError", "does not require grad", "gradient cut"),
    ("RuntimeError", "numpy() on Tensor that requires grad", "gradient cut"),
    ("RuntimeError", "cannot be multiplied", "shapes do not fit"),
    ("RuntimeError", "must match", "shapes do not fit"),
    ("RuntimeError", "Expected size for first two dimensions", "shapes do not fit"),
    ("RuntimeError", "is invalid for input of size", "shapes do not fit"),
    ("RuntimeError", "Sizes of tensors must match", "shapes do not fit"),
    ("RuntimeError", "expects a tensor with <= 2 dimensions", "t() of more than two dimensions"),
    ("RuntimeError", "expand", "shapes do not fit"),
    ("IndexError", "out of range", "index out of range"),
    ("ValueError", "not enough values to unpack", "fixed number of dimensions"),
    ("ValueError", "too many values to unpack", "fixed number of dimensions"),
    ("TypeError", "positional argument", "wrong arguments"),
    ("TypeError", "unexpected keyword argument", "wrong arguments"),
    ("TypeError", "missing", "wrong arguments"),
    ("NameError", "is not defined", "name not defined"),
    ("UnboundLocalError", "", "name not defined"),
    ("RecursionError", "", "calls itself without end"),
    ("SystemExit", "", "ends the program"),
]


def kind_of_error(error):
    """The mistake an exception is known to come from, or None."""
    for kind, text, name in ERRORS if error is not None else ():
        if type(error).__name__ == kind and text in text_of(error):
            return name
    return None


# ---------------------------------------------------------------------------------------------------------------
# Messages

def message(todo, wrong, answers, seed):
    """All that a failure says: name, sentence, line and hint, sizes, repairs, what was printed, how to repeat it."""
    names = ", ".join(ascii_only(getattr(a, "__name__", "your answer")) for a in answers) or "..."
    name = wrong.name or kind_of_error(wrong.error) or wrong.kind
    lines = [f"TODO {todo} is not right yet" + (f": {name}." if name else ".")]
    lines.append(sentence(wrong.says))
    if wrong.line:
        lines.append(f"It concerns the line  {wrong.line}  (open hint {wrong.hint}).")
    text = getattr(wrong.case, "text", None)
    if text:
        lines.append(f"Found with {text}.")
    if getattr(wrong, "repaired", ""):
        lines.append(f"({sentence(wrong.repaired)})")
    if getattr(wrong, "printed", ""):
        lines.append("Your code printed:\n" + wrong.printed)
    lines.append(f"Repeat it with checks.todo_{todo}({names}, seed={seed})")
    return ascii_only("\n".join(lines))


def sentence(text):
    """The text with a capital letter and a full stop."""
    text = text.strip()
    first = text.partition(" ")[0]
    if first.isalpha() and first.islower() and (len(first) > 1 or first == "a"):  # not q_proj, x or dropout.p
        text = text[0].upper() + text[1:]
    return text + ("" if text.endswith((".", "?", "!")) else ".")


def ascii_only(text):
    return str(text).encode("ascii", "replace").decode()


def text_of(error):
    """str(error), whatever that does."""
    try:
        return str(error)
    except BaseException:
        return ""


def kind_of(value):
    """'a tuple of 2', 'a float', 'a Parameter' ... without asking the value itself to print."""
    name = type(value).__name__
    if type(value) in (tuple, list):
        return f"a {name} of {len(value)}"
    if value is None:
        return "None"
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def describe(error):
    """One sentence about an exception: its type, its text, and the learner's line that raised it."""
    kind = type(error).__name__
    text = " ".join(text_of(error).split())
    text = text if len(text) < 300 else text[:300] + " ..."
    return f"your code raised {kind}{': ' + text if text else ''}{learners_line(error)}"


def learners_line(error):
    """' (line 12 of forward: `...`)' for the innermost frame that is the learner's."""
    place, step = None, error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(NOT_THEIRS):
            place = (code.co_filename, step.tb_lineno, code.co_name)
        step = step.tb_next
    if place is None:
        return ""
    source = linecache.getline(place[0], place[1]).strip()
    return f" (line {place[1]}, in {place[2]}" + (f":  {source[:100]}  )" if source else ")")


def show_picture(wrong):
    """Target and answer side by side, in a notebook only; never while grading, and never a reason to fail."""
    if wrong.picture is None or wrong.picture[0] not in DRAWN or "NBGRADER_EXECUTION" in os.environ:
        return
    if "IPython" not in sys.modules or not hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
        return
    from helpers import plots  # not above: a check that passes draws nothing, and matplotlib takes a second to load
    try:
        plots.show(plots.expected_and_yours(*wrong.picture))
    except Exception:  # a picture that cannot be drawn is no reason to hide the message
        return
