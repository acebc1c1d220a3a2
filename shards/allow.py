"""Which URLs may be read at all: below a prefix that the operator listed in DENSIFY_INGEST_ALLOW, by default none.

Leaves out: reading (shards/fetch.py). The API asks here before it takes a URL into the ledger; fetch asks again, and
once more at every redirect.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urlsplit

from core.errors import UrlRefusedError

_PORTS = {"https": 443, "http": 80}
_SCHEMES = ("file", "s3", "https", "http")


def check_url(url: str, allowed: Iterable[str]) -> SplitResult:
    """The parts of a URL that lies below one of the `allowed` prefixes. Raises UrlRefusedError.

    Scheme and host must be equal, the path must lie below the prefix's folder; '..', credentials and control characters
    are refused. Symbolic links of file:// URLs are resolved when the file is opened.
    """
    parts = _split(url)
    for prefix in allowed:
        if _is_below(parts, _split(prefix)):
            return parts
    raise UrlRefusedError(f"{shown(url)} is not below an allowed prefix.")


def shown(url: str) -> str:
    """A URL as it may stand in a sentence or a log: without credentials, query (signatures) and control characters."""
    try:
        parts = urlsplit(url)
        text = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        text = url.partition("?")[0].rpartition("@")[2]
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _split(url: str) -> SplitResult:
    if not url.isprintable() or " " in url or "\\" in url:
        raise UrlRefusedError(f"{shown(url)} has a space, a backslash or a control character.")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError as error:
        raise UrlRefusedError(f"{shown(url)} is no URL: {error}.") from error
    if parts.scheme not in _SCHEMES:
        raise UrlRefusedError(f"{shown(url)} begins with none of file://, s3://, https://.")
    if parts.username is not None or parts.password is not None:
        raise UrlRefusedError(f"{shown(url)} carries credentials; the server uses its own.")
    if parts.scheme in ("file", "s3") and (parts.query or parts.fragment):
        raise UrlRefusedError(f"{shown(url)} carries a '?' or '#'.")
    if parts.scheme != "file" and not parts.hostname:
        raise UrlRefusedError(f"{shown(url)} names no {'bucket' if parts.scheme == 's3' else 'host'}.")
    if ".." in unquote(parts.path).split("/") or "\0" in unquote(parts.path):
        raise UrlRefusedError(f"{shown(url)} has a '..' part.")
    return parts


def _is_below(parts: SplitResult, prefix: SplitResult) -> bool:
    if parts.scheme != prefix.scheme or _place(parts) != _place(prefix):
        return False
    folder = posixpath.normpath("/" + unquote(prefix.path).lstrip("/"))
    path = posixpath.normpath("/" + unquote(parts.path).lstrip("/"))
    return folder in ("/", path) or path.startswith(folder + "/")


def _place(parts: SplitResult) -> tuple[str, int | None]:
    if parts.scheme == "s3":
        return parts.netloc, None
    host = (parts.hostname or "").rstrip(".")
    return "" if parts.scheme == "file" and host == "localhost" else host, parts.port or _PORTS.get(parts.scheme)
