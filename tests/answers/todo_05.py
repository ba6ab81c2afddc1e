"""TODO 5, TwoLayerNet.forward: wrong and right answers."""
import torch
import torch.nn.functional as F
from torch import nn

from answers import right, wrong


def net(forward):
    """TwoLayerNet with a right __init__ and this forward."""
    class TwoLayerNet(nn.Module):
        def __init__(self, in_features, hidden_features, out_features):
            super().__init__()
            self.fc1 = nn.Linear(in_features, hidden_features)
            self.fc2 = nn.Linear(hidden_features, out_features)

    TwoLayerNet.forward = forward
    return TwoLayerNet


@wrong("unfinished", named="TODO 5")
def _():
    def forward(self, x):
        raise NotImplementedError("TODO 5")
    return net(forward)


@wrong("all zero", named=True)
def _():
    return net(lambda self, x: torch.zeros(*x.shape[:-1], self.fc2.out_features, dtype=x.dtype))


@wrong("no relu", named=True)
def _():
    return net(lambda self, x: self.fc2(self.fc1(x)))


@wrong("relu after fc2", named=True)
def _():
    return net(lambda self, x: F.relu(self.fc2(self.fc1(x))))


@wrong("relu twice", named=True)
def _():
    return net(lambda self, x: F.relu(self.fc2(F.relu(self.fc1(x)))))


@wrong("another function than relu", named=True)
def _():
    return net(lambda self, x: self.fc2(F.gelu(self.fc1(x))))


@wrong("another function than relu", named=True)
def _():
    return net(lambda self, x: self.fc2(torch.sigmoid(self.fc1(x))))


@wrong("another function than relu", named=True)
def _():
    return net(lambda self, x: self.fc2(F.leaky_relu(self.fc1(x))))


@wrong("only one layer", named=True)
def _():
    return net(lambda self, x: F.relu(self.fc1(x)))


@wrong("softmax at the end", named=True)
def _():
    return net(lambda self, x: F.softmax(self.fc2(F.relu(self.fc1(x))), dim=-1))


@wrong("relu before fc1", named=True)
def _():
    return net(lambda self, x: self.fc2(self.fc1(F.relu(x))))


@wrong("layers in the wrong order", named="shapes do not fit")
def _():
    return net(lambda self, x: self.fc1(F.relu(self.fc2(x))))


@wrong("leading dimensions flattened", named=True)
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x.reshape(-1, x.shape[-1])))))


@wrong("works only for two dimensions", named="works only for two dimensions")
def _():
    def forward(self, x):
        hidden = torch.addmm(self.fc1.bias, x, self.fc1.weight.T)
        return torch.addmm(self.fc2.bias, F.relu(hidden), self.fc2.weight.T)
    return net(forward)


@wrong("changes its input", named=True)
def _():
    def forward(self, x):
        x -= 0.5
        return self.fc2(F.relu(self.fc1(x)))
    return net(forward)


@wrong("relu on the input in place", named="changes its input")
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x.relu_()))))


@wrong("gradient cut", named=True)
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x)).detach()))


@wrong("no_grad", named="gradient cut")
def _():
    def forward(self, x):
        with torch.no_grad():
            return self.fc2(F.relu(self.fc1(x)))
    return net(forward)


@wrong("random results", named=True)
def _():
    return net(lambda self, x: self.fc2(F.dropout(F.relu(self.fc1(x)), 0.5)))


@wrong("nothing returned", named=True)
def _():
    def forward(self, x):
        self.fc2(F.relu(self.fc1(x)))
    return net(forward)


@wrong("print instead of return", named="nothing returned")
def _():
    def forward(self, x):
        print(self.fc2(F.relu(self.fc1(x))))
    return net(forward)


@wrong("new layers in each call", named=None)
def _():
    def forward(self, x):
        fc1 = nn.Linear(x.shape[-1], self.fc1.out_features).to(x.dtype)
        return self.fc2(F.relu(fc1(x)))
    return net(forward)


@wrong("hard-coded dtype", named="works only in float32")
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x.float()))))


@wrong("squeezed for one output feature", named="dimension of size 1 lost")
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x))).squeeze(-1))


@wrong("residual where it fits", named="residual added")
def _():
    def forward(self, x):
        y = self.fc2(F.relu(self.fc1(x)))
        return x + y if x.shape == y.shape else y
    return net(forward)


@wrong("no relu in evaluation mode", named="no relu")
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x)) if self.training else self.fc1(x)))


@wrong("evaluation mode switched on", named="mode changed")
def _():
    return net(lambda self, x: self.eval().fc2(F.relu(self.fc1(x))))


@wrong("view of a non-contiguous tensor", named=True)
def _():
    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x.view(-1, x.shape[-1])))).view(*x.shape[:-1], -1)
    return net(forward)


@wrong("bfloat16 becomes float32", named="works only in float32 and float64")
def _():
    def forward(self, x):
        y = self.fc2(F.relu(self.fc1(x)))
        return y.float() if x.dtype == torch.bfloat16 else y
    return net(forward)


@wrong("result kept for its shape", named="remembers an earlier call")
def _():
    def forward(self, x):
        key = x.shape, x.dtype, x.device
        if getattr(self, "last", (None,))[0] != key:
            self.last = key, self.fc2(F.relu(self.fc1(x)))
        return self.last[1]
    return net(forward)


@wrong("small numbers dropped too")
def _():
    return net(lambda self, x: self.fc2(F.threshold(self.fc1(x), 0.01, 0)))


@right("middle kept to look at")
def _():
    def forward(self, x):
        self.hidden = F.relu(self.fc1(x))
        return self.fc2(self.hidden)
    return net(forward)


@right("method and clamp")
def _():
    def forward(self, x):
        h = self.fc1(x)
        h = h.clamp(min=0)
        return self.fc2(h)
    return net(forward)


@right("torch.where and matrices")
def _():
    def forward(self, x):
        h = torch.matmul(x, self.fc1.weight.transpose(0, 1)) + self.fc1.bias
        h = torch.where(h > 0, h, torch.zeros_like(h))
        return torch.einsum("...h,oh->...o", h, self.fc2.weight) + self.fc2.bias
    return net(forward)


@right("relu in place on the middle")
def _():
    return net(lambda self, x: self.fc2(F.relu(self.fc1(x), inplace=True)))


@right("flattened and put back, with prints")
def _():
    def forward(self, x):
        print("x", x.shape)
        flat = x.reshape(-1, x.shape[-1])
        return self.fc2(torch.maximum(self.fc1(flat), torch.tensor(0.0, dtype=x.dtype))).reshape(*x.shape[:-1], -1)
    return net(forward)


@right("float64 inside")
def _():
    def forward(self, x):
        h = F.linear(x.double(), self.fc1.weight.double(), self.fc1.bias.double())
        y = F.linear((h + h.abs()) / 2, self.fc2.weight.double(), self.fc2.bias.double())
        return y.to(x.dtype)
    return net(forward)
