"""API keys: who may ask. A bearer token is wanted under /v1 as soon as the ledger holds a key, and on no other path.
A ledger whose keys are all revoked still wants one: revoking the last key must not open the door.

Keys live in the ledger as SHA-256 hashes; they have 256 random bits, so a slow hash would protect nothing and cost
every request. The text of a key is in a request's Authorization header and nowhere else: it is never logged.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from contextvars import ContextVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import problem_response
from core.errors import DensifyError, PublicWithoutKeyError, SettingError, UnauthorizedError
from ledger import Ledger
from ledger.keys import LEAST_KEY
from ledger.records import ApiKey

_PROTECTED = "/v1/"

#: Name of the key that the present request came with; empty without one.
caller: ContextVar[str] = ContextVar("caller", default="")


def register_keys(ledger: Ledger, keys: Iterable[str]) -> None:
    """Puts the keys of DENSIFY_API_KEYS into the ledger, as hashes; known ones stay. Raises SettingError."""
    for number, key in enumerate(keys, start=1):
        if len(key) < LEAST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise SettingError(
                f"Key {number} of DENSIFY_API_KEYS is no key: a key has {LEAST_KEY} or more ASCII signs, no space.",
                hint="`densify key create NAME` makes a good one.",
            )
        # The name is made from the hash: it is the same at every start, and it tells nothing of the key.
        ledger.add_key(f"env-{hashlib.sha256(key.encode()).hexdigest()[:8]}", key)


def check_public(host: str, ledger: Ledger) -> None:
    """Raises PublicWithoutKeyError when `host` can be reached from other machines and the ledger has no key."""
    if not _is_loopback(host) and not ledger.any_keys():
        raise PublicWithoutKeyError(f"Anyone who reaches {host} could use the service: there is no API key.")


def _is_loopback(host: str) -> bool:
    name = host.strip().strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False  # a name may resolve to anything, and an empty host means every interface


class AuthMiddleware:
    """Refuses requests without a valid key before any handler, and before the body is read."""

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PROTECTED):
            await self._app(scope, receive, send)
            return
        try:
            key = await run_in_threadpool(self._check, Headers(scope=scope).get("authorization"))
        except DensifyError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        caller.set(key.name if key is not None else "")
        await self._app(scope, receive, send)

    def _check(self, authorization: str | None) -> ApiKey | None:
        """The key that was sent, or None where none is wanted. Raises UnauthorizedError, LedgerError."""
        scheme, _, text = (authorization or "").strip().partition(" ")
        is_bearer = scheme.lower() == "bearer" and bool(text.strip())
        key = self._ledger.find_key(text.strip()) if is_bearer else None
        if key is not None or not self._ledger.list_keys():
            return key
        if authorization is None:
            raise UnauthorizedError("This needs an API key.")
        if not is_bearer:
            raise UnauthorizedError("The Authorization header carries no bearer token.", presented=True)
        raise UnauthorizedError("The API key is not known, or was revoked.", presented=True)
