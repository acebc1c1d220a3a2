"""What a command says: figures people can read, progress as plain lines where there is no terminal."""

from __future__ import annotations

import json

import pytest

from cli import console
from cli.console import Meter, bytes_text, print_json, print_table, rate_text, seconds_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (5e9, "5.0 GB"), (3e15, "3000.0 TB")],
)
def test_sizes_are_decimal(size: float, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0, "0:00"), (75.2, "1:15"), (3700, "1:01:40"), (-1, "0:00")]
)
def test_times_are_minutes_and_seconds(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_rates_name_their_unit() -> None:
    assert rate_text(1_250_000, "bytes") == "1.2 MB/s"
    assert rate_text(3.14, "images") == "3.1 images/s"


def test_without_a_terminal_progress_is_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PLAIN_EVERY_S", 0.0)
    with Meter("bytes") as meter:
        line = meter.line("a.tar", 1000)
        line.advance(250)
        line.set(1000)
        line.finish("uploaded")
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second, last = captured.err.splitlines()
    assert first.startswith("a.tar: 25 %, ")
    assert first.endswith(" left")
    assert second.startswith("a.tar: 100 %, ")
    assert last == "a.tar: uploaded (1.0 kB)"


def test_lines_are_rare(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter("images") as meter:
        line = meter.line("captioning", 10_000)
        for _ in range(10_000):
            line.advance(1)
        line.drop()
    assert capsys.readouterr().err == ""


def test_on_a_terminal_progress_is_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for unit in ("bytes", "images"):
        with Meter(unit) as meter:  # type: ignore[arg-type]
            line = meter.line("[a.tar]", 10)
            line.advance(4)
            meter.say("between")
            line.finish("done")
    err = capsys.readouterr().err
    assert "[a.tar]" in err
    assert "between" in err


def test_a_table_in_a_pipe_is_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 150
    print_table("", ["name", "count"], [[long, "1"]], text=("name",))
    assert long in capsys.readouterr().out


def test_json_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"caption": "고양이"})
    out = capsys.readouterr().out
    assert "고양이" in out
    assert json.loads(out) == {"caption": "고양이"}
