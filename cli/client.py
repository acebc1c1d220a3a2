"""The service as Python functions, over HTTP: what the commands call, one method per endpoint.

A problem document (RFC 9457) comes back as the very error class that the service raised, with its hint; a service that
cannot be reached is UnreachableError. Leaves out on purpose: progress on the screen, and what to upload (upload.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from core.errors import DensifyError, DigestMismatchError, InputError, ServiceError, UnreachableError, tree
from core.settings import Settings

Json = dict[str, Any]
Advance = Callable[[int], None]

#: Bytes read from or written to a file at once.
BLOCK_BYTES = 1 << 20
#: Seconds to connect; seconds without a byte either way. The server hashes and indexes a shard before it answers a PUT.
CONNECT_S, SILENCE_S = 10.0, 600.0

_CLASSES = {kind.code: kind for kind in reversed(list(tree()))}


def error_from(response: httpx.Response) -> DensifyError:
    """The error that a problem document stands for; an unknown code becomes InputError or ServiceError, by status."""
    try:
        problem = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    code = str(problem.get("code") or str(problem.get("type", "")).rstrip("/").rsplit("/", 1)[-1])
    sentence = str(problem.get("detail") or problem.get("title") or f"The service answered {response.status_code}.")
    kind = _CLASSES.get(code, InputError if response.status_code < 500 else ServiceError)
    known = {"type", "title", "status", "detail", "code", "hint", "instance"}
    # `sentence` and `hint` are the constructor's own names: a detail of that name must not collide with them.
    extras = {name: value for name, value in problem.items() if name not in known | {"sentence"}}
    hint = problem.get("hint")
    return kind(sentence, hint=str(hint) if hint else None, **extras)


def repr_digest(sha256: str) -> str:
    """The value of Repr-Digest (RFC 9530) for a hexadecimal SHA-256."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


class Client:
    """A connection to one service. Safe to share between threads; a context manager."""

    def __init__(self, url: str, api_key: str = "", transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, transport=transport)
        except (httpx.InvalidURL, ValueError) as error:
            raise InputError(f"{url} is no URL: {error}.", hint="Give one like http://127.0.0.1:8000.") from error

    @classmethod
    def from_settings(cls, settings: Settings, url: str | None = None) -> Client:
        """The service that DENSIFY_URL names, or `url`; the key is DENSIFY_API_KEY."""
        return cls(url or settings.url, settings.api_key)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # ---- data sets --------------------------------------------------------------------------------------------------

    def datasets(self) -> Iterator[Json]:
        yield from self._pages("/v1/datasets")

    def dataset(self, name: str) -> Json:
        return self._json("GET", f"/v1/datasets/{_part(name)}")

    def create_dataset(self, name: str, spec: Json | None = None, gates: Json | None = None) -> Json:
        """Makes the data set, or returns it where it exists with the same spec. Raises DatasetExistsError otherwise."""
        body = {"name": name, "spec": spec, "gates": gates}
        return self._json("POST", "/v1/datasets", json={key: value for key, value in body.items() if value is not None})

    def progress(self, dataset: str) -> Json:
        return self._json("GET", f"/v1/datasets/{_part(dataset)}/progress")

    def density(self, dataset: str) -> Json:
        return self._json("GET", f"/v1/datasets/{_part(dataset)}/density")

    def samples(self, dataset: str) -> Iterator[Json]:
        yield from self._pages(f"/v1/datasets/{_part(dataset)}/samples")

    # ---- shards -----------------------------------------------------------------------------------------------------

    def shards(self, dataset: str) -> Iterator[Json]:
        yield from self._pages(f"/v1/datasets/{_part(dataset)}/shards")

    def put_shard(self, dataset: str, name: str, file: Path, sha256: str, advance: Advance) -> tuple[Json, bool]:
        """Streams one tar. Returns the shard and whether the service had not had its bytes before.

        Raises whatever the service says of the shard, and DigestMismatchError where it kept other bytes than were sent.
        """
        headers = {
            "Content-Type": "application/x-tar",
            "Content-Length": str(file.stat().st_size),
            "Repr-Digest": repr_digest(sha256),
        }
        path = f"/v1/datasets/{_part(dataset)}/shards/{_part(name)}.tar"
        response = self._send("PUT", path, content=_blocks(file, advance), headers=headers)
        shard: Json = response.json()
        if shard.get("sha256") not in (None, sha256):
            raise DigestMismatchError(f"{file}: sent sha256 {sha256}, the service kept {shard['sha256']}.")
        return shard, response.status_code != 200

    def add_urls(self, dataset: str, urls: list[str]) -> list[Json]:
        """Asks the service to read shards by URL itself; they are listed at once, in state `uploading`."""
        items: list[Json] = self._json("POST", f"/v1/datasets/{_part(dataset)}/shards", json={"urls": urls})["items"]
        return items

    def release(self, dataset: str, shard: str, reason: str) -> Json:
        """Accepts a shard that a gate held; the reason is recorded."""
        path = f"/v1/datasets/{_part(dataset)}/shards/{_part(shard)}/release"
        return self._json("POST", path, json={"reason": reason})

    def download(self, path: str, target: Path, advance: Advance, sha256: str | None = None) -> None:
        """Streams `path` into `target`, which is there whole or not at all.

        Raises DigestMismatchError where the bytes are not those of `sha256`, UnreachableError where they end too soon.
        """
        from core.files import atomic_writer

        try:
            with self._http.stream("GET", path) as response:
                if response.status_code >= 400:
                    response.read()
                    raise error_from(response)
                digest = hashlib.sha256()
                with atomic_writer(target) as file:
                    for block in response.iter_bytes(BLOCK_BYTES):
                        digest.update(block)
                        file.write(block)
                        advance(len(block))
                    if sha256 not in (None, digest.hexdigest()):
                        raise DigestMismatchError(
                            f"{target.name}: the bytes that came are not those that were announced.",
                            hint="Try again; if it stays so, `densify verify` the hand-off on the server.",
                        )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    # ---- hand-offs --------------------------------------------------------------------------------------------------

    def put_keep(self, dataset: str, file: Path, sha256: str) -> Json:
        """Sends the keys of samples to keep; `sha256` is the file's. Raises BadFieldError for what is no keys file."""
        headers = {"Content-Length": str(file.stat().st_size), "Repr-Digest": repr_digest(sha256)}
        path = f"/v1/datasets/{_part(dataset)}/keeps/{sha256}"
        return self._json("PUT", path, content=_blocks(file, lambda _: None), headers=headers)

    def hand_off(self, dataset: str, keep: str | None = None) -> Json:
        """Makes the hand-off of what is accepted now, or returns the same again: {digest, key, summary, manifest}.

        `keep`: the SHA-256 of keys that were sent; without it every captioned sample is handed off.
        """
        body = {} if keep is None else {"keep": keep}
        return self._json("POST", f"/v1/datasets/{_part(dataset)}/handoffs", json=body)

    def handoff_file(
        self, dataset: str, digest: str, key: str, target: Path, advance: Advance, sha256: str | None = None
    ) -> None:
        """Fetches a file of a hand-off; `key` is its place in the store."""
        path = f"/v1/datasets/{_part(dataset)}/handoffs/{digest}/files/{quote(key)}"
        self.download(path, target, advance, sha256)

    # ---- the service ------------------------------------------------------------------------------------------------

    def ready(self) -> Json:
        """What /readyz says. Raises ServiceError while the service is not ready."""
        return self._json("GET", "/readyz")

    def wait_ready(self, seconds: float) -> None:
        """Waits until the service answers /readyz. Raises UnreachableError or ServiceError when it does not."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.ready()
                return
            except ServiceError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    # ---- underneath -------------------------------------------------------------------------------------------------

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 300:
            raise error_from(response)
        return response

    def _json(self, method: str, path: str, **options: Any) -> Json:
        response = self._send(method, path, **options)
        try:
            answer = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            answer = None
        if not isinstance(answer, dict):
            raise UnreachableError(
                f"{self.url} answers, but not as a Densify service does.", hint="Set DENSIFY_URL to the service."
            )
        return answer

    def _pages(self, path: str) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self._json("GET", path, params={"cursor": cursor} if cursor else {})
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        why = str(error).strip().rstrip(".") or type(error).__name__
        return UnreachableError(f"The service at {self.url} cannot be reached: {why}.")


def _part(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="@")


def _blocks(file: Path, advance: Advance) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block
            advance(len(block))
