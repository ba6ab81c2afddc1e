"""How a run is going, while it runs: a drawn curve in a notebook, plain lines everywhere else."""
import dataclasses
import html
import os
import sys


@dataclasses.dataclass
class Moment:
    """What can be said after a step."""

    step: int  # steps made
    steps: int  # steps planned; with a time budget, an estimate
    exactly: bool  # is `steps` more than an estimate?
    epoch: int  # from 1
    loss: float  # smoothed: a step counts half as much as one that came 14 steps later
    speed: float  # steps per second; 0 where it is not known yet
    left: float  # seconds until the last step

    def __str__(self):
        if not self.speed:  # after the first step, which says nothing about the speed of the others
            return f"epoch {self.epoch}  step {self.step}  loss {self.loss:.3f}"
        return (f"epoch {self.epoch}  step {self.step:,}/{'' if self.exactly else 'about '}{self.steps:,}  "
                f"loss {self.loss:.3f}  {self.speed:.1f} steps/s  {duration(self.left)} left")


class Lines:
    """For terminals, for nbconvert and under nbgrader: a line every ten seconds, and what each epoch brought.

    losses: all training losses so far, one per step; val: a pair (step, validation loss) for each epoch so far
    """

    every_s = 10.0  # seconds between two updates

    def step(self, moment, losses, val):
        print(moment, flush=True)

    def epoch(self, losses, val, sample):
        print(done(val), flush=True)
        if sample:
            print("\n".join(f"    {line}" for line in sample.splitlines()), flush=True)

    def say(self, text):
        print(text, flush=True)


class Panel(Lines):
    """For a notebook with widgets: one panel with the curve, the numbers and the latest sample."""

    every_s = 1.0

    def __init__(self):
        import ipywidgets
        from IPython.display import display

        self.widget = ipywidgets.HTML()
        self.picture, self.now, self.sample, self.steps = "", "starting ...", "", 1
        display(self.widget)

    def step(self, moment, losses, val):
        self.now, self.steps = str(moment), moment.steps
        self.picture = curve(losses, val, self.steps)
        self.draw()

    def epoch(self, losses, val, sample):
        self.now, self.sample = done(val), sample
        self.picture = curve(losses, val, self.steps)
        self.draw()

    def say(self, text):
        self.now = ""  # it is said below, where it stays in the saved notebook, which the widget does not
        self.draw()
        super().say(text)

    def draw(self):
        sample = f"<pre>{html.escape(self.sample)}</pre>" if self.sample else ""
        self.widget.value = f"<div>{self.picture}<div>{html.escape(self.now)}</div>{sample}</div>"


def done(val):
    """What an epoch brought."""
    return f"epoch {len(val)} done: validation loss {val[-1][1]:.3f}"


def curve(losses, val, steps, width=640, height=220):
    """The losses so far as an SVG picture, with words for a screen reader: a line for training, and a dot for each
    validation, (step, loss) in `val`. Drawn by hand, because matplotlib would take time from the training."""
    if not losses:
        return ""
    some = max(1, len(losses) // 300)  # steps that share one point of the line
    points = [(i + len(part), sum(part) / len(part)) for i in range(0, len(losses), some)
              if (part := losses[i:i + some])]
    high, low = (pick(loss for _, loss in points + val) for pick in (max, min))
    left, right, top, foot = 44, width - 60, 8, height - 26

    def x(step):
        return f"{left + (right - left) * step / max(steps, len(losses)):.1f}"

    def y(loss):
        return f"{foot - (foot - top) * (loss - low + 0.02) / (high - low + 0.04):.1f}"

    def text(across, up, said, anchor="start"):
        return f'<text x="{across}" y="{up}" dy="4" text-anchor="{anchor}" fill="currentColor">{said}</text>'

    step, loss = points[-1]
    words = f"training loss {loss:.2f} after {len(losses):,} of {steps:,} steps"
    words += f"; validation loss {val[-1][1]:.3f}" if val else ""
    line = " ".join(f"{x(at)},{y(one)}" for at, one in points)
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {width} {height}" width="{width}" '
        f'style="max-width:100%;font-size:13px">'
        f'<path d="M{left},{top}V{foot}H{right}" fill="none" stroke="currentColor"/>'
        f'<polyline points="{line}" fill="none" stroke="#0072B2" stroke-width="2"/>'
        + "".join(f'<circle cx="{x(at)}" cy="{y(one)}" r="5" fill="#D55E00"/>' for at, one in val)
        + "".join(text(left - 6, y(one), f"{one:.1f}", "end") for one in (high, (high + low) / 2, low))
        + text(float(x(step)) + 8, y(loss), f"{loss:.2f}") + text(right, height - 8, f"{steps:,} steps", "end")
        + "</svg><div>line: training loss; dots: validation loss after each epoch</div>")


def view():
    """The Panel where a notebook can show one, else Lines."""
    try:
        return Panel() if _shows_widgets() else Lines()
    except ImportError:
        return Lines()


def _shows_widgets():
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if getattr(shell, "kernel", None) is None or os.environ.get("NBGRADER_EXECUTION"):
        return False
    # JupyterLab tells a kernel its notebook's name, nbconvert does not. Colab and VS Code have names of their own.
    return ("JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules
            or any(name.startswith("VSCODE_") for name in os.environ))


def duration(seconds):
    """For people: "45 s", "4 min 05 s"."""
    seconds = max(0, round(seconds))
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"
