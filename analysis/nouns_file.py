"""What was counted, caption by caption, as JSON lines: for whoever checks a table or works on with the nouns.

    {"index": 0, "key": "000017", "text": "…", "nouns": [{"surface", "lemma", "tag", "start", "end"}, …]}

`text[start:end]` is a noun's surface; index counts all captions of a call from 0.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analysis.nouns import Noun
from core.files import atomic_writer

#: Takes (key, text, nouns) of one caption.
Add = Callable[[str, str, Sequence[Noun]], None]


@contextmanager
def nouns_file(path: Path) -> Iterator[Add]:
    """Yields the function that writes a line. The file appears whole when the block ends, or not at all.

    Raises StorageError, StorageFullError.
    """
    numbers = itertools.count()
    with atomic_writer(path) as file:

        def add(key: str, text: str, nouns: Sequence[Noun]) -> None:
            line = {"index": next(numbers), "key": key, "text": text, "nouns": [noun._asdict() for noun in nouns]}
            # Half of a surrogate pair is no UTF-8: it is written as the escape that JSON has for it.
            written = json.dumps(line, ensure_ascii=False).encode(errors="surrogatepass")
            try:
                written.decode()
            except UnicodeDecodeError:
                written = json.dumps(line).encode()
            file.write(written + b"\n")

        yield add
