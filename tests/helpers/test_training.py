"""The recipe: presets, loaders, optimizer and schedule."""
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from helpers import oracle, training
from helpers.training import optimizers

ROOT = Path(__file__).resolve().parents[2]
TINY = {"embed_dim": 16, "num_heads": 2, "num_layers": 1, "block_size": 8, "batch_size": 4}


def text_set(length, block_size, vocab_size=11):
    generator = torch.Generator().manual_seed(length)
    return oracle.TextDataset(torch.randint(vocab_size, (length,), generator=generator), block_size)


def tiny_run(**changes):
    """A preset, a model, loaders and an optimizer that run in no time."""
    preset = training.preset("quick", **{**TINY, **changes})
    model = oracle.TinyLLM(11, **preset.model)
    loaders = training.loaders(text_set(300, preset.block_size), text_set(70, preset.block_size), preset)
    return preset, model, *loaders, training.optimizer(model, preset)


# Presets

def test_default_preset_and_its_fast_form(monkeypatch):
    monkeypatch.delenv("TINYLLM_FAST", raising=False)
    assert training.preset().name == "cpu"
    monkeypatch.setenv("TINYLLM_FAST", "0")
    assert training.preset().name == "cpu"
    monkeypatch.setenv("TINYLLM_FAST", "1")
    assert training.preset().name == "quick"
    assert training.preset("cpu").name == "cpu"


def test_on_binder_the_default_is_quick_and_says_why(monkeypatch, capsys):
    monkeypatch.delenv("TINYLLM_FAST", raising=False)
    monkeypatch.setenv("BINDER_REPO_URL", "https://github.com/your-account/tinyllm")  # BinderHub sets it
    assert training.preset().name == "quick"
    assert "Binder lends you one processor" in capsys.readouterr().out
    assert training.preset("cpu").name == "cpu" and capsys.readouterr().out == ""


def test_preset_gives_the_arguments_of_the_model():
    preset = training.preset("cpu", dropout=0.1)
    model = oracle.TinyLLM(7, **preset.model)
    assert model.max_len == preset.block_size
    assert len(model.blocks) == preset.num_layers
    assert model.blocks[0].attention.dropout.p == 0.1


@pytest.mark.parametrize("arguments, says", [
    (dict(name="fast"), "no preset called 'fast'; there are: quick, cpu, gpu"),
    (dict(epochs=0), "epochs must be a whole number of at least 1, not 0"),
    (dict(epochs=-2), "epochs must be a whole number of at least 1, not -2"),
    (dict(epochs=1.5), "epochs must be a whole number"),
    (dict(batch_size=True), "batch_size must be a whole number"),
    (dict(muon_lr=0), "muon_lr must be a number above 0"),
    (dict(adamw_lr=math.nan), "adamw_lr must be a number above 0"),
    (dict(warmup_steps=-1), "warmup_steps must not be negative"),
    (dict(budget=0), "budget must be longer than 0 seconds, not 0"),
    (dict(budget="-5s"), "budget must be a time such as 90"),
    (dict(budget="soon"), "budget must be a time such as 90, '90s', '2min' or '1h', not 'soon'"),
    (dict(budget="1e999"), "budget must be a time"),
    (dict(learning_rate=1), "no number called 'learning_rate'; it has: name, embed_dim"),
])
def test_bad_presets_are_one_sentence(arguments, says):
    with pytest.raises(ValueError) as caught:
        training.preset(**arguments)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).isascii()


# Data

@pytest.mark.parametrize("budget, seconds", [(90, 90), ("90", 90), ("90s", 90), ("2min", 120), (" 1.5 h ", 5400)])
def test_budgets_are_times(budget, seconds):
    assert training.preset(budget=budget).budget == seconds


def passes(length, block_size, batch_size=1, seed=0, **share):
    return training.OnePass(text_set(length, block_size), block_size, batch_size, seed, **share)


@pytest.mark.parametrize("length, block_size", [(300, 8), (301, 8), (304, 8), (9, 8), (17, 8), (18, 8), (30, 1)])
def test_an_epoch_is_one_pass_at_a_random_phase(length, block_size):
    sampler = passes(length, block_size)
    phases = set()
    for _ in range(100):
        starts = sorted(start for batch in sampler for start in batch)
        assert len(starts) == len(sampler) == max(1, sampler.windows // block_size)
        assert 0 <= starts[0] < block_size and starts[-1] < sampler.windows
        assert all(b - a == block_size for a, b in pairwise(starts))  # no position twice, none left out
        phases.add(starts[0])
    assert phases == set(range(min(block_size, sampler.windows)))


def test_pass_is_shuffled_and_repeats_with_the_seed():
    first, again, other = passes(800, 8, 4, seed=5), passes(800, 8, 4, seed=5), passes(800, 8, 4, seed=6)
    batches = list(first)
    assert batches == list(again) != list(other)
    assert batches != sorted(batches) and batches != list(first)  # and another order in the next epoch


def test_a_pass_goes_on_where_it_stopped():
    whole, rest = passes(800, 8, 4), passes(800, 8, 4)
    epochs = [list(whole) for _ in range(3)]
    rest.epoch, rest.skip = 1, 7
    assert [list(rest), list(rest)] == [epochs[1][7:], epochs[2]]


def test_batches_are_all_of_the_same_size():
    sampler = passes(300, 8, 10)  # 36 blocks
    assert [len(batch) for batch in sampler] == [10, 10, 10] and len(sampler) == 3
    assert [len(batch) for batch in passes(30, 8, 10)] == [2]  # the text has no more


def test_processes_share_each_batch():
    whole = list(passes(800, 8, 6))
    shares = [list(passes(800, 8, 6, rank=rank, world=3)) for rank in range(3)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(batch) == sorted(start for part in parts for start in part)
        assert {len(part) for part in parts} == {2}
    preset = training.preset("quick", **{**TINY, "batch_size": 6})
    sets = text_set(800, 8), text_set(500, 8)
    validation = [training.loaders(*sets, preset, rank, 3)[1] for rank in range(3)]
    assert sum(y.numel() for loader in validation for _, y in loader) == 499
    with pytest.raises(ValueError, match="6 blocks in a batch cannot be shared evenly among 4 processes"):
        training.loaders(*sets, preset, 0, 4)
    with pytest.raises(ValueError, match="validation text is too short to be shared among 3 processes"):
        training.loaders(sets[0], text_set(20, 8), preset, 2, 3)


@pytest.mark.parametrize("length", [9, 10, 16, 17, 18, 255, 256, 257, 300])
def test_validation_counts_every_position_once_in_order(length):
    preset = training.preset("quick", **TINY)
    validation = text_set(length, 8)
    _, loader = training.loaders(text_set(300, 8), validation, preset)
    for _ in range(2):  # and again in the next epoch
        batches = list(loader)
        xs = torch.cat([x.flatten() for x, _ in batches])
        ys = torch.cat([y.flatten() for _, y in batches])
        assert xs.tolist() == validation.ids[:-1].tolist()
        assert ys.tolist() == validation.ids[1:].tolist()
    assert len(loader) == len(batches)


def test_learner_evaluate_weighs_the_short_last_batch():
    _, model, _, loader, _ = tiny_run()
    losses = [(torch.nn.functional.cross_entropy(model(x).mT, y, reduction="sum").item(), y.numel())
              for x, y in loader]
    assert len({count for _, count in losses}) > 1  # the text does not come out even
    expected = sum(total for total, _ in losses) / 69
    assert oracle.evaluate(model, loader) == pytest.approx(expected, rel=1e-5)


def test_batches_have_the_shape_of_the_preset():
    _, _, loader, _, _ = tiny_run()
    x, y = next(iter(loader))
    assert x.shape == y.shape == (4, 8) and x.dtype == y.dtype == torch.int64
    assert isinstance(loader.batch_sampler, training.OnePass)


class Empty(torch.utils.data.Dataset):
    """A learner's TextDataset that does not refuse a short text."""

    def __init__(self, windows):
        self.windows = windows

    def __len__(self):
        return self.windows

    def __getitem__(self, i):
        raise IndexError(i)


@pytest.mark.parametrize("windows", [0, -3])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_text_shorter_than_a_block(part, windows):
    preset, good = training.preset("quick", **TINY), text_set(100, 8)
    pair = (Empty(windows), good) if part == "training" else (good, Empty(windows))
    with pytest.raises(ValueError, match=rf"the {part} text is too short: it must be longer than one block \(8 char"):
        training.loaders(*pair, preset)


def test_blocks_that_do_not_fit():
    preset = training.preset("quick", **TINY)
    with pytest.raises(ValueError, match=r"block_size of the datasets is 9, but the model .* at most 8"):
        training.loaders(text_set(100, 9), text_set(100, 9), preset)
    with pytest.raises(ValueError, match="block_size differs: 8 in the training set, 7 in the validation set"):
        training.loaders(text_set(100, 8), text_set(100, 7), preset)


# Optimizer

muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")


@muon
def test_muon_gets_the_matrices_of_the_blocks_and_adamw_the_rest():
    _, model, _, _, optimizer = tiny_run()
    assert isinstance(optimizer, torch.optim.Optimizer)
    groups = {group["optimizer"]: {id(p) for p in group["params"]} for group in optimizer.param_groups}
    assert groups["muon"] == {id(p) for p in model.blocks.parameters() if p.ndim == 2}
    assert groups["muon"].isdisjoint(groups["adamw"])
    assert groups["muon"] | groups["adamw"] == {id(p) for p in model.parameters()}


@muon
@pytest.mark.parametrize("rule", [None, "original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", [(32, 32), (24, 96), (96, 24)])
def test_our_muon_is_torch_optim_muon_without_its_rounding(shape, rule):
    torch.manual_seed(1)
    start = torch.randn(shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    pair = [kind([weight], lr=0.02, weight_decay=0.1, adjust_lr_fn=rule)
            for kind, weight in ((optimizers.Muon, ours), (torch.optim.Muon, theirs))]
    for _ in range(5):
        gradient = torch.randn(shape)
        for optimizer, weight in zip(pair, (ours, theirs), strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved, expected = (weight.detach() - start for weight in (ours, theirs))
    # bfloat16 keeps 8 bits, and five rounds of products add to its rounding.
    assert (moved - expected).norm() / expected.norm() < 0.03
    state, their_state = pair[0].state[ours], pair[1].state[theirs]
    assert torch.allclose(state["momentum_buffer"], their_state["momentum_buffer"])


@muon
def test_orthogonalize_brings_singular_values_near_one():
    torch.manual_seed(2)
    numbers = optimizers.Muon([torch.nn.Parameter(torch.ones(2, 2))]).defaults
    for shape in [(3, 20, 20), (2, 12, 50), (2, 50, 12)]:
        matrices = torch.randn(shape)
        shares = torch.linalg.svdvals(matrices) / matrices.norm(dim=(-2, -1))[:, None]
        assert shares.min() > 0.001  # what is much smaller than that is left small
        # Where the polynomials take the numbers from 0.001 to 1, computed on a fine grid.
        for rounds, low, high in (([numbers["ns_coefficients"]] * numbers["ns_steps"], 0.47, 1.21),
                                  (optimizers.POLAR_EXPRESS, 0.13, 1.87)):
            result = training.orthogonalize(matrices, rounds)
            values = torch.linalg.svdvals(result)
            assert result.shape == shape and low < values.min() and values.max() < high


def test_initialize_touches_the_embedding_and_the_last_layers_only():
    _, model, _, _, _ = tiny_run()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    training.initialize(model)
    changed = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    last = ["blocks.0.attention.out_proj.weight", "blocks.0.feed_forward.project.weight"]
    assert changed == ["token_embedding.embedding.weight", *last]
    assert not any(model.get_parameter(name).any() for name in last)
    assert 0.2 < model.token_embedding.embedding.weight.std() < 0.4


@muon
def test_matrices_without_a_gradient_are_left_alone():
    _, model, _, _, optimizer = tiny_run()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.zero_grad()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_state_goes_out_and_comes_back(tmp_path):
    """Three steps, then two more from a saved state, are five steps."""
    def five(optimizer, model, loader, schedule, interrupt):
        for step in range(5):
            if interrupt and step == 3:
                torch.save([model.state_dict(), optimizer.state_dict(), schedule.state_dict()], tmp_path / "state.pt")
                preset = training.preset("quick", **TINY)
                model = oracle.TinyLLM(11, **preset.model)
                optimizer = training.optimizer(model, preset)
                schedule = training.scheduler(optimizer, preset, loader)
                saved = torch.load(tmp_path / "state.pt", weights_only=True)
                for part, state in zip((model, optimizer, schedule), saved, strict=True):
                    part.load_state_dict(state)
            x = torch.arange(32).reshape(4, 8) % 11
            oracle.train_step(model, (x, (x + step) % 11), optimizer)
            schedule.step()
        return model.state_dict()

    results = []
    for interrupt in (False, True):
        torch.manual_seed(3)
        preset, model, loader, _, optimizer = tiny_run()
        results.append(five(optimizer, model, loader, training.scheduler(optimizer, preset, loader), interrupt))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_without_muon_adamw_alone_and_one_line(monkeypatch, capsys):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    preset, model, train_loader, val_loader, optimizer = tiny_run()
    assert type(optimizer) is torch.optim.AdamW
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {id(p) for p in model.parameters()}
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and "no Muon" in printed and "AdamW alone" in printed
    history = oracle.train(model, train_loader, val_loader, optimizer, 1,
                           training.scheduler(optimizer, preset, train_loader))
    assert all(map(math.isfinite, history["train_loss"]))


def test_file_loads_where_torch_has_no_muon():
    code = ("import torch; vars(torch.optim).pop('Muon', None); from helpers import training; "
            "model = torch.nn.Linear(2, 2); print(type(training.optimizer(model, training.preset('quick'))).__name__)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "AdamW"


# Schedule

@pytest.mark.parametrize("steps, warmup_steps", [(200, 50), (200, 10), (200, 0), (3, 50), (1, 50)])
def test_learning_rates_rise_then_fall_to_zero(steps, warmup_steps, recwarn):
    preset = training.preset("quick", warmup_steps=warmup_steps)
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 2.0}], lr=1.0)
    scheduler = training.scheduler(optimizer, preset, range(steps))
    rates = []
    for _ in range(steps + 3):  # a few more than planned
        rates.append(optimizer.param_groups[0]["lr"] / 2.0)
        optimizer.step()
        scheduler.step()
    warmup = min(warmup_steps, steps // 10)
    assert max(rates) == rates[warmup] == pytest.approx(1.0)
    assert all(a < b for a, b in pairwise(rates[:warmup + 1]))
    assert all(a > b for a, b in pairwise(rates[warmup:steps]))
    assert all(rate > 0 for rate in rates[:steps]) and rates[steps:] == [0.0, 0.0, 0.0]
    assert not recwarn.list  # a warning costs a point under nbgrader


def test_a_schedule_whose_length_is_only_guessed():
    """With a time budget the number of steps is known better and better; at the last step the rate is nearly 0."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    guesses = iter([10**9] + [150] * 50 + [100] * 50)
    preset = training.preset("quick", warmup_steps=5)
    scheduler = training.scheduler(optimizer, preset, range(1), lambda step: next(guesses))
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == rates[5] and rates[-1] < 0.02
    assert all(rate > 0 for rate in rates)


@muon
def test_schedule_moves_both_optimizers():
    preset, model, loader, _, optimizer = tiny_run()
    scheduler = training.scheduler(optimizer, preset, loader)
    before = [group["lr"] for group in optimizer.param_groups]
    for batch in loader:
        oracle.train_step(model, batch, optimizer)
        scheduler.step()
    assert all(group["lr"] == 0.0 < lr for group, lr in zip(optimizer.param_groups, before, strict=True))
