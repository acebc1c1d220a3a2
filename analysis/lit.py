"""A text cut into pieces, nouns apart from the rest, so that a page can light them. Serves the HTML reports."""

from __future__ import annotations

from collections.abc import Iterable

#: (text, whether it is a noun); together they are the whole text, and none is empty.
Pieces = list[tuple[str, bool]]


def lit(text: str, spans: Iterable[tuple[int, int]]) -> Pieces:
    """`spans`: (start, end) of the nouns, in order, none reaching into another or beyond the text."""
    pieces, end = [], 0
    for start, stop in spans:
        pieces += [(text[end:start], False), (text[start:stop], True)]
        end = stop
    return [piece for piece in [*pieces, (text[end:], False)] if piece[0]]
