# %% [markdown]
# # 4. The model: stack the blocks and let it speak
#
# All parts are made. Now you put them together: characters go in, and out comes, for each position, a guess
# at the next character. You will build the **whole language model**, a **generator** that lets it write, and
# a **tokenizer** that translates between text and numbers. At the end your model writes its first line. It
# will be gibberish, and you will know exactly why.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 18 | `TinyLLM.__init__`: all parts in their places | ★★☆ | 12 |
# | 19 | `TinyLLM.forward`: from ids to logits | ★★☆ | 15 |
# | 20 | `generate`: guess, append, repeat | ★★★ | 25 |
# | 21 | `causal_mask`: the triangle | ★☆☆ | 6 |
# | 22 | `CharTokenizer.__init__`: the vocabulary | ★☆☆ | 8 |
# | 23 | `CharTokenizer.encode`: text to ids | ★★☆ | 12 |
# | 24 | `CharTokenizer.decode`: ids to text | ★★☆ | 12 |
#
# **What you need from before:** embeddings (TODOs 6-9), attention (TODOs 10-13) and blocks (TODOs 14-17). If
# one of them is unfinished, go on all the same: a stand-in takes its place and says so.
#
# Letters for shapes, as always: `B` texts in a batch, `T` positions in each, `C` features at each position
# (`embed_dim`); and a new one, `V`, the number of different characters (`vocab_size`).

# %% locked="imports"
import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers import checks, parts, plots, widgets

# %% [markdown]
# ## The whole model in one picture
#
# Read it from the top. Beside each part stand its class, the TODO in which you write it, and how many numbers
# it learns.

# %%
plots.show(plots.architecture())

# %% [markdown]
# The parts in it are yours already. What is missing is the whole:

# %%
TokenEmbedding = parts.get("TokenEmbedding")  # ids (B, T) -> (B, T, C)
PositionalEncoding = parts.get("PositionalEncoding")  # (B, T, C) -> (B, T, C)
TransformerBlock = parts.get("TransformerBlock")  # (B, T, C) and a mask -> (B, T, C)
causal_mask = parts.get("causal_mask")  # T -> (T, T): True where looking is allowed

# %% [markdown]
# The last line deserves a word. You met the causal mask in `3b_attention`, and you will write it yourself as
# TODO 21, further down in this notebook. Until then `causal_mask` is a stand-in. Use it as if it were yours.
#
# ## What a language model says
#
# At every position, the model answers one question: *which character comes next?* It does not name one. It
# gives each of the `V` characters a score, a **logit**; softmax turns the logits into probabilities. So ids
# of the shape `(B, T)` become logits of the shape `(B, T, V)`.
#
# How good is a guess? Suppose the character that really comes next had been given the probability $p$. The
# guess costs $-\ln p$: nothing for $p = 1$, 0.69 for $p = 0.5$, 4.6 for $p = 0.01$. The mean of this cost
# over all positions is the **cross-entropy loss**, the one number that training will push down.
#
# This lets us say *beforehand* what a new model must cost. It knows nothing yet, so all characters should be
# about equally likely. Shakespeare's plays use $V = 65$ different characters; each gets $p = 1/65$, and that
# costs
#
# $$-\ln \tfrac{1}{65} = \ln 65 \approx 4.17$$
#
# Remember 4.17. If the first loss of a model is far above it, the model is *sure of wrong things* before it
# has seen a single letter, and something in it is built wrongly.
#
# ## TODO 18 and TODO 19: the model
#
# **TODO 18** makes the parts. The blocks belong into an
# [nn.ModuleList](https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html): a plain Python
# list looks the same, but PyTorch does not look into it, and what it does not find is not trained.
# **TODO 19** runs them from the top of the picture to the bottom. New are only the last two: `final_norm`, a
# layer norm after the last block (see question 3 of `3c_blocks`), and `head`, a linear layer from `C`
# features to `V` logits.

# %% todo="18-19"
class TinyLLM(nn.Module):
    """A small language model: for each position, a score for every character that might come next.

    vocab_size: V, the number of different characters
    embed_dim: C; num_heads: H, must divide C; num_layers: the number of blocks
    max_len: the longest text it can read at once
    dropout: share set to zero while training, in the blocks only
    """

    def __init__(self, vocab_size, embed_dim=128, num_heads=4, num_layers=4, max_len=128, dropout=0.0):
        super().__init__()
        # TODO 18: keep max_len as self.max_len. Then the parts, from top to bottom of the picture:
        # self.token_embedding, self.positional_encoding,
        # self.blocks (an nn.ModuleList of num_layers blocks),
        # self.final_norm (nn.LayerNorm) and self.head (nn.Linear from C to V).
        ### BEGIN SOLUTION 18
        self.max_len = max_len
        self.token_embedding = TokenEmbedding(vocab_size, embed_dim)
        self.positional_encoding = PositionalEncoding(embed_dim, max_len)
        self.blocks = nn.ModuleList(
            TransformerBlock(embed_dim, num_heads, dropout) for _ in range(num_layers)
        )
        self.final_norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, vocab_size)
        ### END SOLUTION

    def forward(self, ids):
        """ids: (B, T), whole numbers from 0 to V - 1; T at most max_len. Returns logits (B, T, V)."""
        # TODO 19: if T is larger than self.max_len, raise a ValueError that says so. Then
        #   embed the ids, add the positions        (B, T, C)
        #   make a causal mask, where the ids live  (T, T)
        #   through each block, with the mask       (B, T, C)
        #   final norm                              (B, T, C)
        #   head                                    (B, T, V)
        ### BEGIN SOLUTION 19
        T = ids.shape[1]
        if T > self.max_len:
            raise ValueError(f"ids has {T} positions, but this model reads at most {self.max_len} (max_len)")
        x = self.positional_encoding(self.token_embedding(ids))  # (B, T, C)
        mask = causal_mask(T, device=ids.device)  # (T, T)
        for block in self.blocks:
            x = block(x, mask)  # (B, T, C)
        return self.head(self.final_norm(x))  # (B, T, V)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: one block or four?</summary>
#
# Each of the blocks needs weights of its own, so call `TransformerBlock(...)` anew for each: `[block] * 4`
# would be four names for one block. In `forward`, a plain `for block in self.blocks:` walks through them, and
# what comes out of one goes into the next.
# </details>
#
# <details><summary><b>Hint 2</b>: line by line</summary>
#
# The blocks: `nn.ModuleList([TransformerBlock(embed_dim, num_heads, dropout) for _ in range(num_layers)])`.
# The forward pass: `T` is `ids.shape[1]`; the mask is `causal_mask(T, device=ids.device)`; start with
# `x = self.positional_encoding(self.token_embedding(ids))`, replace `x` by `block(x, mask)` once per block,
# and return the head of the final norm of `x`. No softmax: the loss and the generator want logits.
# </details>

# %% test="18" points=3
checks.todo_18(TinyLLM)
### BEGIN HIDDEN TESTS
_model = TinyLLM(11, embed_dim=12, num_heads=3, num_layers=2, max_len=7, dropout=0.25)
assert _model.max_len == 7 and isinstance(_model.blocks, nn.ModuleList) and len(_model.blocks) == 2
assert len({_p.data_ptr() for _p in _model.blocks.parameters()}) == 2 * 16, "each block has its own weights"
assert isinstance(_model.final_norm, nn.LayerNorm) and tuple(_model.head.weight.shape) == (11, 12)
assert all(_b.attention.dropout.p == _b.feed_forward.dropout.p == 0.25 for _b in _model.blocks)
assert sum(isinstance(_m, nn.Dropout) for _m in _model.modules()) == 4, "dropout lives in the blocks only"
assert tuple(_model.positional_encoding.table.shape) == (7, 12)
### END HIDDEN TESTS

# %% test="19" points=5
checks.todo_19(TinyLLM)
### BEGIN HIDDEN TESTS
torch.manual_seed(19)
_sizes = {"embed_dim": 12, "num_heads": 3, "num_layers": 2, "max_len": 7}
try:
    checks.todo_18(TinyLLM, quiet=True)
    _model = TinyLLM(11, **_sizes)
except Exception:  # TODO 18 is not right: parts made here, so that this TODO is judged alone
    class _Model(TinyLLM):
        def __init__(self):
            try:
                super().__init__(11, **_sizes)
            except Exception:
                nn.Module.__init__(self)
            self.max_len, self.token_embedding = 7, TokenEmbedding(11, 12)
            self.positional_encoding = PositionalEncoding(12, 7)
            self.blocks = nn.ModuleList(TransformerBlock(12, 3) for _ in range(2))
            self.final_norm, self.head = nn.LayerNorm(12), nn.Linear(12, 11)
    _model = _Model()
_ids = torch.randint(11, (9, 7))
_embedding = getattr(_model.token_embedding, "embedding", _model.token_embedding)
with torch.no_grad():
    for _n in (7, 4):
        _x = _embedding.weight[_ids[:, :_n]] + _model.positional_encoding.table[:_n]
        for _b in _model.blocks:
            _x = _b(_x, torch.ones(_n, _n).tril().bool())
        _out, _true = _model(_ids[:, :_n]), _model.head(_model.final_norm(_x))
        assert _out.shape == (9, _n, 11)
        # A factor is free: whoever ties the head to the embedding may have to make the logits smaller.
        assert (_out / _out.std() - _true / _true.std()).abs().max().item() < 1e-4
        _loss = F.cross_entropy(_out.flatten(0, 1), torch.randint(11, (9 * _n,))).item()
        assert abs(_loss - math.log(11)) < 0.5, f"the first loss is {_loss:.2f}, far from ln 11"
try:
    _model(torch.zeros(1, 8, dtype=torch.long))
except ValueError:
    pass
else:
    raise AssertionError("8 positions are more than max_len = 7: that needs a ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ### Look: the first loss
#
# A new model, random ids as input, and random ids as what should come next. Nothing can be learned here, so
# the best possible loss is $\ln 65$.

# %%
causal_mask = parts.get("causal_mask")  # once more, for those who come back up here from TODO 21

torch.manual_seed(0)
model = TinyLLM(vocab_size=65)
ids = torch.randint(65, (8, 64))  # (B, T)
targets = torch.randint(65, (8, 64))
logits = model(ids)  # (B, T, V)
loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
print(f"logits {tuple(logits.shape)}, first loss {loss.item():.2f}, ln 65 = {math.log(65):.2f}")

# %% [markdown]
# The loss lies near 4.17, and a little above. The reason for the "little" is that the logits of a new model
# are not quite equal: they are random numbers, and preferring some characters at random costs a bit.
#
# ### Look: where the parameters are

# %%
total = sum(p.numel() for p in model.parameters())
for name, part in model.named_children():
    count = sum(p.numel() for p in part.parameters())
    print(f"{name:20} {count:8,} parameters  {count / total:6.1%}")
print(f"{'together':20} {total:8,}")

# %% [markdown]
# Nearly everything sits in the blocks: four times 198,272. The positions cost nothing, since their table is
# computed, not learned. In GPT-2 it is much the same, only larger. Its smallest version has 12 blocks with
# $C = 768$, and at $12\,C^2$ numbers per block that makes 85 million, plus 39 million for its embedding of
# 50,257 different tokens. (Its positions are learned, and cost 0.8 million.)
#
# ### Look: no peeking
#
# Is your model really causal? We change one id in the middle, at position 6 of 10, and see which logits move.
# Those before it must not.

# %%
ids = torch.randint(65, (1, 10))  # (B, T)
changed = ids.clone()
changed[0, 6] = (ids[0, 6] + 1) % 65
moved = (model(changed) - model(ids)).abs().amax(dim=-1)[0]  # (T,): the largest change of a logit
plots.show(plots.tensor_grid(moved, title="change of the logits at each position"))

# %% [markdown]
# Zeros before position 6, and something else from there on. This is worth more than it seems: one pass over a
# text of length `T` trains `T` guesses at once, and none of them has seen its answer.
#
# ### Look: too long a text
#
# The model reads at most `max_len` characters at once. For position 128 its table has no row. It should say
# so rather than do something odd:

# %%
try:
    model(torch.zeros(1, 129, dtype=torch.long))
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# ## TODO 20: let it write
#
# A model that guesses the next character can write a whole text, one character after another:
#
# ```
# "to b"  -> model -> logits after "b" -> choose "e" -> append
# "to be" -> model -> logits after "e" -> choose " " -> append
# "to be " -> ...
# ```
#
# Only the logits at the *last* position matter here, `logits[:, -1]`: they speak about the character that is
# not there yet.
#
# How to choose? Take three characters with the logits 2, 1 and 0. Softmax makes them 67%, 24% and 9%.
# Always taking the best is called **greedy**. It sounds wise and turns out dull: greedy texts run in circles.
# Drawing at random by these probabilities is livelier. There are two knobs to turn:
#
# - **Temperature** $\tau$: divide the logits by $\tau$ before the softmax. At $\tau = 0.5$ the logits become
#   4, 2, 0, and the probabilities 87%, 12%, 2%: bolder. At $\tau = 2$ they become 1, 0.5, 0, and 51%,
#   31%, 19%: more adventurous. Dividing by 0 makes no sense, so $\tau = 0$ is taken to mean greedy, the
#   limit of ever smaller $\tau$.
# - **Top-k**: keep the $k$ best characters and rule out the rest, by setting their logits to $-\infty$ (the
#   trick of the mask in TODO 11). With $k = 2$ our three become 73%, 27%, 0%. This cuts off the many
#   unlikely characters, each of which is nearly never drawn, but all of which together would spoil a text now
#   and then.
#
# Here are both with made-up logits for what follows `to b`:

# %%
chars = ["e", "u", "o", "y", "a", "r", " ", "z"]
known = torch.tensor([3.0, 2.0, 2.0, 1.5, 1.0, 1.0, 0.0, -2.0])  # (V,) = (8,)
plots.show(plots.next_characters(known, chars))
plots.show(plots.temperature(known, chars, temperatures=(0.5, 1.0, 2.0)))
best = known.topk(3)
top_3 = torch.full_like(known, float("-inf")).scatter(0, best.indices, best.values)
plots.show(plots.next_characters(top_3, chars))

# %% [markdown]
# The last picture is top-k with $k = 3$: five characters are gone, and the three that are left share
# everything.
#
# Two more things belong to a good `generate`. A text may grow longer than `max_len`; then only its last
# `max_len` characters are shown to the model. And generating is no training: it runs in evaluation mode (no
# dropout) and without gradients, and *leaves the model in the mode in which it found it*. Whoever generates a
# sample in the middle of training must not switch off dropout for the rest of it.

# %% todo="20"
def generate(model, ids, max_new_tokens, temperature=1.0, top_k=None):
    """Let `model` continue each row of `ids`.

    ids: (B, T), the prompt, at least one id long
    max_new_tokens: how many ids to append; 0 returns the prompt
    temperature: below 1 bolder, above 1 more adventurous, 0 greedy (always the best)
    top_k: draw from the k best only; None (or V and more): from all

    Returns ids (B, T + max_new_tokens). Raises ValueError for an empty prompt, a negative
    max_new_tokens or temperature, and a top_k below 1.
    """
    # TODO 20: raise the four ValueErrors. Remember model.training, then model.eval().
    # Under torch.no_grad(), max_new_tokens times:
    #   model's logits for the last max_len ids, at the last position   (B, V)
    #   top_k: all but the k best become -inf                           (B, V)
    #   temperature 0: the best; otherwise divide, softmax and draw     (B, 1)
    #   append to ids                                                   (B, one longer)
    # Give the model its mode back (model.train(mode)), and return ids.
    ### BEGIN SOLUTION 20
    if ids.shape[1] == 0:
        raise ValueError("ids is an empty prompt: the model needs at least one id to begin with")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, but it is {max_new_tokens}")
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, but it is {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, but it is {top_k}")
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(max_new_tokens):
            logits = model(ids[:, -model.max_len:])[:, -1]  # (B, V)
            if top_k is not None and top_k < logits.shape[-1]:
                best = logits.topk(top_k)  # values and indices, (B, k) each
                logits = torch.full_like(logits, float("-inf")).scatter(-1, best.indices, best.values)
            if temperature == 0:
                new = logits.argmax(dim=-1, keepdim=True)  # (B, 1)
            else:
                new = torch.multinomial((logits / temperature).softmax(dim=-1), 1)  # (B, 1)
            ids = torch.cat([ids, new], dim=1)
    model.train(was_training)
    return ids
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: the functions you need</summary>
#
# `ids[:, -model.max_len:]` is the last `max_len` ids, or all if there are fewer.
# `logits.argmax(dim=-1, keepdim=True)` finds the best;
# [torch.multinomial(probabilities, 1)](https://docs.pytorch.org/docs/stable/generated/torch.multinomial.html)
# draws one id per row. Both give `(B, 1)`, which `torch.cat([ids, new], dim=1)` appends. For top-k see how
# `top_3` was made above: here the last dimension counts the characters, so `scatter` works along `-1`. And
# `k` must not be larger than `V`.
# </details>
#
# <details><summary><b>Hint 2</b>: the frame</summary>
#
# ```
# was_training = model.training
# model.eval()
# with torch.no_grad():
#     for _ in range(max_new_tokens):
#         logits = model(...)[:, -1]                    # (B, V)
#         if top_k is not None: ...                     # new logits
#         if temperature == 0: new = ...                # (B, 1)
#         else: new = torch.multinomial(..., 1)         # (B, 1)
#         ids = torch.cat([ids, new], dim=1)
# model.train(was_training)
# return ids
# ```
# </details>

# %% test="20" points=6
checks.todo_20(generate)
### BEGIN HIDDEN TESTS
class _Next(nn.Module):
    """Likes id + 1 best (logit 3), id + 2 second (logit 2), the rest not much (0)."""
    max_len = 4
    seen = ()
    def forward(self, ids):
        self.seen = (*self.seen, (tuple(ids[0].tolist()), self.training, torch.is_grad_enabled()))
        return 3.0 * F.one_hot((ids + 1) % 9, 9) + 2.0 * F.one_hot((ids + 2) % 9, 9)

_model, _ids = _Next().train(), torch.tensor([[0, 1, 2], [5, 6, 7]])
assert generate(_model, _ids, 3, temperature=0).tolist() == [[0, 1, 2, 3, 4, 5], [5, 6, 7, 8, 0, 1]]
assert [_s[0] for _s in _model.seen] == [(0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 4)], "the last max_len ids"
assert not any(_s[1] or _s[2] for _s in _model.seen), "evaluation mode, no gradients"
assert _model.training, "the training mode is left as it was"
generate(_model.eval(), _ids, 1)
assert not _model.training, "the training mode is left as it was"
assert generate(_model, _ids, 0).tolist() == _ids.tolist() == [[0, 1, 2], [5, 6, 7]]
torch.manual_seed(20)
_many = torch.zeros(4000, 1, dtype=torch.long)
_shares = [(1.0, 2, 0.731), (0.5, 2, 0.881), (2.0, 2, 0.622), (1.0, 1, 1.0),
           (1.0, None, 0.583), (1.0, 50, 0.583)]
for _t, _k, _p in _shares:
    _new = generate(_model, _many, 1, temperature=_t, top_k=_k)[:, 1]
    assert abs((_new == 1).float().mean().item() - _p) < 0.05, f"temperature {_t} and top_k {_k}"
    assert _k is None or _k > 9 or _new.max().item() <= _k, f"top_k {_k} lets something else through"
for _bad in ((_ids[:, :0], 1, 1.0, None), (_ids, -1, 1.0, None), (_ids, 1, -0.5, None), (_ids, 1, 1.0, 0)):
    try:
        generate(_model, *_bad)
    except ValueError:
        continue
    raise AssertionError(f"ids {tuple(_bad[0].shape)}, {_bad[1:]}: that needs a ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ### Look: an untrained model writes
#
# Still without letters, only ids. Greedy first, then three drawings; and a prompt of 200 ids, longer than the
# 128 that the model can read. `generate` shows it only the last 128, so no error this time.

# %%
prompt = torch.tensor([[1, 2, 3]])
print("greedy:     ", generate(model, prompt, 12, temperature=0)[0].tolist())
for seed in range(3):
    torch.manual_seed(seed)
    print("drawn:      ", generate(model, prompt, 12)[0].tolist())
print("long prompt:", tuple(generate(model, torch.zeros(1, 200, dtype=torch.long), 5).shape))

# %% [markdown]
# The prompt 1, 2, 3 stands in front of each line; the rest is made up. Greedy gives the same line every time,
# however often you run the cell.
#
# ## TODO 21: the mask, by your own hand
#
# Now for the stand-in. `causal_mask(4)` is the table
#
# ```
#      key  0     1     2     3
# query 0   True  .     .     .       position 0 sees only itself
# query 1   True  True  .     .
# query 2   True  True  True  .
# query 3   True  True  True  True    position 3 sees everything so far
# ```
#
# where a dot stands for `False`. It should be made on the `device` it is asked for: a model on a graphics
# card needs its mask there.

# %% todo="21"
def causal_mask(seq_len, device=None):
    """Bool (T, T), T = seq_len: True where position i (row) may look at position j (column): j <= i."""
    # TODO 21: a bool tensor (T, T), True on the diagonal and below, on the given device.
    ### BEGIN SOLUTION 21
    return torch.ones(seq_len, seq_len, dtype=torch.bool, device=device).tril()  # (T, T)
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: two ways</summary>
#
# Either cut a full table to a triangle
# ([torch.tril](https://docs.pytorch.org/docs/stable/generated/torch.tril.html): *tri*angle, *l*ower), or
# compare the row numbers with the column numbers, as the sentence "j is at most i" says.
# </details>
#
# <details><summary><b>Hint 2</b>: almost there</summary>
#
# `torch.ones(seq_len, seq_len, dtype=torch.bool, device=device)` is the full table, all `True`. Its method
# `.tril()` keeps the diagonal and what lies below.
# </details>

# %% test="21" points=3
checks.todo_21(causal_mask)
### BEGIN HIDDEN TESTS
for _n in (1, 2, 5):
    _mask = causal_mask(_n)
    assert _mask.dtype is torch.bool
    assert _mask.tolist() == [[_j <= _i for _j in range(_n)] for _i in range(_n)]
assert causal_mask(3, device="meta").device.type == "meta", "made on the device that was asked for"
### END HIDDEN TESTS

# %%
plots.show(plots.causal_mask(causal_mask(8)))
moved = (model(changed) - model(ids)).abs().amax(dim=-1)[0]  # the test for peeking, again
print("largest change before position 6:", moved[:6].max().item())

# %% [markdown]
# You did not touch `TinyLLM`, and yet it uses your mask now. Python looks the name `causal_mask` up at the
# moment when `forward` runs, and from this cell on that name means yours.
#
# ## TODO 22, TODO 23 and TODO 24: the tokenizer
#
# Models eat numbers, people write letters. A **tokenizer** translates. Ours takes the simplest way, one
# number for each character:
#
# | | `hello` |
# |---|---|
# | its different characters, sorted | `e` `h` `l` `o` |
# | so the ids are | `e` = 0, `h` = 1, `l` = 2, `o` = 3 |
# | `encode("hello")` | `[1, 0, 2, 2, 3]` |
# | `decode([1, 0, 2, 2, 3])` | `"hello"` |
#
# **TODO 22** collects the vocabulary of a text. Sorting matters: the same text must give the same ids on
# every computer and every day, or a saved model would speak in riddles. **TODO 23** and **TODO 24** translate
# there and back. Both must be strict. A character that was not in the text has no id, and an id that does not
# exist has no character; a clear `ValueError` now is better than a strange text later.
#
# (Large models use tokens of several characters, such as `ing` or ` the`, so that a text becomes shorter and
# a vocabulary larger. The rest of the model does not notice the difference.)

# %% todo="22-24"
class CharTokenizer:
    """Text to ids and back, one id for each distinct character of `text`, in sorted order."""

    def __init__(self, text):
        # TODO 22: an empty text is a ValueError. Otherwise
        # self.chars: the distinct characters, a sorted list; character number i has the id i
        # self.char_to_id: a dict from character to id
        # self.vocab_size: how many there are
        ### BEGIN SOLUTION 22
        if not text:
            raise ValueError("text is empty: a tokenizer needs at least one character")
        self.chars = sorted(set(text))
        self.char_to_id = {char: i for i, char in enumerate(self.chars)}
        self.vocab_size = len(self.chars)
        ### END SOLUTION

    def encode(self, text):
        """A str -> a list of int, one id per character."""
        # TODO 23: a character that is not in the vocabulary is a ValueError that shows
        # the character and its position in text, counted from 0.
        ### BEGIN SOLUTION 23
        ids = []
        for position, char in enumerate(text):
            if char not in self.char_to_id:
                raise ValueError(f"text has {char!r} at position {position}, which is not in the vocabulary")
            ids.append(self.char_to_id[char])
        return ids
        ### END SOLUTION

    def decode(self, ids):
        """A list of int or a 1-D tensor -> a str."""
        # TODO 24: an id outside 0 .. vocab_size - 1 is a ValueError that shows it.
        ### BEGIN SOLUTION 24
        chars = []
        for i in ids:
            i = int(i)  # the elements of a tensor are tensors
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids has {i}, but only 0 to {self.vocab_size - 1} exist")
            chars.append(self.chars[i])
        return "".join(chars)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: the tools</summary>
#
# `set(text)` throws out repetitions, `sorted(...)` makes a list in order. `enumerate(something)` gives pairs
# of number and thing: with it you build the dict, and find the position of a character that does not belong.
# `"".join(list_of_characters)` makes a string. Mind the ids below 0: Python would count them from the end of
# the list without a word.
# </details>
#
# <details><summary><b>Hint 2</b>: line by line</summary>
#
# `self.char_to_id = {char: i for i, char in enumerate(self.chars)}`. In `encode`, walk through
# `enumerate(text)`; if `char not in self.char_to_id`, raise a `ValueError` with `{char!r}` and the position
# in its text; otherwise append the id. In `decode`, walk through `ids`; `int(i)` turns an element of a tensor
# into a plain number; check `0 <= i < self.vocab_size`; append `self.chars[i]`; join at the end.
# </details>

# %% test="22" points=2
checks.todo_22(CharTokenizer)
### BEGIN HIDDEN TESTS
_tokenizer = CharTokenizer("to be,\nor not to be")
_ids = {_c: _i for _i, _c in enumerate("\n ,benort")}
assert list(getattr(_tokenizer, "chars", _ids)) == list(_ids) and _tokenizer.vocab_size == 9
assert dict(getattr(_tokenizer, "char_to_id", _ids)) == _ids
try:
    CharTokenizer("")
except ValueError:
    pass
else:
    raise AssertionError("an empty text has no vocabulary: that needs a ValueError")
### END HIDDEN TESTS

# %% test="23" points=3
checks.todo_23(CharTokenizer)
### BEGIN HIDDEN TESTS
class _Hello(CharTokenizer):
    def __init__(self):  # the vocabulary is made here, so that this TODO is judged alone
        try:
            super().__init__("hello")
        except Exception:
            pass
        self.chars, self.char_to_id, self.vocab_size = list("ehlo"), {"e": 0, "h": 1, "l": 2, "o": 3}, 4

assert _Hello().encode("hello") == [1, 0, 2, 2, 3] and _Hello().encode("") == []
assert all(type(_i) is int for _i in _Hello().encode("hole"))
try:
    _Hello().encode("hello?")
except ValueError as _error:
    assert "?" in str(_error) and "5" in str(_error), "the message shows the character and its position"
else:
    raise AssertionError("'?' is not in the vocabulary of 'hello': that needs a ValueError")
### END HIDDEN TESTS

# %% test="24" points=2
checks.todo_24(CharTokenizer)
### BEGIN HIDDEN TESTS
class _Hello(CharTokenizer):
    def __init__(self):  # the vocabulary is made here, so that this TODO is judged alone
        try:
            super().__init__("hello")
        except Exception:
            pass
        self.chars, self.char_to_id, self.vocab_size = list("ehlo"), {"e": 0, "h": 1, "l": 2, "o": 3}, 4

assert _Hello().decode([1, 0, 2, 2, 3]) == _Hello().decode(torch.tensor([1, 0, 2, 2, 3])) == "hello"
assert _Hello().decode([]) == ""
for _bad in ([0, 4], [-1]):
    try:
        _Hello().decode(_bad)
    except ValueError:
        continue
    raise AssertionError(f"{_bad} holds an id outside 0..3: that needs a ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ### Look: there and back
#
# A few lines to try it on, from Hamlet, act 3, scene 1:

# %%
text = """HAMLET:
To be, or not to be, that is the question:
Whether 'tis nobler in the mind to suffer
The slings and arrows of outrageous fortune,
Or to take arms against a sea of troubles
And by opposing end them.
"""
tokenizer = CharTokenizer(text)
print("vocabulary:", tokenizer.vocab_size, "characters:", "".join(tokenizer.chars[1:]), "and the newline")
encoded = tokenizer.encode("To be")
print("encode:", encoded)
print("decode:", repr(tokenizer.decode(encoded)))
try:
    tokenizer.encode("To be?")
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# ### Look: `Hello` on its way through your model
#
# The picture from the beginning of this notebook again, drawn this time from your own model: a small one, for
# the characters of these lines. The shapes at the arrows are those that a text really has there. Choose a
# part and read what it takes and gives. Then type a longer text: which number changes at every arrow, and
# does any number of parameters change?

# %%
torch.manual_seed(0)
newborn = TinyLLM(tokenizer.vocab_size, embed_dim=64, num_layers=2)
widgets.architecture(newborn, tokenizer, text="Hello")

# %% [markdown]
# ### Play: from a prompt to a text
#
# Everything together, for the first time: text, ids, your model, logits, a choice, text. The bars show what
# the untrained model thinks of the character after `To b`. Type another text; then move the temperature to
# 0.1 and to 3. Which characters gain, and which lose? The **entropy** below the bars sums that up: it is the mean
# of $-\ln p$ over everything that may be drawn, 0 if the choice is certain and $\ln V$ if it is even. And what
# becomes of the bars that a small top-k removes?

# %%
widgets.next_character(newborn, tokenizer, text="To b")

# %% [markdown]
# With 35 characters, an even guess would give each 2.9%. The bars differ from that only because the weights
# are random: the model has its tastes, but no reasons for them.
#
# Now your `generate` writes. Move the step and watch one character after another being drawn. How often is it
# the best one? Then lower the temperature, bit by bit, down to 0.

# %%
widgets.generation(newborn, tokenizer, generate, text="To b")

# %% [markdown]
# Without the steps, at three temperatures:

# %%
prompt = torch.tensor([tokenizer.encode("To b")])  # (B, T) = (1, 4)
for temperature in (0, 0.1, 1.0):
    torch.manual_seed(1)
    written = generate(newborn, prompt, 40, temperature)[0]  # (44,)
    print(f"temperature {temperature}:", repr(tokenizer.decode(written)))

# %% [markdown]
# Gibberish, as promised. At temperature 0 the model is likely to be stuck soon, since the same few characters
# lead to each other again and again; at 1 it is soup. What will turn soup into Shakespeare are better numbers
# in the same model, and the next notebook finds them.
#
# ### Look: a prediction in the making
#
# The residual stream has the same shape `(B, T, C)` from the first block to the last, so `final_norm` and
# `head` can be applied to it anywhere on the way: what would the model say if it had to answer *now*? This is
# called the **logit lens**. Choose a position, and read from top to bottom: when does the character that is
# framed, the best in the end, take the lead? An untrained model has no reasons to change its mind, so do not
# expect much today. Once it is trained, in the next notebook, the same line tells more.

# %%
widgets.logit_lens(newborn, tokenizer, text="To b")

# %% [markdown]
# **Try it:** another prompt; `top_k=3`; a higher temperature. And ask `generate` for a text longer than the
# model's `max_len` of 128 characters.
#
# ## Recap
#
# - A language model gives each possible next character a logit, at every position at once: `(B, T)` in,
#   `(B, T, V)` out.
# - A new model costs about $\ln V$; a first loss far above means that something is wrong.
# - Because of the causal mask, a later character moves no earlier logit.
# - Generating is guessing, choosing and appending. Temperature and top-k set how bold the choice is.
# - A tokenizer is a strict dictionary, there and back.
#
# Your model is now of the same kind as [nanoGPT by Andrej Karpathy](https://github.com/karpathy/nanoGPT). Its
# [model.py](https://github.com/karpathy/nanoGPT/blob/master/model.py) is a good next thing to read: you
# will recognise every part, under slightly different names, and find a learned table in place of the sines
# and cosines.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. A model for 65 characters starts with a loss of 98. What do you suspect, and what should the loss have
#    been?
# 2. To write 100 characters, `generate` runs the model 100 times, each time over the whole text so far. Which
#    work is done again and again, although nothing about it changes?
# 3. Training asks for the next character at all `T` positions, generating only at the last. Why does the mask
#    make the first possible?
#
# <details><summary><b>Answers</b></summary>
#
# 1. It should have been near $\ln 65 \approx 4.17$. At 98 the model is very sure of wrong characters, so the
#    logits are far too large. A common cause is to use the embedding's own weights (numbers around 1) in the
#    head as well, without making them smaller.
# 2. Everything about the earlier positions: thanks to the mask they do not depend on what comes later. Large
#    models keep the keys and values of earlier positions (the *KV cache*) and compute only the new one.
#    Beware: once the text is longer than `max_len`, our window slides, every character gets a new position,
#    and the saved work is stale.
# 3. Position $t$ cannot see the character at $t + 1$, which is its answer. So all `T` questions of one text
#    can be asked in one pass without giving any answer away.
# </details>
#
# **Next:** [5. Training](../5_training/5_training.ipynb) teaches it Shakespeare.
