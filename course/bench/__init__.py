"""python3 -m course bench WHAT: numbers, measured here and now."""
import argparse

from course.bench import checks, grade, training, widgets


def main(argv):
    """Measure one thing and print it; returns 0, or 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python3 -m course bench", description="Measure the course.")
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    for part in (checks, training, grade, widgets):
        part.add_to(commands)
    options = parser.parse_args(argv)
    return options.run(options)
