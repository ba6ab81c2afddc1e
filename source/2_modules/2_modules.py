# %% [markdown]
# # 2. Modules: layers that learn
#
# A neural network is a calculation with adjustable numbers in it, and learning means adjusting them. In PyTorch, a
# calculation together with its adjustable numbers is a **module**. In this notebook you write your first one, a
# network of two layers, and then watch it learn the shape of a wave in a few seconds. All later parts of the language
# model are modules of the same build.
#
# | TODO | you write | difficulty | minutes |
# |---|---|---|---|
# | 4 | `TwoLayerNet.__init__`: make the two layers | ★★☆ | 20 |
# | 5 | `TwoLayerNet.forward`: send numbers through them | ★☆☆ | 20 |
#
# **What you need from before:** shapes, broadcasting and `@` (notebook `1_tensors`), and from Python what a class is.
# If a TODO there is unfinished, go on all the same: nothing here depends on your code from there.

# %% locked="imports"
import math

import torch
import torch.nn.functional as F
from torch import nn

from helpers import checks, plots, widgets

# %% [markdown]
# ## One linear layer
#
# The commonest layer takes some numbers and returns weighted sums of them. With the inputs $x$, a table of
# **weights** $W$ and a row of starting values $b$, the **bias**, it computes
#
# $$y = x\, W^\top + b$$
#
# Each row of $W$ makes one output. Two inputs, three outputs, in numbers to check in your head:

# %%
layer = nn.Linear(2, 3)  # 2 inputs, 3 outputs
with torch.no_grad():  # put in round numbers by hand (the line says: do not record this for learning)
    layer.weight.copy_(torch.tensor([[1.0, 0.0],  # output 0 = first input
                                     [0.0, 1.0],  # output 1 = second input
                                     [1.0, -1.0]]))  # output 2 = their difference
    layer.bias.copy_(torch.tensor([0.0, 10.0, 0.0]))

x = torch.tensor([[5.0, 2.0],
                  [3.0, 3.0]])  # (2, 2): two examples, each with two inputs
print("weight:", tuple(layer.weight.shape), " bias:", tuple(layer.bias.shape))
print("layer(x), shape (2, 3):\n", layer(x).detach(), sep="")

# %% [markdown]
# The first example, `[5, 2]`, became `[5, 2 + 10, 5 - 2]`. The layer treats each example by itself, and it does not
# mind how many dimensions stand in front: only the last one changes, from 2 to 3.
# ([nn.Linear](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html) starts with small random
# weights; we set them only to have something to check.)
#
# ## Why two layers need a bend between them
#
# What happens if a second linear layer follows the first? Nothing new: weighted sums of weighted sums are weighted
# sums. One input, doubled and then tripled, is simply taken six times. However many linear layers you stack, the
# result is one straight line.
#
# So a simple bend goes between them, called **ReLU**: negative numbers become 0, others stay,
# $\text{relu}(z) = \max(0, z)$. Now each inner number can start to count at a point of its own, and many short
# straight pieces can follow any curve:
#
# $$\text{net}(x) = \text{relu}(x\, W_1^\top + b_1)\, W_2^\top + b_2$$
#
# A tiny one to see it: two inner numbers, $\text{relu}(x)$ and $\text{relu}(-x)$, with the weight 1 each. No straight
# line does what their sum does.

# %%
x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
print("relu(x):            ", F.relu(x).tolist())
print("relu(x) + relu(-x): ", (F.relu(x) + F.relu(-x)).tolist())

# %% [markdown]
# The sum is the absolute value of `x`, bent at 0. Sixteen inner numbers give up to sixteen bends; below they will
# follow a wave.
#
# ## TODO 4 and TODO 5: a module of your own
#
# Every module is a Python class with two methods:
#
# - `__init__` makes the parts and keeps them in `self`. It begins with `super().__init__()`, which prepares the list
#   in which PyTorch will note each part. From then on, writing `self.fc1 = nn.Linear(...)` is all it takes: the layer
#   is noted, and so are its weights.
# - `forward` says how to calculate. You never call it by name: `net(x)` calls it for you.
#
# **TODO 4** makes the two linear layers; `fc` is short for *fully connected*, because every output sees every input.
# **TODO 5** is the formula above. See
# [nn.Module](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html) and
# [F.relu](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html).

# %% todo="4-5"
class TwoLayerNet(nn.Module):
    """Two linear layers with a ReLU between them.

    in_features: how many numbers come in
    hidden_features: how many inner numbers lie between the layers
    out_features: how many numbers come out
    """

    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        # TODO 4: two linear layers, with bias:
        #   self.fc1 from in_features to hidden_features
        #   self.fc2 from hidden_features to out_features
        ### BEGIN SOLUTION 4
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.fc2 = nn.Linear(hidden_features, out_features)
        ### END SOLUTION

    def forward(self, x):
        """x: (..., in_features), with any number of dimensions in front.

        Returns (..., out_features).
        """
        # TODO 5:
        #   first layer, then ReLU   (..., hidden_features)
        #   second layer             (..., out_features)
        ### BEGIN SOLUTION 5
        hidden = F.relu(self.fc1(x))  # (..., hidden_features)
        return self.fc2(hidden)  # (..., out_features)
        ### END SOLUTION

# %% [markdown]
# <details><summary><b>Hint 1</b>: who calls whom?</summary>
#
# `nn.Linear(2, 3)` *makes* a layer; `layer(x)` *uses* it. Make in `__init__`, use in `forward`. A layer made inside
# `forward` would be a new one, with new random weights, at every call.
# </details>
#
# <details><summary><b>Hint 2</b>: the lines, almost</summary>
#
# In `__init__`: `self.fc1 = nn.Linear(..., ...)` with two of the three sizes, and the same for `self.fc2`. In
# `forward`: `self.fc1(x)` goes into `F.relu(...)`, and that goes into `self.fc2(...)`. After the second layer there
# is no ReLU: the result may be negative. Do not forget `return`.
# </details>

# %% test="4" points=2
checks.todo_4(TwoLayerNet)
### BEGIN HIDDEN TESTS
_net = TwoLayerNet(3, 5, 2)
assert isinstance(_net.fc1, nn.Linear) and isinstance(_net.fc2, nn.Linear)
assert _net.fc1.weight.shape == (5, 3) and _net.fc1.bias.shape == (5,)
assert _net.fc2.weight.shape == (2, 5) and _net.fc2.bias.shape == (2,)
assert {id(_net.fc1.weight), id(_net.fc2.weight)} <= {id(_p) for _p in _net.parameters()}, "an optimizer finds both"
### END HIDDEN TESTS

# %% test="5" points=2
checks.todo_5(TwoLayerNet)
### BEGIN HIDDEN TESTS
try:
    _net = TwoLayerNet(3, 5, 2)
    assert (_net.fc1.weight.shape, _net.fc2.weight.shape) == ((5, 3), (2, 5))
except Exception:  # TODO 4 has a test of its own
    _net = nn.Module.__new__(TwoLayerNet)
    nn.Module.__init__(_net)
    _net.fc1, _net.fc2 = nn.Linear(3, 5), nn.Linear(5, 2)
_w1, _b1, _w2, _b2 = _net.fc1.weight, _net.fc1.bias, _net.fc2.weight, _net.fc2.bias
for _shape in ((3,), (7, 3), (2, 4, 6, 3)):
    _x = 3 * torch.randn(_shape)
    _true = F.linear(F.linear(_x, _w1, _b1).clamp(min=0), _w2, _b2)
    _out = _net(_x)
    assert _out.shape == _true.shape and (_out - _true).abs().max().item() < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# ### Look: what PyTorch noted
#
# The adjustable numbers of a module are its **parameters**. You never listed them, and yet they are all there, with
# names made of your attributes:

# %%
torch.manual_seed(0)
net = TwoLayerNet(in_features=1, hidden_features=16, out_features=1)
for name, parameter in net.named_parameters():
    print(f"{name:11} shape {str(tuple(parameter.shape)):8} {parameter.numel():3} numbers")
print("together", sum(p.numel() for p in net.parameters()), "numbers")

# %% [markdown]
# 49 numbers. The model at the end of this course has about 400,000, kept and listed in exactly this way.
#
# A module that is kept in another one becomes its part, and may have parts itself: a tree. Below is yours. Open one
# level, and say from the shapes how each of the two numbers of parameters comes about.

# %%
widgets.module_tree(net)

# %% [markdown]
# ## How a number learns
#
# Here is all of learning, with one adjustable number `w`. The prediction is `w * x`. For `x = 3` we want 12, and `w`
# happens to be 1. The **loss** says how wrong we are: the square of the difference, $(3 - 12)^2 = 81$. Now the
# question: if `w` grew a little, would the loss grow or shrink, and how fast? With 1.01 in place of 1 it is
# $(3.03 - 12)^2 \approx 80.46$. So it shrinks, about 54 times as fast as `w` grows. This number, $-54$, is the
# **gradient**; the rule for it is $2 \cdot (w x - 12) \cdot x = 2 \cdot (-9) \cdot 3$. It is negative, so a larger
# `w` makes a smaller loss. In general we take a small step *against* the gradient.
#
# PyTorch writes down each calculation with `w`, and `loss.backward()` goes back through these notes and finds the
# gradient by itself.

# %%
w = torch.tensor(1.0, requires_grad=True)  # requires_grad: note down what happens to w
loss = (w * 3 - 12) ** 2
loss.backward()  # fills in w.grad
print("loss before:", loss.item(), " gradient:", w.grad.item())

with torch.no_grad():  # the step itself is not part of the calculation
    w -= 0.05 * w.grad  # 0.05 is the step size, called learning rate
print(f"w after one step: {w.item():.2f}  loss after: {((w * 3 - 12) ** 2).item():.2f}")

# %% [markdown]
# From 81 to 0.81 in one step. A network does the same with all its parameters at once, again and again. **Try it:**
# the learning rate 0.2 instead of 0.05. What happens, and why?
#
# ### Play: your network learns a wave
#
# The task: from `x`, predict $\sin(x)$, at 100 points. Before any learning, the weights are random, and so is the
# curve:

# %%
x = torch.linspace(-math.pi, math.pi, 100).reshape(100, 1)  # (100, 1): 100 examples with one input each
y = torch.sin(x)  # (100, 1): what we want

torch.manual_seed(1)
net = TwoLayerNet(in_features=1, hidden_features=16, out_features=1)
plots.show(plots.fit(x, y, net(x)))

# %% [markdown]
# Now 1000 steps. The first four lines in the loop are the same for every network there is; you will write them
# yourself in `5_training`. The [optimizer](https://docs.pytorch.org/docs/stable/optim.html) takes the steps: *Adam*
# does what we did by hand, with a step size that it adapts for each parameter. Every 20 steps we keep what the network
# predicts, to look back afterwards.

# %%
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
kept = [net(x).detach()]  # what it predicts before the first step; detach: no notes for learning
for step in range(1000):
    loss = F.mse_loss(net(x), y)  # mean of the squared differences
    optimizer.zero_grad()  # forget the old gradients
    loss.backward()  # a gradient for each of the 49 numbers
    optimizer.step()  # a small step for each of them
    if step % 200 == 0 or step == 999:
        print(f"step {step:3d}: loss {loss.item():.5f}")
    if step % 20 == 19:
        kept.append(net(x).detach())

# %% [markdown]
# Move back to step 0 and forward again, with the arrow keys. When is most of the error gone? Which part of the wave
# comes last?

# %%
widgets.fit_history(x, y, kept, every=20)

# %% [markdown]
# The line is made of straight pieces, and each bend is one inner number that starts to count. **Try it:** make the
# network again with 2 or with 64 hidden features (further up, where it was made), and run the cells from there.
#
# ## Keep it, move it, set its mode
#
# Three things every module can do, without a line from you:
#
# - **Keep.**
#   [state_dict()](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict)
#   is a dictionary of all its parameters by name. Save that, and `load_state_dict` brings the learned numbers back
#   into a new network of the same shape.
# - **Move.** `net.to("cuda")` moves all parameters to a graphics card, if there is one; `net.to(torch.float64)`
#   changes their dtype. The inputs must then be in the same place and of the same kind.
# - **Mode.** `net.train()` and `net.eval()` tell all parts whether we are training or only using the network. Your
#   layers do not care, but others will: dropout, in `3b_attention`, acts in training only.

# %%
learned = net.state_dict()
print("in the state_dict:", list(learned))

twin = TwoLayerNet(1, 16, 1)
print(f"a new network:     loss {F.mse_loss(twin(x), y).item():.5f}")
twin.load_state_dict(learned)
print(f"after loading:     loss {F.mse_loss(twin(x), y).item():.5f}")

twin.to(torch.float64)
print("after .to:        ", twin.fc1.weight.dtype, "for", twin(x.double()).dtype, "results")

twin.eval()
print("after .eval():     training is", twin.training, "and in its part fc1 too:", twin.fc1.training)

# %% [markdown]
# ## Recap
#
# - A module makes its parts in `__init__` and uses them in `forward`; PyTorch notes every part that is kept in
#   `self`.
# - `nn.Linear` makes weighted sums along the last dimension. Without a bend such as ReLU between them, many linear
#   layers are no more than one.
# - The gradient says how the loss changes with each parameter; learning is many small steps against it.
# - `parameters()`, `state_dict()`, `.to(...)`, `.train()` and `.eval()` come with every module.
#
# This is how far you are in the course: what has passed and when, and what comes next.

# %%
helpers.progress()

# %% [markdown]
# ## Three questions to think about
#
# 1. Somebody keeps the layers in a list, `self.layers = [nn.Linear(1, 16), nn.Linear(16, 1)]`. `forward` works, but
#    the network never learns. Why?
# 2. How many parameters has `TwoLayerNet(10, 20, 3)`?
# 3. With the learning rate 0.2, the `w` above went from 1 to 11.8, and the loss grew. What does that tell you about
#    gradients?
#
# <details><summary><b>Answers</b></summary>
#
# 1. PyTorch notes modules that are attributes, and does not look into plain lists. `net.parameters()` is empty, so no
#    optimizer knows of them (and `.to` would leave them behind).
#    [nn.ModuleList](https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html) is a list that is
#    noted; the model's blocks in `4_model` will live in one.
# 2. $10 \cdot 20 + 20 = 220$ in the first layer and $20 \cdot 3 + 3 = 63$ in the second: 283.
# 3. A gradient is right only for a small step. It names the direction at the place where you stand, and knows nothing
#    of what lies further on: here a step of 10.8 jumped far over the goal at 4.
# </details>
#
# **Next:** [3a. Embeddings](../3a_embeddings/3a_embeddings.ipynb) turns characters into vectors that a network can
# calculate with.
