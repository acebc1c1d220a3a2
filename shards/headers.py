"""One tar header block: its fields, its checksum, pax records. Bytes in, values out; no files here.

Serves shards/tar.py. Everything malformed is a BadHeaderError with a sentence part that fits behind 'at byte N: '.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Bytes of a tar block.
BLOCK = 512

_CHECKSUM_AS_SPACES = 8 * 0x20
_OCTAL_CHECKSUM = re.compile(rb"[ 0]*[0-7]{3,7}[\0 ]+")


class BadHeaderError(ValueError):
    """This block is no tar header."""


class Header(NamedTuple):
    """The fields that matter: the name's bytes (prefix joined), the type flag, the declared size in bytes."""

    name: bytes
    kind: int
    size: int


def parse_header(block: bytes) -> Header:
    """Reads one block of 512 bytes. Raises BadHeaderError."""
    if len(block) < BLOCK:
        raise BadHeaderError("the header is shorter than 512 bytes")
    stored = _octal(block[148:156], "checksum")
    counted = sum(block) - sum(block[148:156]) + _CHECKSUM_AS_SPACES
    if stored != counted and stored != _signed_sum(block):
        raise BadHeaderError("a header fails its checksum")
    name = block[:100].split(b"\0", 1)[0]
    # The prefix field is a POSIX one; GNU headers (magic `ustar  `) keep times there.
    if block[345] and block[257:263] == b"ustar\0":
        name = block[345:500].split(b"\0", 1)[0] + b"/" + name
    return Header(name, block[156], _number(block[124:136]))


def _signed_sum(block: bytes) -> int:
    # Some old writers add the bytes as signed numbers.
    rest = block[:148] + block[156:]
    return sum(rest) - 256 * sum(byte > 127 for byte in rest) + _CHECKSUM_AS_SPACES


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] & 0x80:
        raise BadHeaderError("a header declares a negative size")
    return _octal(field, "size")


def _octal(field: bytes, what: str) -> int:
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    try:
        # isdigit first: int() alone would take signs, underscores and '0o'.
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:
        pass
    raise BadHeaderError(f"a header's {what} is no octal number")


def looks_like_tar(block: bytes) -> bool:
    """True where a block that fails its checksum was still meant as a tar header: one of two marks survived."""
    return b"ustar" in block[257:265] or _OCTAL_CHECKSUM.fullmatch(block[148:156]) is not None


def parse_pax(data: bytes) -> dict[str, bytes]:
    """`b'16 path=a/b.jpg\\n'` → `{'path': b'a/b.jpg'}`; a later record wins. Raises BadHeaderError."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 12)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise BadHeaderError("a pax record has no length")
        end = position + int(digits)
        name, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1 : end] != b"\n" or not equals:
            raise BadHeaderError("a pax record does not fit its length")
        records[text(name)] = value
        position = end
    return records


def text(data: bytes) -> str:
    """A name's bytes as UTF-8; bytes that are none become lone surrogates, which shards/names.py refuses."""
    return data.decode("utf-8", "surrogateescape")
