"""python3 -m course welcome: train the small model of 0_welcome again, into data/welcome_model.pt.

The course's own recipe on tiny Shakespeare, for a number of epochs and not for a time, so that the same machine with
the same PyTorch makes the same file.
"""
import argparse
import os


def main(argv):
    """Train, and write the file in one go at the end; returns 0, or 1 where there is no tiny Shakespeare."""
    from helpers import data, training, welcome

    parser = argparse.ArgumentParser(prog="python3 -m course welcome", description="Train the model of 0_welcome.")
    parser.add_argument("--epochs", type=int, default=4, help="passes over the text (4; some five minutes on 2 cores)")
    parser.add_argument("--out", default=str(welcome.FILE), help="the file (data/welcome_model.pt)")
    options = parser.parse_args(argv)
    text = data.load_text()
    if len(text) != data.TINY_SHAKESPEARE.size:
        print("This needs tiny Shakespeare: name the file in TINYLLM_DATA.")
        return 1
    loss = make(text, training.preset("cpu", epochs=options.epochs), options.out)
    print(f"{options.out}: {os.path.getsize(options.out):,} bytes, validation loss {loss:.4f}")
    return 0


def make(text, preset, out):
    """Train a model on the text and keep it in the file `out`; returns the validation loss of what was kept."""
    import torch

    from course import solution
    from helpers import data, training, welcome

    pieces = solution.pieces()
    tokenizer = pieces.CharTokenizer(text)
    torch.manual_seed(0)
    model = pieces.TinyLLM(tokenizer.vocab_size, **preset.model)
    training.initialize(model)
    sets = [pieces.TextDataset(tokenizer.encode(part), preset.block_size) for part in data.split(text)]
    session = training.Session(model, *sets, preset)
    session.run(pieces.train)
    part = f"{out}.part"
    torch.save({"model": preset.model, "characters": "".join(tokenizer.chars),
                "weights": {name: weight.half() for name, weight in model.state_dict().items()}}, part)
    os.replace(part, out)
    kept, _ = welcome.load(out)
    return pieces.evaluate(kept, session.val_loader)
