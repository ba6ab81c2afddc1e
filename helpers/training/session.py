"""One training run from its first step to its last, whatever comes between."""
import contextlib
import dataclasses
import inspect
import math
import signal
import time
import zlib

import torch
import torch.distributed as dist

from . import checkpoints, live
from .loaders import loaders
from .optimizers import optimizer, scheduler


class Diverged(ArithmeticError):
    """The loss is no number any more. The message says since which step, and what to do."""


class Session:
    """A run of the learner's own `train`, epoch by epoch, with all that a long run needs around it.

        session = training.Session(model, train_set, val_set, preset)
        history = session.run(train)

    It makes the loaders, the optimizer and the schedule, shows how it is going, keeps to the preset's time budget,
    and, given a `folder`, writes a checkpoint every minute and after each epoch. Where there is one already, `run`
    goes on from it. Interrupting `run` (the square button, Ctrl-C) ends it in good order.

    sample: a function without arguments that returns a text by the model, shown after each epoch
    watch: a function without arguments, called before the first step, after step 10, 20, 50, 100, 200, 500, ... and
        after each epoch; what it returns about the model (numbers, tensors) is kept
    minutes: time between two checkpoints
    quiet: say nothing
    history: {"train_loss": one per step, "val_loss": one per epoch}, at every moment; where something watches, also
        "moments": pairs (steps made, what `watch` returned then)
    stopped: was the last `run` interrupted?

    Under `torchrun` each process takes its share of every batch, and the gradients are averaged; process 0 writes.
    """

    def __init__(self, model, train_set, val_set, preset, folder=None, sample=None, minutes=1.0, quiet=False,
                 watch=None):
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.model, self.preset, self.folder, self.sample, self.minutes = model, preset, folder, sample, minutes
        self.quiet, self.watch = quiet or self.rank > 0, watch if self.rank == 0 else None
        self.train_loader, self.val_loader = loaders(train_set, val_set, preset, self.rank, self.world)
        self.sampler, self.text = self.train_loader.batch_sampler, fingerprint(train_set)
        self.sampler.go_on = self._go_on
        self.optimizer = optimizer(model, preset)
        self.clock = Clock(preset.budget, self._first_process_says)
        self.scheduler = scheduler(self.optimizer, preset, self.train_loader,
                                   None if preset.budget is None else self.clock.steps)
        self.history = {"train_loss": [], "val_loss": []}
        self.stopped = False
        self.epoch = self.batch = 0  # finished epochs, and finished batches of the next one

    # --- the run -------------------------------------------------------------------------------------------------

    def run(self, train):
        """Train with the learner's `train` until the end; returns the history.

        Raises `Diverged` when the loss is no longer a number (the last good checkpoint stays), and
        `MemoryError` when the device has no memory left, with a sentence on which number to lower.
        """
        self.view = None if self.quiet else live.view()
        if self._resume():
            self._say(f"Going on from the checkpoint in {self.folder}: {self.epoch} epochs and {self.batch} steps are "
                      "done.")
        self.sampler.epoch, self.sampler.skip = self.epoch, self.batch
        if self.stopped:  # going on in the same kernel: not with whatever random state it has by now
            torch.set_rng_state(self._random)
        self.stopped = self._interrupted = False
        module = self.model
        if self.world > 1:
            torch.manual_seed(self.sampler.seed + self.steps * self.world + self.rank)  # each its own dropout
            # Buffers are the same everywhere; to share them at each call would be to wait for those that have no batch.
            kind = torch.nn.parallel.DistributedDataParallel
            share = "forward_sync_buffers"  # the name from PyTorch 2.13 on
            share = share if share in inspect.signature(kind).parameters else "broadcast_buffers"
            module = kind(self.model, **{share: False})
        self.clock.start()
        self._progress = Progress()
        try:
            with self._interrupt_between_steps():
                if not self.history.get("moments"):  # nothing is done yet, or nothing watched so far
                    self._look()
                while not self._finished():
                    history = train(module, self.train_loader, self.val_loader, self.optimizer, 1, self.scheduler,
                                    on_step=self._on_step)
                    self._end_epoch(history["val_loss"][-1])
        except KeyboardInterrupt:
            self.stopped, self._random = True, torch.get_rng_state()
            if self._interrupted:  # else it came in the middle of a step: the last checkpoint is better
                self._save()
            kept = f" A checkpoint is in {self.folder}: run it again to go on." if self.folder else ""
            self._say(f"Stopped after {self.steps:,} steps. The model keeps what it has learned.{kept}")
            return self.history
        except (MemoryError, RuntimeError) as error:
            if "out of memory" not in str(error).lower() and not isinstance(error, MemoryError):
                raise
            size, smaller = self.preset.batch_size, max(1, self.preset.batch_size // 2)
            raise MemoryError(f"there is not enough memory on {self._device()} for a step with batch_size={size}. "
                              f"Lower it, with training.preset({self.preset.name!r}, batch_size={smaller}), or "
                              "block_size or embed_dim.") from None
        finally:
            self.clock.stop()
        last = self.history["val_loss"][-1] if self.history["val_loss"] else math.nan
        self._say(f"{self.steps:,} steps in {live.duration(self.clock.seconds)}; validation loss {last:.3f}")
        return self.history

    @property
    def steps(self):
        """Steps made so far."""
        return len(self.history["train_loss"])

    @property
    def characters(self):
        """Characters read so far, those that were read again counted again."""
        return self.steps * self.sampler.batch_size * self.sampler.block_size

    def _finished(self):
        if self.preset.budget is None:
            return self.epoch >= self.preset.epochs
        return bool(self.history["val_loss"]) and not self._go_on()

    @contextlib.contextmanager
    def _interrupt_between_steps(self):
        """An interrupt waits for the end of the step, so that no half-made step is kept; a second one does not."""
        def wait(number, frame):
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True

        try:
            before = signal.signal(signal.SIGINT, wait)
        except ValueError:  # only the main thread can wait
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _go_on(self):
        """Asked before each batch: is there time for it? The first one is always made."""
        self.clock.tick(self.steps)
        return not self.clock.over or self.steps == 0

    def _on_step(self, step, loss):
        """Called by the learner's `train` after each step."""
        loss = self._average(loss)
        done = self.steps + 1
        if not math.isfinite(loss):
            where = f", in a folder of its own. The checkpoint in {self.folder} is from before" if self.folder else ""
            half = f"muon_lr={self.preset.muon_lr / 2:g}, adamw_lr={self.preset.adamw_lr / 2:g}"
            raise Diverged(f"the loss is {loss} at step {done}: training cannot go on. Start again with half the "
                           f"learning rates, training.preset({self.preset.name!r}, {half}){where}.")
        self.history["train_loss"].append(loss)
        self.batch += 1
        self._progress.add(loss)
        if done >= 10 and str(done).rstrip("0") in ("1", "2", "5"):
            self._look()
        now = time.monotonic()
        if self.view and (done == 1 or now - self._progress.shown >= self.view.every_s):
            self.view.step(self._moment(now, done), self.history["train_loss"], self._validations())
        if self._interrupted:
            raise KeyboardInterrupt
        if self.folder and now - self._progress.saved >= 60 * self.minutes:
            self._save()
            self._progress.saved = time.monotonic()

    def _moment(self, now, done):
        progress, exactly = self._progress, self.preset.budget is None
        steps = self.preset.epochs * len(self.train_loader) if exactly else max(done, self.clock.steps(done))
        speed = (done - progress.shown_step) / max(now - progress.shown, 1e-9) if progress.shown_step else 0.0
        progress.shown, progress.shown_step = now, done
        left = self.clock.left if not exactly else (steps - done) / speed if speed else 0.0
        return live.Moment(done, round(steps), exactly, self.epoch + 1, progress.loss, speed, left)

    def _end_epoch(self, val_loss):
        # Each process has measured its own share of the validation text.
        positions = sum(self.val_loader.dataset.length(k) for batch in self.val_loader.batch_sampler for k in batch)
        self.history["val_loss"].append(self._average(val_loss, positions))
        self.epoch, self.batch = self.epoch + 1, 0
        self.clock.note_validation()
        self._look()
        if self.view:
            with torch.random.fork_rng():  # what is sampled here must not change what is learned
                self.view.epoch(self.history["train_loss"], self._validations(), self.sample() if self.sample else "")
        self._save()
        if self._interrupted:
            raise KeyboardInterrupt

    def _look(self):
        """Keep what `watch` has to say about the model as it is now."""
        moments = self.history.setdefault("moments", []) if self.watch else []
        if self.watch and (not moments or moments[-1][0] < self.steps):
            with torch.random.fork_rng():  # nor must this change what is learned
                moments.append((self.steps, self.watch()))

    def _validations(self):
        """A pair (step, validation loss) for each epoch so far. Only the last epoch can have been a short one."""
        return [(min((epoch + 1) * len(self.train_loader), self.steps), loss)
                for epoch, loss in enumerate(self.history["val_loss"])]

    def _say(self, text):
        if self.view:
            self.view.say(text)

    # --- several processes ---------------------------------------------------------------------------------------

    def _average(self, value, weight=1.0):
        """The weighted mean of a number over all processes."""
        if self.world == 1:
            return float(value)
        both = torch.tensor([value * weight, weight], dtype=torch.float64, device=self._device())
        dist.all_reduce(both)
        return float(both[0] / both[1])

    def _first_process_says(self, value):
        if self.world == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self._device())
        dist.broadcast(told, 0)
        return float(told)

    def _device(self):
        return next(self.model.parameters()).device

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def state(self):
        """All that it takes to go on as if nothing had happened."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "epoch": self.epoch, "batch": self.batch, "order": self.sampler.seed,
            "seconds": self.clock.seconds, "world": self.world,
            "history": {name: list(losses) for name, losses in self.history.items()},
            "preset": dataclasses.asdict(self.preset), "text": self.text,
        }

    def _save(self):
        if not self.folder or self.rank:
            return
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            return  # the next step will say so; the checkpoint before stays
        try:
            checkpoints.save(self.folder, self.state())
        except OSError as error:
            self._say(f"No checkpoint could be written in {self.folder} ({error.strerror or error}). Training goes on; "
                      "the checkpoint before is untouched.")

    def _resume(self):
        """Take over the newest checkpoint, if there is one and this session has not begun: was there one?"""
        if not self.folder or self.history["train_loss"]:
            return False
        state = checkpoints.load(self.folder)
        if state is None:
            return False
        differ = [name for name, value in dataclasses.asdict(self.preset).items()
                  if name not in ("epochs", "budget", "name") and state["preset"].get(name) != value]
        if differ or state["text"] != self.text:
            what = f"another {differ[0]}" if differ else "another text"
            raise checkpoints.CheckpointError(f"the checkpoint in {self.folder} belongs to a run with {what}. Give "
                                              "this run a folder of its own.")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.history, self.epoch, self.batch = state["history"], state["epoch"], state["batch"]
        self.sampler.seed, self.clock.seconds = state["order"], state["seconds"]
        if self.world == state["world"] == 1:
            torch.set_rng_state(state["random"])
            if state["random_cuda"] and torch.cuda.device_count() == len(state["random_cuda"]):
                torch.cuda.set_rng_state_all(state["random_cuda"])
        return True


def fingerprint(dataset):
    """A number that two texts hardly ever share, from the text's length and a thousand windows of it."""
    number = len(dataset)
    for place in range(0, len(dataset), max(1, len(dataset) // 1000)):
        number = zlib.crc32(dataset[place][0].numpy().tobytes(), number)
    return number


class Progress:
    """The smoothed loss, and when something was last shown and saved."""

    def __init__(self):
        self.total = self.weight = 0.0
        self.shown = self.saved = time.monotonic()
        self.shown_step = 0

    def add(self, loss):
        self.total = 0.95 * self.total + 0.05 * loss
        self.weight = 0.95 * self.weight + 0.05

    @property
    def loss(self):
        return self.total / self.weight


class Clock:
    """Seconds of training, and how much of a time budget they are.

    The budget includes the validation after the last step; how long that takes is known after the first one, and
    until then taken for a twentieth of the budget. `agree` makes all processes see the same clock.
    """

    def __init__(self, budget, agree):
        self.budget, self.agree = budget, agree
        self.seconds, self.before, self.validation = 0.0, 0.0, None
        self.fraction, self.since = 0.0, None

    def start(self):
        self.since = time.monotonic() - self.seconds

    def stop(self):
        self.seconds = time.monotonic() - self.since

    def tick(self, steps):
        """Before each batch."""
        self.seconds = time.monotonic() - self.since
        self.before = self.seconds
        if self.budget:
            reserve = self.budget / 20 if self.validation is None else self.validation
            step = self.seconds / steps if steps else 0.0
            self.fraction = self.agree((self.seconds + step) / max(self.budget - reserve, 1e-9))

    @property
    def over(self):
        return bool(self.budget) and self.fraction >= 1

    @property
    def left(self):
        return max(0.0, self.budget - self.seconds)

    def steps(self, step):
        """About how many steps there will be in all, from how much of the time `step` steps took."""
        return max(step + 1, step / self.fraction) if self.fraction else 10**9

    def note_validation(self):
        """After a validation: how long did it take?"""
        self.seconds = time.monotonic() - self.since
        self.validation = self.seconds - self.before
