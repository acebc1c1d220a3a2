from __future__ import annotations

import pytest

from analysis.lit import lit


@pytest.mark.parametrize(
    ("text", "spans", "pieces"),
    [
        ("a dog!", [(2, 5)], [("a ", False), ("dog", True), ("!", False)]),
        ("dogcat", [(0, 3), (3, 6)], [("dog", True), ("cat", True)]),
        ("red", [], [("red", False)]),
        ("", [], []),
    ],
)
def test_the_pieces_are_the_whole_text(text: str, spans: list[tuple[int, int]], pieces: list[tuple[str, bool]]) -> None:
    assert lit(text, spans) == pieces
