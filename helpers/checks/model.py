"""Checks of 4_model: TODOs 18, 19 and 21, the model and its mask."""
import math
from types import SimpleNamespace

import torch
from torch import nn

from helpers import oracle
from helpers.checks.block import HEADS, block_facts, expected_block
from helpers.checks.compare import layer_facts, same
from helpers.checks.construction import children_like, construct, not_shared
from helpers.checks.engine import DOUBLE, SINGLE, Mistake, Unfinished, Wrong, check, module_class
from helpers.checks.guard import Elsewhere, Faraway

PIECES_MODEL = {name: getattr(oracle, name) for name in (
    "TokenEmbedding", "PositionalEncoding", "sinusoidal_table", "MultiHeadAttention", "FeedForward",
    "TransformerBlock", "causal_mask")}


# --- TODO 18: TinyLLM.__init__ -----------------------------------------------------------------------------------

BLOCKS_18 = "blocks: num_layers separate transformer blocks (C, H, dropout), in an nn.ModuleList"
EMBEDDING_18 = "token_embedding: a vector of C numbers for each of V characters"
POSITION_18 = "positional_encoding: max_len rows of C numbers, nothing to learn"
NORM_18, HEAD_18 = "final_norm: layer norm over C", "head: from C numbers to V logits"
KEPT_18 = "max_len is kept"
OUTSIDE, KEPT, TABLE = "dropout outside the blocks", "max_len", "positional_encoding's table"
LEARNS, SHARED = "numbers that positional_encoding learns", "blocks, final_norm and head"
REPEATED = "blocks are"

MISTAKES_18 = [
    Mistake("a plain list of blocks", "blocks is a Python list: the optimizer would never see the blocks' weights. "
            "Use nn.ModuleList", line=BLOCKS_18, makes=lambda c: {"blocks": f"a list of {c.L}"}),
    Mistake("a plain tuple of blocks", "blocks is a tuple: the optimizer would never see the blocks' weights. Use "
            "nn.ModuleList", line=BLOCKS_18, makes=lambda c: {"blocks": f"a tuple of {c.L}"}),
    Mistake("nn.Sequential for the blocks", "nn.Sequential cannot hand the mask to the blocks; use nn.ModuleList",
            line=BLOCKS_18, makes=lambda c: {"blocks": "a Sequential"}),
    Mistake("one block only", "blocks is a single block; make num_layers of them", line=BLOCKS_18,
            makes=lambda c: {"blocks": "a TransformerBlock"}),
    Mistake("the same block repeated", "all blocks are one and the same object, so they share their weights. Make a "
            "new one for each layer", line=BLOCKS_18, makes=lambda c: {REPEATED: "the same block repeated"}),
    Mistake("blocks share weights", "parts of one block are parts of another block too, so they share their weights. "
            "Make new ones for each layer", line=BLOCKS_18, makes=lambda c: {REPEATED: "made of shared parts"}),
    Mistake("parts share weights", "final_norm or head is also a part of a block: they would share their weights",
            line=NORM_18, makes=lambda c: {SHARED: "share weights"}),
    Mistake("number of blocks", "the number of blocks does not follow num_layers", line=BLOCKS_18,
            makes=lambda c: {"blocks holds": 4} if c.L != 4 else {}),
    Mistake("number of blocks", "there is one block too few", line=BLOCKS_18,
            makes=lambda c: {"blocks holds": c.L - 1}),
    Mistake("number of blocks", "there is one block too many", line=BLOCKS_18,
            makes=lambda c: {"blocks holds": c.L + 1}),
    Mistake("number of blocks", "there are num_heads blocks, not num_layers", line=BLOCKS_18,
            makes=lambda c: {"blocks holds": c.H}),
    Mistake("num_heads not passed on", "the blocks' number of heads does not follow num_heads", line=BLOCKS_18,
            makes=lambda c: {f"blocks[0]: {HEADS}": 4} if c.H != 4 else {}),
    Mistake("num_heads not passed on", "the blocks have one head only", line=BLOCKS_18,
            makes=lambda c: {f"blocks[0]: {HEADS}": 1} if c.H != 1 else {}),
    Mistake("num_heads not passed on", "the blocks have num_layers heads: are two arguments swapped?", line=BLOCKS_18,
            makes=lambda c: {f"blocks[0]: {HEADS}": c.L}),
    Mistake("dropout not passed on", "dropout does not reach the blocks", line=BLOCKS_18,
            makes=lambda c: {f"blocks[{i}]: attention.dropout.p": 0.0 for i in (0, -1)} if c.p else {}),
    Mistake("dropout not passed on", "dropout does not reach all blocks", line=BLOCKS_18,
            makes=lambda c: {"blocks[0]: attention.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout not passed on", "dropout does not reach all blocks", line=BLOCKS_18,
            makes=lambda c: {"blocks[-1]: attention.dropout.p": 0.0} if c.p else {}),
    Mistake("dropout outside the blocks", "there is a dropout outside the blocks; in this course it lives in the "
            "blocks only", line=BLOCKS_18, makes=lambda c: {OUTSIDE: "there is one"}),
    Mistake("final_norm missing", "there is no final_norm", line=NORM_18, makes=lambda c: {"final_norm": "missing"}),
    Mistake("wrong kind of norm", "final_norm is an RMSNorm; the contract asks for nn.LayerNorm", line=NORM_18,
            makes=lambda c: {"final_norm": "a RMSNorm"}),
    Mistake("head of the wrong size", "head must end in vocab_size logits; yours ends in C numbers", line=HEAD_18,
            makes=lambda c: {"head.out_features": c.C}),
    Mistake("head of the wrong size", "head's sizes are swapped: it goes from C to vocab_size", line=HEAD_18,
            makes=lambda c: {"head.in_features": c.V, "head.out_features": c.C}),
    Mistake("head of the wrong size", "head has max_len outputs; it needs vocab_size", line=HEAD_18,
            makes=lambda c: {"head.out_features": c.max_len}),
    Mistake("embedding of the wrong size", "token_embedding has max_len rows; it needs vocab_size", line=EMBEDDING_18,
            makes=lambda c: {"token_embedding.num_embeddings": c.max_len}),
    Mistake("embedding of the wrong size", "token_embedding's sizes are swapped", line=EMBEDDING_18,
            makes=lambda c: {"token_embedding.num_embeddings": c.C, "token_embedding.embedding_dim": c.V}),
    Mistake("learned positions", "positional_encoding is an nn.Embedding; the course's PositionalEncoding has a fixed "
            "table and learns nothing", line=POSITION_18, makes=lambda c: {"positional_encoding": "nn.Embedding"}),
    Mistake("positional_encoding's arguments swapped", "its table has embed_dim positions of max_len numbers; it takes "
            "(embed_dim, max_len)", line=POSITION_18, makes=lambda c: {TABLE: (c.C, c.max_len)}),
    Mistake("max_len not passed on", "positional_encoding always has 128 positions: max_len is not passed on",
            line=POSITION_18, makes=lambda c: {TABLE: (128, c.C)} if c.max_len != 128 else {}),
    Mistake("max_len not passed on", "positional_encoding has vocab_size positions; it needs max_len",
            line=POSITION_18, makes=lambda c: {TABLE: (c.V, c.C)}),
    Mistake("learned positions", "positional_encoding's table is a Parameter: training would change it",
            line=POSITION_18, makes=lambda c: {LEARNS: c.max_len * c.C}),
    Mistake("max_len not kept", "the model does not keep max_len: generate (TODO 20) asks for model.max_len",
            line=KEPT_18, makes=lambda c: {KEPT: "missing"}),
    Mistake("max_len not kept", "model.max_len is always 128, whatever max_len says", line=KEPT_18,
            makes=lambda c: {KEPT: 128} if c.max_len != 128 else {}),
]


def token_embedding_of(model):
    """The nn.Embedding inside token_embedding (or token_embedding itself)."""
    part = getattr(model, "token_embedding", None)
    return getattr(part, "embedding", part)


def positions_of(t, part, C):
    """(rows, columns) of a positional encoding, found by what it adds to x; None when it adds something else."""
    table = getattr(part, "table", None)
    if not isinstance(table, torch.Tensor):
        return None
    rows, columns = table.shape[0], table.shape[-1]
    x = t.randn(1, min(rows, 7), columns, dtype=SINGLE)
    truth = oracle.sinusoidal_table(rows, columns)
    return (rows, columns) if same(t.call(part, x), x + truth[:x.shape[1]]) and same(table.detach(), truth) else None


def model_facts(t, model, c):
    facts = layer_facts("token_embedding", token_embedding_of(model))
    position = getattr(model, "positional_encoding", None)
    size = None if isinstance(position, nn.Embedding) else positions_of(t, position, c.C)
    facts |= layer_facts("positional_encoding", position) if size is None else {
        "positional_encoding": "a PositionalEncoding", TABLE: size}
    blocks = getattr(model, "blocks", None)
    facts |= layer_facts("blocks", blocks) if isinstance(blocks, nn.Module) else {
        "blocks": "missing" if blocks is None else f"a {type(blocks).__name__} of {len(blocks)}"}
    blocks = list(blocks) if isinstance(blocks, (list, tuple, nn.ModuleList)) else []
    repeated = len({id(b) for b in blocks}) < len(blocks)
    facts[REPEATED] = "the same block repeated" if repeated else "made of shared parts" if shared(blocks) \
        else "separate blocks"
    rest = [nn.ModuleList({id(b): b for b in blocks if isinstance(b, nn.Module)}.values()),
            getattr(model, "final_norm", None), getattr(model, "head", None)]
    facts[SHARED] = "share weights" if shared(rest) else "have weights of their own"
    facts[LEARNS] = sum(p.numel() for p in position.parameters()) if isinstance(position, nn.Module) else 0
    for i in {0, len(blocks) - 1} if blocks else ():
        which = min(i, 1)  # the first, and the last
        facts |= {f"blocks[{-which}]: {key}": value for key, value in block_facts(t, blocks[i], c.C, c.H).items()}
    facts |= layer_facts("final_norm", getattr(model, "final_norm", None))
    facts |= layer_facts("head", getattr(model, "head", None))
    facts[KEPT] = getattr(model, "max_len", "missing")
    inside = {m for b in blocks if isinstance(b, nn.Module) for m in b.modules()}
    outside = [m for m in model.modules() if isinstance(m, nn.Dropout) and m.p > 0 and m not in inside]
    facts[OUTSIDE] = "there is one" if outside else "none"
    return facts


def shared(parts):
    """Do some of these modules have a weight in common?"""
    weights = [{id(p) for p in part.parameters()} for part in parts if isinstance(part, nn.Module)]
    return len(set().union(*weights)) < sum(map(len, weights))


def expected_model(c):
    blocks = [0, -1] if c.L > 1 else [0]
    inner = {f"blocks[{i}]: {key}": value for i in blocks for key, value in expected_block(c.C, c.H, c.p).items()}
    parts = {
        "token_embedding": {"": "nn.Embedding", ".num_embeddings": c.V, ".embedding_dim": c.C, ".padding_idx": None},
        "positional_encoding": {"": "a PositionalEncoding"},
        "blocks": {"": "nn.ModuleList", " holds": c.L},
        "final_norm": {"": "nn.LayerNorm", ".normalized_shape": (c.C,), ".eps": 1e-5, ".weight": True, ".bias": True},
        "head": {"": "nn.Linear", ".in_features": c.C, ".out_features": c.V},
    }
    facts = {name + what: value for name, part in parts.items() for what, value in part.items()}
    return facts | {TABLE: (c.max_len, c.C), LEARNS: 0, KEPT: c.max_len, REPEATED: "separate blocks",
                    SHARED: "have weights of their own", OUTSIDE: "none"} | inner


def model_case(V, C, H, L, max_len, p=0.0):
    return SimpleNamespace(V=V, C=C, H=H, L=L, max_len=max_len, p=p,
                           text=f"TinyLLM({V}, embed_dim={C}, num_heads={H}, num_layers={L}, max_len={max_len}, "
                                f"dropout={p})")


@check(18, pieces=PIECES_MODEL)
def todo_18(t, TinyLLM):
    """TinyLLM.__init__: kinds and sizes of its parts, separate blocks, and the first loss."""
    V, L, max_len, more = t.sizes((14, 19), (2, 3), (7, 13), (131, 140))
    p = t.rng.choice((0.15, 0.25, 0.35))
    for c, kwargs in (
        (model_case(V, 15, 5, L, max_len, p), {}),
        (model_case(V + 5, 6, 3, 1, more), {"embed_dim": 6, "num_heads": 3, "num_layers": 1, "max_len": more}),
        (model_case(V + 40, 128, 4, 4, 128), None),
    ):
        args = (c.V,) if kwargs is None or kwargs else (c.V, c.C, c.H, c.L, c.max_len, c.p)
        model = construct(t, TinyLLM, args, kwargs or {}, MISTAKES_18, c)
        t.facts(model_facts(t, model, c), expected_model(c), MISTAKES_18, c)
    first_loss(t, model, c)
    not_shared(t, TinyLLM, (V, 6, 1, 1, max_len))
    t.refuses(TinyLLM, V, 7, 2, because="embed_dim 7, num_heads 2")
    return f"parts and sizes for three ways to call TinyLLM(...), first loss near ln {c.V}"


def first_loss(t, model, c):
    """The mean loss over all possible targets must lie within 0.5 of ln V: nothing is random here but the weights.

    The learner's own forward counts, where there is one (it may make the logits of a tied head smaller); else, or
    where it is not right, the parts put together here.
    """
    ids = t.randint(c.V, 2, 40)
    with torch.no_grad():
        x = model.positional_encoding(model.token_embedding(ids))
        for block in model.blocks:
            x = block.eval()(x, oracle.causal_mask(ids.shape[1]))
        results = [model.head(model.final_norm(x))]
    try:
        results.append(t.call(model.eval(), ids).detach())
    except (Wrong, Unfinished, AttributeError):
        pass
    losses = [float((logits.logsumexp(-1) - logits.mean(-1)).mean()) for logits in results
              if logits.shape == (*ids.shape, c.V)]
    if not any(abs(loss - math.log(c.V)) <= 0.5 for loss in losses):
        raise Wrong(f"with its first weights the model's mean loss is {losses[-1]:.2f}, but someone who guesses evenly "
                    f"among {c.V} characters has ln {c.V} = {math.log(c.V):.2f}: the first logits are too large. (A "
                    "head tied to the embedding needs smaller first weights.)", "first loss too high", HEAD_18, case=c)


# --- TODO 19: TinyLLM.forward ------------------------------------------------------------------------------------

START_19 = "characters' vectors plus their positions"
BLOCKS_19 = "then one block after the other, each with the causal mask"
END_19 = "then the final norm, then the head: logits"


def flow(c, *, start=None, mask="causal", blocks=None, chain=True, norm=lambda c, x: c.model.final_norm(x),
         head=lambda c, x: c.model.head(x)):
    """The model of case c with something done otherwise: what the mistakes are made from."""
    T = c.x.shape[1]
    mask = torch.ones(T, T).tril().bool() if isinstance(mask, str) else mask and mask(T)
    first = x = c.model.positional_encoding(c.model.token_embedding(c.x)) if start is None else start(c)
    for block in c.model.blocks if blocks is None else blocks(list(c.model.blocks)):
        x = block(x if chain else first, mask)
    return head(c, norm(c, x))


def embedded(c):
    return c.model.token_embedding(c.x)


def table(c):
    return c.model.positional_encoding.table[:c.x.shape[1]]


MISTAKES_19 = [
    Mistake("no mask", "the blocks get no mask: every position sees the characters it should predict", line=BLOCKS_19,
            makes=lambda c: flow(c, mask=None)),
    Mistake("mask upside down", "the mask hides the past and shows the future", line=BLOCKS_19,
            makes=lambda c: flow(c, mask=lambda T: torch.ones(T, T).triu().bool())),
    Mistake("mask upside down", "the mask is turned round: it is True where a position may look", line=BLOCKS_19,
            makes=lambda c: flow(c, mask=lambda T: torch.ones(T, T).triu(1).bool())),
    Mistake("mask without the diagonal", "a position does not see itself", line=BLOCKS_19,
            makes=lambda c: flow(c, mask=lambda T: torch.ones(T, T).tril(-1).bool())),
    Mistake("mask reaches one too far", "each position also sees the one after it", line=BLOCKS_19,
            makes=lambda c: flow(c, mask=lambda T: torch.ones(T, T).tril(1).bool())),
    Mistake("mask for the first block only", "only the first block gets the mask", line=BLOCKS_19,
            makes=lambda c: one_masked(c, 0)),
    Mistake("mask for the last block only", "only the last block gets the mask", line=BLOCKS_19,
            makes=lambda c: one_masked(c, len(c.model.blocks) - 1)),
    Mistake("no positions", "the positional encoding is left out", line=START_19,
            makes=lambda c: flow(c, start=embedded)),
    Mistake("positions added twice", "the positional encoding is added twice", line=START_19,
            makes=lambda c: flow(c, start=lambda c: embedded(c) + 2 * table(c))),
    Mistake("embedding added twice", "positional_encoding(x) already returns x + table: x is added once more",
            line=START_19, makes=lambda c: flow(c, start=lambda c: 2 * embedded(c) + table(c))),
    Mistake("positions from the end", "the last rows of the table are used; a sequence starts at row 0", line=START_19,
            makes=lambda c: flow(c, start=lambda c: embedded(c) + c.model.positional_encoding.table[-c.x.shape[1]:])),
    Mistake("positions without characters", "the characters' vectors are lost: only the positions remain",
            line=START_19, makes=lambda c: flow(c, start=lambda c: table(c) + 0 * embedded(c))),
    Mistake("embedding scaled", "the embedding is multiplied by sqrt(C); this course does not scale it", line=START_19,
            makes=lambda c: flow(c, start=lambda c: embedded(c) * math.sqrt(c.C) + table(c))),
    Mistake("no final norm", "final_norm is left out", line=END_19, makes=lambda c: flow(c, norm=lambda c, x: x)),
    Mistake("final norm before the blocks", "final_norm comes before the blocks; it belongs after the last one",
            line=END_19, makes=lambda c: flow(c, norm=lambda c, x: x, start=lambda c: c.model.final_norm(
                embedded(c) + table(c)))),
    Mistake("final norm after every block", "final_norm is applied after every block; once at the end is meant",
            line=END_19, makes=lambda c: norm_each(c)),
    Mistake("softmax returned", "you return probabilities; the model returns logits", line=END_19,
            makes=lambda c: flow(c).softmax(-1)),
    Mistake("log-softmax returned", "you return log-probabilities; the model returns logits", line=END_19,
            makes=lambda c: flow(c).log_softmax(-1)),
    Mistake("activation after the head", "a ReLU follows the head; logits may be negative", line=END_19,
            makes=lambda c: flow(c).relu()),
    Mistake("only the last position", "you return logits of the last position only; training needs all T", line=END_19,
            makes=lambda c: flow(c)[:, -1]),
    Mistake("only the last position", "you return logits of the last position only; training needs all T", line=END_19,
            makes=lambda c: flow(c)[:, -1:]),
    Mistake("head missing", "the head is not applied: you return vectors of size C", line=END_19,
            makes=lambda c: flow(c, head=lambda c, x: x)),
    Mistake("head twice the embedding", "the logits come from the embedding's weights, not from head", line=END_19,
            makes=lambda c: flow(c, head=lambda c, x: x @ token_embedding_of(c.model).weight.T)),
    Mistake("blocks not used", "no block is applied", line=BLOCKS_19, makes=lambda c: flow(c, blocks=lambda b: [])),
    Mistake("only the first block", "only the first block is applied", line=BLOCKS_19,
            makes=lambda c: flow(c, blocks=lambda b: b[:1])),
    Mistake("only the last block", "every block reads the same x, so only the last one counts: keep the result in x",
            line=BLOCKS_19, makes=lambda c: flow(c, chain=False)),
    Mistake("one block left out", "the last block is left out", line=BLOCKS_19,
            makes=lambda c: flow(c, blocks=lambda b: b[:-1])),
    Mistake("one block left out", "the first block is left out", line=BLOCKS_19,
            makes=lambda c: flow(c, blocks=lambda b: b[1:])),
    Mistake("blocks in reverse order", "the blocks are applied from the last to the first", line=BLOCKS_19,
            makes=lambda c: flow(c, blocks=lambda b: b[::-1])),
    Mistake("residual around each block", "x is added to each block's result; the block does that itself",
            line=BLOCKS_19, makes=lambda c: flow(c, blocks=lambda blocks: [
                lambda x, mask, b=b: x + b(x, mask) for b in blocks])),
    Mistake("loss returned too", "forward returns the logits alone", line=END_19,
            raises=lambda c, e: isinstance(e, TypeError) and "targets" in str(e)),
]
MISTAKES_19_ALL_DROPPED = [
    Mistake("dropout outside the blocks", "the sum of embedding and position goes through a dropout; in this course "
            "dropout lives in the blocks only", line=START_19,
            makes=lambda c: flow(c, start=lambda c: embedded(c) * 0, blocks=lambda b: [])),
    Mistake("evaluation mode in forward", "forward switches the model to evaluation mode: nothing is dropped in "
            "training", line=BLOCKS_19, makes=lambda c: flow(c)),
]


def one_masked(c, which):
    causal = torch.ones(c.x.shape[1], c.x.shape[1]).tril().bool()
    return flow(c, blocks=lambda blocks: [lambda x, mask, b=b, i=i: b(x, causal if i == which else None)
                                          for i, b in enumerate(blocks)])


def norm_each(c):
    return flow(c, norm=lambda c, x: x,
                blocks=lambda blocks: [lambda x, mask, b=b: c.model.final_norm(b(x, mask)) for b in blocks])


PATTERNS_19 = {
    "for a batch of 1": lambda c: c.x.shape[0] == 1,
    "when T equals max_len": lambda c: c.x.shape[1] == c.max_len,
    "for one id": lambda c: c.x.shape[1] == 1,
    "in float32": lambda c: c.dtype == SINGLE,
}


@check(19, pieces=PIECES_MODEL)
def todo_19(t, TinyLLM):
    """TinyLLM.forward: logits and gradients against PyTorch's encoder layers, causality, max_len."""
    H, D = t.rng.choice(((2, 3), (3, 2), (2, 5), (5, 2)))
    V, T, B = t.sizes((12, 16), (5, 8), (2, 4))
    max_len = T + 2

    module_class(TinyLLM)
    form = allowed_form(t, TinyLLM, model_case(V, H * D, H, 2, max_len, 0.4))
    if form is None:
        t.repaired.add(18)

    def make(c):
        args = (c.V, c.C, c.H, c.L, c.max_len, c.p)
        truth = t.fill(allowed_variant(oracle.TinyLLM(*args), form).double(), 1.2)
        mine = t.build(TinyLLM, args, truth, todo=18, max_len=c.max_len)
        if form is None:
            children_like(mine, truth)
        mine.__dict__["max_len"] = c.max_len
        if form is not None and form.tied:
            same_scale(t, TinyLLM, *t.same_weights(mine, truth, DOUBLE), c)
        return mine, truth

    def build(c):
        mine, c.model = t.same_weights(*t.once((c.L, c.p), lambda: make(c)), c.dtype)
        return mine

    def case(B, T, L, dtype, training=True, p=0.0, V=V, max_len=max_len, backward=True):
        c = model_case(V, H * D, H, L, max_len, p)
        c.backward = backward  # are gradients compared too?
        mode = "training" if training else "evaluation"
        c.B, c.T, c.dtype, c.training, c.mask, c.x = B, T, dtype, training, None, t.randint(V, T, B).T  # a view
        c.x[0, 0], c.x[-1, -1] = 0, V - 1
        c.text = f"ids of shape ({B}, {T}), {L} blocks, max_len {max_len}, {str(dtype)[6:]}, {mode} mode"
        return c

    def run(c):
        mine = build(c).train(c.training)
        try:
            t.against(mine, c.model, (c.x,), names=("logits",), dtype=c.dtype, mistakes=MISTAKES_19, case=c,
                      gradients=c.backward)
        except Wrong as wrong:
            if wrong.name is None and wrong.kind is None and wrong.error is None and looks_ahead(t, mine, c):
                wrong.name, wrong.line = "looks ahead", BLOCKS_19
                wrong.says = "changing a later id changes an earlier logit. " + wrong.says
            raise

    first = case(B, T, 2, SINGLE)
    t.cases([first, case(B, T, 2, DOUBLE, training=False), case(1, T + 1, 2, DOUBLE),
             case(T, T, 2, SINGLE, backward=False), case(B, max_len, 2, SINGLE, training=False, backward=False),
             case(B, 1, 2, DOUBLE), case(max_len + 1, 2, 2, SINGLE, backward=False),
             case(1, 80, 5, SINGLE, V=70, max_len=90)], run, PATTERNS_19)
    t.fill(t.once((2, 0.0), None)[1])
    first.text += ", after a change of the weights"
    t.cases([first], run)

    c = case(B, T, 2, DOUBLE, training=False, p=1.0)
    c.text += ", torch.no_grad()"
    mine = build(c).eval()
    with torch.no_grad():
        expected = c.model.eval()(c.x)
    t.equal("logits in evaluation", t.call(torch.no_grad()(mine.__call__), c.x), expected, MISTAKES_19, c)
    t.refuses(mine, t.randint(V, 2, max_len + 1), because=f"{max_len + 1} ids with max_len {max_len}")
    t.elsewhere(mine, (c.x,), names=("logits",))
    c = case(B, T, 2, DOUBLE, p=1.0)
    mine = build(c).train()
    with torch.no_grad():
        c.model.eval()
        expected = flow(c, blocks=lambda b: [])  # dropout 1: the blocks hand on what they get
    t.equal("logits in training with dropout 1", t.call(mine, c.x), expected, MISTAKES_19_ALL_DROPPED, c)
    return "logits and gradients against nn.TransformerEncoderLayer, causality, max_len"


def same_scale(t, TinyLLM, mine, truth, c):
    """With a head tied to the embedding, the learner's logits may all be smaller by one factor, as long as the first
    loss stays right: then the truth gets the same factor."""
    ids = t.randint(c.V, 3, min(c.max_len, 5))
    got, right = t.call(mine.eval(), ids), truth.eval()(ids)
    if type(got) is not torch.Tensor or got.shape != right.shape:
        return
    factor = float((got * right).sum() / (right * right).sum())
    if factor > 0 and not same(got, right) and same(got, factor * right):
        truth.head.register_forward_hook(lambda head, inputs, logits: factor * logits)
        first_loss(t, t.call(TinyLLM, c.V, 128), SimpleNamespace(V=c.V, text="the default sizes"))


def allowed_form(t, TinyLLM, c):
    """What this learner's __init__ chose where the contract leaves a choice; None when it is not right (TODO 18)."""
    try:
        mine = t.call(TinyLLM, c.V, c.C, c.H, c.L, c.max_len, c.p)
        t.facts(model_facts(t, mine, c), expected_model(c))
    except (Wrong, Unfinished):
        return None
    return SimpleNamespace(bare=isinstance(mine.token_embedding, nn.Embedding), bias=mine.head.bias is not None,
                           tied=mine.head.weight is token_embedding_of(mine).weight)


def allowed_variant(truth, form):
    """The truth in that form: head without bias, head tied to the embedding, bare nn.Embedding."""
    if form is not None and form.bare:
        truth.token_embedding = truth.token_embedding.embedding
    if form is not None and not form.bias:
        truth.head = nn.Linear(truth.head.in_features, truth.head.out_features, bias=False)
    if form is not None and form.tied:
        truth.head.weight = token_embedding_of(truth).weight
    return truth


def looks_ahead(t, mine, c):
    """Does a change of the last id change an earlier logit?"""
    changed = c.x.clone()
    changed[:, -1] = (changed[:, -1] + 1) % c.V
    try:
        first, second = t.call(mine, c.x), t.call(mine, changed)
        return first.dim() == 3 and not same(first[:, :-1].detach(), second[:, :-1].detach())
    except (Wrong, AttributeError):
        return False


# --- TODO 21: causal_mask ----------------------------------------------------------------------------------------

MASK_21 = "mask[i, j] is True where j <= i"


def mask_table(n, condition):
    i, j = torch.arange(n)[:, None], torch.arange(n)
    return condition(i, j)


MISTAKES_21 = [
    Mistake("upside down", "your mask shows the future: it is True where j >= i", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: j >= i)),
    Mistake("True where hidden", "your mask is True where a position may not look (as in nn.MultiheadAttention); in "
            "this course True means: may look", line=MASK_21, makes=lambda c: mask_table(c.n, lambda i, j: j > i)),
    Mistake("diagonal missing", "position i does not see itself", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: j < i)),
    Mistake("one too far", "position i also sees i + 1", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: j <= i + 1)),
    Mistake("everything visible", "your mask hides nothing", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: (i + j) >= 0)),
    Mistake("only the diagonal", "each position sees itself alone", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: i == j)),
    Mistake("additional dimensions", "the mask has shape (T, T), nothing more", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: j <= i)[None, None]),
    Mistake("additional dimensions", "the mask has shape (T, T), nothing more", line=MASK_21,
            makes=lambda c: mask_table(c.n, lambda i, j: j <= i)[None]),
]


SHARED_MASK = Mistake("the same tensor each time", "a second call hands out the mask of the first call again: whoever "
                      "changes it changes it for all", line=MASK_21,
                      makes=lambda c: mask_table(c.n, lambda i, j: j > i))


@check(21)
def todo_21(t, causal_mask):
    """causal_mask: every entry, the dtype and the device."""
    for n in (*t.sizes((3, 6), (7, 12)), 1, 140):  # the last: longer than the course's model
        c = SimpleNamespace(n=n, text=f"causal_mask({n})")
        right = mask_table(n, lambda i, j: j <= i)
        got = t.call(causal_mask, n)
        if type(got) is torch.Tensor and got.shape == right.shape and got.dtype != torch.bool and n > 1:
            t.name_it(MISTAKES_21, c, ((got.double() > 0.5) if not torch.isinf(got.double()).any() else got == 0,))
            if torch.isinf(got.double()).any():
                raise Wrong("your mask holds 0 and -infinity, to be added to scores; here it is bool, True where a "
                            "position may look.", "additive mask", MASK_21, case=c)
            raise Wrong(f"the mask has dtype {str(got.dtype)[6:]}, expected bool.", "not bool", MASK_21, case=c)
        t.equal("mask", got, right, MISTAKES_21, c)
    got.logical_not_()  # whoever asks again gets a mask of their own
    t.equal("mask", t.call(causal_mask, n), right, [SHARED_MASK], c)
    t.equal("mask", t.call(causal_mask, seq_len=3), mask_table(3, lambda i, j: j <= i))
    t.equal("mask", t.call(causal_mask, 4, torch.device("cpu")), mask_table(4, lambda i, j: j <= i))
    for device in (Faraway.DEVICE, str(Faraway.DEVICE)):
        try:
            stays = not Faraway.sent(t.call(causal_mask, 4, device=device, mode=Faraway()))
        except Elsewhere:
            stays = True
        if stays:
            raise Wrong("the mask is not made on the device that is asked for.", "device ignored",
                        "a mask on the given device")
    return "every entry for four sizes, dtype and device"
