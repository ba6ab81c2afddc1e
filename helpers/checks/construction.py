"""What the checks of the larger classes share (TODOs 14 to 19): mostly what an __init__ may get wrong."""
import copy

from torch import nn

from helpers.checks.engine import SINGLE, Mistake, Wrong, mistake_made, module_class

NO_SUPER = Mistake("super().__init__() missing", "a module must call super().__init__() before it takes on its parts",
                   raises=lambda c, e: isinstance(e, AttributeError) and "__init__() call" in str(e))


def construct(t, cls, args, kwargs, mistakes, case):
    """An instance of the learner's module class, straight from its __init__."""
    module_class(cls)
    try:
        module = t.call(cls, *args, **kwargs)
    except Wrong as wrong:
        for mistake in (NO_SUPER, *mistakes):
            if wrong.error is not None and mistake.raises and mistake.raises(case, wrong.error):
                raise mistake_made(mistake, case) from None
        wrong.case = case
        raise
    if not all(part.training for part in module.modules()):
        raise Wrong("it (or a part of it) is in evaluation mode when it is made: a new module is in training mode.",
                    name="mode changed", case=case)
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            raise Wrong(f"{name} has requires_grad=False: it would never be trained.", "frozen weights", case=case)
        if parameter.dtype != SINGLE:
            raise Wrong(f"{name} has dtype {str(parameter.dtype)[6:]}, expected float32.", "wrong dtype", case=case)
        flat = parameter.dim() > 1 and parameter.shape[0] > 1 and bool((parameter == parameter.flatten()[0]).all())
        if flat and not any(last in name for last in ("project", "out_proj", "head")):
            raise Wrong(f"all numbers of {name} are equal: every unit would stay a copy of its neighbour. Keep the "
                        "random start that PyTorch gives.", name="weights all equal", case=case)
    return module


def not_shared(t, cls, args):
    """Two instances must not hold the same weights."""
    first, second = t.call(cls, *args), t.call(cls, *args)
    shared = {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    if shared:
        raise Wrong("two instances share their weights: the layers are made once for the class, not anew in each "
                    "__init__.", name="weights shared between instances")


def own_parts(module, names, case):
    """Raise Wrong unless the attributes `names` are there and each layer among them is a part of the module."""
    for name in names:
        part = getattr(module, name, None)
        if part is None:
            there = ", ".join(n for n, _ in module.named_children()) or "no layer at all"
            raise Wrong(f"the attribute {name} is missing (there is {there}).", name="missing attribute", case=case)
        if isinstance(part, nn.Module) and not any(part is registered for registered in module.modules()):
            raise Wrong(f"your {name} is not registered in the module, so it would be neither trained nor switched to "
                        f"evaluation: set it as an attribute, self.{name}, after super().__init__().",
                        name="not registered", case=case)


def own_weights(module, layers, case):
    """Raise Wrong unless the module's parameters are those of `layers`, each with numbers of its own, and no others."""
    places = {}
    for layer in layers:
        for kind in ("weight", "bias"):
            place = getattr(module.get_submodule(layer), kind).untyped_storage().data_ptr()
            if place in places:
                raise Wrong(f"{layer}.{kind} and {places[place]} share their numbers: give each layer its own.",
                            name="shared weights", case=case)
            places[place] = f"{layer}.{kind}"
    more = [name for name, p in module.named_parameters() if p.untyped_storage().data_ptr() not in places]
    if more:
        raise Wrong(f"besides the parts that the TODO names there are more weights: {', '.join(more)}.",
                    name="more weights than asked for", case=case)


def call_text(cls, args, kwargs):
    """'FeedForward(8, dropout=0.25)', for messages."""
    return f"{cls}({', '.join([*map(str, args), *(f'{k}={v}' for k, v in kwargs.items())])})"


def children_like(mine, like):
    """Give `mine` fresh copies of all of like's parts."""
    for name, part in like.named_children():
        for store in (mine.__dict__, mine._parameters, mine._buffers, mine._modules):
            store.pop(name, None)
        mine._modules[name] = copy.deepcopy(part)
