# ruff: noqa: F821
# ---- Train, go on, write: python tiny_llm/train.py --data FILE --out DIR ---------------------------------------

def main():
    """Train on a text, or go on with the run that is in DIR; then write a few lines."""
    import argparse
    import os
    import sys
    from pathlib import Path

    import training  # presets, optimizer, schedule, checkpoints: the folder beside this file

    pieces = ("TextDataset", "train_step", "evaluate", "train", "generate_text")
    missing = [name for name in pieces if name not in globals()]
    try:
        from model import CharTokenizer, TinyLLM
    except ImportError as error:
        missing.append(f"what model.py should bring ({error})")
    if missing:
        sys.exit(f"Not finished yet: {', '.join(missing)}. Each comes here when its check passes in the notebook.")

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", required=True, metavar="FILE", help="a text, UTF-8; its last tenth is for validation")
    parser.add_argument("--out", default="run", metavar="DIR", help="the run's checkpoints (run)")
    parser.add_argument("--preset", help=f"{', '.join(training.PRESETS)} (the one that fits this machine)")
    parser.add_argument("--budget", help="wall-clock time, such as 100s or 5min (the preset's)")
    parser.add_argument("--epochs", type=int, help="passes over the text, instead of a time")
    parser.add_argument("--batch-size", type=int, help="blocks in a step, of all processes together (the preset's)")
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--prompt", help="what the sample starts with (the text's first line)")
    options = parser.parse_args()
    asked = {name: getattr(options, name) for name in ("budget", "epochs", "batch_size")}

    # Started with torchrun there are several processes, and LOCAL_RANK is the number of this one on its machine.
    several, cuda = "LOCAL_RANK" in os.environ, torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if several:
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        text = Path(options.data).read_text(encoding="utf-8")
        preset = training.preset(options.preset, **{name: asked[name] for name in asked if asked[name] is not None})
        tokenizer = CharTokenizer(text)
        prompt = options.prompt or text[:text.find("\n") + 1] or text[:20]
        tokenizer.encode(prompt)  # if it cannot be read, better now than after the first epoch
        parts = text[:len(text) * 9 // 10], text[len(text) * 9 // 10:]
        sets = [TextDataset(tokenizer.encode(part), preset.block_size) for part in parts]
        torch.manual_seed(options.seed)
        model = TinyLLM(tokenizer.vocab_size, **preset.model).to(device)
        training.initialize(model)

        def sample():
            return generate_text(model, tokenizer, prompt, max_new_tokens=200)

        session = training.Session(model, *sets, preset, folder=options.out, sample=sample)
        session.run(train)
        if session.rank == 0:
            print(sample())
    except (ValueError, OSError, ArithmeticError, MemoryError) as error:
        sys.exit(f"{error}")
    finally:
        if several:
            torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
