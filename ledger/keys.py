"""API keys: 256 random bits each, kept as a SHA-256 and the first letters. A slow hash would only help a flood.

The hash of what a caller sends is looked up whole, and compared in constant time: nothing of a key leaks by timing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from core.errors import ConflictError, InputError, NotFoundError
from ledger.base import Base
from ledger.clock import now
from ledger.models import api_keys
from ledger.records import ApiKey
from ledger.texts import check_storable, clean

#: Opens every key that we make, so that scanners for leaked secrets can know it.
KEY_MARK = "dsf_"
#: Letters of a key that are shown in lists: the mark and a few more.
PREFIX_LETTERS = 10
#: Shortest key that may be brought from outside, in characters.
LEAST_KEY = 16
#: A key's last use is written at most this often, seconds.
USE_GRAIN_S = 60.0


class Keys(Base):
    """The methods on API keys."""

    def create_key(self, name: str) -> tuple[ApiKey, str]:
        """Makes a key; its text is returned only here. Raises ConflictError where an active one has the name."""
        check_storable("a key's name", name)
        key_text = KEY_MARK + secrets.token_urlsafe(32)

        def work(connection: Connection) -> ApiKey:
            active = (api_keys.c.name == name) & api_keys.c.revoked_at.is_(None)
            if connection.scalar(select(exists().where(active))):
                raise ConflictError(f"There is an active key {name!r}.", hint="Revoke it first, or take another name.")
            return _insert(connection, name, key_text)

        return self._db.write(work), key_text

    def add_key(self, name: str, key_text: str) -> ApiKey:
        """Registers a key that was made elsewhere. The same text again changes nothing; a revoked one stays revoked.

        Raises InputError for a key of fewer than 16 characters.
        """
        check_storable("a key's name", name)
        if len(key_text) < LEAST_KEY:
            raise InputError(
                f"An API key has {LEAST_KEY} characters or more.", hint="`densify key create NAME` makes a good one."
            )

        def work(connection: Connection) -> ApiKey:
            there = connection.execute(select(api_keys).where(api_keys.c.digest == _digest(key_text))).first()
            return _insert(connection, name, key_text) if there is None else _record(there)

        return self._db.write(work)

    def find_key(self, key_text: str) -> ApiKey | None:
        """The active key of this text, or None. Notes its use, at most once a minute."""
        digest = _digest(key_text)
        with self._db.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.digest == digest)).first()
            age_s = None if row is None else connection.scalar(select(now() - (row.last_used_at or 0.0)))
        if row is None or not hmac.compare_digest(row.digest, digest) or row.revoked_at is not None:
            return None
        if age_s is not None and abs(age_s) > USE_GRAIN_S:
            used = update(api_keys).where(api_keys.c.id == row.id).values(last_used_at=now())
            self._db.write(lambda connection: connection.execute(used).rowcount)
        return _record(row)

    def list_keys(self) -> list[ApiKey]:
        """All keys, revoked ones too, oldest first."""
        with self._db.read() as connection:
            return [_record(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.id))]

    def revoke_key(self, name_or_prefix: str) -> int:
        """Revokes the active keys of this name or shown prefix and returns how many. Raises NotFoundError for none."""
        text = clean(name_or_prefix)
        mine = (api_keys.c.name == text) | (api_keys.c.prefix == text)
        revoke = update(api_keys).where(mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now())
        count = self._db.write(lambda connection: connection.execute(revoke).rowcount)
        if count == 0:
            raise NotFoundError(f"There is no active key {text!r}.", hint="`densify key list` shows them.")
        return count

    def any_keys(self) -> bool:
        """Whether an active key exists."""
        with self._db.read() as connection:
            return bool(connection.scalar(select(exists().where(api_keys.c.revoked_at.is_(None)))))


def _digest(key_text: str) -> str:
    return hashlib.sha256(key_text.encode("utf-8", "surrogatepass")).hexdigest()


def _insert(connection: Connection, name: str, key_text: str) -> ApiKey:
    # Of a short key from outside, less is shown: never more than a quarter.
    prefix = key_text[: min(PREFIX_LETTERS, len(key_text) // 4)]
    values: dict[str, Any] = {"name": name, "prefix": clean(prefix), "digest": _digest(key_text), "created_at": now()}
    return _record(connection.execute(api_keys.insert().values(values).returning(api_keys)).one())


def _record(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.name, row.prefix, row.created_at, row.last_used_at, row.revoked_at)
