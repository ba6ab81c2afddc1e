"""Where submissions run: in processes of this machine, or on a Dask cluster; each is a `concurrent.futures.Executor`.

A worker gets the bytes of a notebook and gives back the bytes of the notebook that ran, nothing else. What it was at
when it was lost runs again elsewhere.
"""
import collections
import concurrent.futures
import contextlib
import functools
import hashlib
import multiprocessing
import os
import signal
import sys
import threading

from course import ROOT
from course.grade import sandbox
from course.grade.execute import execute

PATIENCE = 30  # seconds in which a cluster that has lost its last worker may find another


class ClusterError(Exception):
    """One sentence: what is wrong with the Dask cluster, and what to do."""


class WorkerError(Exception):
    """One sentence: why one notebook did not run."""


def run_all(notebooks, limits, options):
    """notebooks: {key: bytes} -> yields (key, bytes of the notebook that ran, or the Exception that kept it from
    running), in the order in which they are done.

    What fails is tried once more, alone, so that nobody pays for another's failure. Raises SandboxError where there is
    no sandbox, ClusterError where there is no cluster any more.
    """
    failed, lost = {}, {}
    yield from one_go(notebooks, limits, options, failed)
    yield from one_go({key: notebooks[key] for key in failed}, limits, options, lost, alone=True)
    for key, problem in lost.items():
        if isinstance(problem, sandbox.SandboxError):
            raise problem
        yield key, problem


def one_go(notebooks, limits, options, failed, alone=False):
    """Run each once; what did not come back goes into `failed`, with its exception."""
    waiting = collections.deque(notebooks)
    while waiting:
        with (cluster if options.scheduler else processes)(limits, options) as (submit, places):
            running = {}
            with contextlib.suppress(concurrent.futures.BrokenExecutor):  # what still waits goes on with a new one
                while waiting or running:
                    most = 1 if alone else max(1, 2 * places())  # no worker idles, and no results pile up
                    while waiting and len(running) < most:
                        with without_ctrl_c():
                            task = submit(notebooks[waiting[0]])
                        running[task] = waiting.popleft()
                    done, _ = concurrent.futures.wait(running, PATIENCE, concurrent.futures.FIRST_COMPLETED)
                    if not done and not places():
                        raise ClusterError("The Dask cluster has lost all its workers. Start some, and the same "
                                           "command again: it goes on from here.")
                    for task in done:
                        key = running.pop(task)
                        problem = task.exception()
                        if problem is None:
                            yield key, task.result()
                        elif isinstance(problem, concurrent.futures.BrokenExecutor):
                            failed[key] = WorkerError("the process that ran it was ended from outside; is there enough "
                                                      "memory?")
                        else:
                            failed[key] = problem
            for key in running.values():
                failed.setdefault(key, WorkerError("its process was lost"))


@contextlib.contextmanager
def processes(limits, options):
    """Processes here; yields two functions: one that submits a notebook, one that says how many places there are."""
    pool = concurrent.futures.ProcessPoolExecutor(
        options.workers, multiprocessing.get_context("spawn"), initializer=settle_in, initargs=(limits,))
    try:
        yield lambda notebook: pool.submit(execute, notebook, limits), lambda: options.workers
    finally:  # they are idle, or what they do is of no use any more
        for process in multiprocessing.active_children():
            process.terminate()
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def cluster(limits, options):
    """A Dask cluster, the same way."""
    import distributed  # not above: it takes half a second, and most classes need none

    try:
        client = distributed.Client(options.scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise ClusterError(f"No Dask scheduler answers at {options.scheduler}: start one with `dask scheduler`, and "
                           f"workers with `dask worker {options.scheduler}` ({type(problem).__name__}).") from None
    with client:
        unfit = {worker: reason for worker, reason in client.run(unfitness, limits.unsafe, version()).items() if reason}
        if unfit:
            raise ClusterError("\n".join(f"Worker {worker}: {reason}" for worker, reason in sorted(unfit.items())))
        if not client.nthreads():
            raise ClusterError(f"The Dask cluster at {options.scheduler} has no workers: start some with "
                               f"`dask worker {options.scheduler}`.")
        pool = client.get_executor(pure=False)
        try:
            yield (lambda notebook: pool.submit(at_worker, notebook, limits, version()),
                   lambda: sum(client.nthreads().values()))
        except (OSError, concurrent.futures.CancelledError):
            raise ClusterError(f"The Dask scheduler at {options.scheduler} has gone. Start it, and the same command "
                               "again: it goes on from here.") from None
        finally:
            pool.shutdown(wait=False)


@contextlib.contextmanager
def without_ctrl_c():
    """A process that starts in here never hears of Ctrl-C: it is for the coordinator to end it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in a process of this machine --------------------------------------------------------------------------------

def settle_in(limits):
    """Leave with the coordinator, however that ends; load what is needed."""
    threading.Thread(target=leave_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    if limits.fast:
        sandbox.nursery()


def leave_with(parent):
    parent.join()
    os._exit(1)


# --- in a Dask worker --------------------------------------------------------------------------------------------

def at_worker(notebook, limits, coordinators_version):
    """`execute`, where that can be done."""
    reason = unfitness(limits.unsafe, coordinators_version)
    if reason:
        raise sandbox.SandboxError(reason)
    return execute(notebook, limits)


@functools.cache
def unfitness(unsafe, coordinators_version):
    """Why this process must not run submissions; "" if it may."""
    if version() != coordinators_version:
        return ("it has another version of the course, of Python or of PyTorch, so that a notebook may come out "
                "differently there. Bring both to the same state, and start the worker again.")
    try:
        if not unsafe:
            sandbox.require()
    except sandbox.SandboxError as problem:
        return str(problem)
    return ""


@functools.cache
def version():
    """Of all that decides what a notebook comes to."""
    from importlib import metadata

    found = hashlib.sha256(repr([metadata.version(name) for name in ("torch", "ipykernel", "numpy")]).encode())
    found.update(repr(sys.version_info[:2]).encode())
    for path in sorted([*(ROOT / "helpers").rglob("*.py"), *(ROOT / "course" / "grade").glob("*.py")]):
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
