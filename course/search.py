"""python3 -m course search: try other numbers and tricks for the training recipe, side by side, with several seeds.

Each trial differs from the recipe in one thing (`TRIALS`) and reads the same number of characters. Trials run on one
processor core each, as many at a time as there are cores, so that their losses can be compared, and their times too as
long as nothing else runs. The table at the end is Markdown: what helped, and what did not, in nats per character.
"""
import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import statistics
import time

from helpers.training.optimizers import POLAR_EXPRESS

TRIALS = {
    "the recipe": {},
    "block size 64": {"block_size": 64, "batch_size": 16},
    "block size 256": {"block_size": 256, "batch_size": 4},
    "batch twice as large": {"batch_size": 16},
    "batch half as large": {"batch_size": 4},
    "1 layer": {"num_layers": 1},
    "3 layers": {"num_layers": 3},
    "4 layers": {"num_layers": 4},
    "96 wide": {"embed_dim": 96},
    "160 wide, 5 heads": {"embed_dim": 160, "num_heads": 5},
    "192 wide, 3 heads": {"embed_dim": 192, "num_heads": 3},
    "2 heads": {"num_heads": 2},
    "dropout 0.05": {"dropout": 0.05},
    "Muon's learning rate 0.03": {"muon_lr": 0.03},
    "Muon's learning rate 0.013": {"muon_lr": 0.013},
    "Muon's weight decay 0.1": {"muon_decay": 0.1},
    "Muon without weight decay": {"muon_decay": 0.0},
    "AdamW's learning rate 0.003": {"adamw_lr": 3e-3},
    "AdamW's learning rate 0.01": {"adamw_lr": 1e-2},
    "AdamW alone": {"muon": False},
    "a fourth round": {"rounds": (*POLAR_EXPRESS, (3.3184196573706015, -2.488488024314874, 0.51004894012372))},
    "Muon's own coefficients, 5 rounds": {"rounds": ((3.4445, -4.7750, 2.0315),) * 5},
    "cosine decay": {"decay": "cosine"},
    "half at the highest rate, then decay": {"decay": "late"},
    "embedding starts as PyTorch's": {"embedding": False},
    "sub-layers start as PyTorch's": {"zero": False},
    "head tied to the embedding": {"tied": True},
    "label smoothing 0.05": {"smoothing": 0.05},
    "mean of the latest weights (EMA 0.99)": {"ema": 0.99},
}
NOT_OF_THE_PRESET = {"muon": True, "rounds": None, "decay": "linear", "embedding": True, "zero": True, "tied": False,
                     "smoothing": 0.0, "ema": 0.0}


def main(argv):
    """Run the trials and print the table; returns 0."""
    parser = argparse.ArgumentParser(prog="python3 -m course search", description="Try out the training recipe.")
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"some of: {'; '.join(TRIALS)} (all)")
    parser.add_argument("--characters", type=int, default=800_000, help="to read in each trial (800000)")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each trial (2)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="at a time (one per core)")
    options = parser.parse_args(argv)
    unknown = [trial for trial in options.trials if trial not in TRIALS]
    if unknown:
        parser.error(f"there is no trial called {unknown[0]!r}")
    names = options.trials or list(TRIALS)
    runs = [(name, seed, options.characters) for seed in range(options.seeds) for name in names]
    found = {name: [] for name in names}
    for (name, *_), result in zip(runs, side_by_side(runs, options.workers)):
        found[name].append(result)
        print(json.dumps({"trial": name, **result}), flush=True)
    print(f"\n| {options.characters:,} characters, {options.seeds} seeds | validation loss | ms per step |")
    print("|---|---|---|")
    for name, results in found.items():
        losses = [result["val_loss"] for result in results]
        ms = statistics.mean(result["ms_per_step"] for result in results)
        print(f"| {name} | {statistics.mean(losses):.3f} ({min(losses):.3f} to {max(losses):.3f}) | {ms:.0f} |")
    return 0


def side_by_side(runs, workers=None):
    """`one_run(*run)` for each of `runs`, one per core at a time; yields the results in their order."""
    if not runs:
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(one_run, *zip(*runs))


def one_run(name, seed, characters, preset="cpu"):
    """Train once with the trial's changes, in this process -> its losses and times."""
    import torch
    import torch.nn.functional as F

    from course import solution
    from helpers import data, training

    torch.set_num_threads(1)
    trial = NOT_OF_THE_PRESET | TRIALS[name]
    preset = training.preset(preset, **{key: value for key, value in trial.items() if key not in NOT_OF_THE_PRESET})
    pieces, text = solution.pieces(), data.load_text()
    tokenizer = pieces.CharTokenizer(text)
    sets = [pieces.TextDataset(tokenizer.encode(part), preset.block_size) for part in data.split(text)]
    torch.manual_seed(seed)
    model = pieces.TinyLLM(tokenizer.vocab_size, **preset.model)
    begin(model, trial)
    train_loader, val_loader = training.loaders(*sets, preset)
    if trial["muon"]:
        optimizer = training.optimizer(model, preset)
        optimizer.parts["muon"].rounds = trial["rounds"] or POLAR_EXPRESS
    else:
        optimizer = torch.optim.AdamW(model.parameters(), preset.adamw_lr, weight_decay=preset.adamw_decay, fused=True)
    steps = characters // (preset.batch_size * preset.block_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step, steps, preset, trial["decay"]))
    mean = [p.detach().clone() for p in model.parameters()] if trial["ema"] else []

    batches = (batch for _ in range(10**6) for batch in train_loader)
    losses, started = [], time.perf_counter()
    for _, (x, y) in zip(range(steps), batches):
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), label_smoothing=trial["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        with torch.no_grad():
            for kept, p in zip(mean, model.parameters()):
                kept.lerp_(p, 1 - trial["ema"])
    taken = time.perf_counter() - started
    with torch.no_grad():
        for kept, p in zip(mean, model.parameters()):
            p.copy_(kept)
    return {"seed": seed, "val_loss": round(pieces.evaluate(model, val_loader), 4),
            "train_loss": round(statistics.mean(losses[-100:]), 4), "ms_per_step": round(1000 * taken / steps, 1)}


def begin(model, trial):
    """The first weights: the recipe's, or PyTorch's for a part of them; or a head tied to the embedding."""
    from helpers import training

    training.initialize(model)
    embedding = model.token_embedding.embedding
    if not trial["embedding"]:
        embedding.reset_parameters()
    for block in () if trial["zero"] else model.blocks:
        block.attention.out_proj.reset_parameters()
        block.feed_forward.project.reset_parameters()
    if trial["tied"]:
        embedding.weight.data.mul_(embedding.embedding_dim**-0.5)  # so that the first logits are not too large
        model.head.weight = embedding.weight


def share(step, steps, preset, decay):
    """The part of the highest learning rate at a step."""
    warmup = min(preset.warmup_steps, steps // 10)
    rise, left = (step + 1) / (warmup + 1), (steps - step) / (steps - warmup)
    if decay == "cosine":
        left = 0.5 * (1 + math.cos(math.pi * step / steps))
    if decay == "late":
        left = 2 * left
    return max(0.0, min(1.0, rise, left))
