"""Checks of 3a_embeddings: TODOs 6-9."""
import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from helpers import oracle
from helpers.checks.compare import difference, kind_of
from helpers.checks.engine import Mistake, Wrong, check

SINGLE, DOUBLE = torch.float32, torch.float64


# --- TODO 6: TokenEmbedding.__init__ -----------------------------------------------------------------------------

@check(6)
def todo_6(t, TokenEmbedding):
    """TokenEmbedding.__init__: embedding is nn.Embedding(vocab_size, embed_dim)."""
    for _ in range(2):
        V, C = t.sizes((3, 30), (2, 20))
        t.layers(t.make(TokenEmbedding, V, C), oracle.TokenEmbedding(V, C))
    t.layers(t.make(TokenEmbedding, vocab_size=V, embed_dim=C), oracle.TokenEmbedding(V, C))
    return "embedding is an nn.Embedding of the right size"


# --- TODO 7: TokenEmbedding.forward ------------------------------------------------------------------------------

ROWS = "vector of a token = the row of embedding.weight with its id"
MISTAKES_7 = [
    Mistake("scaled", "your vectors are multiplied by sqrt(C), as in the original paper: here there is no scaling",
            line="no scaling", makes=lambda c: c.rows * c.C**0.5),
    Mistake("scaled", "your vectors are divided by sqrt(C): here there is no scaling", line="no scaling",
            makes=lambda c: c.rows / c.C**0.5),
    Mistake("transposed", "your result is (B, C, T): the features come last", line="(B, T, C)",
            makes=lambda c: c.rows.mT),
    Mistake("transposed", "your result is (T, B, C): the batch comes first", line="(B, T, C)",
            makes=lambda c: c.rows.transpose(0, 1)),
    Mistake("averaged over the positions", "your result is the mean over the positions: keep one vector per id",
            line="(B, T, C)", makes=lambda c: c.rows.mean(1)),
    Mistake("summed over the positions", "your result is the sum over the positions: keep one vector per id",
            line="(B, T, C)", makes=lambda c: c.rows.sum(1)),
    Mistake("normalised", "your vectors are normalised to length 1", line=ROWS,
            makes=lambda c: F.normalize(c.rows, dim=-1)),
    Mistake("layer norm", "your vectors went through a layer norm", line=ROWS,
            makes=lambda c: F.layer_norm(c.rows, (c.C,))),
    Mistake("ids off by one", "each id takes the row before its own", line=ROWS,
            makes=lambda c: c.weight[c.x - 1]),
    Mistake("ids off by one", "each id takes the row after its own", line=ROWS,
            makes=lambda c: c.weight[(c.x + 1) % len(c.weight)]),
    Mistake("flattened", "batch and positions are flattened into one dimension", line="(B, T, C)",
            makes=lambda c: c.rows.flatten(0, 1)),
    Mistake("flattened", "positions and features are flattened into one dimension", line="(B, T, C)",
            makes=lambda c: c.rows.flatten(1)),
    Mistake("only the first position", "you embed the first id of each row only", line="(B, T, C)",
            makes=lambda c: c.rows[:, 0]),
    Mistake("positions added", "you add the positional table here: that is TODO 9", line=ROWS,
            makes=lambda c: c.rows + oracle.sinusoidal_table(c.T, c.C).double()),
    Mistake("softmax", "your vectors went through a softmax", line=ROWS, makes=lambda c: c.rows.softmax(-1)),
    Mistake("relu", "your vectors went through relu", line=ROWS, makes=lambda c: c.rows.relu()),
]


@check(7)
def todo_7(t, TokenEmbedding):
    """TokenEmbedding.forward: vectors and gradients against F.embedding."""
    B, T, V, C = t.sizes((2, 4), (5, 8), (9, 15), (5, 16))

    def case(B, T, dtype, V=V):
        ids = t.randint(V, B, T)
        if T > 1:
            ids[0, :2], ids[-1, -2:] = V - 1, 0  # both ends of the vocabulary, and ids that occur twice
        return SimpleNamespace(B=B, T=T, C=C, V=V, x=ids, mask=None, dtype=dtype,
                               text=f"ids of shape ({B}, {T}), vocab_size {V}, embed_dim {C}, {str(dtype)[6:]}")

    def run(c):
        truth = t.fill(oracle.TokenEmbedding(c.V, C).double(), C**0.5)
        mine, truth = t.same_weights(t.build(TokenEmbedding, (c.V, C), truth, todo=6), truth, c.dtype)
        c.weight = truth.embedding.weight.detach()
        c.rows = truth(c.x).detach()
        t.against(mine, truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_7, case=c)
        t.against(mine.eval(), truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_7, case=c, gradients=False)
        return mine

    cases = [case(B, T, SINGLE), case(1, T, SINGLE), case(B, 1, SINGLE), case(T, B, SINGLE), case(T, T, SINGLE, V + 5),
             case(B, T, DOUBLE)]
    t.cases(cases, run, {"for a batch of 1": lambda c: c.B == 1,
                         "when T equals B": lambda c: c.T == c.B, "in float32": lambda c: c.dtype == SINGLE,
                         "in float64": lambda c: c.dtype == DOUBLE})
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
PAIRS = "table[p, 2i] = sin(angle), table[p, 2i+1] = cos(angle)"
MISTAKES_8 = [
    Mistake("halves instead of interleaved", "your sines fill the first half of the columns and the cosines the "
            "second: they should take turns", line=PAIRS, hint=2, makes=halves),
    Mistake("halves instead of interleaved", "your cosines fill the first half of the columns and the sines the "
            "second: they should take turns, sine first", line=PAIRS, hint=2,
            makes=lambda c: halves(c, torch.cos, torch.sin)),
    Mistake("sine and cosine swapped", "your even columns are cosines: they should be sines", line=PAIRS,
            makes=lambda c: waves(c, sine=torch.cos, cosine=torch.sin)),
    Mistake("sine only", "all your columns are sines", line=PAIRS, makes=lambda c: waves(c, cosine=torch.sin)),
    Mistake("cosine only", "all your columns are cosines", line=PAIRS, makes=lambda c: waves(c, sine=torch.cos)),
    Mistake("exponent half", "your exponent is i / C: it should be 2i / C", line=ANGLE,
            makes=lambda c: waves(c, lambda i, C: i / C)),
    Mistake("exponent double", "your exponent is 4i / C (twice 2i): i counts pairs", line=ANGLE,
            makes=lambda c: waves(c, lambda i, C: 4 * i / C)),
    Mistake("each column has its own exponent", "your exponent uses the column number j instead of the pair: columns "
            "2i and 2i+1 share one angle", line=ANGLE, hint=2, makes=lambda c: columns(c, lambda j: j, lambda j: j)),
    Mistake("each column has its own exponent", "your exponent is 2j / C with the column number j: columns 2i and "
            "2i+1 share one angle", line=ANGLE, hint=2, makes=lambda c: columns(c, lambda j: 2 * j, lambda j: 2 * j)),
    Mistake("each column has its own exponent", "your cosine columns have the exponent 2(2i+1) / C", line=ANGLE, hint=2,
            makes=lambda c: columns(c, lambda j: j, lambda j: 2 * j)),
    Mistake("each column has its own exponent", "your cosine columns have the exponent of the next pair", line=ANGLE,
            hint=2, makes=lambda c: columns(c, lambda j: j, lambda j: j + 1)),
    Mistake("last wave reaches 10000", "your exponent is i / (C/2 - 1): the one of another library; here it is 2i / C",
            line=ANGLE, makes=lambda c: waves(c, lambda i, C: i / (C // 2 - 1))),
    Mistake("last wave reaches 10000", "your exponent is 2i / (C - 1): it should be 2i / C", line=ANGLE,
            makes=lambda c: waves(c, lambda i, C: 2 * i / (C - 1))),
    Mistake("exponent without C", "your exponent is 2i, not divided by C", line=ANGLE,
            makes=lambda c: waves(c, lambda i, C: 2 * i)),
    Mistake("exponent rounded up", "for an odd embed_dim you divide by C + 1", line=ANGLE,
            makes=lambda c: waves(c, lambda i, C: 2 * i / (C + 1)) if c.C % 2 else None),
    Mistake("exponent rounded down", "you divide the exponent by 2 * (C // 2), which differs from C when C is odd",
            line=ANGLE, makes=lambda c: waves(c, lambda i, C: i / (C // 2)) if c.C % 2 else None),
    Mistake("multiplied instead of divided", "your angle is p * 10000**(2i / C): it should be divided", line=ANGLE,
            makes=lambda c: waves(c, lambda i, C: -2 * i / C)),
    Mistake("whole-number division", "your angle is rounded down to a whole number", line=ANGLE,
            makes=lambda c: waves(c, sine=lambda a: a.floor().sin(), cosine=lambda a: a.floor().cos())),
    *[Mistake("another base than 10000", f"your base is {base:g}, not 10000", line=ANGLE,
              makes=lambda c, base=base: waves(c, base=base))
      for base in (100.0, 1000.0, 1e5, math.e, 10.0, 1024.0, 512.0, 1e6)],
    Mistake("positions from 1", "your positions start at 1: the first row should be position 0", line=ANGLE,
            makes=lambda c: waves(c, start=1)),
    Mistake("positions backwards", "your rows are in reverse order", line=ANGLE, makes=lambda c: waves(c).flip(0)),
    Mistake("positions divided by max_len", "your positions are divided by max_len", line=ANGLE,
            makes=lambda c: waves(c, turn=1 / c.P)),
    Mistake("degrees", "your angle is turned into radians once more", line=ANGLE,
            makes=lambda c: waves(c, turn=math.pi / 180)),
    Mistake("2 pi", "your angle is multiplied by 2 pi", line=ANGLE, makes=lambda c: waves(c, turn=2 * math.pi)),
    Mistake("waves the wrong way round", "the fastest wave is in your last columns: it should be in the first",
            line=ANGLE, makes=lambda c: waves(c, lambda i, C: 2 * (len(i) - 1 - i) / C)),
    Mistake("transposed", "your table is (C, max_len): one row per position", line="(max_len, C)",
            makes=lambda c: waves(c).T),
    Mistake("batch dimension", "your table has an extra first dimension: (max_len, C) is enough", line="(max_len, C)",
            makes=lambda c: waves(c)[None]),
    Mistake("sine plus cosine", "you add sine and cosine in the same column", line=PAIRS,
            makes=lambda c: waves(c, sine=lambda a: a.sin() + a.cos(), cosine=lambda a: a.sin() + a.cos())),
    Mistake("cosine overwritten", "your odd columns stay 0", line=PAIRS,
            makes=lambda c: waves(c, cosine=torch.zeros_like)),
    Mistake("sine overwritten", "your even columns stay 0", line=PAIRS,
            makes=lambda c: waves(c, sine=torch.zeros_like)),
    Mistake("angles returned", "your table holds the angles: the sine and cosine are missing", line=PAIRS,
            makes=lambda c: waves(c, sine=lambda a: a, cosine=lambda a: a)),
    Mistake("last column missing", "for an odd embed_dim your last column is missing",
            line="odd embed_dim: the last is a sine", makes=lambda c: waves(c)[:, :-1] if c.C % 2 else None),
    Mistake("last column empty", "for an odd embed_dim your last column stays 0: it is a sine", hint=2,
            line="odd embed_dim: the last is a sine",
            makes=lambda c: F.pad(waves(c)[:, :-1], (0, 1)) if c.C % 2 else None),
    Mistake("one column too many", "for an odd embed_dim your table has one column more", hint=2,
            line="odd embed_dim: the last is a sine",
            makes=lambda c: waves(SimpleNamespace(P=c.P, C=c.C + 1), lambda i, C: 2 * i / c.C) if c.C % 2 else None),
]


@check(8)
def todo_8(t, sinusoidal_table):
    """sinusoidal_table: every number, for even and odd embed_dim."""
    even, odd = 2 * t.rng.randint(4, 10), 2 * t.rng.randint(4, 10) + 1
    sizes = [(t.rng.randint(24, 60), even), (t.rng.randint(24, 60), odd), (t.rng.randint(61, 99), even + 2),
             (even, even), (1, even), (2, odd), (5, 1), (5, 2), (7, 3), (100, 32)]

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

    t.cases([SimpleNamespace(P=P, C=C, text=f"max_len {P}, embed_dim {C}") for P, C in sizes], run,
            {"for an even embed_dim": lambda c: c.C % 2 == 0 or c.C == 1, "for an odd embed_dim": lambda c: c.C % 2,
             "when max_len equals embed_dim": lambda c: c.P == c.C,
             "for an even embed_dim above 2": lambda c: c.C % 2 == 0 and c.C > 2,
             "for an embed_dim above 1": lambda c: c.C > 1, "for an embed_dim above 2": lambda c: c.C > 2,
             "for few positions": lambda c: c.P < 61})
    return "every number of the table, for even and odd embed_dim"


# --- TODO 9: PositionalEncoding ----------------------------------------------------------------------------------

ADD = "x + table[:T]"
MISTAKES_9 = [
    Mistake("multiplied instead of added", "your output is x * table[:T]", line=ADD,
            makes=lambda c: c.x * c.table[:c.T]),
    Mistake("x missing", "your output is the table alone, without x", line=ADD,
            makes=lambda c: c.table[:c.T].expand_as(c.x)),
    Mistake("x missing", "your output is the table alone, without x", line=ADD, makes=lambda c: c.table[:c.T]),
    Mistake("table not added", "your output is x itself", line=ADD, makes=lambda c: c.x),
    Mistake("last rows of the table", "you add the last T rows of the table, not the first", line=ADD,
            makes=lambda c: c.x + c.table[-c.T:]),
    Mistake("one position for all", "you add the same row of the table at every position", line=ADD,
            makes=lambda c: c.x + c.table[c.T]),
    Mistake("one position for all", "you add the same row of the table at every position", line=ADD,
            makes=lambda c: c.x + c.table[c.T - 1]),
    Mistake("one position for all", "you add row 0 of the table at every position", line=ADD,
            makes=lambda c: c.x + c.table[0]),
    Mistake("batch taken for time", "you add row b of the table to the whole example b: positions are dimension 1",
            line=ADD, hint=2, makes=lambda c: c.x + c.table[:c.B, None]),
    Mistake("positions from 1", "you add table[1 : T+1]: the first position is row 0", line=ADD,
            makes=lambda c: c.x + c.table[1:c.T + 1]),
    Mistake("x scaled", "x is multiplied by sqrt(C) first, as in the original paper: not here", line=ADD,
            makes=lambda c: c.x * c.C**0.5 + c.table[:c.T]),
    Mistake("subtracted", "your output is x - table[:T]", line=ADD, makes=lambda c: c.x - c.table[:c.T]),
    Mistake("added twice", "the table is added twice", line=ADD, makes=lambda c: c.x + 2 * c.table[:c.T]),
    Mistake("concatenated", "x and the table are put side by side: they should be added", line=ADD,
            makes=lambda c: torch.cat([c.x, c.table[:c.T].expand_as(c.x)], -1)),
]


@check(9, pieces={"sinusoidal_table": oracle.sinusoidal_table})
def todo_9(t, PositionalEncoding):
    """PositionalEncoding: the buffer `table`, x + table[:T], ValueError for T > max_len."""
    B, T, C, P = t.sizes((2, 4), (5, 8), (9, 14), (20, 30))
    right = oracle.sinusoidal_table(P, C)
    buffer_9(t, t.make(PositionalEncoding, C, P), right)
    t.make(PositionalEncoding, embed_dim=C, max_len=P)

    def case(B, T, dtype):
        return SimpleNamespace(B=B, T=T, C=C, P=P, mask=None, x=t.randn(B, T, C), dtype=dtype,
                               text=f"x of shape ({B}, {T}, {C}), max_len {P}, {str(dtype)[6:]}")

    def run(c):
        mine, truth = t.make(PositionalEncoding, C, P).to(c.dtype), oracle.PositionalEncoding(C, P).double()
        with torch.no_grad():
            truth.table.copy_(mine.table.reshape(P, C))  # the learner's own, which buffer_9 has compared up to rounding
        c.table, before = truth.table, mine.table.clone()
        t.against(mine, truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_9, case=c)
        t.against(mine.eval(), truth, (c.x,), dtype=c.dtype, mistakes=MISTAKES_9, case=c, gradients=False)
        if not torch.equal(before, mine.table):
            raise Wrong("a call changes the table: it must stay as it is", name="changes its table", case=c)
        return mine

    cases = [case(B, T, SINGLE), case(1, T, SINGLE), case(B, 1, SINGLE), case(B, P, SINGLE), case(T, T, SINGLE),
             case(B, T, DOUBLE)]
    t.cases(cases, run, {"when T equals max_len": lambda c: c.T == c.P, "for a batch of 1": lambda c: c.B == 1,
                         "when T equals B": lambda c: c.B == c.T, "for T < max_len": lambda c: c.T < c.P,
                         "in float32": lambda c: c.dtype == SINGLE})
    for extra in (1, P):
        t.refuses(t.make(PositionalEncoding, C, P), torch.zeros(B, P + extra, C),
                  because=f"T = {P + extra} > max_len = {P}")
    t.refuses(t.make(PositionalEncoding, C, 1), torch.zeros(B, 3, C), because="T = 3 > max_len = 1")
    t.elsewhere(run(cases[0]), (cases[0].x.float(),))
    return "the buffer table, x + table[:T] with its gradient, ValueError for T > max_len"


def buffer_9(t, module, right):
    """`table` is a buffer: it moves with the module, is saved, and is no parameter."""
    if not hasattr(module, "table"):
        raise Wrong("the attribute table is missing: self.register_buffer('table', ...)", kind="missing attribute")
    if isinstance(module.table, nn.Parameter):
        raise Wrong("the table is a parameter: training would change it. Use self.register_buffer('table', ...)",
                    name="table is a parameter", hint=2)
    if "table" not in dict(module.named_buffers()):
        raise Wrong(f"the table is a plain attribute ({kind_of(module.table)}): it would not follow .to(device). Use "
                    "self.register_buffer('table', ...)", name="table is not a buffer", hint=2)
    if list(module.parameters()):
        raise Wrong(f"the module has a parameter ({next(iter(module.named_parameters()))[0]}): the table is fixed, "
                    "nothing here learns", name="learned positions")
    table = module.table
    if table.requires_grad:
        raise Wrong("the table requires a gradient: it is fixed", name="table requires a gradient")
    table = table[0] if table.dim() == 3 and len(table) == 1 else table
    exact = right.to(table.dtype)
    rounding = 1e-6 + 3e-6 * torch.arange(len(right), dtype=DOUBLE)[:, None]
    if table.shape == exact.mT.shape and not difference("", table, exact.mT, None, 1e-3):
        raise Wrong(f"the table is {tuple(table.shape)}: the order of sinusoidal_table(max_len, embed_dim) is swapped",
                    name="max_len and embed_dim swapped")
    t.equal("table", table, exact, (), None, exact.dtype, rounding)
