"""The first weights, and what changes them: Muon, AdamW, and the plan of their learning rates."""
import torch

# Coefficients (a, b, c) for `orthogonalize`, one triple per round: the first three of Amsel, Persson, Musco and Gower,
# "The Polar Express" (2025). A fourth round takes longer and made no difference to the loss (docs/training.md).
POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
)


def orthogonalize(matrices, rounds, eps=1e-7):
    """Replace the singular values of each matrix by numbers near 1: `(N, rows, columns)` -> the same shape.

    The Newton-Schulz iteration of Muon, X <- a X + b (X X^T) X + c (X X^T)^2 X, after
    https://kellerjordan.github.io/posts/muon/, once for each triple (a, b, c) in `rounds`. In float32, for all N
    matrices at once.
    """
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT  # X X^T is the smaller product when X is wide
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)  # now no singular value is above 1
    for a, b, c in rounds:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


if hasattr(torch.optim, "Muon"):  # from PyTorch 2.9 on

    class Muon(torch.optim.Muon):
        """`torch.optim.Muon` with the same numbers and the same state, in float32 and many matrices at a time.

        PyTorch's own step rounds to bfloat16 and takes one matrix after the other. Many processors have no
        bfloat16 arithmetic and imitate it: there a step of our model costs a second instead of 20 ms.
        `rounds` are the coefficients for `orthogonalize` (PyTorch's: ns_steps times ns_coefficients).
        """

        def __init__(self, params, rounds=None, **numbers):
            super().__init__(params, **numbers)
            self.rounds = rounds

        @torch.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                same_shape = {}
                for weight in group["params"]:
                    if weight.grad is not None:
                        same_shape.setdefault((weight.shape, weight.device), []).append(weight)
                for weights in same_shape.values():
                    self._update(weights, group)
            return loss

        def _update(self, weights, group):
            updates = []
            for weight in weights:
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                momentum = state["momentum_buffer"].lerp_(weight.grad, 1 - group["momentum"])
                updates.append(weight.grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum)
            rounds = self.rounds or [group["ns_coefficients"]] * group["ns_steps"]
            updates = orthogonalize(torch.stack(updates).float(), rounds, group["eps"])
            rows, columns = weights[0].shape
            if group["adjust_lr_fn"] == "match_rms_adamw":
                scale = 0.2 * max(rows, columns) ** 0.5
            else:  # "original", also when it is None
                scale = max(1, rows / columns) ** 0.5
            for weight, update in zip(weights, updates, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.to(weight.dtype), alpha=-group["lr"] * scale)


class MuonAdamW(torch.optim.Optimizer):
    """Muon for some parameters and AdamW for the others, as one optimizer.

    The parameter groups say which is whose: `group["optimizer"]` is "muon" or "adamw". A scheduler, `zero_grad`,
    `state_dict` and `load_state_dict` work as with any optimizer.
    """

    def __init__(self, matrices, others, preset):
        self.parts = {
            "muon": Muon(matrices, POLAR_EXPRESS, lr=preset.muon_lr, weight_decay=preset.muon_decay),
            "adamw": torch.optim.AdamW(others, lr=preset.adamw_lr, weight_decay=preset.adamw_decay, fused=True),
        }
        super().__init__([{**group, "optimizer": name} for name, part in self.parts.items()
                          for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for name, part in self.parts.items():
            # This object owns the groups and the state (load_state_dict may just have replaced them).
            part.param_groups = [group for group in self.param_groups if group["optimizer"] == name]
            part.state = self.state
            part.step()
        return loss


@torch.no_grad()
def initialize(model):
    """Better first weights than PyTorch's, in place: they learn faster, `python3 -m course search` says how much.

    The embedding starts with smaller numbers (standard deviation 0.3, not 1), so that the positions, which are added,
    are not drowned out. The last layer of each half of a block starts at 0, so that at first a block only hands on
    what it gets, and each half joins in when it has something to say.
    """
    for part in model.modules():
        if isinstance(part, torch.nn.Embedding):
            torch.nn.init.normal_(part.weight, std=0.3)
    for name, weight in model.named_parameters():
        if name.endswith((".out_proj.weight", ".project.weight")):
            torch.nn.init.zeros_(weight)


def optimizer(model, preset):
    """Muon for the weight matrices in `model.blocks`, AdamW for everything else, as one optimizer.

    Where PyTorch has no Muon (before 2.9), AdamW alone, and one printed line that says so.
    """
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if name.startswith("blocks.") and parameter.ndim == 2 else others).append(parameter)
    if matrices and others and hasattr(torch.optim, "Muon"):
        return MuonAdamW(matrices, others, preset)
    if not hasattr(torch.optim, "Muon"):
        print(f"PyTorch {torch.__version__} has no Muon optimizer (it came with 2.9): training with AdamW alone, "
              f"which learns more slowly.")
    return torch.optim.AdamW(matrices + others, lr=preset.adamw_lr, weight_decay=preset.adamw_decay, fused=True)


def scheduler(optimizer, preset, train_loader, steps=None):
    """Learning rates rise evenly for `preset.warmup_steps` steps, then fall evenly to zero at the last step.

    It steps once per optimizer step, for `preset.epochs` passes over `train_loader`; after that the learning
    rates stay at zero. `steps(step)` may give another number of steps than that, and may change its mind on the way:
    with a time budget nobody knows it before the end.
    """
    planned = preset.epochs * len(train_loader)

    def share(step):  # of the highest learning rate
        total = planned if steps is None else steps(step)
        warmup = min(preset.warmup_steps, total // 10)
        return max(0.0, min((step + 1) / (warmup + 1), (total - step) / (total - warmup)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
