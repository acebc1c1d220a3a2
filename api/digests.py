"""RFC 9530 digest fields: reading `Repr-Digest` and `Content-Digest`, writing them. Only sha-256 counts here.

Both fields mean the same for a shard, since no content coding is taken: the bytes of the tar.
"""

from __future__ import annotations

import base64
import binascii

from starlette.datastructures import Headers

from core.errors import BadDigestError

_NAMES = ("repr-digest", "content-digest")
_SHA256_BYTES = 32


def announced_sha256(headers: Headers) -> str | None:
    """The SHA-256 (hexadecimal) that the client announced, or None without a digest field.

    Raises BadDigestError for a field that cannot be read, that has no sha-256, or two that differ. Other algorithms
    beside sha-256 are passed over; alone they are refused, because an unchecked digest would only look like a proof.
    """
    found = {_sha256_of(name, value) for name in _NAMES if (value := _field(headers, name)) is not None}
    if len(found) > 1:
        raise BadDigestError("Repr-Digest and Content-Digest announce different bytes.")
    return found.pop() if found else None


def digest_field(sha256: str) -> str:
    """The value of a digest field: hexadecimal `sha256` → `sha-256=:…:`."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _field(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    return ", ".join(values) if values else None


def _sha256_of(name: str, value: str) -> str:
    """Reads the dictionary of RFC 8941 as far as digests use it: `name=:base64:` members, comma separated."""
    result = None
    for member in value.split(","):
        algorithm, equals, text = member.strip().partition("=")
        text = text.partition(";")[0].strip()
        if not equals or len(text) < 2 or not (text.startswith(":") and text.endswith(":")):
            raise BadDigestError(f"{name} cannot be read: {member.strip()[:80]!r} is no `algorithm=:base64:`.")
        if algorithm == "sha-256":
            result = _decode(name, text[1:-1])
    if result is None:
        raise BadDigestError(f"{name} carries no sha-256.")
    return result


def _decode(name: str, text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadDigestError(f"{name} cannot be read: the sha-256 is not base64.") from error
    if len(raw) != _SHA256_BYTES:
        raise BadDigestError(f"{name} cannot be read: a sha-256 has 32 bytes, this one {len(raw)}.")
    return raw.hex()
