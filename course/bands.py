"""python3 -m course bands: measure which validation losses are normal, for data/normal_losses.json.

The notebook tells a learner with it whether a loss is normal: it depends on how many characters a run has had the time
to read. Runs of some lengths with tiny Shakespeare, each with several seeds. It takes its time, can be stopped, and
goes on where it was; delete the file to measure everything again.
"""
import argparse
import json
import os

LENGTHS = {"quick": (250_000, 1_000_000, 3_000_000), "cpu": (500_000, 1_500_000, 5_000_000, 10_000_000)}  # characters
SEEDS = 3


def main(argv):
    """Make the runs that are not in the file yet, and write it anew after each; returns 0."""
    from course import search
    from helpers import ladder

    argparse.ArgumentParser(prog="python3 -m course bands", description=__doc__.partition("\n")[0]).parse_args(argv)
    places = [(preset, length) for preset, lengths in LENGTHS.items() for length in lengths]
    found = {place: [] for place in places}
    if ladder.NORMAL.is_file():
        for run in json.loads(ladder.NORMAL.read_text(encoding="utf-8")):
            found[run["preset"], run["characters"]] = run["val_losses"]
    runs = [("the recipe", seed, length, preset) for preset, length in places
            for seed in range(len(found[preset, length]), SEEDS)]
    for (_, _, length, preset), result in zip(runs, search.side_by_side(runs)):
        found[preset, length].append(result["val_loss"])
        lines = ",\n".join(json.dumps({"preset": preset, "characters": length, "val_losses": losses})
                           for (preset, length), losses in found.items())
        part = ladder.NORMAL.with_suffix(".part")
        part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        os.replace(part, ladder.NORMAL)
        print(f"{preset}, {length:,} characters: {found[preset, length]}", flush=True)
    return 0
