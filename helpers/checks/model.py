"""Checks of 4_model: TODOs 18-24."""
import copy
import math
import re
from types import SimpleNamespace

import torch
from torch import nn

from helpers import oracle
from helpers.checks.blocks import (
    DOUBLE,
    HEADS,
    SINGLE,
    block_facts,
    children_like,
    construct,
    expected_block,
    module_class,
    not_shared,
)
from helpers.checks.compare import layer_facts, same
from helpers.checks.engine import Mistake, Unfinished, Wrong, check, mistake_made
from helpers.checks.guard import Elsewhere, Faraway

PIECES_MODEL = {name: getattr(oracle, name) for name in (
    "TokenEmbedding", "PositionalEncoding", "sinusoidal_table", "MultiHeadAttention", "FeedForward",
    "TransformerBlock", "causal_mask")}


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


# --- TODO 18: TinyLLM.__init__ -----------------------------------------------------------------------------------

BLOCKS_18 = "blocks = nn.ModuleList of num_layers new TransformerBlock(C, H, dropout)"
EMBEDDING_18 = "token_embedding = TokenEmbedding(V, C)"
POSITION_18 = "positional_encoding = PositionalEncoding(C, max_len)"
NORM_18, HEAD_18 = "final_norm = nn.LayerNorm(C)", "head = nn.Linear(C, V)"
OUTSIDE, KEPT, TABLE = "dropout outside the blocks", "max_len", "positional_encoding's table"
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
            makes=lambda c: {"blocks[0]: attention.dropout.p": 0.0} if c.p else {}),
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
    Mistake("max_len not kept", "the model does not keep max_len: generate (TODO 20) asks for model.max_len",
            line="self.max_len = max_len", makes=lambda c: {KEPT: "missing"}),
    Mistake("max_len not kept", "model.max_len is always 128, whatever max_len says", line="self.max_len = max_len",
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
    weights = [{id(p) for p in b.parameters()} for b in blocks if isinstance(b, nn.Module)]
    shared = len(set().union(*weights)) < sum(map(len, weights))
    facts[REPEATED] = "the same block repeated" if shared else "separate blocks"
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


def expected_model(c):
    blocks = [0, -1] if c.L > 1 else [0]
    inner = {f"blocks[{i}]: {key}": value for i in blocks for key, value in expected_block(c.C, c.H, c.p).items()}
    return {"token_embedding": "nn.Embedding", "token_embedding.num_embeddings": c.V,
            "token_embedding.embedding_dim": c.C, "positional_encoding": "a PositionalEncoding",
            TABLE: (c.max_len, c.C), KEPT: c.max_len, "blocks": "nn.ModuleList", "blocks holds": c.L,
            REPEATED: "separate blocks", "final_norm": "nn.LayerNorm", "final_norm.normalized_shape": (c.C,),
            "final_norm.weight": True, "head": "nn.Linear", "head.in_features": c.C, "head.out_features": c.V,
            OUTSIDE: "none"} | inner


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
    not_shared(t, TinyLLM, (V, 6, 3, 1, max_len))
    return f"parts and sizes for three ways to call TinyLLM(...), first loss near ln {c.V}"


def first_loss(t, model, c):
    """The mean loss over all possible targets must lie within 0.5 of ln V: nothing is random here but the weights."""
    ids = t.randint(c.V, 2, 40)
    with torch.no_grad():
        x = model.positional_encoding(model.token_embedding(ids))
        for block in model.blocks:
            x = block.eval()(x, oracle.causal_mask(ids.shape[1]))
        logits = model.head(model.final_norm(x))
        loss = float((logits.logsumexp(-1) - logits.mean(-1)).mean())
    if not abs(loss - math.log(c.V)) <= 0.5:
        raise Wrong(f"with its first weights the model's mean loss is {loss:.2f}, but someone who guesses evenly among "
                    f"{c.V} characters has ln {c.V} = {math.log(c.V):.2f}: the first logits are too large. (A head "
                    "tied to the embedding needs smaller first weights.)", "first loss too high", HEAD_18, case=c)


# --- TODO 19: TinyLLM.forward ------------------------------------------------------------------------------------

START_19 = "x = positional_encoding(token_embedding(ids))"
BLOCKS_19 = "for each block: x = block(x, causal_mask(T))"
END_19 = "logits = head(final_norm(x))"
LIMIT_19 = "T > max_len: ValueError"


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
        return mine, truth

    def build(c):
        mine, c.model = t.same_weights(*t.once((c.L, c.p), lambda: make(c)), c.dtype)
        return mine

    def case(B, T, L, dtype, training=True, p=0.0):
        c = model_case(V, H * D, H, L, max_len, p)
        mode = "training" if training else "evaluation"
        c.B, c.T, c.dtype, c.training, c.mask, c.x = B, T, dtype, training, None, t.randint(V, B, T)
        c.text = f"ids of shape ({B}, {T}), {L} blocks, max_len {max_len}, {str(dtype)[6:]}, {mode} mode"
        return c

    def run(c):
        mine = build(c).train(c.training)
        try:
            t.against(mine, c.model, (c.x,), names=("logits",), dtype=c.dtype, mistakes=MISTAKES_19, case=c)
        except Wrong as wrong:
            if wrong.name is None and wrong.kind is None and wrong.error is None and looks_ahead(t, mine, c):
                wrong.name, wrong.line = "looks ahead", BLOCKS_19
                wrong.says = "changing a later id changes an earlier logit. " + wrong.says
            raise

    t.cases([case(B, T, 3, SINGLE), case(B + 1, T, 2, DOUBLE, training=False), case(1, T + 1, 2, DOUBLE),
             case(B, max_len, 2, SINGLE, training=False), case(B, 1, 2, DOUBLE)], run, PATTERNS_19)

    c = case(B, T, 2, DOUBLE, training=False, p=0.4)
    mine = build(c).eval()
    with torch.no_grad():
        expected = c.model.eval()(c.x)
    t.equal("logits in evaluation", t.call(mine, c.x), expected, MISTAKES_19, c)
    t.refuses(mine, t.randint(V, 2, max_len + 1), because=f"{max_len + 1} ids with max_len {max_len}")
    t.elsewhere(mine, (c.x,), names=("logits",))
    c = case(B, T, 2, DOUBLE, p=1.0)
    mine = build(c).train()
    with torch.no_grad():
        c.model.eval()
        expected = flow(c, blocks=lambda b: [])  # dropout 1: the blocks hand on what they get
        c.mistaken = flow(c)
    t.equal("logits in training with dropout 1", t.call(mine, c.x), expected, MISTAKES_19_ALL_DROPPED, c)
    return "logits and gradients against nn.TransformerEncoderLayer, causality, max_len"


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


# --- TODO 20: generate -------------------------------------------------------------------------------------------

WINDOW_20 = "logits = model(the last max_len ids)[:, -1]"
TEMPERATURE_20 = "probabilities = softmax(logits / temperature)"
TOP_K_20 = "all but the top_k largest logits become -infinity"
GREEDY_20 = "temperature 0: the id with the largest logit"
APPEND_20 = "ids = torch.cat([ids, next_id], dim=1)"
MODE_20 = "evaluation mode and no gradients inside; the old mode again at the end"


class TooLong(ValueError):
    pass


class Recorder(nn.Module):
    """A model with known logits: they depend on all ids that it is given and on their places, so that a window cut
    in another place gives other logits. In training mode everything is dropped. Notes how it is called."""

    def __init__(self, t, V, max_len, rows=97):
        super().__init__()
        self.max_len, self.calls = max_len, []
        self.table = nn.Parameter(t.randn(rows, V, dtype=SINGLE) * 3)
        self.register_buffer("places", t.randint(rows, max_len) + 1)
        self.dropout = nn.Dropout(1.0)

    def forward(self, ids):
        if ids.shape[1] > self.max_len:
            raise TooLong(f"ids has {ids.shape[1]} positions, but max_len is {self.max_len}")
        self.calls.append(SimpleNamespace(ids=ids, training=self.training or self.dropout.training,
                                          gradients=torch.is_grad_enabled()))
        key = ((ids + 1) * self.places[:ids.shape[1]]).cumsum(1) % len(self.table)
        return self.dropout(self.table[key])  # (B, T, V)


class Known(Recorder):
    """The logits depend on the last id alone: one row of `table` for each id."""

    def forward(self, ids):
        super().forward(ids)
        return self.dropout(self.table[ids])


def greedy(c, window=None, position=-1, pick=None, grow=True):
    """Greedy continuation of case c's prompt; the switches make the mistakes."""
    model, ids = copy.deepcopy(c.model).eval(), c.x
    for _ in range(c.new):
        part = (window or (lambda ids: ids[:, -c.max_len:]))(ids if grow else torch.cat([c.x], 1))
        with torch.no_grad():
            scores = model(part)[:, position]
        chosen = (scores.argmax(-1) if pick is None else pick(scores))[:, None]
        ids = torch.cat([ids, chosen], 1)
    return ids


MISTAKES_20 = [
    Mistake("only the new ids returned", "you return the new ids alone; the prompt belongs in front of them",
            line=APPEND_20, makes=lambda c: greedy(c)[:, c.x.shape[1]:]),
    Mistake("prompt cropped at the wrong end", "the model gets the first max_len ids; it needs the last ones",
            line=WINDOW_20, makes=lambda c: greedy(c, lambda ids: ids[:, :c.max_len])),
    Mistake("cropped result", "the prompt's beginning is missing in the result: crop only what the model is fed",
            line=WINDOW_20, makes=lambda c: greedy(c)[:, -c.max_len:]),
    Mistake("cropped result", "the prompt's beginning is missing in the result: crop only what the model is fed",
            line=WINDOW_20, makes=lambda c: greedy(c)[:, -(c.max_len + 1):]),
    Mistake("cropped result", "the prompt's beginning is missing in the result: crop only what the model is fed",
            line=WINDOW_20, makes=lambda c: greedy(c)[:, max(0, c.x.shape[1] - c.max_len):]),
    Mistake("only the last id fed", "the model gets the last id alone; it needs all ids there are, up to max_len",
            line=WINDOW_20, makes=lambda c: greedy(c, lambda ids: ids[:, -1:])),
    Mistake("window one too short", "the model gets max_len - 1 ids where max_len fit", line=WINDOW_20,
            makes=lambda c: greedy(c, lambda ids: ids[:, -(c.max_len - 1):])),
    Mistake("window of the prompt's length", "the model always gets as many ids as the prompt had; it needs all ids "
            "there are, up to max_len", line=WINDOW_20,
            makes=lambda c: greedy(c, lambda ids: ids[:, -min(c.x.shape[1], c.max_len):])),
    Mistake("new ids not fed back", "the model is always fed the prompt alone: the new ids never reach it",
            line=APPEND_20, makes=lambda c: greedy(c, grow=False)),
    Mistake("logits of the first position", "the next id is chosen from the logits of position 0; the last one counts",
            line=WINDOW_20, makes=lambda c: greedy(c, position=0)),
    Mistake("logits of the last but one position", "the next id is chosen from position -2; the last one counts",
            line=WINDOW_20, makes=lambda c: greedy(c, position=-2)),
    Mistake("the least likely id", "temperature 0 takes the smallest logit", line=GREEDY_20,
            makes=lambda c: greedy(c, pick=lambda scores: scores.argmin(-1))),
    Mistake("one id too few", "there is one new id too few", line=APPEND_20, makes=lambda c: greedy(c)[:, :-1]),
    Mistake("one choice for all rows", "every row of the batch gets the choice of the first row", line=GREEDY_20,
            makes=lambda c: greedy(c, pick=lambda scores: scores[:1].argmax(-1).expand(len(scores)))),
    Mistake("not cropped", "the model is fed more than max_len ids", line=WINDOW_20,
            raises=lambda c, e: isinstance(e, TooLong)),
    Mistake("division by temperature 0", "at temperature 0 there is no division: take the largest logit",
            line=GREEDY_20, raises=lambda c, e: c.temperature == 0 and (
                isinstance(e, ZeroDivisionError) or "probability tensor contains" in str(e))),
    Mistake("works only for a batch of 1", "more than one row in the batch raises an error", line=APPEND_20,
            raises=lambda c, e: (c.x.shape[0] > 1 and "only one element" in str(e)) or "converted to Scalar" in str(e)),
]


def shares(logits, temperature=1.0, k=None, keep=None):
    """Probabilities (V,) of one step."""
    k = len(logits) if k is None else min(max(k, 1), len(logits))
    kept = torch.zeros(len(logits), dtype=torch.bool)
    kept[logits.topk(k, largest=keep is None).indices] = True
    return torch.where(kept, logits.double() / temperature, -torch.inf).softmax(-1)


MISTAKES_20_SHARES = [
    Mistake("always the most likely id", "the most likely id is always taken; with a temperature above 0 the next id "
            "is drawn at random", line=TEMPERATURE_20, makes=lambda c: shares(c.logits, 1e-3)),
    Mistake("temperature multiplied", "the logits are multiplied by the temperature; they are divided by it",
            line=TEMPERATURE_20, makes=lambda c: shares(c.logits, 1 / c.temperature, c.k)),
    Mistake("temperature ignored", "the temperature has no effect", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, 1.0, c.k)),
    Mistake("temperature squared", "the logits are divided by the temperature twice", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, c.temperature**2, c.k)),
    Mistake("top_k ignored", "top_k has no effect", line=TOP_K_20, makes=lambda c: shares(c.logits, c.temperature)),
    Mistake("top_k off by one", "one id too many is kept", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, c.k + 1)),
    Mistake("top_k off by one", "one id too few is kept", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, c.k - 1)),
    Mistake("the k worst kept", "the k smallest logits are kept; keep the k largest", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, c.k, keep="worst")),
    Mistake("the k best removed", "the k largest logits are removed; they are the ones to keep", line=TOP_K_20,
            makes=lambda c: shares(c.logits, c.temperature, len(c.logits) - c.k, keep="worst")),
    Mistake("left-out logits set to 0", "logits outside the top k become 0, which is a possible id like any other; "
            "they must become -infinity", line=TOP_K_20,
            makes=lambda c: (c.logits / c.temperature * (shares(c.logits, 1.0, c.k) > 0)).double().softmax(-1)),
    Mistake("left-out logits set to 0", "logits outside the top k become 0, which is a possible id like any other; "
            "they must become -infinity", line=TOP_K_20,
            makes=lambda c: (c.logits * (shares(c.logits, 1.0, c.k) > 0) / c.temperature).double().softmax(-1)),
    Mistake("all ids equally likely", "the kept ids are drawn with equal chances", line=TEMPERATURE_20,
            makes=lambda c: shares(c.logits, 1e9, c.k)),
    Mistake("softmax twice", "the softmax is taken twice", line=TEMPERATURE_20,
            makes=lambda c: shares(shares(c.logits, c.temperature, c.k))),
]


def modes_kept(t, generate, model, training, *args, **kwargs):
    """Call generate with the model in the given mode; the model must be found in it again -> the result."""
    model.train(training)
    model.calls.clear()
    result = t.call(generate, model, *args, **kwargs)
    if any(call.training for call in model.calls):
        raise Wrong("the model is called in training mode, so its dropout is active.", "not in evaluation mode",
                    MODE_20)
    if any(call.gradients for call in model.calls):
        raise Wrong("the model is called with gradients switched on: memory grows with every id.", "gradients on",
                    MODE_20)
    if model.training != training or model.dropout.training != training:
        now = "training" if model.training else "evaluation"
        raise Wrong(f"the model was in {'training' if training else 'evaluation'} mode before and is in {now} mode "
                    "afterwards.", "mode not restored", MODE_20)
    return result


@check(20)
def todo_20(t, generate):
    """generate: greedy paths against a known model, the shares of sampled ids, modes and errors."""
    V, max_len, T, B = t.sizes((9, 13), (6, 8), (3, 4), (2, 5))

    def case(B, T, new, temperature, k=None):
        return SimpleNamespace(B=B, new=new, temperature=temperature, k=k, max_len=max_len, x=t.randint(V, B, T),
                               mask=None, model=Recorder(t, V, max_len), training=t.rng.random() < 0.5,
                               text=f"ids of shape ({B}, {T}), {new} new ids, max_len {max_len}, "
                                    f"temperature={temperature}, top_k={k}")

    def run(c):
        expected = greedy(c)
        try:
            got = modes_kept(t, generate, c.model, c.training, c.x, c.new, temperature=c.temperature, top_k=c.k)
        except Wrong as wrong:
            raised(MISTAKES_20, c, wrong)
        t.equal("result", got, expected, MISTAKES_20, c, dtype=torch.int64)

    t.cases([case(B, T, max_len, 0), case(1, T + 1, 3, 0.0), case(B, max_len + 3, 4, 0), case(B, max_len, 2, 0),
             case(B, 1, 2, 0, 3), case(B, T, 0, 1.0), case(1, max_len + 2, 0, 0)],
            run, {"for a batch of 1": lambda c: c.B == 1})
    for training in (True, False):
        c = case(2, T, 2, 0)
        modes_kept(t, generate, c.model, training, c.x, 2, 1.0, 2)
    sampled(t, generate, V=6)
    run(case(B, T, 4, 1.3, 1))
    c = case(2, T, 1, 0)
    for because, args in {
        "max_new_tokens -1": (c.x, -1), "temperature -0.5": (c.x, 2, -0.5), "top_k 0": (c.x, 2, 1.0, 0),
        "top_k -2": (c.x, 2, 1.0, -2), "an empty prompt": (c.x[:, :0], 2),
    }.items():
        t.refuses(generate, copy.deepcopy(c.model).eval(), *args, because=because)
    model = Recorder(t, V, max_len).eval()
    Faraway.send(*model.parameters(), *model.buffers())
    t.elsewhere(lambda ids: generate(model, ids, max_len, 0), (c.x,))
    t.elsewhere(lambda ids: generate(model, ids, 2, 0.9, 3), (c.x,))
    return "greedy paths and windows, the shares of sampled ids, modes and errors"


def sampled(t, generate, V):
    """Are the next ids drawn with the right chances?

    Two prompts, N = 1500 rows each. The share of an id with probability p has standard deviation s = sqrt(p(1-p)/N); a
    band of 7.5 s + 3/N is never left by more than a chance of about 1e-9 (for the smallest p here, 0.012, N p = 18 and
    the band ends at 53: Poisson tail 2e-11), and there are 2 x 6 x 6 = 72 shares: false alarms are below 1e-7.
    """
    N = 1500
    chances = torch.tensor([0.30, 0.25, 0.18, 0.13, 0.09, 0.05])
    orders = [torch.randperm(V, generator=t.gen) for _ in range(2)]
    model = Known(t, V, 5, rows=V)
    with torch.no_grad():
        model.table[0], model.table[1] = (chances[order].log() + 4 for order in orders)
    prompt = torch.zeros(2 * N, 2, dtype=torch.int64)
    prompt[N:, 1] = 1  # the second half of the rows ends in id 1
    again = []
    for kwargs in ({}, {"temperature": 0.5}, {"temperature": 2.0, "top_k": 3}, {"top_k": V}, {"top_k": V + 4},
                   {"temperature": 0.6, "top_k": 4}):
        written = ", ".join(f"{k}={v}" for k, v in kwargs.items()) or "temperature and top_k not given"
        c = SimpleNamespace(temperature=kwargs.get("temperature", 1.0), k=kwargs.get("top_k"), x=prompt,
                            text=f"{2 * N} rows of 2 ids, {written}")
        try:
            ids = t.call(generate, model.eval(), prompt, 1, **kwargs)
        except Wrong as wrong:
            raised([TOP_K_TOO_LARGE, *MISTAKES_20], c, wrong)
        t.equal("prompt in the result", ids[:, :2] if getattr(ids, "dim", int)() == 2 else ids, prompt, (), c)
        if ids.shape != (2 * N, 3):
            raise Wrong(f"the result has shape {tuple(ids.shape)}, expected {(2 * N, 3)}.", case=c)
        again.append(ids[:, 2])
        for half in (0, 1):
            c.logits = model.table[half].detach()
            drawn = ids[half * N:(half + 1) * N, 2]
            share = drawn.bincount(minlength=V).double() / N
            right = shares(c.logits, c.temperature, c.k)
            if len(share) == V and off(share, right, N) <= 1:
                continue
            if bool((drawn == drawn[0]).all()) and not kwargs and drawn[0] != c.logits.argmax():
                raise Wrong("all rows of the batch get the same draw.", "one draw for all rows", TEMPERATURE_20, case=c)
            known = []
            for mistake in MISTAKES_20_SHARES:
                try:
                    made = mistake.makes(c)
                except (TypeError, RuntimeError):  # no top_k here
                    continue
                if off(made, right, N) > 0.5:
                    known.append((off(share, made, N), len(known), mistake))
            if known and min(known)[0] <= 1:
                raise mistake_made(min(known)[2], c)
            shown = [", ".join(f"{float(p):.3f}" for p in values) for values in (right, share)]
            raise Wrong(f"the next id is not drawn with the right chances: expected shares {shown[0]}, yours are "
                        f"{shown[1]}.", case=c)
    if any(bool((a == b).all()) for a, b in ((again[3], again[4]), (again[0], again[3]))):
        raise Wrong("two calls draw exactly the same ids: is the random seed set inside?", "the same draw every time",
                    TEMPERATURE_20)
    with torch.no_grad():  # far apart and cold: exp(240) overflows where the largest logit is not subtracted first
        model.table[:2] = torch.stack(orders).float() * 2.4
    expected = torch.cat([prompt, model.table.argmax(-1)[prompt[:, 1]][:, None]], 1)
    c = SimpleNamespace(temperature=0.05, k=None, x=prompt[-2:], text="logits 0, 2.4, ..., 12 and temperature=0.05")
    try:
        t.equal("result", t.call(generate, model.eval(), prompt[-2:], 1, temperature=0.05), expected[-2:], (), c)
    except Wrong as wrong:
        raised(MISTAKES_20, c, wrong)


def off(share, right, N):
    """Largest distance of two lists of shares in units of the band that chance explains."""
    band = 7.5 * (right * (1 - right) / N).sqrt() + 3 / N * (right > 0) + 1e-12
    return float(((share - right).abs() / band).max()) if len(share) == len(right) else math.inf


TOP_K_TOO_LARGE = Mistake("top_k above V", "top_k may be larger than the number of ids and then has no effect",
                          line=TOP_K_20, raises=lambda c, e: c.k is not None and c.k > 6)


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


@check(21)
def todo_21(t, causal_mask):
    """causal_mask: every entry, the dtype and the device."""
    for n in (*t.sizes((3, 6), (7, 12)), 1):
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
    again = t.call(causal_mask, n)
    t.equal("mask", again, right, (), c)
    t.equal("mask", t.call(causal_mask, 4, torch.device("cpu")), mask_table(4, lambda i, j: j <= i))
    for device in (Faraway.DEVICE, str(Faraway.DEVICE)):
        try:
            stays = not Faraway.sent(t.call(causal_mask, 4, device=device, mode=Faraway()))
        except Elsewhere:
            stays = True
        if stays:
            raise Wrong("the mask is not made on the device that is asked for.", "device ignored",
                        "a mask on the given device")
    return "every entry for three sizes, dtype and device"


# --- TODOs 22-24: CharTokenizer ----------------------------------------------------------------------------------

CHARS_22 = "chars = sorted(set(text)); the id of a character is its place in chars"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;:!?-'\n\t0189"
FAR = "\u00e9\u00df\u03b1\u4e2d\u2019\U0001f41d"  # letters beyond ASCII, and one beyond 16 bits


def some_text(t, n=40):
    letters = t.rng.sample(LETTERS, 15) + t.rng.sample(FAR, 3) + ["\n"]
    text = letters + t.rng.choices(letters, k=n)
    t.rng.shuffle(text)
    return "".join(text)


def places(chars):
    return {char: i for i, char in enumerate(chars)}


MISTAKES_22 = [
    Mistake("not sorted", "the characters are not sorted: with another order the ids change from run to run",
            line=CHARS_22, makes=lambda c: list(dict.fromkeys(c.source))),
    Mistake("repeated characters kept", "each character should appear once", line=CHARS_22,
            makes=lambda c: sorted(c.source)),
    Mistake("repeated characters kept", "each character should appear once", line=CHARS_22,
            makes=lambda c: list(c.source)),
    Mistake("sorted backwards", "the characters are sorted from the last to the first", line=CHARS_22,
            makes=lambda c: sorted(set(c.source), reverse=True)),
    Mistake("sorted by frequency", "the characters are sorted by how often they occur; sort them by themselves",
            line=CHARS_22, makes=lambda c: [x for x, _ in __import__("collections").Counter(c.source).most_common()]),
    Mistake("upper and lower case mixed up", "a and A are different characters", line=CHARS_22,
            makes=lambda c: sorted(set(c.source.lower()))),
    Mistake("white space lost", "spaces and line breaks are characters too", line=CHARS_22,
            makes=lambda c: sorted({x for x in c.source if not x.isspace()})),
    Mistake("white space lost", "spaces and line breaks are characters too", line=CHARS_22,
            makes=lambda c: sorted(set(c.source.strip()))),
    Mistake("fixed vocabulary", "the vocabulary does not come from the text", line=CHARS_22,
            makes=lambda c: [chr(i) for i in range(128)]),
    Mistake("fixed vocabulary", "the vocabulary does not come from the text", line=CHARS_22,
            makes=lambda c: [chr(i) for i in range(256)]),
    Mistake("only ASCII", "characters beyond ASCII are characters too", line=CHARS_22,
            makes=lambda c: sorted({x for x in c.source if x.isascii()})),
    Mistake("vocabulary shared by all tokenizers", "the vocabulary holds characters of an earlier tokenizer's text: it "
            "is kept in the class, not in self", line=CHARS_22, makes=lambda c: sorted(set(c.source + c.earlier))),
]
SIZES_22 = [
    Mistake("length of the text", "vocab_size is the length of the text, not the number of different characters",
            line=CHARS_22, makes=lambda c: len(c.source)),
    Mistake("vocab_size off by one", "vocab_size is the largest id; it should be the number of characters",
            line=CHARS_22, makes=lambda c: len(set(c.source)) - 1),
    Mistake("vocab_size off by one", "vocab_size is one too large", line=CHARS_22,
            makes=lambda c: len(set(c.source)) + 1),
]


def vocabulary_of(tokenizer):
    """(name, list of characters) for each attribute that holds an ordered vocabulary, in whatever form."""
    found = []
    try:
        attributes = dict(vars(tokenizer))
    except TypeError:
        attributes = {name: getattr(tokenizer, name) for name in getattr(type(tokenizer), "__slots__", ())}
    for name in ("chars", "char_to_id"):  # may be a property or live in the class
        if name not in attributes and hasattr(tokenizer, name):
            attributes[name] = getattr(tokenizer, name)
    for name, value in attributes.items():
        if isinstance(value, dict) and value:
            pairs = [(k, v) if isinstance(k, str) else (v, k) for k, v in value.items()]
            if all(isinstance(k, str) and isinstance(v, int) for k, v in pairs):
                ordered = sorted(pairs, key=lambda pair: pair[1])
                numbered = [v for _, v in ordered] == list(range(len(ordered)))
                found.append((name, [k for k, _ in ordered] if numbered else [f"{v}:{k}" for k, v in ordered]))
        elif isinstance(value, (list, tuple, str)) and value and all(isinstance(x, str) for x in value):
            found.append((name, list(value)))
    return found


def fits_tokenizer(t, tokenizer, source, c):
    """Raise Wrong unless the tokenizer's vocabulary is right."""
    right = sorted(set(source))
    held = vocabulary_of(tokenizer)
    for name, chars in held:
        if chars != right and chars != list(source):
            named(MISTAKES_22, c, chars)
            if name in ("chars", "char_to_id") and sorted(chars) == right:
                raise mistake_made(MISTAKES_22[0], c)
    size = getattr(tokenizer, "vocab_size", None)
    size = size() if callable(size) else size
    if type(size) is not int or size != len(right):
        if any(name == "chars" for name, chars in held if chars == list(source)):
            named(MISTAKES_22, c, list(source))
        named(SIZES_22, c, size)
        there = "is missing" if size is None else f"is {size!r}" if isinstance(size, int) else "is no whole number"
        raise Wrong(f"vocab_size {there}, expected {len(right)} for {source!a}.",
                    name="vocab_size missing" if size is None else None, line=CHARS_22, case=c)
    for name, chars in held:
        if name in ("chars", "char_to_id") and chars != right:
            named(MISTAKES_22, c, chars)
            raise Wrong(f"{name} should be in sorted order with ids 0..{len(right) - 1}: {right[:4]!a} ..., yours "
                        f"is {chars[:4]!a} ...", name="ids do not start at 0" if name == "char_to_id" else None,
                        line=CHARS_22, case=c)
    if not any(chars == right for _, chars in held):
        encode = getattr(tokenizer, "encode", None)
        try:
            ids = t.call(encode, "".join(right))
        except Unfinished:
            ids = None
        if ids != list(range(len(right))):
            raise Wrong("no attribute holds the sorted characters (chars, char_to_id), and encode does not give them "
                        "the ids 0, 1, 2, ... either.", name="vocabulary missing", line=CHARS_22, case=c)


def tokenizer_class(cls):
    if not isinstance(cls, type):
        raise Wrong("the check needs your class CharTokenizer.", name="not a class")


@check(22)
def todo_22(t, CharTokenizer):
    """CharTokenizer.__init__: the vocabulary, its order and its size."""
    tokenizer_class(CharTokenizer)
    texts = [some_text(t), some_text(t), "".join(t.rng.sample(LETTERS[:26], 5)), t.rng.choice(LETTERS)]
    made = []
    for i, source in enumerate(texts):
        c = SimpleNamespace(source=source, earlier="".join(texts[:i]), text=f"CharTokenizer({source!a})")
        made.append((t.call(CharTokenizer, source), source, c))
        fits_tokenizer(t, *made[-1])
    try:
        for tokenizer, source, c in made:  # once more, now that all exist
            fits_tokenizer(t, tokenizer, source, c)
    except Wrong:
        raise Wrong("a second tokenizer changes the first one: the vocabulary is kept in the class or in a global "
                    "name, not in self.", "vocabulary shared by all tokenizers", CHARS_22) from None
    t.refuses(CharTokenizer, "", because="an empty text")
    return "vocabulary, order and size for four texts"


def tokenizer_for(t, cls, source):
    """The learner's tokenizer for `source`, its __init__ (TODO 22) repaired where it is not right."""
    tokenizer_class(cls)
    c = SimpleNamespace(source=source, earlier="", text="")
    try:
        tokenizer = t.call(cls, source)
    except (Wrong, Unfinished):
        tokenizer = cls.__new__(cls)
        t.repaired.add(22)
    try:
        fits_tokenizer(t, tokenizer, source, c)
    except (Wrong, Unfinished):
        chars = sorted(set(source))
        t.repaired.add(22)
        for name, value in (("chars", chars), ("char_to_id", places(chars)), ("vocab_size", len(chars)),
                            ("id_to_char", dict(enumerate(chars)))):
            setattr(tokenizer, name, value)
    return tokenizer


ENCODE_23 = "one id for each character of text, in order"
UNKNOWN_23 = "a character not in the vocabulary: ValueError that shows it and its position"
MISTAKES_23 = [
    Mistake("not a list", "encode should return a list of ints; yours returns a tensor", line=ENCODE_23,
            makes=lambda c: c.got_type == "Tensor"),
    Mistake("code points instead of ids", "you return the characters' Unicode numbers, not their places in the "
            "vocabulary", line=ENCODE_23, makes=lambda c: c.got == [ord(x) for x in c.given]),
    Mistake("ids start at 1", "the ids are one too large: the first character has id 0", line=ENCODE_23,
            makes=lambda c: c.got == [i + 1 for i in c.right]),
    Mistake("sorted or without repeats", "the ids are sorted, or repeats are lost: keep the text's order",
            line=ENCODE_23, makes=lambda c: c.got in (sorted(c.right), sorted(set(c.right)),
                                                      list(dict.fromkeys(c.right)))),
    Mistake("places in the text", "you return places in the given text, not in the vocabulary", line=ENCODE_23,
            makes=lambda c: c.got in ([c.given.index(x) for x in c.given], list(range(len(c.given))))),
    Mistake("backwards", "the ids come in reverse order", line=ENCODE_23, makes=lambda c: c.got == c.right[::-1]),
    Mistake("characters returned", "you return the characters themselves", line=ENCODE_23,
            makes=lambda c: c.got == list(c.given)),
    Mistake("one character missing", "the last character is left out", line=ENCODE_23,
            makes=lambda c: c.got == c.right[:-1]),
]


@check(23)
def todo_23(t, CharTokenizer):
    """CharTokenizer.encode: ids of several texts, and what it says about an unknown character."""
    source, other = some_text(t), some_text(t, 7)
    tokenizer, second = tokenizer_for(t, CharTokenizer, source), tokenizer_for(t, CharTokenizer, other)
    chars = sorted(set(source))
    for given in ("".join(t.rng.choices(chars, k=17)) + chars[0] * 2, source, chars[-1], ""):
        c = SimpleNamespace(given=given, text=f"encode({given!a})", right=[chars.index(x) for x in given])
        c.got = t.call(tokenizer.encode, given)
        c.got_type = type(c.got).__name__
        if type(c.got) is not list or c.got != c.right or not all(type(i) is int for i in c.got):
            for mistake in MISTAKES_23 if given else ():
                if mistake.makes(c) is True and (c.got_type == "list" or mistake.name == "not a list"):
                    raise mistake_made(mistake, c)
            if type(c.got) is not list:
                raise Wrong(f"encode should return a list, but it returns a {c.got_type}.", name="not a list", case=c)
            if c.got == c.right:
                raise Wrong("the ids should be Python ints.", name="not plain ints", case=c)
            raise Wrong(f"expected {c.right}, yours is {ascii(c.got)[:200]}.", case=c)
    lonely = sorted(set(other))
    t.equal("ids", torch.tensor(t.call(second.encode, other)), torch.tensor([lonely.index(x) for x in other]), (),
            SimpleNamespace(text="a second tokenizer"))
    unknown = t.rng.choice([x for x in "QXZ\u00f1\u20ac\u03a9#%&+" if x not in chars])
    position = t.rng.randint(11, 19)
    known = t.rng.choices([x for x in chars if not x.isdigit()], k=25)
    for given, place in (("".join(known[:position]) + unknown + "".join(known[position:]), position), (unknown, 0)):
        c = SimpleNamespace(text=f"encode({given!a})")
        try:
            got = t.call(tokenizer.encode, given)
        except Wrong as wrong:
            if not isinstance(wrong.error, ValueError):
                kind = type(wrong.error).__name__
                raise Wrong(f"for the unknown character {unknown!a} it should raise ValueError. "
                            f"{wrong.says}", f"{kind} instead of ValueError" if wrong.error else None, UNKNOWN_23,
                            case=c) from None
            says = str(wrong.error)
        else:
            what = "left out" if isinstance(got, list) and len(got) < len(given) else "given some id"
            raise Wrong(f"the unknown character {unknown!a} is silently {what}; it should raise ValueError.",
                        "unknown character accepted", UNKNOWN_23, case=c)
        shown = any(form in says for form in (unknown, repr(unknown), ascii(unknown)[1:-1], f"{ord(unknown):04X}"))
        numbers = [int(n) for n in re.findall(r"\d+", says.replace(given, ""))]
        if not shown:
            raise Wrong(f"the message does not show the unknown character {unknown!a}: {says!a}",
                        "character not shown", UNKNOWN_23, case=c)
        if place not in numbers:
            late = place + 1 in numbers
            raise Wrong(f"the message does not show the position {place} (counted from 0): {says!a}",
                        "position counted from 1" if late else "position not shown", UNKNOWN_23, case=c)
    return "ids of four texts, and the error for an unknown character"


DECODE_24 = "the characters of the ids, joined to one text"
RANGE_24 = "an id outside 0..V-1: ValueError"
MISTAKES_24 = [
    Mistake("a list returned", "decode should return one text; yours returns a list of characters", line=DECODE_24,
            makes=lambda c: c.right and list(c.right)),
    Mistake("spaces between", "there are spaces between the characters", line=DECODE_24,
            makes=lambda c: " ".join(c.right)),
    Mistake("code points", "the ids are taken for Unicode numbers", line=DECODE_24,
            makes=lambda c: "".join(map(chr, c.ids))),
    Mistake("backwards", "the text comes out backwards", line=DECODE_24, makes=lambda c: c.right[::-1]),
    Mistake("only one character", "only the first character comes out: is return inside the loop?", line=DECODE_24,
            makes=lambda c: c.right[:1]),
    Mistake("only one character", "only the last character comes out", line=DECODE_24, makes=lambda c: c.right[-1:]),
    Mistake("numbers instead of characters", "the text holds the ids, not their characters", line=DECODE_24,
            makes=lambda c: "".join(map(str, c.ids))),
    Mistake("one character missing", "the last character is left out", line=DECODE_24, makes=lambda c: c.right[:-1]),
    Mistake("white space stripped", "white space at the ends is lost", line=DECODE_24, makes=lambda c: c.right.strip()),
]


@check(24)
def todo_24(t, CharTokenizer):
    """CharTokenizer.decode: lists and tensors of ids, the way back, ids out of range."""
    source = some_text(t)
    tokenizer = tokenizer_for(t, CharTokenizer, source)
    other = tokenizer_for(t, CharTokenizer, some_text(t, 3))  # must not change the first one
    chars = sorted(set(source))
    V = len(chars)
    whites = [i for i, x in enumerate(chars) if x.isspace()]
    for ids in ([*whites, *t.rng.choices(range(V), k=14), *whites], list(range(V)), [V - 1], []):
        for form, given in (("a list", list(ids)), ("a tensor", torch.tensor(ids, dtype=torch.int64))):
            c = SimpleNamespace(ids=ids, right="".join(chars[i] for i in ids), text=f"decode of {form}: {ids}")
            try:
                got = t.call(tokenizer.decode, given)
            except Wrong as wrong:
                if form == "a tensor" and wrong.error is not None:
                    raise Wrong(f"decode works for a list, but not for a 1-D tensor. {wrong.says}",
                                "works only for a list", DECODE_24, case=c) from None
                raised((), c, wrong)
            if type(got) is not str or got != c.right:
                if ids:
                    named(MISTAKES_24, c, got)
                shown = f"a {type(got).__name__}" if type(got) is not str else ascii(got)
                raise Wrong(f"expected {c.right!a}, yours is {shown}.", case=c)
    for bad in (V, -1, V + 7, -V, -V - 3):
        for given in ([0, bad, 1], torch.tensor([bad])):
            which = f"the id {bad} (V is {V})"
            try:
                t.refuses(tokenizer.decode, given, because=which)
            except Wrong as wrong:
                if bad < 0 and wrong.error is None and -V <= bad:
                    raise Wrong(f"{which} is accepted: Python counts negative indices from the end. It should raise "
                                "ValueError.", "negative ids accepted", RANGE_24) from None
                wrong.line = RANGE_24
                raise
    del other
    return "lists and tensors of ids, and ids out of range"
