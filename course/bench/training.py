"""`bench train` and `bench generate`: the sources' own solutions train and write, as a learner's pieces do in the end.

One JSON object per line, with the machine and all settings, so that any other program can be run beside it.
"""
import itertools
import json
import platform
import subprocess
import sys
import time
from pathlib import Path


def add_to(commands):
    """The two commands' arguments."""
    train = commands.add_parser("train", help="train: loss, time, speed, memory; one JSON line per run")
    train.add_argument("--preset", help="quick, cpu or gpu (the one that fits this machine)")
    train.add_argument("--budget", help="wall-clock time for the training, such as 100s or 5min (the preset's)")
    train.add_argument("--data", type=Path, metavar="FILE", help="the text (tiny Shakespeare, or the sample play)")
    train.add_argument("--seeds", type=int, default=1, metavar="N", help="so many runs, with the seeds 0 to N - 1 (1)")
    train.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="other numbers of the preset")
    train.add_argument("--seed", type=int, help="one run in this process, with this seed")
    train.set_defaults(run=run_train, parser=train)
    generate = commands.add_parser("generate", help="characters per second, without and with a memory")
    generate.add_argument("--context", type=int, default=128, help="characters that are there already (128)")
    generate.add_argument("--new", type=int, default=64, help="characters to write (64)")
    generate.add_argument("--times", type=int, default=5, help="measurements (5)")
    generate.set_defaults(run=run_generate, parser=generate)


# --- train -------------------------------------------------------------------------------------------------------

def run_train(options):
    """One line per seed. Each run is a process of its own, so that its memory is its own too."""
    from helpers import training

    try:
        preset = chosen(options)
    except ValueError as problem:
        options.parser.error(str(problem))
    if options.data and not options.data.is_file():
        options.parser.error(f"there is no file {options.data}")
    if options.seed is not None:
        try:
            print(json.dumps(trained(preset, options.data, options.seed)), flush=True)
        except (ValueError, training.Diverged, MemoryError) as problem:
            print(problem, file=sys.stderr)
            return 1
        return 0
    if options.seeds < 1:
        options.parser.error("--seeds should be at least 1")
    same = [word for name in ("preset", "budget", "data") if (value := getattr(options, name))
            for word in (f"--{name}", str(value))] + (["--set", *options.set] if options.set else [])
    for seed in range(options.seeds):
        done = subprocess.run([sys.executable, "-m", "course", "bench", "train", *same, "--seed", str(seed)])
        if done.returncode:
            return done.returncode
    return 0


def chosen(options):
    """The preset with all changes that were asked for."""
    from helpers import training

    changes = {"budget": options.budget} if options.budget is not None else {}
    for change in options.set:
        name, _, number = change.partition("=")
        try:
            changes[name] = json.loads(number)
        except json.JSONDecodeError:
            raise ValueError(f"--set takes NAME=NUMBER, not {change!r}") from None
    return training.preset(options.preset, **changes)


def trained(preset, path, seed):
    """One run, as a dict of what was measured."""
    started = time.perf_counter()
    import torch

    from course import solution
    from helpers import data, training

    pieces = solution.pieces()
    text = data.load_text(path) if path else data.load_text()
    tokenizer = pieces.CharTokenizer(text)
    train_text, val_text = data.split(text)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    model = pieces.TinyLLM(tokenizer.vocab_size, **preset.model).to(device)
    training.initialize(model)
    sets = [pieces.TextDataset(tokenizer.encode(part), preset.block_size) for part in (train_text, val_text)]
    session = training.Session(model, *sets, preset, quiet=True)
    ready = time.perf_counter()
    history = session.run(pieces.train)
    wall = time.perf_counter() - ready
    tokens, ms = session.characters, 1000 * wall / session.steps
    last = history["train_loss"][-100:]
    return {
        "seed": seed, "preset": preset.name, "budget_s": preset.budget, "wall_s": round(wall, 1),
        "set_up_s": round(ready - started, 1), "val_loss": round(history["val_loss"][-1], 4),
        "train_loss": round(sum(last) / len(last), 4), "val_losses": [round(loss, 4) for loss in history["val_loss"]],
        "steps": len(history["train_loss"]), "tokens": tokens, "tokens_per_s": round(tokens / wall),
        "ms_per_step": round(ms, 1), "loading_share": round(loading_ms(session) / ms, 4), "memory_mb": memory_mb(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocab_size": tokenizer.vocab_size, "characters": len(text), "settings": vars(preset),
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version(),
    }


def loading_ms(session, batches=200):
    """Milliseconds that the loader alone takes for a batch, the learner's `__getitem__` included."""
    session.sampler.go_on = lambda: True  # the run's time is over, this is not a part of it
    started = time.perf_counter()
    taken = sum(1 for _ in itertools.islice(session.train_loader, batches))
    return 1000 * (time.perf_counter() - started) / taken


def memory_mb():
    """The most memory this process has had, in MB (10^6 bytes); None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6)


# --- generate ----------------------------------------------------------------------------------------------------

def run_generate(options):
    """One line: characters per second of the learner's `generate` and of `helpers.generator`, and their ratio."""
    if min(options.context, options.new, options.times) < 1:
        options.parser.error("--context, --new and --times should be at least 1")
    print(json.dumps(written(options.context, options.new, options.times)))
    return 0


def written(context, new, times):
    """Medians over measurements that take turns; the same ids under greedy decoding, or an AssertionError."""
    import statistics

    import torch

    from course import solution
    from helpers import generator, training

    pieces = solution.pieces()
    torch.manual_seed(0)
    numbers = {**training.preset("cpu").model, "max_len": context + new}
    model = pieces.TinyLLM(65, **numbers)
    ids = torch.randint(65, (1, context))
    assert torch.equal(pieces.generate(model, ids, new, 0.0), generator.generate(model, ids, new, 0.0))
    taken = {"learner": [], "with_memory": []}
    for _ in range(times):
        for name, function in (("learner", pieces.generate), ("with_memory", generator.generate)):
            start = time.perf_counter()
            function(model, ids, new)
            taken[name].append(time.perf_counter() - start)
    speed = {name: new / statistics.median(seconds) for name, seconds in taken.items()}
    ratios = [a / b for a, b in zip(taken["learner"], taken["with_memory"])]
    return {
        "context": context, "new": new, **{f"{name}_chars_per_s": round(value, 1) for name, value in speed.items()},
        "times_faster": round(statistics.median(ratios), 2), "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "settings": numbers, "threads": torch.get_num_threads(), "torch": torch.__version__,
    }
