"""TODO 21: causal_mask(seq_len, device=None) -> bool (T, T)."""
import torch

from answers import right, wrong


@right("tril of ones")
def _():
    def causal_mask(seq_len, device=None):
        return torch.tril(torch.ones(seq_len, seq_len, dtype=torch.bool, device=device))
    return causal_mask


@right("comparison of positions")
def _():
    def causal_mask(seq_len, device=None):
        position = torch.arange(seq_len, device=device)
        return position.unsqueeze(1) >= position
    return causal_mask


@right("not above the diagonal")
def _():
    def causal_mask(seq_len, device=None):
        return ~torch.ones((seq_len, seq_len), device=device).triu(diagonal=1).bool()
    return causal_mask


@right("two loops, moved at the end")
def _():
    def causal_mask(seq_len, device=None):
        rows = [[j <= i for j in range(seq_len)] for i in range(seq_len)]
        mask = torch.tensor(rows)
        return mask.to(device) if device is not None else mask
    return causal_mask


@right("filled row by row, cumulative sums")
def _():
    def causal_mask(seq_len, device=None):
        mask = torch.zeros(seq_len, seq_len, dtype=torch.bool, device=device)
        for i in range(seq_len):
            mask[i, :i + 1] = True
        return mask
    return causal_mask


@wrong("upside down", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device).triu().bool()


@wrong("True where hidden", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device).triu(1).bool()


@wrong("diagonal missing", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device).tril(-1).bool()


@wrong("one too far", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device).tril(1).bool()


@wrong("not bool", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device).tril()


@wrong("integers", named="not bool")
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device, dtype=torch.int64).tril()


@wrong("additive mask", named=True)
def _():
    return lambda seq_len, device=None: torch.full((seq_len, seq_len), -torch.inf, device=device).triu(1)


@wrong("device ignored", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len).tril().bool()


@wrong("additional dimensions", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(1, 1, seq_len, seq_len, device=device).tril().bool()


@wrong("everything visible", named=True)
def _():
    return lambda seq_len, device=None: torch.ones(seq_len, seq_len, device=device).bool()


@wrong("hard-coded size", named="wrong shape")
def _():
    return lambda seq_len, device=None: torch.ones(4, 4, device=device).tril().bool()


@wrong("a list of lists", named="not a tensor")
def _():
    return lambda seq_len, device=None: [[j <= i for j in range(seq_len)] for i in range(seq_len)]


@wrong("device is needed")
def _():
    return lambda seq_len, device: torch.ones(seq_len, seq_len, device=device).tril().bool()


@wrong("the same tensor each time", named=True)
def _():
    masks = {}

    def causal_mask(seq_len, device=None):
        key = seq_len, str(device)
        if key not in masks:
            masks[key] = torch.ones(seq_len, seq_len, dtype=torch.bool, device=device).tril()
        return masks[key]
    return causal_mask


@wrong("at most 128 positions", named="wrong shape")
def _():
    def causal_mask(seq_len, device=None):
        return torch.ones(128, 128, dtype=torch.bool, device=device).tril()[:seq_len, :seq_len]
    return causal_mask
