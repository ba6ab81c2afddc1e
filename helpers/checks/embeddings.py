"""Checks of 3a_embeddings: TODOs 6-9."""
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from helpers import oracle
from helpers.checks.compare import difference, kind_of
from helpers.checks.engine import DOUBLE, HALF, SINGLE, Mistake, Wrong, check
from helpers.checks.modules import rough

# --- TODO 6: TokenEmbedding.__init__ -----------------------------------------------------------------------------

@check(6)
def todo_6(t, TokenEmbedding):
    """TokenEmbedding.__init__: embedding is nn.Embedding(vocab_size, embed_dim), new in each instance."""
    for V, C in (t.sizes((3, 30), (2, 20)), (5, 40), (1, 3), (300, 80)):
        t.layers(t.make(TokenEmbedding, V, C), oracle.TokenEmbedding(V, C))
    t.layers(t.make(TokenEmbedding, vocab_size=V, embed_dim=C), oracle.TokenEmbedding(V, C))
    return "embedding is an nn.Embedding of the right size"


# --- TODO 7: TokenEmbedding.forward ------------------------------------------------------------------------------

ROWS = "vector of a token = the row of embedding.weight with its id"
SHAPE = "ids (B, T) -> vectors (B, T, C)"
MISTAKES_7 = [
    Mistake("scaled", "your vectors are multiplied by sqrt(C), as in the original paper: here there is no scaling",
            makes=lambda c: c.rows * c.C**0.5),
    Mistake("scaled", "your vectors are divided by sqrt(C): here there is no scaling",
            makes=lambda c: c.rows / c.C**0.5),
    *[Mistake(name, says, makes, SHAPE, hint=2) for name, says, makes in [
        ("transposed", "your result is (B, C, T): the features come last", lambda c: c.rows.mT),
        ("transposed", "your result is (T, B, C): the batch comes first", lambda c: c.rows.transpose(0, 1)),
        # Where a dimension is 1, those that follow are no more than a squeeze.
        ("averaged over the positions", "your result is the mean over the positions: keep one vector per id",
         lambda c: c.rows.mean(1) if c.T > 1 else None),
        ("summed over the positions", "your result is the sum over the positions: keep one vector per id",
         lambda c: c.rows.sum(1) if c.T > 1 else None),
        ("flattened", "batch and positions are flattened into one dimension",
         lambda c: c.rows.flatten(0, 1) if min(c.B, c.T) > 1 else None),
        ("flattened", "positions and features are flattened into one dimension",
         lambda c: c.rows.flatten(1) if min(c.T, c.C) > 1 else None),
        ("only the first position", "you embed the first id of each row only",
         lambda c: c.rows[:, 0] if c.T > 1 else None),
    ]],
    *[Mistake(name, says, makes, ROWS, hint=2) for name, says, makes in [
        ("normalised", "your vectors are normalised to length 1", lambda c: F.normalize(c.rows, dim=-1)),
        ("layer norm", "your vectors went through a layer norm", lambda c: F.layer_norm(c.rows, (c.C,))),
        ("ids off by one", "each id takes the row before its own", lambda c: c.weight[c.x - 1]),
        ("ids off by one", "each id takes the row after its own", lambda c: c.weight[(c.x + 1) % len(c.weight)]),
        ("positions added", "you add the positional table here: that is TODO 9",
         lambda c: c.rows + oracle.sinusoidal_table(c.T, c.C).double()),
        ("id 0 left out", "the vectors of id 0 are 0: here no id stands for padding",
         lambda c: c.rows * (c.x != 0)[..., None]),
        ("softmax", "your vectors went through a softmax", lambda c: c.rows.softmax(-1)),
        ("relu", "your vectors went through relu", lambda c: c.rows.relu()),
    ]],
]


@check(7)
def todo_7(t, TokenEmbedding):
    """TokenEmbedding.forward: vectors and gradients against F.embedding, in both modes; one module for all cases of a
    size, with other rows in each case."""
    B, T, V, C = t.sizes((2, 4), (5, 8), (9, 15), (5, 16))

    def case(B, T, dtype=SINGLE, mode="training", V=V, C=C, turned=False):
        ids = t.randint(V, T, B).T if turned else t.randint(V, B, T)
        if T > 1:
            ids[0, :2], ids[-1, -2:] = V - 1, 0  # both ends of the vocabulary, and ids that occur twice
        else:
            ids.clamp_(max=V - 2)  # the last id may be missing, too
        return SimpleNamespace(B=B, T=T, C=C, V=V, x=ids, mask=None, dtype=dtype, mode=mode,
                               text=f"ids of shape ({B}, {T}){' (not contiguous)' if turned else ''}, vocab_size {V}, "
                                    f"embed_dim {C}, {str(dtype)[6:]}, in {mode} mode")

    def build(V, C):
        truth = oracle.TokenEmbedding(V, C).double()
        return t.build(TokenEmbedding, (V, C), truth, todo=6), truth

    def run(c):
        mine, truth = t.once((c.V, c.C), lambda: build(c.V, c.C))
        t.fill(truth, 3 * c.C**0.5)  # other rows in each case: what is kept from an earlier call does not fit
        t.same_weights(mine.train(c.mode == "training"), truth, c.dtype)
        c.weight = truth.embedding.weight.detach()
        c.rows = truth(c.x).detach()
        if c.dtype == HALF:
            rough(t, mine, truth, c.x, c)
            return mine
        try:
            t.against(mine, truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_7, case=c)
        except Wrong as wrong:
            if wrong.kind == "wrong gradient":
                wrong.says = ("the vectors are right, but not the gradient of the table: each id adds the gradient of "
                              "its vector to its row, as often as it occurs (no id is left out, none counts less, and "
                              "the gradient is not sparse).")
            raise
        return mine

    cases = [case(B, T), case(B, T, mode="evaluation"), case(B, T, DOUBLE, "evaluation"), case(B, T, HALF), case(1, T),
             case(B, 1, mode="evaluation"), case(T, B, turned=True), case(T, T, V=V + 5), case(B, T, C=1),
             case(12, 40, V=2100, C=3)]
    t.cases(cases, run, {"for a batch of 1": lambda c: c.B == 1,
                         "when T equals B": lambda c: c.T == c.B, "in float32": lambda c: c.dtype == SINGLE,
                         "in float64": lambda c: c.dtype == DOUBLE,
                         "in float32 and float64": lambda c: c.dtype != HALF,
                         "for small sizes": lambda c: c.V < 100})
    t.elsewhere(run(cases[0]), (cases[0].x,))
    return "vectors and gradients equal F.embedding's"


# --- TODO 8: sinusoidal_table ------------------------------------------------------------------------------------

def waves(c, power=lambda i, C: 2 * i / C, sine=torch.sin, cosine=torch.cos, base=10000.0, start=0, turn=1.0):
    """The table of case c with something done otherwise: power(i, C) is the exponent for pair i."""
    pair = torch.arange((c.C + 1) // 2, dtype=DOUBLE)
    angle = (torch.arange(c.P, dtype=DOUBLE)[:, None] + start) * turn / base ** power(pair, c.C)
    return torch.stack([sine(angle), cosine(angle)], -1).flatten(1)[:, :c.C]


def columns(c, even, odd):
    """A table whose column j has the exponent even(j) or odd(j), over C, of its own."""
    j = torch.arange(c.C, dtype=DOUBLE)
    power = torch.where(j % 2 == 0, even(j), odd(j)) / c.C
    angle = torch.arange(c.P, dtype=DOUBLE)[:, None] / 10000**power
    return torch.where(j % 2 == 0, angle.sin(), angle.cos())


def halves(c, first=torch.sin, second=torch.cos):
    angle = torch.arange(c.P, dtype=DOUBLE)[:, None] / 10000 ** (2 * torch.arange((c.C + 1) // 2, dtype=DOUBLE) / c.C)
    return torch.cat([first(angle), second(angle)], -1)[:, :c.C]


ANGLE = "angle = p / 10000**(2i / C) for the pair of columns 2i and 2i+1"
PAIRS = "columns 0, 2, 4, ... = sin(angle), columns 1, 3, 5, ... = cos(angle)"
ROWS_8 = "the table is (max_len, C): a row for each position"
ODD = "for an odd embed_dim the last column is a sine"
MISTAKES_8 = [
    *[Mistake(name, says, makes, PAIRS, hint=2) for name, says, makes in [
        ("halves instead of interleaved", "your sines fill the first half of the columns and the cosines the second: "
         "they should take turns", halves),
        ("halves instead of interleaved", "your cosines fill the first half of the columns and the sines the second: "
         "they should take turns, sine first", lambda c: halves(c, torch.cos, torch.sin)),
        ("sine and cosine swapped", "your even columns are cosines: they should be sines",
         lambda c: waves(c, sine=torch.cos, cosine=torch.sin)),
        ("sine only", "all your columns are sines", lambda c: waves(c, cosine=torch.sin)),
        ("cosine only", "all your columns are cosines", lambda c: waves(c, sine=torch.cos)),
        ("sine plus cosine", "you add sine and cosine in the same column",
         lambda c: waves(c, sine=lambda a: a.sin() + a.cos(), cosine=lambda a: a.sin() + a.cos())),
        ("odd columns empty", "your odd columns stay 0: the cosines are missing",
         lambda c: waves(c, cosine=torch.zeros_like)),
        ("even columns empty", "your even columns stay 0: the sines are missing",
         lambda c: waves(c, sine=torch.zeros_like)),
        ("angles returned", "your table holds the angles: the sine and cosine are missing",
         lambda c: waves(c, sine=lambda a: a, cosine=lambda a: a)),
    ]],
    *[Mistake(name, says, makes, ANGLE, hint=1) for name, says, makes in [
        ("exponent half", "your exponent is i / C: it should be 2i / C", lambda c: waves(c, lambda i, C: i / C)),
        ("exponent double", "your exponent is 4i / C (twice 2i): i counts pairs",
         lambda c: waves(c, lambda i, C: 4 * i / C)),
        ("each column has its own exponent", "your exponent uses the column number j instead of the pair: columns 2i "
         "and 2i+1 share one angle", lambda c: columns(c, lambda j: j, lambda j: j)),
        ("each column has its own exponent", "your exponent is 2j / C with the column number j: columns 2i and 2i+1 "
         "share one angle", lambda c: columns(c, lambda j: 2 * j, lambda j: 2 * j)),
        ("each column has its own exponent", "your cosine columns have the exponent 2(2i+1) / C",
         lambda c: columns(c, lambda j: j, lambda j: 2 * j)),
        ("each column has its own exponent", "your cosine columns have the exponent of the next pair",
         lambda c: columns(c, lambda j: j, lambda j: j + 1)),
        ("last wave reaches 10000", "your exponent is i / (C/2 - 1): the one of another library; here it is 2i / C",
         lambda c: waves(c, lambda i, C: i / (C // 2 - 1))),
        ("last wave reaches 10000", "your exponent is 2i / (C - 1): it should be 2i / C",
         lambda c: waves(c, lambda i, C: 2 * i / (C - 1)) if c.C % 2 == 0 else None),  # odd: see "rounded down"
        ("exponent without C", "your exponent is 2i, not divided by C", lambda c: waves(c, lambda i, C: 2 * i)),
        ("exponent rounded up", "for an odd embed_dim you divide by C + 1",
         lambda c: waves(c, lambda i, C: 2 * i / (C + 1)) if c.C % 2 else None),
        ("exponent rounded down", "for an odd embed_dim you divide by C - 1, twice the whole part of C / 2",
         lambda c: waves(c, lambda i, C: 2 * i / (C - 1)) if c.C % 2 else None),
        ("multiplied instead of divided", "your angle is p * 10000**(2i / C): it should be divided",
         lambda c: waves(c, lambda i, C: -2 * i / C)),
        ("whole-number division", "your angle is rounded down to a whole number",
         lambda c: waves(c, sine=lambda a: a.floor().sin(), cosine=lambda a: a.floor().cos())),
        *[("another base than 10000", f"your base is {base:g}, not 10000", lambda c, base=base: waves(c, base=base))
          for base in (100.0, 1000.0, 1e5, math.e, 10.0, 1024.0, 512.0, 1e6)],
        ("positions from 1", "your positions start at 1: the first row should be position 0",
         lambda c: waves(c, start=1)),
        ("positions backwards", "your rows are in reverse order", lambda c: waves(c).flip(0)),
        ("positions divided by max_len", "your positions are divided by max_len", lambda c: waves(c, turn=1 / c.P)),
        ("degrees", "your angle is turned into radians once more", lambda c: waves(c, turn=math.pi / 180)),
        ("2 pi", "your angle is multiplied by 2 pi", lambda c: waves(c, turn=2 * math.pi)),
        ("waves the wrong way round", "the fastest wave is in your last columns: it should be in the first",
         lambda c: waves(c, lambda i, C: 2 * (len(i) - 1 - i) / C)),
    ]],
    Mistake("transposed", "your table is (C, max_len): one row per position", line=ROWS_8, hint=2,
            makes=lambda c: waves(c).T),
    Mistake("batch dimension", "your table has an extra first dimension: (max_len, C) is enough", line=ROWS_8, hint=2,
            makes=lambda c: waves(c)[None]),
    Mistake("last column missing", "for an odd embed_dim your last column is missing", line=ODD, hint=2,
            makes=lambda c: waves(c)[:, :-1] if c.C % 2 else None),
    Mistake("last column empty", "for an odd embed_dim your last column stays 0: it is a sine", line=ODD, hint=2,
            makes=lambda c: F.pad(waves(c)[:, :-1], (0, 1)) if c.C % 2 else None),
    Mistake("one column too many", "for an odd embed_dim your table has one column more", line=ODD, hint=2,
            makes=lambda c: waves(SimpleNamespace(P=c.P, C=c.C + 1), lambda i, C: 2 * i / c.C) if c.C % 2 else None),
]


@check(8)
def todo_8(t, sinusoidal_table):
    """sinusoidal_table: every number, for even and odd embed_dim, few and many positions."""
    even, odd = 2 * t.rng.randint(4, 10), 2 * t.rng.randint(4, 10) + 1
    # The third table is longer than the second and just as wide. (The first is odd: no other is half as wide.)
    sizes = [(t.rng.randint(24, 60), odd), (t.rng.randint(24, 60), even), (t.rng.randint(70, 99), even),
             (even, even), (1, even), (2, odd), (5, 1), (5, 2), (7, 3), (100, 32), (20, 128), (600, 6), (3000, 4)]

    def run(c):
        got = t.call(sinusoidal_table, c.P, c.C)
        # float32 knows 10000**(2i / C) to about 1e-6 of its size (logarithm and exponential), and so the angle of
        # position p to about p * 1e-6.
        rounding = 1e-6 + 3e-6 * torch.arange(c.P, dtype=DOUBLE)[:, None]
        right = oracle.sinusoidal_table(c.P, c.C)
        if difference("table", got, right, SINGLE, rounding):
            try:
                t.name_it(MISTAKES_8, c, (got,), 1e-6 * c.P, (right,))
            except Wrong as wrong:
                wrong.picture = "table", right, got
                raise
        t.equal("table", got, right, (), c, SINGLE, rounding)
        if got.requires_grad:
            raise Wrong("the table requires a gradient: it is fixed", name="table requires a gradient", case=c)

    t.cases([SimpleNamespace(P=P, C=C, longer=(P, C) == sizes[2], text=f"max_len {P}, embed_dim {C}")
             for P, C in sizes], run,
            {"for an even embed_dim": lambda c: c.C % 2 == 0, "for an odd embed_dim": lambda c: c.C % 2,
             "for an even embed_dim or 1": lambda c: c.C % 2 == 0 or c.C == 1,
             "when max_len equals embed_dim": lambda c: c.P == c.C,
             "for an even embed_dim above 2": lambda c: c.C % 2 == 0 and c.C > 2,
             "for an embed_dim above 1": lambda c: c.C > 1, "for an embed_dim above 2": lambda c: c.C > 2,
             "for an embed_dim of at most 32": lambda c: c.C <= 32,
             "as long as no longer table is asked for": lambda c: not c.longer,
             "for more than one position": lambda c: c.P > 1, "for few positions": lambda c: c.P < 61,
             "for at most 100 positions": lambda c: c.P <= 100, "for at most 600 positions": lambda c: c.P <= 600})
    own_memory(t, sinusoidal_table, odd)
    return "every number of the table, for even and odd embed_dim"


def own_memory(t, sinusoidal_table, C):
    """A caller that changes its table must not change the tables that others get."""
    try:
        t.call(sinusoidal_table, 9, C).fill_(7)
    except RuntimeError:  # it cannot be written to
        return
    if difference("table", t.call(sinusoidal_table, 9, C), oracle.sinusoidal_table(9, C), SINGLE, 1e-4):
        raise Wrong("your results share their memory: when a caller changes its table in place, the next one gets the "
                    "changed numbers. Give each caller a table of its own", name="results share memory")


# --- TODO 9: PositionalEncoding ----------------------------------------------------------------------------------

ADD = "output = x + the first T rows of the table"
MISTAKES_9 = [Mistake(name, says, makes, ADD, hint) for name, says, hint, makes in [
    ("multiplied instead of added", "your output is x times the rows of the table", 2,
     lambda c: c.x * c.table[:c.T]),
    ("x missing", "your output is the table alone, without x", 2, lambda c: c.table[:c.T].expand_as(c.x)),
    ("x missing", "your output is the table alone, without x", 2, lambda c: c.table[:c.T]),
    ("table not added", "your output is x itself", 2, lambda c: c.x),
    ("buffer not used", "you add a table that is not the buffer: what load_state_dict puts into the buffer has no "
     "effect", 2, lambda c: c.x + oracle.sinusoidal_table(c.P, c.C)[:c.T]),
    ("last rows of the table", "you add the last T rows of the table, not the first", 2,
     lambda c: c.x + c.table[-c.T:]),
    ("one position for all", "you add the same row of the table at every position", 2,
     lambda c: c.x + c.table[c.T]),
    ("one position for all", "you add the same row of the table at every position", 2,
     lambda c: c.x + c.table[c.T - 1]),
    ("one position for all", "you add row 0 of the table at every position", 2, lambda c: c.x + c.table[0]),
    ("batch taken for time", "you add row b of the table to the whole example b: positions are dimension 1", 1,
     lambda c: c.x + c.table[:c.B, None]),
    ("positions from 1", "you add the rows 1 to T: the first position is row 0", 2,
     lambda c: c.x + c.table[1:c.T + 1]),
    ("x scaled", "x is multiplied by sqrt(C) first, as in the original paper: not here", 2,
     lambda c: c.x * c.C**0.5 + c.table[:c.T]),
    ("subtracted", "your output is x minus the rows of the table", 2, lambda c: c.x - c.table[:c.T]),
    ("added twice", "the table is added twice", 2, lambda c: c.x + 2 * c.table[:c.T]),
    ("nothing added to zeros", "where x is 0, you add nothing: each position gets its row, whatever x is", 2,
     lambda c: c.x + c.table[:c.T] * (c.x != 0)),
    ("concatenated", "x and the table are put side by side: they should be added", 2,
     lambda c: torch.cat([c.x, c.table[:c.T].expand_as(c.x)], -1)),
]]


@check(9, pieces={"sinusoidal_table": oracle.sinusoidal_table})
def todo_9(t, PositionalEncoding):
    """PositionalEncoding: the buffer `table`, its first T rows added, ValueError for T > max_len; one module for all
    cases of a size and dtype, with other numbers in its table in each case."""
    B, T, C, P = t.sizes((2, 4), (5, 8), (9, 14), (20, 30))
    first = buffer_9(t, t.make(PositionalEncoding, C, P), C, P)
    second = buffer_9(t, t.make(PositionalEncoding, embed_dim=C, max_len=P), C, P)
    if first.table.data_ptr() == second.table.data_ptr():
        raise Wrong("two modules share the memory of one table: what load_state_dict puts into one changes the other",
                    name="shared between instances")
    buffer_9(t, t.make(PositionalEncoding, C, 130), C, 130)

    def case(B, T, dtype=SINGLE, mode="training", C=C, P=P, turned=False):
        x = t.randn(T, B, C).transpose(0, 1) if turned else t.randn(B, T, C)
        x[0, 0] = 0  # a vector of zeros has a position, too
        return SimpleNamespace(B=B, T=T, C=C, P=P, mask=None, x=x, dtype=dtype, mode=mode,
                               text=f"x of shape ({B}, {T}, {C}){' (not contiguous)' if turned else ''}, max_len {P}, "
                                    f"{str(dtype)[6:]}, in {mode} mode")

    def run(c):
        key = c.C, c.P, c.dtype
        mine = t.once(key, lambda: t.make(PositionalEncoding, c.C, c.P))
        truth = oracle.PositionalEncoding(c.C, c.P).double()
        if c.dtype != SINGLE:  # as it is made it works in float32
            mine.to(c.dtype)
        with torch.no_grad():  # as load_state_dict does: what is kept from an earlier call does not fit
            mine.table.copy_(t.randn(c.P, c.C))
            truth.table.copy_(mine.table.reshape(c.P, c.C))
        c.table, before = truth.table, mine.table.clone()
        mine.train(c.mode == "training")
        if c.dtype == HALF:
            rough(t, mine, truth, c.x, c)
        else:
            t.against(mine, truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_9, case=c,
                      gradients=c.T > 1)  # one case without, where in-place changes are legal for PyTorch
        if before.dtype != mine.table.dtype or not torch.equal(before, mine.table):
            del t.made[key]  # the next case needs another
            raise Wrong("a call changes the table: it must stay as it is", name="changes its table", case=c)
        return mine

    cases = [case(B, T), case(B, T, mode="evaluation"), case(1, T), case(B, 1, mode="evaluation"), case(B, P),
             case(T, T, mode="evaluation"), case(B, C), case(B, T, turned=True), case(B, T, DOUBLE, "evaluation"),
             case(B, T, HALF), case(B, 100, P=130), case(B, 4, P=4), case(6, 3, C=2, P=4, mode="evaluation")]
    t.cases(cases, run, {"when T equals max_len": lambda c: c.T == c.P, "for a batch of 1": lambda c: c.B == 1,
                         "when T equals B": lambda c: c.B == c.T, "for T < max_len": lambda c: c.T < c.P,
                         "for T <= embed_dim": lambda c: c.T <= c.C, "for embed_dim <= max_len": lambda c: c.C <= c.P,
                         "for a batch not larger than max_len": lambda c: c.B <= c.P,
                         "for T other than embed_dim": lambda c: c.T != c.C,
                         "in float32": lambda c: c.dtype == SINGLE,
                         "in float32 and float64": lambda c: c.dtype != HALF})
    for extra, max_len, mode in ((1, P, "training"), (1, P, "evaluation"), (P, P, "evaluation"), (2, 1, "training")):
        module = t.make(PositionalEncoding, C, max_len).train(mode == "training")
        t.refuses(module, t.randn(B, max_len + extra, C, dtype=SINGLE),
                  because=f"T = {max_len + extra} > max_len = {max_len} in {mode} mode")
    t.elsewhere(run(cases[0]), (cases[0].x.float(),))
    return "the buffer table, its first T rows added with their gradient, ValueError for T > max_len"


def buffer_9(t, module, C, P):
    """`table` is a buffer: it moves with the module, is saved, and is no parameter. -> the module"""
    if not hasattr(module, "table"):
        raise Wrong("the attribute table is missing: it should be a buffer of this name", kind="missing attribute")
    table = module.table
    if isinstance(table, nn.Parameter):
        learns = "training would change it" if table.requires_grad else "a parameter is for what is learned"
        raise Wrong(f"the table is a parameter: {learns}. Register it as a buffer", name="table is a parameter", hint=2)
    if "table" not in dict(module.named_buffers()):
        plain = "a plain attribute, which would not follow .to(device)"
        raise Wrong(f"the table is {plain if type(table) is torch.Tensor else kind_of(table)}. Register the tensor as "
                    "a buffer", name="table is not a buffer", hint=2)
    if list(module.parameters()):
        raise Wrong(f"the module has a parameter ({next(iter(module.named_parameters()))[0]}): the table is fixed, "
                    "nothing here learns", name="learned positions")
    if table.requires_grad:
        raise Wrong("the table requires a gradient: it is fixed", name="table requires a gradient")
    right = oracle.sinusoidal_table(P, C)
    table = table[0] if table.dim() == 3 and len(table) == 1 else table
    exact = right.to(table.dtype)
    rounding = 1e-6 + 3e-6 * torch.arange(P, dtype=DOUBLE)[:, None]
    if table.shape == exact.mT.shape:
        raise Wrong(f"the table has shape {tuple(table.shape)}, expected {tuple(exact.shape)}: the sizes are swapped",
                    name="max_len and embed_dim swapped", line="one row for each position", hint=2)
    t.equal("table", table, exact, (), None, exact.dtype, rounding)
    return module
