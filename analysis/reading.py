"""How a reading of captions went: what was yielded, what was put right, what was passed over.

Serves captions_input.py and caption_files.py; reports print its notes.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadCaptionsError


@dataclass
class Reading:
    """How the reading went: captions yielded, and everything that was put right or passed over on the way.

    `numbered`: rows without a key of their own, which the number of their line stands for.
    """

    captions: int = 0
    empty: int = 0
    without_caption: int = 0
    not_utf8: int = 0
    with_nul: int = 0
    bad_lines: int = 0
    numbered: int = 0

    def key(self, own: object, line: int) -> str:
        """The row's own key, or its line where that is None."""
        if own is None:
            self.numbered += 1
            return str(line)
        return str(own)

    def clean(self, text: str) -> str:
        """Counts a caption, and takes the NULs out of it."""
        self.captions += 1
        if "\0" in text:
            self.with_nul += 1
            text = text.replace("\0", " ")
        self.empty += not text.strip()
        return text

    def decode(self, data: bytes) -> str:
        """UTF-8, broken bytes replaced by U+FFFD."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.not_utf8 += 1
            return data.decode(errors="replace")

    def add(self, other: Reading) -> None:
        """Adds the other's counts."""
        for name, count in vars(other).items():
            setattr(self, name, getattr(self, name) + count)

    def notes(self) -> list[str]:
        """One sentence for each count that is not nought."""
        sentences = {
            "empty": "{} captions are empty; they count as images without nouns.",
            "without_caption": "{} rows or samples have no caption; they are not counted.",
            "not_utf8": "{} captions or lines were not valid UTF-8; broken bytes were replaced.",
            "with_nul": "{} captions held a NUL character, read as a space.",
            "bad_lines": "{} lines could not be read and were passed over.",
        }
        return [text.format(f"{getattr(self, name):,}") for name, text in sentences.items() if getattr(self, name)]


@dataclass(frozen=True)
class Source:
    """One file being read: its name for sentences, what was asked for, and where to count."""

    name: str
    column: str | None
    skip_bad: bool
    reading: Reading

    def bad(self, line: int, what: str) -> None:
        """Raises BadCaptionsError for a line, or counts it where bad lines are to be skipped."""
        if not self.skip_bad:
            raise BadCaptionsError(
                f"{self.name}: line {line} {what}.", hint="Mend the line, or pass --skip-bad to pass over such lines."
            )
        self.reading.bad_lines += 1
