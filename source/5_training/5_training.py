# %% [markdown]
# # 5. Training: teach your model to write
#
# Your model has everything it needs, except knowledge. Ask it for text now and it stammers, because its numbers are
# random. In this notebook you write the four pieces that change that: one that cuts a text into exercises, one that
# learns from a handful of them, one that examines what was learned, and one that repeats it all. Then you train on a
# million characters, watch the loss fall, and read what your own model writes.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 25 | `TextDataset.__init__`: keep the ids | ★☆☆ | 7 |
# | 26 | `TextDataset.__len__`: count the windows | ★☆☆ | 3 |
# | 27 | `TextDataset.__getitem__`: one window and its answers | ★★☆ | 10 |
# | 28 | `train_step`: one step of learning | ★★★ | 20 |
# | 29 | `evaluate`: an honest measurement | ★★☆ | 15 |
# | 30 | `train`: all steps of all epochs | ★★☆ | 15 |
# | 31 | `generate_text`: from a prompt to a text | ★☆☆ | 5 |
#
# That leaves about fifteen minutes for the training itself and for reading what comes out.
#
# **What you need from before:** the tokenizer (TODOs 22-24), the model (18-19) and `generate` (20). If one of them is
# unfinished, go on all the same: a stand-in takes its place and says so.
#
# Letters for shapes, the same in the whole course: `B` windows of text in a batch, `T` positions in each, and `V`
# different characters (`vocab_size`).

# %% locked="imports"
import math
import os

import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

from helpers import checks, data, ladder, parts, plots, training, widgets

# %% [markdown]
# ## The text
#
# `data.load_text()` brings Shakespeare: about a million characters from his plays. Where they cannot be downloaded,
# it brings a play of the course's own instead, and says so. Everything below works with either; only the numbers
# differ. The first nine tenths are for training. The last tenth is for **validation**: the model is never trained on
# it, so that we can ask fairly what it has learned.

# %%
CharTokenizer = parts.get("CharTokenizer")
TinyLLM = parts.get("TinyLLM")

text = data.load_text()
train_text, val_text = data.split(text)
grading = "NBGRADER_EXECUTION" in os.environ  # a grader runs this notebook: a short text will do
if grading:
    train_text, val_text = train_text[:20_000], val_text[:2_000]

tokenizer = CharTokenizer(text)
vocab_size = tokenizer.vocab_size  # V
chars = tokenizer.decode(list(range(vocab_size)))  # all characters, in the order of their ids
print(f"{len(text):,} characters, {vocab_size} different ones: {chars!r}")
print()
print(text[:200])

# %% [markdown]
# ## A text is full of exercises
#
# Nobody has to write exercises for a language model: any text is full of them. Hide what comes after the first eight
# characters, and ask for the ninth. Then show the ninth, and ask for the tenth.
#
# We cut the text into **windows** of `block_size` characters, the longest the model may look back. A window is a
# pair:
#
# - `x`, the questions: `block_size` ids in a row;
# - `y`, the answers: the same ids **one step later**.
#
# $$x_t = \text{ids}_{\,i+t} \qquad y_t = \text{ids}_{\,i+t+1}$$
#
# In numbers: of the ids `[10, 11, 12, 13, 14, 15]` with `block_size = 4`, window 0 is `x = [10, 11, 12, 13]` and
# `y = [11, 12, 13, 14]`; window 1 is `x = [11, 12, 13, 14]` and `y = [12, 13, 14, 15]`. There is no window 2: its
# last answer would lie behind the end. Six ids, blocks of four, two windows.
#
# ## TODOs 25, 26 and 27: the dataset
#
# PyTorch calls anything that knows its length and can give item number `i` a
# [Dataset](https://docs.pytorch.org/docs/stable/data.html#map-style-datasets). You ask for the two with
# `len(dataset)` and `dataset[i]`, and Python turns these into calls of `__len__` and `__getitem__`. So that is what
# you write: **TODO 25** keeps the text, **TODO 26** says how many windows there are, **TODO 27** cuts out window `i`.
# It should behave like a Python list: `dataset[-1]` is the last window, and a window that does not exist is an
# `IndexError`.

# %% todo="25-27"
class TextDataset(torch.utils.data.Dataset):
    """Windows of a text: pairs (x, y), where y is x one step later.

    ids: the text as ids, a list or a 1-D tensor
    block_size: characters in each window
    """

    def __init__(self, ids, block_size):
        # TODO 25: raise a ValueError that says so if block_size is below 1,
        # or if there are not more ids than block_size.
        # Keep two things: self.ids, a 1-D int64 tensor, and self.block_size.
        ### BEGIN SOLUTION 25
        if block_size < 1:
            raise ValueError(f"block_size must be at least 1, not {block_size}")
        if len(ids) <= block_size:
            raise ValueError(f"ids: a text of {len(ids)} characters is too short for block_size {block_size}")
        self.ids = torch.as_tensor(ids, dtype=torch.int64)  # (number of characters,)
        self.block_size = block_size
        ### END SOLUTION

    def __len__(self):
        # TODO 26: the number of windows.
        ### BEGIN SOLUTION 26
        return len(self.ids) - self.block_size
        ### END SOLUTION

    def __getitem__(self, i):
        """Window i: x (block_size,) and y (block_size,), both int64."""
        # TODO 27: a negative i counts from the end: -1 is the last window.
        # Raise an IndexError if there is no such window.
        #   x: block_size ids from position i on   (block_size,)
        #   y: the same, one step later            (block_size,)
        ### BEGIN SOLUTION 27
        if not -len(self) <= i < len(self):
            raise IndexError(f"there is no window {i}: the dataset has {len(self)}")
        if i < 0:
            i = i + len(self)
        x = self.ids[i : i + self.block_size]  # (block_size,)
        y = self.ids[i + 1 : i + 1 + self.block_size]  # (block_size,)
        return x, y
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: how many windows?</summary>
#
# Count on paper, with 6 ids and `block_size = 4`. The last window must leave room for one more id, the last answer.
# Each start that works is one window; the first start is 0.
# </details>
#
# <details><summary><b>Hint 2</b>: the functions you need</summary>
#
# `torch.as_tensor(ids, dtype=torch.int64)` takes lists and tensors alike. A slice `ids[a:b]` of a tensor holds
# `b - a` numbers, and silently fewer when the text ends: so look at `i` before you slice. If `i` is negative,
# `i + len(self)` is the same window counted from the front.
# </details>

# %% test="25" points=2
checks.todo_25(TextDataset)
### BEGIN HIDDEN TESTS
_set = TextDataset([3, 1, 4, 1, 5, 9], 4)
_ids = getattr(_set, "ids", torch.tensor([3, 1, 4, 1, 5, 9]))  # it may have another name
assert type(_ids) is torch.Tensor and _ids.dtype == torch.int64 and _ids.tolist() == [3, 1, 4, 1, 5, 9]
assert getattr(_set, "block_size", 4) == 4 and isinstance(_set, torch.utils.data.Dataset)
_set = TextDataset(torch.tensor([3, 1, 4]), 2)
assert getattr(_set, "ids", torch.tensor([3, 1, 4])).tolist() == [3, 1, 4]
for _size in (3, 0):
    try:
        TextDataset([1, 2, 3], _size)
    except ValueError:
        pass
    else:
        raise AssertionError(f"three ids with block_size {_size}: that needs a ValueError")
### END HIDDEN TESTS

# %% test="26" points=1
checks.todo_26(TextDataset)
### BEGIN HIDDEN TESTS
for _n, _size, _windows in ((10, 4, 6), (5, 4, 1), (7, 1, 6)):
    try:
        _set = TextDataset(list(range(_n)), _size)
    except Exception:  # TODO 25 costs its own points only
        _set = TextDataset.__new__(TextDataset)
    _set.ids, _set.block_size = torch.arange(_n), _size
    assert len(_set) == _windows, f"{_n} ids in blocks of {_size} make {_windows} window(s)"
### END HIDDEN TESTS

# %% test="27" points=4
checks.todo_27(TextDataset)
### BEGIN HIDDEN TESTS
class _Set(TextDataset):  # TODOs 25 and 26 cost their own points only
    def __len__(self):
        return 6


try:
    _set = _Set([_i * _i for _i in range(10)], 4)
except Exception:
    _set = _Set.__new__(_Set)
_set.ids, _set.block_size = torch.arange(10) ** 2, 4
for _i, _start in ((0, 0), (2, 2), (5, 5), (-1, 5), (-6, 0)):
    _x, _y = _set[_i]
    assert _x.dtype == _y.dtype == torch.int64
    assert _x.tolist() == [_k * _k for _k in range(_start, _start + 4)]
    assert _y.tolist() == [_k * _k for _k in range(_start + 1, _start + 5)]
for _i in (6, -7):
    try:
        _set[_i]
    except IndexError:
        pass
    else:
        raise AssertionError(f"there is no window {_i} among 6: that needs an IndexError")
### END HIDDEN TESTS

# %% [markdown]
# ### Look: eight questions in one window
#
# Each `y` lies under the `x` that it is equal to. Move "the question": how much of the text may the model see, and
# what must it say? Then move the window's start, and watch a character wander from `y` into `x`.

# %%
widgets.shifted(TextDataset, tokenizer, text[:300])

# %% [markdown]
# One window asks a question at *every* position, with a short memory at the start and a long one at the end. Thanks
# to the causal mask the model answers all of them at once, without seeing any answer. That is a large part of why
# transformers learn so fast.
#
# To look at one window at a time would be slow, and unwise: one window says little about the language.
# [DataLoader](https://docs.pytorch.org/docs/stable/data.html) takes any dataset, picks windows in random order, and
# stacks `B` of them:

# %%
windows = TextDataset(tokenizer.encode(text[:1000]), block_size=8)
loader = torch.utils.data.DataLoader(windows, batch_size=4, shuffle=True)
x, y = next(iter(loader))
print("x:", tuple(x.shape), " y:", tuple(y.shape), " = (B, T)")
for row in x:
    print(repr(tokenizer.decode(row)))

# %% [markdown]
# ## One number to make small
#
# To get better, the model needs to know how wrong it is, in one number: the **loss**. Ours looks at one thing only.
# At each position, what probability did the model give to the character that really came? The loss is minus the
# logarithm of it:
#
# $$\text{loss} = -\frac{1}{B\,T} \sum_{b,\,t} \ln p_{b,t}
# \qquad p_{b,t} = \text{the probability given to the right character}$$
#
# This is the **cross-entropy**. A few values to get a feeling for it:

# %%
for p in (1 / 65, 0.1, 0.25, 0.5, 0.9, 1.0):
    print(f"the right character had probability {p:5.3f}: loss {math.log(1 / p):.2f}")

# %% [markdown]
# A model that knows nothing and gives each of 65 characters the same $1/65$ has the loss $\ln 65 = 4.17$: remember
# this number, training starts close to it. Certainty costs nothing when it is right, and a lot when it is wrong.
# Because we use the natural logarithm, the unit is called a **nat**.
#
# To read a loss, turn it round: $e^{\text{loss}}$ is the number of equally likely characters the model hesitates
# between. At 4.17 it is all 65; at 1.6 it is five.
#
# [F.cross_entropy](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html) does it
# all: it takes the logits (it does the softmax itself) and the right ids. It wants one row per question: logits
# `(N, V)` and ids `(N,)`. For us `N` is $B \cdot T$.

# %%
logits = torch.tensor([[2.0, 0.0, 0.0]])  # (1, 3): one question, three possible characters
print("probabilities:", logits.softmax(dim=-1))
for right in range(3):
    loss = F.cross_entropy(logits, torch.tensor([right]))
    print(f"loss if character {right} is right: {loss.item():.3f}")

# %% [markdown]
# ## TODO 28: one step of learning
#
# A step of learning is a small walk downhill. The loss depends on every number in the model; for each of them,
# `loss.backward()` finds the slope, called the **gradient**: how the loss would change if this number grew a little.
# The **optimizer** then moves all of them a little way against their slopes. How far is decided by the **learning
# rate**. With one number, a loss of $(w - 3)^2$ and a learning rate of 0.1, the first step goes from $w = 0$, where
# the slope is $-6$, to $w = 0 - 0.1 \cdot (-6) = 0.6$, nearer to the lowest point at 3.
#
# The step in full:
#
# ```
# x (B, T) -> model -> logits (B, T, V) -> cross-entropy with y (B, T) -> loss
#                                                                  backward |
# better parameters <- optimizer.step <- clip <- gradients, one per parameter
# ```
#
# Three things are easy to forget:
#
# - **Training mode.** Dropout must be on while learning: `model.train()`.
# - **Old gradients.** PyTorch *adds* new gradients to those that are there, so the old ones must be cleared first.
# - **Clipping.** Now and then a batch has a huge gradient, and one huge step can ruin a good model. So we limit the
#   length (the *norm*) of all gradients together. Gradients `(3, 4)` have the norm 5; clipped to 1 they become
#   `(0.6, 0.8)`: the same direction, a fifth of the length. Gradients shorter than the limit stay as they are.
#
# And one about machines: the batch must be where the model is. `next(model.parameters()).device` says where that is:
# the processor (`cpu`), or a graphics card.

# %% todo="28"
def train_step(model, batch, optimizer, max_grad_norm=1.0):
    """One step of learning.

    batch: (x, y), ids of shape (B, T) each
    max_grad_norm: the gradients together are not longer than this
    Returns the loss before the step, a float.
    """
    # TODO 28:
    #   move x and y to the model's device
    #   training mode
    #   logits                                                      (B, T, V)
    #   mean cross-entropy over all B*T positions                   one number
    #   clear old gradients, find new ones, clip them, take a step
    #   return the loss as a float
    ### BEGIN SOLUTION 28
    device = next(model.parameters()).device
    x, y = batch
    x, y = x.to(device), y.to(device)
    model.train()
    logits = model(x)  # (B, T, V)
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())  # (B*T, V) and (B*T,) -> one number
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss.item()
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: the shapes for the loss</summary>
#
# `F.cross_entropy` wants the characters in dimension 1, but the logits have positions there. Melt `B` and `T` into
# one dimension: `logits.flatten(0, 1)` has the shape `(B*T, V)`, and `y.flatten()` has `(B*T,)`. The mean over all
# positions is what it computes unless told otherwise.
# </details>
#
# <details><summary><b>Hint 2</b>: the calls, in their order</summary>
#
# `optimizer.zero_grad()`, `loss.backward()`, `nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)`,
# `optimizer.step()`. The clipping stands between the two: before `backward` there is nothing to clip, and after
# `step` it is too late. `loss.item()` is the loss as an ordinary Python number.
# </details>

# %% test="28" points=5
checks.todo_28(train_step)
### BEGIN HIDDEN TESTS
_model = nn.Embedding(3, 3)  # a model whose logits are a row of a table: its gradients can be found by hand
nn.init.zeros_(_model.weight)
_model.eval()
_optimizer = torch.optim.SGD(_model.parameters(), lr=1.0)
_model.weight.grad = torch.ones(3, 3)  # left over from a step before
_batch = torch.tensor([[0]]), torch.tensor([[1]])
_loss = train_step(_model, _batch, _optimizer)
assert type(_loss) is float and abs(_loss - math.log(3)) < 1e-6
assert (_model.weight - torch.tensor([[-1.0, 2.0, -1.0], [0, 0, 0], [0, 0, 0]]) / 3).abs().max().item() < 1e-6
nn.init.zeros_(_model.weight)
train_step(_model, _batch, _optimizer, max_grad_norm=0.1)
assert abs(_model.weight.norm().item() - 0.1) < 1e-5, "a gradient of length 0.1 makes a step of length 0.1"
### END HIDDEN TESTS

# %% [markdown]
# ### Look: a hundred steps on one batch
#
# Before a long training, every practitioner asks a new model to learn *one* batch by heart. If it cannot do that,
# something is broken, and it is better to know now. Here is a very small model with a batch of eight windows.

# %%
torch.manual_seed(0)
practice = TinyLLM(vocab_size, embed_dim=32, num_heads=2, num_layers=2, max_len=32, dropout=0.2)
windows = TextDataset(tokenizer.encode(train_text[:1000]), block_size=32)
batch = next(iter(torch.utils.data.DataLoader(windows, batch_size=8, shuffle=True)))

practice_optimizer = torch.optim.AdamW(practice.parameters(), lr=0.01)
losses = [train_step(practice, batch, practice_optimizer) for step in range(100)]
uniform = {"uniform": math.log(vocab_size)}  # a model that knows nothing
plots.show(plots.loss_curves({"train_loss": losses, "val_loss": []}, baselines=uniform))

# %% [markdown]
# The loss starts near $\ln V$, as a guess should, and falls step by step. Your `train_step` works.
#
# **Try it:** run the cell again with `lr=0.5` or with `lr=0.0001`. A learning rate can be far too large, and far too
# small.
#
# ## TODO 29: an honest measurement
#
# The loss that `train_step` returns is a poor witness. It comes from one batch, with dropout switched on, and from
# text the model is just being taught. For a fair mark we ask about **all** of a text that it was not taught, under
# three rules:
#
# - **Evaluation mode.** `model.eval()` switches dropout off: nobody is examined with parts of the brain covered.
#   Afterwards the model goes back to the mode it was in.
# - **No gradients.** Inside `with torch.no_grad():` PyTorch keeps no notes for `backward`, which saves time and
#   memory.
# - **A mean over positions, not over batches.** The last batch is often smaller. Say one batch has 3 positions with a
#   mean loss of 1, and another has 1 position with a loss of 5. Then the mean is $(3 \cdot 1 + 1 \cdot 5) / 4 = 2$,
#   and not $(1 + 5) / 2 = 3$.

# %% todo="29"
def evaluate(model, loader):
    """The mean loss per position over all batches (x, y) of a loader, a float."""
    # TODO 29: in evaluation mode and without gradients, for each batch
    #   move x and y to the model's device
    #   mean cross-entropy of the batch, counted as often as it has positions
    # Put the model back into the mode in which it was.
    # Return sum / number of positions; a loader without batches: raise a ValueError that says so.
    ### BEGIN SOLUTION 29
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, positions = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
            total += loss.item() * y.numel()
            positions += y.numel()
    model.train(was_training)
    if positions == 0:
        raise ValueError("loader: it gave no batch, so there is nothing to take a mean of")
    return total / positions
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: what to add up</summary>
#
# Two sums: the losses, and the positions. `y.numel()` is the number of positions in a batch, `B*T`. A mean times the
# number of things it was taken over is their sum.
# </details>
#
# <details><summary><b>Hint 2</b>: there and back</summary>
#
# `was_training = model.training` before, `model.train(was_training)` after: `train` takes `True` or `False`. Whether
# the loader was empty is known after the loop: no position was counted.
# </details>

# %% test="29" points=4
checks.todo_29(evaluate)
### BEGIN HIDDEN TESTS
_model = nn.Sequential(nn.Embedding(2, 2), nn.Dropout(0.5))
with torch.no_grad():
    _model[0].weight.copy_(torch.tensor([[0.0, 0.0], [0.0, math.log(3)]]))  # after 1: p(1) = 3/4
_zeros, _ones = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 3, dtype=torch.int64)
for _mode in (True, False):
    _model.train(_mode)
    _loss = evaluate(_model, [(_zeros, _zeros), (_ones, _ones)])
    assert type(_loss) is float and abs(_loss - (math.log(2) + 3 * math.log(4 / 3)) / 4) < 1e-6
    assert _model.training is _mode and _model[1].training is _mode
assert _model[0].weight.grad is None
try:
    evaluate(_model, [])
except ValueError:
    pass
else:
    raise AssertionError("nothing to take a mean of: that needs a ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ### Look: the same model, the same batch, two modes

# %%
x, y = batch
practice.train()
for attempt in range(3):
    loss = F.cross_entropy(practice(x).flatten(0, 1), y.flatten())
    print(f"training mode:   {loss.item():.3f}")
for attempt in range(3):
    print(f"evaluate(...):   {evaluate(practice, [batch]):.3f}")

# %% [markdown]
# In training mode the loss is another one each time, because dropout hides other features each time, and it is
# higher. `evaluate` gives the same number three times. Only that one can be compared with anything.
#
# ## TODO 30: all steps of all epochs
#
# Training is `train_step` again and again. One pass over all batches of the training loader is an **epoch**. After
# each epoch we `evaluate` on text that was kept apart, and write down both losses.
#
# Two guests may want a word after each step. The **scheduler** changes the learning rate while training goes on (how,
# we will see below): call `scheduler.step()`. And `on_step` is a function that wants to know how it goes, to print a
# line now and then: call `on_step(step, loss)`, where `step` counts from 0 and does not start again in the second
# epoch. Either guest may be absent: then it is `None`.

# %% todo="30"
def train(model, train_loader, val_loader, optimizer, epochs, scheduler=None, on_step=None):
    """Train for some epochs.

    Returns a dict of two lists: "train_loss", one number per step, and "val_loss", one per epoch.
    """
    # TODO 30: for each epoch
    #   for each batch of train_loader: train_step, then scheduler.step(), then on_step(step, loss)
    #   evaluate on val_loader
    ### BEGIN SOLUTION 30
    history = {"train_loss": [], "val_loss": []}
    for _ in range(epochs):
        for batch in train_loader:
            loss = train_step(model, batch, optimizer)
            history["train_loss"].append(loss)
            if scheduler is not None:
                scheduler.step()
            if on_step is not None:
                on_step(len(history["train_loss"]) - 1, loss)
        history["val_loss"].append(evaluate(model, val_loader))
    return history
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: the skeleton</summary>
#
# Two loops, one inside the other: `for epoch in range(epochs):` and `for batch in train_loader:`. What belongs to a
# step goes into the inner one; the evaluation comes after it, still inside the outer one.
# </details>
#
# <details><summary><b>Hint 2</b>: counting the steps</summary>
#
# A counter that is set to 0 before *both* loops never starts again. Or use what you have: after a loss has been
# appended, `len(history["train_loss"]) - 1` is the number of the step. Ask `if scheduler is not None:` before you
# call it, and the same for `on_step`.
# </details>

# %% test="30" points=4
checks.todo_30(train)
### BEGIN HIDDEN TESTS
_own = {_name: globals().get(_name) for _name in ("train_step", "evaluate")}  # they cost their own points only


def train_step(model, batch, optimizer, max_grad_norm=1.0):
    optimizer.zero_grad()
    _loss = F.cross_entropy(model(batch[0])[0], batch[1][0])
    _loss.backward()
    optimizer.step()
    return _loss.item()


def evaluate(model, loader):
    return sum(F.cross_entropy(model(_x)[0], _y[0]).item() for _x, _y in loader) / len(loader)


try:
    _model, _seen = nn.Embedding(2, 2), []
    nn.init.zeros_(_model.weight)
    _optimizer = torch.optim.SGD(_model.parameters(), lr=1.0)
    _scheduler = torch.optim.lr_scheduler.LambdaLR(_optimizer, lambda step: float(step == 0))  # only step 0 learns
    _batch = torch.tensor([[0]]), torch.tensor([[0]])
    _history = train(_model, [_batch, _batch], [_batch], _optimizer, 2, _scheduler,
                     on_step=lambda step, loss: _seen.append((step, loss)))
    _learned = math.log(1 + math.exp(-1))  # one step of length 1 takes the logits from (0, 0) to (1/2, -1/2)
    _expected = [math.log(2), _learned, _learned, _learned]
    _history = {_key: list(_history[_key]) for _key in ("train_loss", "val_loss")}
    assert [round(_loss, 5) for _loss in _history["train_loss"]] == [round(_loss, 5) for _loss in _expected]
    assert [round(_loss, 5) for _loss in _history["val_loss"]] == [round(_learned, 5)] * 2
    assert [_step for _step, _ in _seen] == [0, 1, 2, 3] and [_loss for _, _loss in _seen] == _history["train_loss"]
    assert _scheduler.last_epoch == 4, "the scheduler steps once per optimizer step"
    assert len(train(_model, [_batch], [_batch], _optimizer, 3)["val_loss"]) == 3  # without guests
finally:
    globals().update(_own)
### END HIDDEN TESTS

# %% [markdown]
# ### Look: learning by heart is not learning
#
# A dress rehearsal, and a warning. We give a small model only 2,000 characters, in 500 windows, and let it read them
# twenty times.

# %%
torch.manual_seed(0)
parrot = TinyLLM(vocab_size, embed_dim=96, num_heads=4, num_layers=2, max_len=24)
few = TextDataset(tokenizer.encode(train_text[:2000]), block_size=24)
unseen = TextDataset(tokenizer.encode(val_text[:2000]), block_size=24)
few_loader = torch.utils.data.DataLoader(few, batch_size=32, sampler=torch.randperm(len(few))[:500])
unseen_loader = torch.utils.data.DataLoader(unseen, batch_size=32, sampler=range(0, len(unseen), 24))

parrot_optimizer = torch.optim.AdamW(parrot.parameters(), lr=0.003)
parrot_history = train(parrot, few_loader, unseen_loader, parrot_optimizer, epochs=1 if grading else 20)
plots.show(plots.loss_curves(parrot_history, baselines={"uniform": math.log(vocab_size)}))

# %% [markdown]
# The two curves part. The training loss goes on falling, but the validation loss soon turns and climbs, above the
# level of a model that knows nothing: this one is sure of itself, and wrong. It has stopped learning the language and
# started learning these 2,000 characters by heart. This is called **overfitting**. The training loss alone would
# never have told. More text is the best cure, and we have five hundred times more.
#
# ## TODO 31: from a prompt to a text
#
# The last piece joins what you have: the tokenizer turns a prompt into ids, `generate` goes on from there, and the
# tokenizer turns the ids back into a text.
#
# ```
# "ROMEO:" -> encode -> ids (1, T) -> generate -> ids (1, T + max_new_tokens)
#          -> decode -> "ROMEO:\nWhat is ..."
# ```
#
# Two details: `generate` wants a *batch* of prompts, even if it is a batch of one; and the ids must be on the model's
# device. An empty prompt gives the model nothing to start from: that is a `ValueError`.

# %%
generate = parts.get("generate")  # generate(model, ids (B, T), max_new_tokens, temperature, top_k) -> ids

# %% todo="31"
def generate_text(model, tokenizer, prompt, max_new_tokens=200, temperature=0.8, top_k=None):
    """The prompt and what the model writes after it, a str."""
    # TODO 31: raise a ValueError that says so if the prompt is empty.
    #   the prompt's ids, on the model's device   (1, T)
    #   the ids that generate makes of them       (1, T + max_new_tokens)
    #   return them as a text
    ### BEGIN SOLUTION 31
    if not prompt:
        raise ValueError("prompt must hold at least one character for the model to go on from")
    device = next(model.parameters()).device
    ids = torch.tensor([tokenizer.encode(prompt)], device=device)  # (1, T)
    ids = generate(model, ids, max_new_tokens, temperature, top_k)  # (1, T + max_new_tokens)
    return tokenizer.decode(ids[0].tolist())
    ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: a batch of one</summary>
#
# `tokenizer.encode(prompt)` is a list of `T` ids. A list of one such list is a batch of one: `torch.tensor([...])`
# makes it a tensor of shape `(1, T)`. And at the end, `ids[0]` takes the only text out of the batch.
# </details>
#
# <details><summary><b>Hint 2</b>: what you need not do</summary>
#
# `generate` takes care of evaluation mode, of gradients, of the temperature and of prompts longer than `max_len`. You
# only hand everything over: `generate(model, ids, max_new_tokens, temperature, top_k)`. The device is found as in
# TODO 28.
# </details>

# %% test="31" points=2
checks.todo_31(generate_text)
### BEGIN HIDDEN TESTS
class _Cycle(nn.Embedding):  # after a comes b, after b comes c, after c comes a: with certainty
    max_len = 4


_model, _abc = _Cycle(3, 3), CharTokenizer("cab")
with torch.no_grad():
    _model.weight.copy_(1000 * torch.eye(3).roll(1, dims=1))
for _mode in (True, False):
    _model.train(_mode)
    assert generate_text(_model, _abc, "bc", max_new_tokens=7) == "bcabcabca"
    assert _model.training is _mode
assert generate_text(_model, _abc, "a", 2, temperature=0) == "abc"
assert generate_text(_model, _abc, "a", 60, temperature=1e6) != "a" + "bca" * 20, "so hot that nothing is certain"
assert generate_text(_model, _abc, "a", 60, temperature=1e6, top_k=1) == "a" + "bca" * 20
try:
    generate_text(_model, _abc, "")
except ValueError:
    pass
else:
    raise AssertionError("an empty prompt: that needs a ValueError")
### END HIDDEN TESTS

# %% [markdown]
# ### Play: let the parrot speak
#
# The model of the rehearsal learned 2,000 characters by heart. Give it the first twenty of them:

# %%
print(generate_text(parrot, tokenizer, train_text[:20], max_new_tokens=180, temperature=0.3))

# %% [markdown]
# Compare it with the beginning of the text, at the top of this notebook. Now let us do it properly.
#
# ## The main event
#
# The real training: the whole text, your own dataset, steps, evaluation and loop. The numbers of a training run, such
# as the size of the model or how many windows go into a batch, are called **hyperparameters**. `training.preset()`
# gives a set that was tried out for an ordinary processor.

# %%
preset = training.preset()  # in a hurry? training.preset(budget="1min") takes a minute
if grading:
    preset = training.preset("quick", budget="5s")
for name, value in vars(preset).items():
    print(f"{name:12} {value}")

train_set = TextDataset(tokenizer.encode(train_text), preset.block_size)
val_set = TextDataset(tokenizer.encode(val_text), preset.block_size)

# %% [markdown]
# Training goes on until the `budget`, in seconds, is used up. (With `budget=None` it would be `epochs` passes over the
# text, however long they take.) A **block** is a window of `block_size` characters. Each epoch cuts the text into
# blocks that follow each other without overlap, shuffles them, and puts `batch_size` of them into a step; the next
# epoch cuts at other places. The validation text is always read whole and in order.
#
# A `training.Session` takes your pieces and does what a long run needs around them: it makes the batches, chooses an
# optimizer, shows how it goes, and writes a **checkpoint** now and then, a file with everything in it that it takes to
# go on.

# %%
torch.manual_seed(1337)
model = TinyLLM(vocab_size, **preset.model)
training.initialize(model)  # better first numbers than PyTorch's: it learns a little faster
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

shakespeare = len(text) == data.TINY_SHAKESPEARE.size
prompt = "ROMEO:\n" if shakespeare else text.splitlines()[0] + "\n"


def sample():
    """What is shown after each epoch."""
    return generate_text(model, tokenizer, prompt, max_new_tokens=150)


watched = tokenizer.encode(val_text[:2001])


def watch():
    """What is kept at a few moments, to look at later: the loss of each of 2,000 characters."""
    return training.surprise(model, watched)


before = model.token_embedding.embedding.weight.detach().clone()  # (V, C), to look at later too
folder = None if grading else parts.folder() / "run"  # for the checkpoints
session = training.Session(model, train_set, val_set, preset, folder=folder, sample=sample, watch=watch)
print(f"an epoch has {len(session.train_loader):,} steps")

# %% [markdown]
# On Colab this folder is gone when the session ends, and your finished pieces with it. One line in a new cell keeps
# both, once your Drive is mounted: `%env TINYLLM_PARTS=/content/drive/MyDrive/tinyllm`. Then run the cell above again.
#
# ### How fast to learn, and when
#
# At the start all parameters are random, and the first gradients point in wild directions: small steps are wiser.
# That is the **warm-up**. Then come the large steps, in which most is learned. Towards the end small steps are wiser
# again: they settle what large steps kept shaking. That is the **decay**. So the learning rate rises quickly and then
# falls to zero. Training ends when the preset's `budget` of seconds is used up, and the plan follows the clock. Here is
# what it makes of 1,000 steps, found by letting `training.scheduler` step through a training of one idle number:

# %%
idle = torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
plan = training.scheduler(idle, preset, session.train_loader, steps=lambda step: 1000)
shares = []
for step in range(1000):
    shares.append(plan.get_last_lr()[0])  # share of the highest learning rate
    idle.step()
    plan.step()

fig, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
axes.plot(shares, color="#0072B2")
axes.set(xlabel="step", ylabel="share of the highest\nlearning rate", ylim=(0, 1.05))
highest = shares.index(max(shares))
plots.show(fig, f"The learning rate rises to its highest value in {highest + 1} steps and then falls in "
                f"a straight line, to {shares[-1]:.4f} of it at step {len(shares)}.")

# %% [markdown]
# The optimizer is a pair. **Muon** takes the weight matrices inside the blocks. Think of a matrix as a machine that
# turns each direction of its input into a direction of its output. Its gradient is usually lopsided: a few directions
# are loud, and the many others would hardly change. Muon takes the mean of the recent gradients and evens it out, so
# that the matrix learns in all its directions equally fast. **AdamW** takes the rest (embeddings, biases, norms, the
# head) and gives each single number a step size of its own. The trouble pays: after 500,000 characters of Shakespeare
# the validation loss of a model like this, twice as deep, was 1.84 with the pair, and 2.12 with AdamW
# alone. More in [Muon's description by Keller Jordan](https://kellerjordan.github.io/posts/muon/) and in
# `helpers/training/optimizers.py`.
#
# This is what the model writes before it has read a single line:

# %%
print(sample())

# %% [markdown]
# Now train. It takes `budget` seconds, wherever you are: read on while it runs. If you must stop it, use the square
# button above. The model keeps what it has learned and the curve its points; run the cell again, today or next week,
# and it goes on from the checkpoint. (To begin anew, delete the folder `tiny_llm/run` or give the session another one.)

# %%
history = session.run(train)
val_loss = evaluate(model, session.val_loader)  # of the model as it is now, also if you stopped it
print(f"validation loss: {val_loss:.3f} nats per character")

# %% [markdown]
# ### Is my loss normal?
#
# A loss means little by itself. So we let it compete with the simplest models there are: tables. The first only
# counts how often each character occurs. The second counts pairs: which character follows which. Logarithms of counts
# are logits, so `F.cross_entropy` can judge a table exactly as it judges your model:

# %%
train_ids, val_ids = torch.tensor(tokenizer.encode(train_text)), torch.tensor(tokenizer.encode(val_text))
pairs = torch.bincount(train_ids[:-1] * vocab_size + train_ids[1:], minlength=vocab_size**2) + 1.0
pairs = pairs.view(vocab_size, vocab_size)  # (V, V): row = before, column = after; + 1: all are possible
print(f"a table of pairs: {F.cross_entropy(pairs.log()[val_ids[:-1]], val_ids[1:]).item():.3f}")

# %% [markdown]
# Why stop at pairs? A table of five in a row (a **5-gram**) knows, for every four characters it has seen, what came
# next. What it has never seen it asks the table of four about, and so on down. `helpers/ladder.py` counts all of them
# in a second or two. Together they make a ladder, and your model's curve climbs it. How far depends on how many
# characters your machine had the time to read. We trained the same model several times with other random numbers: the
# thick bar shows where such runs ended after as many characters as yours.

# %%
rungs, tables = ladder.rungs(train_ids, val_ids, vocab_size)
floor = None
if text == data.read_text(data.DATA / "sample_play.txt"):
    # The grammar that wrote this play is known, and so is the lowest possible loss.
    floor = data.SAMPLE_PLAY_FLOOR
band = ladder.normal(text, preset, session.characters)  # None for your own text or your own numbers
epoch_steps = len(session.train_loader)
plots.show(plots.loss_curves(history, floor=floor, baselines=rungs, epoch_steps=epoch_steps, normal=band))
if band:
    low, high = band
    verdict = "better" if val_loss < low else "worse" if val_loss > high else "normal"
    print(f"Other runs that read {session.characters / 1e6:.1f} million characters ended at "
          f"{low:.2f} to {high:.2f}. Yours, {val_loss:.2f}, is {verdict}.")

# %% [markdown]
# And this is what each rung writes. A loss is a number; here is how it reads:

# %%
start = tokenizer.encode(prompt)[-4:]
for n, (name, loss) in enumerate(rungs.items()):
    if n:  # below the first rung there is nothing to read
        written = tokenizer.decode(tables.write(start, 120, n)[len(start):])
        print(f"----- {name}, loss {loss:.2f} -----\n{written}\n")
torch.manual_seed(0)
print(f"----- your model, loss {val_loss:.2f} -----\n{sample()[len(prompt):]}")

# %% [markdown]
# With Shakespeare (65 different characters), this is what to expect:
#
# | loss | what predicts the next character | what it writes |
# |---|---|---|
# | 4.17 | nothing: all 65 equally likely | `Qm;fX&zRj3` |
# | 3.35 | single characters, by how often they occur | `ts remhfsd hRwTsnlteWloHca  eahao roid` |
# | 2.49 | pairs | `th remofed hexpselteredoca meaman youd` |
# | 2.05 | three in a row | `Thy, mords haves: Wer? HEN Meark!` |
# | 1.77 | four in a row | `Thy forms ther self it one orament,` |
# | 1.67 | five in a row | `Thoremoved her self it? The earth young gels from home` |
# | **1.48 to 1.53** | **your model**, with the default preset on two processor cores | you have just read it |
# | 1.47 | nanoGPT's large recipe: 10.7 million parameters, on a data centre's graphics card | |
#
# How far yours comes in its time depends on your machine: on a slow one, which read 3.9 million characters in 290
# seconds, it ended at 1.53; on one twice as fast at 1.48.
#
# The levels are also a doctor's chart. If your loss, with Shakespeare,
#
# - **stays near 4.2,** nothing is learned. Do the gradients reach the parameters, and does the optimizer step?
# - **stays near 3.3,** the model has learned which characters are common, and sees no context. Are `x` and `y` from
#   the same place?
# - **stays near 2.5,** each position sees only itself. Look at attention, and at the mask.
# - **falls below 1 in the first epoch,** it is too good to be true. The model sees the answer: a mask the wrong way
#   up, or a `y` that is not shifted.
# - **becomes `nan`,** the learning rate is too large, or clipping does not work.
#
# **Why does the validation loss stay above the training loss?** Partly because of what the parrot did: some of what a
# model learns is true only of the text it was taught. With Shakespeare there is a second reason, and it is no fault
# of yours: the last tenth of the text is mostly one play, and its four leading characters hardly speak in the first
# nine tenths. Their names and their jokes are new to the model. With the course's own sample play this reason falls
# away, and you can see a line that no model can get below: whoever wrote the play threw dice at many places, and dice
# cannot be predicted.
#
# ### Read what it writes

# %%
for temperature in (0.5, 0.8, 1.1):
    torch.manual_seed(0)
    print(f"----- temperature {temperature} -----")
    print(generate_text(model, tokenizer, prompt, max_new_tokens=300, temperature=temperature))
    print()

# %% [markdown]
# At 0.5 it plays safe and repeats itself; at 1.1 it is bold and invents words; 0.8 lies between. The same logits,
# divided by another number. Here is what the model thinks should come next, and what each temperature makes of it:

# %%
model.eval()
device = next(model.parameters()).device
with torch.no_grad():
    ids = torch.tensor([tokenizer.encode(prompt + "Wh")], device=device)  # (1, T)
    logits = model(ids)[0, -1]  # (V,): for the character after the last one
plots.show(plots.temperature(logits, chars, (0.5, 0.8, 1.1)))

# %% [markdown]
# **Your turn.** Write any prompt you like. (Only characters that occur in the text: the tokenizer knows no others.)

# %%
my_prompt = prompt + "The "
print(generate_text(model, tokenizer, my_prompt, max_new_tokens=400, temperature=0.8, top_k=20))

# %% [markdown]
# ### What surprises it?
#
# The validation loss is a mean over many thousand characters. Here they are one by one, in the blocks in which
# `evaluate` reads them: the loss of each character stands below it, and its colour is brighter the more the model was
# surprised. Move through the text. Where in a word is the surprise, at its beginning or at its end? Choose a bright
# character: what did the model expect instead?

# %%
widgets.surprise(model, tokenizer, val_text, val_loss)

# %% [markdown]
# ### What was learned when?
#
# While your model was trained, `watch` asked it about the same 2,000 characters of the validation text: before the
# first step, after 10, 20, 50, 100, ... steps, and after each epoch. Move through these moments. The upright line in
# each row is the loss in the end. Which characters are learned first, and which take longest?

# %%
widgets.learned_when(history["moments"], val_text[:2001])

# %% [markdown]
# ### A map of the characters
#
# Each character has an embedding, a row of numbers, and at first they were random. Nobody told the model what a vowel
# is. The map below lays the rows on a plane, the one in which they are spread most (its two axes are called the
# **principal components**). The sentence under it measures in all dimensions, with the cosine similarity of
# `3a_embeddings`. Compare the three maps: what training changed, the embeddings after it, and before it. Who are the
# neighbours of `T`, and of the comma?

# %%
print(f"{len(history['train_loss']):,} steps of training")
after = model.token_embedding.embedding.weight.detach()
widgets.embedding_map(before, after, chars)

# %% [markdown]
# ### Look inside
#
# In `3b_attention` you saw heads that had learned nothing, and heads that had learned a game. These have learned a
# language. `look` walks through the model block by block, as its `forward` does, and asks each block's attention for
# its weights on the way. Choose a **layer** and a **head**, and move **the character that looks** from left to right.
# Is there a head that looks at the character just before? One that looks for the last space? Then type a line of your
# own.

# %%
@torch.no_grad()
def look(text):
    """The attention weights of each layer for a text of T characters: a list of tensors (H, T, T)."""
    mask = torch.ones(len(text), len(text), device=device).tril().bool()
    x = model.token_embedding(torch.tensor([tokenizer.encode(text)], device=device))  # (1, T, C)
    x = model.positional_encoding(x)
    weights = []
    for block in model.blocks:
        weights.append(block.attention(block.norm1(x), mask)[1][0])  # (H, T, T)
        x = block(x, mask)
    return weights


look_at = text[:24].replace("\n", " ")
print("Mean weight on the character just before, head by head:")
for layer, weights in enumerate(look(look_at)):
    previous = weights.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=-1)  # (H,): just below the diagonal
    print(f"layer {layer}:", "  ".join(f"{share:.0%}" for share in previous.tolist()))
widgets.attention(look, look_at)

# %% [markdown]
# ### A prediction in the making
#
# In `4_model` the logit lens had little to show: an untrained model has no reasons to change its mind. Yours has them
# now. Read from top to bottom what it would answer after each half of each block; framed is its answer in the end. Then
# move the **position**. Where is it sure early, inside a word or at the beginning of one? And where does it change its
# mind until the last block?

# %%
widgets.logit_lens(model, tokenizer, look_at)

# %% [markdown]
# ### Keep it
#
# The model lives in this kernel only. Save its parameters, and it can speak again tomorrow without training.
# `state_dict()` holds all of them by name. In `torch.load`, `weights_only=True` lets a file bring numbers but no
# code, which is how one should open any file of weights.

# %%
path = parts.folder() / "tiny_llm.pt"  # beside your finished pieces
loss = val_loss  # only a trained model is worth keeping
if not grading:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), path)
    again = TinyLLM(vocab_size, **preset.model)
    again.load_state_dict(torch.load(path, weights_only=True))
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, validation loss {loss:.3f}, "
          f"after loading {evaluate(again, session.val_loader):.3f}")

# %% [markdown]
# ## How to go on
#
# - **Train longer, or larger:** `training.preset("cpu", budget="15min")`, perhaps with `embed_dim=192, num_heads=6`
#   (another model: give its session another `folder`). Watch both curves: when they part, more epochs no longer help,
#   but `dropout=0.1` may.
# - **On a graphics card:** write `.to("cuda")` behind `TinyLLM(vocab_size, **preset.model)`, and run the cells from
#   there on. Nothing else changes: your functions move each batch to where the model is.
# - **Without a notebook:** your pieces stand in `tiny_llm/`, a small program of your own. In a terminal,
#   `python tiny_llm/train.py --data FILE` trains it, and `torchrun --nproc_per_node=2 tiny_llm/train.py --data FILE`
#   shares the work between two processes or two graphics cards. `python tiny_llm/model.py` checks all your TODOs again.
# - **Write faster:** `generate` reads the whole text again for each new character. `helpers/generator.py` remembers the
#   keys and values of what it has read, and writes the same text.
# - **Another author:** `text = data.load_text("my.txt")` reads a text file of yours. A few hundred thousand
#   characters are a good start.
# - **Read a bigger one:** [nanoGPT](https://github.com/karpathy/nanoGPT) is the same kind of model, made for graphics
#   cards, in two files of about 300 lines. You will recognise nearly all of its `model.py`.
# - **Read where it came from:** [Attention Is All You Need](https://arxiv.org/abs/1706.03762), the paper. It is yours
#   now.
#
# ## Recap
#
# - A window gives a question at each position: `y` is `x` one step later.
# - Cross-entropy is minus the logarithm of the probability given to what really came; $e^{\text{loss}}$ is the number
#   of characters the model hesitates between.
# - A step: predict, measure, clear, `backward`, clip, `step`.
# - Evaluation mode and no gradients for a measurement; a mean over positions; text that was never trained on.
# - When training and validation loss part, the model is learning by heart.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. Why is the first loss of a good model close to $\ln V$, and what would a first loss of 20 tell you?
# 2. Forget `optimizer.zero_grad()`. What does the optimizer then follow, and why may training still seem to work at
#    first?
# 3. A friend reports a validation loss of 0.9 on Shakespeare, with a model like yours. What do you ask first?
#
# <details><summary><b>Answers</b></summary>
#
# 1. A model that knows nothing should not be sure of anything: about $1/V$ for each character, which costs $\ln V$. A
#    loss of 20 means it is very sure and wrong: its first numbers are too large.
# 2. It follows the sum of all gradients since the start. At first they point the same way, so it goes in the right
#    direction, ever faster; then it cannot turn any more.
# 3. Whether the model could see the answers: was the validation text part of the training text, is `y` really
#    shifted, is the mask the right way up? nanoGPT's much larger model gets 1.47.
# </details>
#
# **This was the last notebook.** You started with a tensor of three numbers. You now have a language model of which
# you wrote each part, and you know what each line does. That is rarer than it sounds: well done.
