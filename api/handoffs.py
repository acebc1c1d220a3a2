"""Hand-offs over HTTP: making the immutable manifest that training reads, listing them, looking at one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response

from api.density import every_shard
from api.deps import Cursor, Limit, ServiceDep
from api.downloads import manifest_key
from api.keeps import stored_keys
from api.openapi import problems
from api.schemas import HandoffCreated, HandoffIn, HandoffOut, Page
from core.errors import NoSuchHandoffError
from ledger import Ledger
from ledger.records import Dataset, Handoff, Shard
from shards.store import Store
from workers.service import Service

router = APIRouter(tags=["hand-offs"])

#: States of shards that a hand-off holds: those that are new to it, and those that an earlier one has already.
HANDED_OVER = frozenset({"accepted", "handed_off"})


@router.post(
    "/datasets/{name}/handoffs",
    status_code=HTTPStatus.CREATED,
    response_model=HandoffCreated,
    responses={
        200: {"model": HandoffCreated, "description": "Nothing has changed since: the hand-off that is there."},
        **problems(400, 404, 409, 413, 415, 503),
    },
)
def create_handoff(name: str, response: Response, service: ServiceDep, body: HandoffIn | None = None) -> HandoffCreated:
    """Hands off every shard that is accepted now: a manifest that pins them by hash and never changes.

    With `keep`, only the samples that those keys name; all others are counted as left out. A correction made meanwhile
    is a 409; ask again once the shard's new edition is accepted.
    """
    dataset = service.ledger.get_dataset(name)
    keys = stored_keys(service, body.keep) if body is not None and body.keep is not None else None
    shards = [shard for shard in every_shard(service.ledger, name) if shard.state in HANDED_OVER]
    made = build(service.store, dataset, shards, keys)
    if _exists(service.ledger, name, made.digest):
        response.status_code = HTTPStatus.OK
    editions = {shard.id: shard.edition or "" for shard in shards}
    handoff = service.ledger.add_handoff(name, made.digest, made.key, made.summary, editions)
    response.headers["Location"] = f"/v1/datasets/{quote(name)}/handoffs/{handoff.digest}"
    return with_manifest(service, handoff)


@router.get("/datasets/{name}/handoffs", response_model=Page[HandoffOut], responses=problems(400, 404))
def list_handoffs(name: str, service: ServiceDep, cursor: Cursor = None, limit: Limit = 100) -> Page[HandoffOut]:
    """The hand-offs of a data set, oldest first."""
    items, following = service.ledger.list_handoffs(name, cursor, limit)
    return Page[HandoffOut](items=[HandoffOut.model_validate(each) for each in items], next=following)


@router.get("/datasets/{name}/handoffs/{digest}", response_model=HandoffCreated, responses=problems(404, 503))
def get_handoff(name: str, digest: str, service: ServiceDep) -> HandoffCreated:
    """One hand-off with its manifest; `digest` may be its first 8 digits or more."""
    return with_manifest(service, service.ledger.get_handoff(name, digest))


@dataclass(frozen=True, slots=True)
class Made:
    """A manifest that is in the store, and not yet in the ledger."""

    digest: str
    key: str
    summary: dict[str, Any]


def build(store: Store, dataset: Dataset, shards: list[Shard], keep: bytes | None = None) -> Made:
    """Makes the manifest of these shards and puts it into the store; `keep`: the keys of the samples to keep.

    Raises NothingToHandOffError, CountMismatchError, CheckFailedError, StorageError; BadFieldError for keys that the
    shards do not have, NotReadyError for shards whose samples were not measured one by one.
    """
    # Here, not above: what counts nouns must not be loaded by whoever only imports the application.
    from analysis.handoff_build import make_handoff, publish
    from analysis.keys import read_keys
    from core.gates import Gates

    keys = {manifest_key(shard): shard for shard in shards}
    handoff = make_handoff(
        store,
        dataset.name,
        dataset.spec,
        list(keys),
        gates=Gates.model_validate(dataset.gates) if dataset.gates else None,
        released={key: shard.release_reason for key, shard in keys.items() if shard.release_reason},
        names={key: shard.name for key, shard in keys.items()},
        keys=None if keep is None else read_keys(keep),
    )
    summary = handoff.totals.model_dump(mode="json") | {
        "density": handoff.density,
        "gates_passed": handoff.gates.passed,
    }
    return Made(handoff.digest, publish(store, handoff), summary)


def _exists(ledger: Ledger, dataset: str, digest: str) -> bool:
    try:
        ledger.get_handoff(dataset, digest)
    except NoSuchHandoffError:
        return False
    return True


def with_manifest(service: Service, handoff: Handoff) -> HandoffCreated:
    """The ledger's record and the manifest from the store."""
    manifest: dict[str, Any] = json.loads(service.store.read_bytes(handoff.key))
    return HandoffCreated.model_validate({**HandoffOut.model_validate(handoff).model_dump(), "manifest": manifest})
