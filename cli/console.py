"""What a command says: JSON for machines, tables for people, progress as bars on a terminal and plain lines elsewhere.

Leaves out on purpose: what is said (each command's own module) and logs (core/logs.py). Results go to standard
output; progress, notes and errors go to standard error, so that a result can be piped.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Unit = Literal["bytes", "images"]

#: Seconds between two plain lines about the same thing: a log of an hour's upload stays readable.
PLAIN_EVERY_S = 5.0


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """One line on standard error: what happens, not a result."""
    print(text, file=sys.stderr, flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[str] = ()) -> None:
    """A table on standard output. Columns named in `text` are set flush left and may wrap; the others are figures."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if title:
        # As a table's own title a long path would be folded to the table's width.
        print(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    print_rich(table)


def print_rich(what: Any) -> None:
    """Anything that rich can show, on standard output; a pipe has no width, so nothing is folded there."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 240
    console.print(what, highlight=False)


def bytes_text(size_bytes: float) -> str:
    """`1536` → `1.5 kB`; decimal units, as disks and networks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def seconds_text(seconds: float | None) -> str:
    """`75.2` → `1:15`; None → `-`."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def rate_text(per_s: float, unit: Unit) -> str:
    """`12.5 MB/s`, or `3.2 images/s`."""
    return f"{bytes_text(per_s)}/s" if unit == "bytes" else f"{per_s:.1f} images/s"


class Line:
    """One thing under way: `advance(n)` as it goes, `finish()` at its end. Safe to call from any thread."""

    def __init__(self, meter: Meter, label: str, total: int) -> None:
        self.meter, self.label, self.total = meter, label, total
        self.done = 0
        self.began = self.last_said = time.monotonic()
        self.task: TaskID | None = meter.begin(label, total)

    def advance(self, amount: int) -> None:
        self.set(self.done + amount)

    def set(self, done: int, total: int | None = None) -> None:
        """States how much is done; `total` may grow while shards are still coming in."""
        self.done = done
        self.total = self.total if total is None else total
        self.meter.update(self)

    def finish(self, outcome: str = "done") -> None:
        self.meter.finish(self, outcome)

    def drop(self) -> None:
        """Ends the line without a word: what comes next says enough."""
        self.meter.drop(self)

    def rate(self) -> float:
        """Units a second since the line began."""
        return self.done / max(time.monotonic() - self.began, 1e-6)


class Meter:
    """Progress of several lines at once. A context manager; one per command."""

    def __init__(self, unit: Unit) -> None:
        self.unit: Unit = unit
        self._lock = threading.Lock()
        self._bars: Progress | None = _bars(unit) if sys.stderr.isatty() else None

    def __enter__(self) -> Meter:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def line(self, label: str, total: int) -> Line:
        return Line(self, label, total)

    def say(self, text: str) -> None:
        """A sentence between the bars."""
        if self._bars is not None:
            self._bars.console.print(text, highlight=False, markup=False)
        else:
            with self._lock:
                note(text)

    def begin(self, label: str, total: int) -> TaskID | None:
        return None if self._bars is None else self._bars.add_task(label, total=total or None)

    def update(self, line: Line) -> None:
        if self._bars is not None and line.task is not None:
            self._bars.update(line.task, completed=line.done, total=line.total or None, description=line.label)
            return
        now = time.monotonic()
        if now - line.last_said >= PLAIN_EVERY_S:
            line.last_said = now
            self.say(self._plain(line))

    def drop(self, line: Line) -> None:
        if self._bars is not None and line.task is not None:
            self._bars.remove_task(line.task)
            line.task = None

    def finish(self, line: Line, outcome: str) -> None:
        self.drop(line)
        seconds = time.monotonic() - line.began
        amount = bytes_text(line.done) if self.unit == "bytes" else f"{line.done} images"
        # The speed of something that took no time is noise.
        speed = f", {rate_text(line.rate(), self.unit)}" if seconds >= 0.5 and line.done else ""
        self.say(f"{line.label}: {outcome} ({amount}{speed})")

    def _plain(self, line: Line) -> str:
        share = f"{100 * line.done / line.total:.0f} %" if line.total else "…"
        rate = line.rate()
        left = (line.total - line.done) / rate if rate > 0 and line.total else None
        return f"{line.label}: {share}, {rate_text(rate, self.unit)}, {seconds_text(left)} left"


def _bars(unit: Unit) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Task as BarTask
    from rich.text import Text

    class ImagesPerSecond(ProgressColumn):
        def render(self, task: BarTask) -> Text:
            return Text(f"{task.speed:.1f} images/s" if task.speed else "- images/s")

    amount = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(), ImagesPerSecond())
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *amount,
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
