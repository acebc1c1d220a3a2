"""A file that comes as the body of a PUT: to the disk as it arrives, bounded, timed, hashed.

What is checked, in this order: headers (before a byte is read) · room on the disk · length while reading · digest.
Leaves out: what the file is, which the handler proves before it keeps it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.datastructures import Headers

from api.bodies import BodyReader
from api.digests import announced_sha256
from api.parts import PartFile
from core.errors import (
    BodyTooLongError,
    BodyTooShortError,
    DigestMismatchError,
    InputError,
    LengthRequiredError,
    StorageFullError,
    UnsupportedMediaError,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a PUT takes, for its refusals: `what` ("A shard"), `file` ("the tar"), `too_long`: what to do then."""

    what: str
    file: str
    max_bytes: int
    too_long: str = BodyTooLongError.hint


class Receiver:
    """One PUT. `received`: bytes of its body so far."""

    def __init__(self, request: Request, kind: Kind) -> None:
        self._kind = kind
        self._headers = request.headers
        settings = request.app.state.service.settings
        self._reader = BodyReader(request.receive, settings.upload_stall_s, request.app.state.stopping)
        self._digest: str | None = None
        self._declared: int | None = None

    @property
    def received(self) -> int:
        return self._reader.received

    def check_headers(self) -> None:
        """Comes before anything is read.

        Raises UnsupportedMediaError, BadDigestError, LengthRequiredError, BodyTooLongError, InputError.
        """
        check_media(self._headers, self._kind)
        self._digest = announced_sha256(self._headers)
        self._declared = declared_length(self._headers, self._kind)

    @asynccontextmanager
    async def into(self, folder: Path, pool: ThreadPoolExecutor) -> AsyncIterator[tuple[Path, str, int]]:
        """(path, SHA-256, bytes) of the whole body, on the disk; what the block leaves at the path is removed.

        Raises StorageFullError, BodyTooLongError, BodyTooShortError, BodyStalledError, DigestMismatchError.
        """
        check_room(folder, self._declared)
        async with PartFile(folder, pool) as part:
            await self._receive(part)
            sha256, size = await part.finish()
            if self._digest is not None and self._digest != sha256:
                raise DigestMismatchError(
                    f"The body has the SHA-256 {sha256}, announced was {self._digest}.",
                    sha256=sha256,
                    announced=self._digest,
                )
            yield part.path, sha256, size

    async def _receive(self, part: PartFile) -> None:
        most = self._kind.max_bytes if self._declared is None else self._declared
        try:
            while piece := await self._reader.read():
                if self.received > most:
                    raise _too_long(self._declared, self._kind)
                await part.write(piece)
        except BodyTooShortError as error:
            raise _too_short(self.received, self._declared) from error
        if self._declared is not None and self.received < self._declared:
            raise _too_short(self.received, self._declared)


def check_media(headers: Headers, kind: Kind) -> None:
    """Raises UnsupportedMediaError for forms and compressed bodies, InputError for a part of a file."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media.startswith("multipart/"):
        raise UnsupportedMediaError(
            f"{kind.what} cannot come as {media}: a form that is cut short looks complete.",
            hint=f"Send {kind.file} itself as the body of a PUT.",
        )
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedMediaError(
            f"{kind.what} cannot come with the content coding {coding[:40]}.", hint=f"Send {kind.file} as it is."
        )
    if "content-range" in headers:
        raise InputError("A PUT takes the whole file, not a range of it.", hint="Leave out Content-Range.")


def declared_length(headers: Headers, kind: Kind) -> int | None:
    """Content-Length in bytes, or None for a chunked body. Raises LengthRequiredError, BodyTooLongError, InputError."""
    text = headers.get("content-length")
    if text is None:
        if "transfer-encoding" not in headers:
            raise LengthRequiredError("The request has neither a Content-Length nor a chunked body.")
        return None
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"Content-Length is no number: {text[:40]!r}.")
    length = int(text)
    if length > kind.max_bytes:
        raise _too_long(length, kind)
    return length


def check_room(folder: Path, declared: int | None) -> None:
    """Raises StorageFullError when the announced bytes cannot fit on the disk."""
    free = shutil.disk_usage(folder).free
    if declared is not None and declared > free:
        raise StorageFullError(f"The upload has {declared:,} bytes, the disk has room for {free:,}.")


def _too_long(declared: int | None, kind: Kind) -> BodyTooLongError:
    limit = kind.max_bytes
    if declared is not None and declared <= limit:
        return BodyTooLongError(
            f"More than the announced {declared:,} bytes arrived.",
            hint="Send the length of the body in Content-Length.",
            declared_bytes=declared,
        )
    return BodyTooLongError(f"{kind.what} may have {limit:,} bytes.", hint=kind.too_long, limit_bytes=limit)


def _too_short(received: int, declared: int | None) -> BodyTooShortError:
    of = "" if declared is None else f" of {declared:,}"
    return BodyTooShortError(f"Only {received:,}{of} bytes arrived.", received=received)
