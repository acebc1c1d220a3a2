"""A strict tar parser: every byte of the file is accounted for, or the file is refused with the place of the damage.

Python's tarfile and webdataset end silently at the first header they cannot read; this parser does not. It checks every
header's checksum, walks by declared sizes, and requires the two zero blocks at the end with nothing but zeros behind.
It reads headers only, never a member's data (the reader's job), and never writes a file. Bytes inside a member's data
carry no checksum in tar: a flip there is seen by the shard's SHA-256 alone.

Known: ustar, GNU long names, pax (path, size), base-256 sizes. Serves shards/reader.py and shards/verify.py.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal, NamedTuple

from core.errors import ShardCorruptError, ShardEmptyError, ShardLimitError, ShardTruncatedError, UnsupportedFormatError
from core.settings import Settings
from shards.headers import BLOCK, BadHeaderError, Header, looks_like_tar, parse_header, parse_pax, text
from shards.names import show
from shards.sniff import foreign_format

#: A long name or a pax header beyond this is an attack, not a name.
MAX_EXTENSION_BYTES = 1 << 20
#: Long-name and pax headers that may precede one member.
MAX_EXTENSIONS = 8
_LAST_NAMES = 20
_ZEROS = bytes(BLOCK)
_FILES = frozenset(b"07\0")
_LINKS = frozenset(b"12")
_WITHOUT_DATA = frozenset(b"123456")
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK, _SPARSE = b"xgLKS"
_EXTENSIONS = frozenset((_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK))

Kind = Literal["file", "directory", "link", "special"]


@dataclass(frozen=True, slots=True)
class TarLimits:
    """What a shard may be at most: bytes of the whole, bytes of one member, number of members."""

    max_shard_bytes: int = 64 << 30
    max_member_bytes: int = 256 << 20
    max_members: int = 2_000_000

    @classmethod
    def from_settings(cls, settings: Settings) -> TarLimits:
        return cls(settings.max_shard_bytes, settings.max_member_bytes, settings.max_members)


class Member(NamedTuple):
    """One member: offsets and sizes in bytes from the start of the file; `header_offset` includes long-name blocks."""

    name: str
    kind: Kind
    header_offset: int
    data_offset: int
    size: int
    next_offset: int


def members(stream: IO[bytes] | io.RawIOBase, size: int, limits: TarLimits) -> Iterator[Member]:
    """Yields the members of a seekable tar of `size` bytes, in order, without reading their data.

    Raises UnsupportedFormatError, ShardEmptyError, ShardTruncatedError, ShardCorruptError or ShardLimitError; truncated
    and corrupt carry `offset` (bytes), `members` (whole ones before the damage) and `last_members` (names, 20 at most).
    """
    return _Walk(stream, size, limits).members()


class _Walk:
    """The state of one pass over a tar."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase, size: int, limits: TarLimits) -> None:
        self.stream = stream
        self.size = size
        self.limits = limits
        self.count = 0
        self.last_names: list[str] = []
        self.global_pax: dict[str, bytes] = {}

    def members(self) -> Iterator[Member]:
        if self.size > self.limits.max_shard_bytes:
            raise ShardLimitError(
                f"The shard has {self.size} bytes, over the limit of {self.limits.max_shard_bytes} "
                "(DENSIFY_MAX_SHARD_BYTES)."
            )
        self._check_first_block()
        offset = 0
        while True:
            block = self._block(offset)
            if block == _ZEROS:
                self._check_end(offset)
                return
            member = self._member(offset, block)
            if self.count >= self.limits.max_members:
                raise ShardLimitError(f"The shard has more than {self.limits.max_members} members.")
            self.count += 1
            self.last_names.append(member.name)
            if len(self.last_names) > 2 * _LAST_NAMES:
                del self.last_names[:-_LAST_NAMES]
            yield member
            offset = member.next_offset

    # ---- one member -------------------------------------------------------------------------------------------------

    def _member(self, start: int, block: bytes) -> Member:
        offset, pax, long_name = start, dict(self.global_pax), b""
        for _ in range(MAX_EXTENSIONS + 1):
            header = self._header(offset, block)
            if header.kind not in _EXTENSIONS:
                return self._finish(start, offset, header, long_name, pax)
            data = self._extension_data(offset, header)
            if header.kind == _LONG_NAME:
                long_name = data.rstrip(b"\0")
            elif header.kind in (_PAX, _PAX_GLOBAL):
                records = self._pax(offset, data)
                pax.update(records)
                if header.kind == _PAX_GLOBAL:
                    self.global_pax.update(records)
            offset += BLOCK + _padded(header.size)
            block = self._block(offset)
            if block == _ZEROS:
                raise self._corrupt(offset, "a long-name or pax header is followed by no member")
        raise self._corrupt(start, f"more than {MAX_EXTENSIONS} long-name or pax headers stand before one member")

    def _finish(self, start: int, offset: int, header: Header, long_name: bytes, pax: dict[str, bytes]) -> Member:
        sparse = header.kind == _SPARSE or any(name.startswith("GNU.sparse.") for name in pax)
        name = text(pax.get("GNU.sparse.name") or pax.get("path") or long_name or header.name)
        size = self._pax_size(offset, pax) if "size" in pax else header.size
        kind: Kind = "special"
        if sparse:
            pass
        elif header.kind in _FILES:
            # Old tars mark a folder by the slash alone; bytes under such a name belong to nothing we know.
            kind = "file" if not name.endswith("/") else "special" if size else "directory"
        elif header.kind in _LINKS:
            kind = "link"
        elif header.kind == b"5"[0]:
            kind = "directory"
        if header.kind in _WITHOUT_DATA:
            size = 0
        data_offset = offset + BLOCK
        if header.kind == _SPARSE:
            data_offset = self._after_sparse_map(offset)
        end = data_offset + _padded(size)
        if end > self.size:
            raise self._truncated(
                offset, f"the member {show(name)} declares {size} bytes, {self.size - data_offset} are left"
            )
        return Member(name, kind, start, data_offset, size, end)

    def _after_sparse_map(self, offset: int) -> int:
        extended = self._block(offset)[482]
        offset += BLOCK
        while extended:
            extended = self._block(offset)[504]
            offset += BLOCK
        return offset

    def _header(self, offset: int, block: bytes) -> Header:
        try:
            return parse_header(block)
        except BadHeaderError as error:
            raise self._corrupt(offset, str(error)) from error

    def _extension_data(self, offset: int, header: Header) -> bytes:
        if header.size > MAX_EXTENSION_BYTES:
            raise ShardLimitError(f"The name header at byte {offset} has {header.size} bytes.", offset=offset)
        data = self._read(offset + BLOCK, header.size)
        if offset + BLOCK + _padded(header.size) > self.size:
            raise self._truncated(offset, "it ends inside a long name or pax header")
        return data

    def _pax(self, offset: int, data: bytes) -> dict[str, bytes]:
        try:
            return parse_pax(data)
        except BadHeaderError as error:
            raise self._corrupt(offset, str(error)) from error

    def _pax_size(self, offset: int, pax: dict[str, bytes]) -> int:
        value = pax["size"]
        if not value.isdigit() or len(value) > 20:
            raise self._corrupt(offset, "the pax header declares a size that is no number")
        return int(value)

    # ---- begin and end ----------------------------------------------------------------------------------------------

    def _check_first_block(self) -> None:
        if self.size == 0:
            raise ShardEmptyError("The shard has zero bytes.")
        block = self._read(0, min(BLOCK, self.size))
        try:
            parse_header(block)
        except BadHeaderError:
            # Only now: a member may well be called `PK\3\4.jpg`, its header's checksum tells it is a tar.
            if looks_like_tar(block) or not block.strip(b"\0"):
                return
            found = foreign_format(block)
            what = f"The shard is {found}, not a plain tar." if found else "The shard does not begin with a tar header."
            raise UnsupportedFormatError(what) from None

    def _check_end(self, offset: int) -> None:
        step = 1 << 20
        for start in range(offset, self.size, step):
            chunk = self._read(start, min(step, self.size - start))
            if chunk.count(0) != len(chunk):
                found = start + len(chunk) - len(chunk.lstrip(b"\0"))
                raise self._corrupt(
                    offset, f"zeros stand where a header or the end should be, yet bytes follow at {found}"
                )
        if self.count == 0:
            raise ShardEmptyError("The shard is a tar without members.")
        if self.size - offset < 2 * BLOCK:
            raise self._truncated(offset, "the two zero blocks that end a tar are missing")

    # ---- reading and refusing ---------------------------------------------------------------------------------------

    def _block(self, offset: int) -> bytes:
        block = self._read(offset, BLOCK)
        if len(block) == BLOCK:
            return block
        if self.count == 0 and not block.strip(b"\0"):
            raise ShardEmptyError("The shard is a tar without members.")
        what = "it ends inside a header" if block else "the two zero blocks that end a tar are missing"
        raise self._truncated(offset, what)

    def _read(self, offset: int, length: int) -> bytes:
        self.stream.seek(offset)
        data = self.stream.read(length)
        return data if data is not None else b""

    def _truncated(self, offset: int, what: str) -> ShardTruncatedError:
        return ShardTruncatedError(
            f"The tar is cut short at byte {offset}: {what}{self._so_far()}.", **self._at(offset)
        )

    def _corrupt(self, offset: int, what: str) -> ShardCorruptError:
        return ShardCorruptError(f"The tar is damaged at byte {offset}: {what}{self._so_far()}.", **self._at(offset))

    def _so_far(self) -> str:
        last = f", the last is {show(self.last_names[-1])}" if self.last_names else ""
        return f" ({self.count} whole members before it{last})"

    def _at(self, offset: int) -> dict[str, Any]:
        return {"offset": offset, "members": self.count, "last_members": self.last_names[-_LAST_NAMES:]}


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
