"""python3 -m course bands: measure which validation losses are normal, for data/normal_losses.json.

The notebook tells a learner with it whether a loss is normal: it depends on how many characters a run has had the time
to read. For each text and preset, runs of some lengths, each with several seeds; tens of minutes on two cores.
"""
import argparse
import json
import os

LENGTHS = {"quick": (250_000, 500_000, 1_000_000, 2_000_000), "cpu": (300_000, 1_000_000, 3_000_000)}  # characters
SEEDS = 3


def main(argv):
    """Train, print each run, and write the file in one go when all is there; returns 0."""
    from course import search
    from helpers import data, ladder

    argparse.ArgumentParser(prog="python3 -m course bands", description=__doc__.partition("\n")[0]).parse_args(argv)
    texts = {"tiny Shakespeare": data.DATA / data.TINY_SHAKESPEARE.name,
             "the sample play": data.DATA / "sample_play.txt"}
    if not texts["tiny Shakespeare"].is_file():
        texts["tiny Shakespeare"] = os.environ.get("TINYLLM_DATA")
    places = [(text, preset, length) for text in texts for preset, lengths in LENGTHS.items() for length in lengths]
    runs = [("the recipe", seed, length, preset, texts[text]) for text, preset, length in places
            for seed in range(SEEDS)]
    found = [{"text": text, "preset": preset, "characters": length, "val_losses": []}
             for text, preset, length in places]
    for number, result in enumerate(search.side_by_side(runs)):
        found[number // SEEDS]["val_losses"].append(result["val_loss"])
        print(json.dumps(found[number // SEEDS]), flush=True)
    lines = ",\n".join(json.dumps(one) for one in found)
    part = ladder.NORMAL.with_suffix(".part")
    part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    os.replace(part, ladder.NORMAL)
    return 0
