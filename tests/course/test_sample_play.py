"""The sample play: the same bytes again, an unambiguous grammar, and a floor that is really the text's entropy."""

import math
import re

import pytest

from course import sample_play
from helpers import data


@pytest.fixture(scope="module")
def play():
    return sample_play.write_play()


@pytest.fixture
def short(monkeypatch):
    """A play of a few scenes, for the tests that need no more."""
    monkeypatch.setattr(sample_play, "LENGTH", 20_000)
    return sample_play.write_play()


def test_the_same_bytes_again(play):
    assert play[0].encode("ascii") == sample_play.TARGET.read_bytes()


def test_reading_recovers_every_choice(play):
    text, written = play
    read = sample_play.read_play(text)
    assert read == written  # position and cost of each choice, so the totals agree too
    assert len(read) > 100_000
    assert sample_play.validation_floor(text, read) == pytest.approx(data.SAMPLE_PLAY_FLOOR, abs=0.00005)


def test_the_floor_is_the_cost_of_the_validation_part(play):
    """Summed here a second time, in the plainest way."""
    text, choices = play
    cut = len(text) - len(data.split(text)[1])
    nats = sum(cost for position, cost in choices if position >= cut)
    assert round(nats / (len(text) - cut), 4) == data.SAMPLE_PLAY_FLOOR
    assert 0.6 < data.SAMPLE_PLAY_FLOOR < 1.3


def test_it_is_worth_learning(play):
    text, _ = play
    assert 900_000 < len(text) < 1_100_000
    assert text.isascii() and len(set(text)) >= 60
    assert len(set(re.findall(r"[a-z][a-z'-]*", text.lower()))) >= 1000
    # Without the made-up names, which begin with a capital in the middle of a line:
    assert len(set(re.findall(r"(?<= )[a-z][a-z'-]+", text))) >= 1000
    speeches = text.rstrip("\n").split("\n\n")
    assert len(speeches) > 2000 and len(set(speeches)) == len(speeches)  # no speech twice
    for speech in speeches:
        head, *lines = speech.split("\n")
        assert re.fullmatch(r"[A-Z][A-Za-z ]+:", head) and lines and all(12 <= len(line) <= 90 for line in lines)


def test_the_long_threads_are_there(play):
    text, _ = play
    wrong = r"\b([Tt]hou (have|are|do|will|shall)|[Yy]ou (hast|art|dost|wilt|shalt))\b"
    assert not re.search(wrong, text)
    assert not re.search(r"\b(a|my|thy) [aeio]|\b(an|mine|thine) [bcdfgjklmnpqrstvwxyz]", text)
    assert not re.search(r";\n\n", text)  # a speech ends with its sentence
    answers = re.findall(r"But where is now (?:my|mine) \S+ (\w+), [^?]*\?\n\n[^\n]*:\n([^\n]*)", text)
    assert len(answers) > 50 and all(thing in answer for thing, answer in answers)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda text: text.replace("\nHark how", "\nHurk how", 1),
        lambda text: text.replace(" hath ", " has ", 1),
        lambda text: text.replace(".\n", ",\n", 1),
        lambda text: text.replace("\n\n", "\n", 1),
        lambda text: text.replace(":\n", ": \n", 1),
        lambda text: text.replace("\n\nCHORUS", "\n\nMACBETH", 1),
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        lambda text: text + "\n",
        lambda text: text[1:],
        lambda text: "",
    ],
)
def test_a_tampered_text_is_refused(short, tamper):
    text, choices = short
    assert sample_play.read_play(text) == choices
    assert tamper(text) != text
    with pytest.raises(ValueError, match=r"not a play of this grammar: line \d+"):
        sample_play.read_play(tamper(text))


def test_another_word_costs_its_own_price(short):
    """Reading is not just recognising the one play: another play of the grammar gets its own entropy."""
    text, _ = short
    other, choices = sample_play.write_play(seed=7)
    assert other != text and sample_play.read_play(other) == choices


def test_the_dice_are_fair(monkeypatch):
    """Two sums over all choices have mean 0 if the dice follow the weights that are counted: cost - expected cost, and
    the middle of the chosen entry's share of 0..1, less 1/2 (variance (1 - sum of p**3) / 12). Beyond 5 standard
    deviations would be one case in 10**6; the seed is fixed, so the test never changes its mind."""
    monkeypatch.setattr(sample_play, "LENGTH", 60_000)
    sums, variances = [0.0, 0.0], [0.0, 0.0]

    class Watched(sample_play.Writer):
        def choose(self, table):
            note = super().choose(table)
            p = [math.exp(-cost) for cost in table.costs]
            assert math.fsum(p) == pytest.approx(1, abs=1e-9)
            i = table.index[self.parts[-1]]
            mean = math.fsum(q * cost for q, cost in zip(p, table.costs, strict=True))
            sums[0] += table.costs[i] - mean
            variances[0] += math.fsum(q * (cost - mean) ** 2 for q, cost in zip(p, table.costs, strict=True))
            sums[1] += table.cumulative[i] / table.total - p[i] / 2 - 0.5
            variances[1] += (1 - math.fsum(q**3 for q in p)) / 12
            return note

    sample_play.Play(Watched(sample_play.SEED)).run()
    for total, variance in zip(sums, variances, strict=True):
        assert abs(total) < 5 * math.sqrt(variance)


def test_an_ambiguous_table_is_refused():
    with pytest.raises(ValueError, match="twice"):
        sample_play.Table([("the", 1, None), ("the", 2, None)])
    with pytest.raises(ValueError, match="ambiguous"):
        sample_play.Table([("the", 1, None), ("the moon", 2, None)])
    with pytest.raises(ValueError, match="ambiguous"):
        sample_play.Table([("\n", 1, None), ("\n\n", 2, None)])
    table = sample_play.Table([(" do", 1, None), (" doth", 3, None)])  # told apart by what follows
    assert table.offset == 3 and table.costs == [math.log(4), pytest.approx(math.log(4 / 3))]
    hand = sample_play.Reader(" doth.")
    hand.choose(table)
    assert hand.choices == [(3, table.costs[1])]


def test_a_word_cannot_go_on_after_its_end():
    hand = sample_play.Writer(1)
    hand.say("do")
    with pytest.raises(ValueError, match="go on"):
        hand.say("th")


def test_the_command_writes_in_one_step(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sample_play, "LENGTH", 5_000)
    monkeypatch.setattr(sample_play, "TARGET", tmp_path / "sample_play.txt")
    assert sample_play.main([]) == 0
    out = capsys.readouterr().out
    text = (tmp_path / "sample_play.txt").read_bytes().decode()
    assert f"{len(text):,} characters" in out and "nats per character" in out and out.isascii()

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(sample_play.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample_play.main([])
    assert [path.name for path in tmp_path.iterdir()] == ["sample_play.txt"]
