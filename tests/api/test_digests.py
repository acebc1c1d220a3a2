"""RFC 9530 fields: what is read, what is refused, what is written."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from api.digests import announced_sha256, digest_field
from core.errors import BadDigestError
from tests.api.support import digest_of, sha256_of

DATA = b"bytes"
GOOD = digest_of(DATA)


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("value", [GOOD, f"  {GOOD} ", f"sha-512=:AAAA:, {GOOD}", f"{GOOD};q=1"])
def test_the_sha256_is_read(name: str, value: str) -> None:
    assert announced_sha256(Headers({name: value})) == sha256_of(DATA)


def test_no_field_announces_nothing() -> None:
    assert announced_sha256(Headers({})) is None


def test_what_is_written_is_what_is_read() -> None:
    assert digest_field(sha256_of(DATA)) == GOOD


@pytest.mark.parametrize(
    "value",
    ["", "sha-256", "sha-256=abc", "sha-256=::", "sha-256=:!!:", "sha-256=:AAAA:", "sha-512=:AAAA:"],
)
def test_a_field_that_proves_nothing_is_refused(value: str) -> None:
    with pytest.raises(BadDigestError):
        announced_sha256(Headers({"Repr-Digest": value}))


def test_two_fields_that_differ_are_refused() -> None:
    with pytest.raises(BadDigestError):
        announced_sha256(Headers({"Repr-Digest": GOOD, "Content-Digest": digest_of(b"others")}))
