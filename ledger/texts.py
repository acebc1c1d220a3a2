"""Texts that go into the database: what both databases can hold, JSON columns, and the cursors of pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from core.errors import BadCursorError, BadNameError
from core.spec import canonical_json

#: Longest error or sentence that is kept, in characters; what is longer is cut.
MOST_CHARACTERS = 2000
#: Most items of one page.
MOST_ITEMS = 1000

T = TypeVar("T")


def clean(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text as both databases can keep it: no NUL, no lone surrogates, cut at `most` characters."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= most else text[: most - 1] + "…"


def storable(text: str) -> bool:
    """False for a text that no row can hold; a look-up by it finds nothing."""
    return "\x00" not in text and _encodes(text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_storable(what: str, text: str) -> str:
    """`text` itself. Raises BadNameError where it is empty, too long, or not for a database."""
    if not text or len(text) > MOST_CHARACTERS or not storable(text):
        raise BadNameError(f"This cannot be {what}: {clean(text, 60)!r}.")
    return text


def to_json(value: Any) -> str:
    return canonical_json(value).decode()


def from_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def encode_cursor(position: Sequence[Any]) -> str:
    """The opaque text for a place in a list: the sort key of its last item."""
    return base64.urlsafe_b64encode(canonical_json(list(position))).decode().rstrip("=")


def decode_cursor(cursor: str | None, *types: type) -> list[Any] | None:
    """The sort key inside a cursor, one value a type. Raises BadCursorError for a text that we did not make."""
    if cursor is None:
        return None
    try:
        position = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise BadCursorError("The cursor is not one of ours.") from None
    if not isinstance(position, list) or [type(value) for value in position] != list(types):
        raise BadCursorError("The cursor belongs to another list.")
    for value in position:
        if (isinstance(value, str) and not storable(value)) or (isinstance(value, int) and not 0 <= value < 2**31):
            raise BadCursorError("The cursor is not one of ours.")
    return position


def clamp(limit: int) -> int:
    """A page's size inside 1 to MOST_ITEMS."""
    return max(1, min(limit, MOST_ITEMS))


def page(items: list[T], limit: int, position: Callable[[T], Sequence[Any]]) -> tuple[list[T], str | None]:
    """Cuts `limit + 1` fetched items down to a page and the cursor of the next one (None at the end)."""
    if len(items) <= limit:
        return items, None
    return items[:limit], encode_cursor(position(items[limit - 1]))
