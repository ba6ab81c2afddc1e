"""TODO 4, TwoLayerNet.__init__: wrong and right answers."""
import copy

import torch
from torch import nn

from answers import right, wrong


@wrong("unfinished", named="TODO 4")
def _():
    class TwoLayerNet(nn.Module):
        def __init__(self, in_features, hidden_features, out_features):
            super().__init__()
            raise NotImplementedError("TODO 4")
    return TwoLayerNet


@wrong("no super().__init__()", named="super().__init__() missing")
def _():
    class TwoLayerNet(nn.Module):
        def __init__(self, in_features, hidden_features, out_features):
            self.fc1 = nn.Linear(in_features, hidden_features)
            self.fc2 = nn.Linear(hidden_features, out_features)
    return TwoLayerNet


@wrong("no nn.Module", named="not a module class")
def _():
    class TwoLayerNet:
        def __init__(self, in_features, hidden_features, out_features):
            self.fc1 = nn.Linear(in_features, hidden_features)
            self.fc2 = nn.Linear(hidden_features, out_features)
    return TwoLayerNet


def net(make):
    """TwoLayerNet whose __init__ calls make(self, in, hidden, out) after super().__init__()."""
    class TwoLayerNet(nn.Module):
        def __init__(self, in_features, hidden_features, out_features):
            super().__init__()
            make(self, in_features, hidden_features, out_features)
    return TwoLayerNet


@wrong("no bias", named=True)
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, h, bias=False)
        self.fc2 = nn.Linear(h, o)
    return net(make)


@wrong("sizes swapped", named="wrong in_features")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(h, i)
        self.fc2 = nn.Linear(o, h)
    return net(make)


@wrong("second layer takes the input size", named="wrong in_features")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, h)
        self.fc2 = nn.Linear(i, o)
    return net(make)


@wrong("out_features ignored", named="wrong out_features")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, h)
        self.fc2 = nn.Linear(h, i)
    return net(make)


@wrong("hard-coded hidden size", named="wrong out_features")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, 16)
        self.fc2 = nn.Linear(16, o)
    return net(make)


@wrong("one layer only", named="missing attribute")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, h)
    return net(make)


@wrong("other names", named="missing attribute")
def _():
    def make(self, i, h, o):
        self.layer1 = nn.Linear(i, h)
        self.layer2 = nn.Linear(h, o)
    return net(make)


@wrong("local variables", named="missing attribute")
def _():
    def make(self, i, h, o):
        fc1 = nn.Linear(i, h)
        fc2 = nn.Linear(h, o)
    return net(make)


@wrong("bare weights", named="wrong kind of layer")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Parameter(torch.randn(h, i))
        self.fc2 = nn.Parameter(torch.randn(o, h))
    return net(make)


@wrong("relu packed into fc1", named="wrong kind of layer")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Sequential(nn.Linear(i, h), nn.ReLU())
        self.fc2 = nn.Linear(h, o)
    return net(make)


@wrong("all zero weights", named="constant weights")
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        for p in self.parameters():
            nn.init.zeros_(p)
    return net(make)


@wrong("frozen", named=True)
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        self.requires_grad_(False)
    return net(make)


@wrong("class kept, not made", named="wrong kind of layer")
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear, nn.Linear
    return net(make)


@wrong("bias only for small layers", named="no bias")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, h)
        self.fc2 = nn.Linear(h, o, bias=h < 16)
    return net(make)


@wrong("hidden features limited", named="wrong out_features")
def _():
    def make(self, i, h, o):
        h = min(h, 64)
        self.fc1 = nn.Linear(i, h)
        self.fc2 = nn.Linear(h, o)
    return net(make)


@wrong("weights tied where the sizes fit", named="shared layer")
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        if i == h == o:
            self.fc2.weight = self.fc1.weight
    return net(make)


@wrong("weight of another shape put in", named="wrong shape")
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        self.fc1.weight = nn.Parameter(torch.randn(i, h))
    return net(make)


@wrong("weight that no optimizer finds", named="not a parameter")
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        del self.fc2.weight
        self.fc2.register_buffer("weight", torch.randn(o, h))
    return net(make)


@wrong("layers of the class", named="shared between instances")
def _():
    layers = {}

    def make(self, i, h, o):
        self.fc1, self.fc2 = layers.setdefault((i, h, o), (nn.Linear(i, h), nn.Linear(h, o)))
    return net(make)


@wrong("start kept from the first instance", named="the same start in each instance")
def _():
    starts = {}

    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        self.load_state_dict(starts.setdefault((i, h, o), copy.deepcopy(self.state_dict())))
    return net(make)


@wrong("sets the random seed", named=True)
def _():
    def make(self, i, h, o):
        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
    return net(make)


@right("a Sequential first, then the names")
def _():
    def make(self, i, h, o):
        self.net = nn.Sequential(nn.Linear(i, h), nn.ReLU(), nn.Linear(h, o))
        self.fc1, self.fc2 = self.net[0], self.net[2]
    return net(make)


@right("identity to start with")
def _():
    def make(self, i, h, o):
        self.fc1, self.fc2 = nn.Linear(i, h), nn.Linear(h, o)
        nn.init.eye_(self.fc1.weight)
        nn.init.zeros_(self.fc1.bias)
    return net(make)


@right("names that are properties")
def _():
    class TwoLayerNet(nn.Module):
        def __init__(self, in_features, hidden_features, out_features):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(in_features, hidden_features),
                                         nn.Linear(hidden_features, out_features)])

        fc1 = property(lambda self: self.layers[0])
        fc2 = property(lambda self: self.layers[1])
    return TwoLayerNet


@right("with an extra activation")
def _():
    def make(self, i, h, o):
        self.fc1 = nn.Linear(i, h, bias=True)
        self.activation = nn.ReLU()
        self.fc2 = nn.Linear(in_features=h, out_features=o)
        self.sizes = (i, h, o)
    return net(make)


@right("other order, own start values")
def _():
    def make(self, i, h, o):
        self.fc2 = nn.Linear(h, o)
        self.fc1 = nn.Linear(i, h)
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.zeros_(self.fc1.bias)
    return net(make)


@right("add_module")
def _():
    def make(self, i, h, o):
        for name, size in (("fc1", (i, h)), ("fc2", (h, o))):
            self.add_module(name, nn.Linear(*size))
    return net(make)


@right("own layer class derived from nn.Linear")
def _():
    class Layer(nn.Linear):
        pass

    class Base(nn.Module):
        def __init__(self, in_features, hidden_features, out_features):
            super().__init__()
            self.fc1 = Layer(in_features, hidden_features)
            self.fc2 = Layer(hidden_features, out_features)

    class TwoLayerNet(Base):
        pass
    return TwoLayerNet
