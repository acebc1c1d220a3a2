"""The concept density of a data set: one table over the noun counts of all its captioned shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import ServiceDep
from api.openapi import problems
from api.schemas import DensityOut
from core.errors import NotReadyError
from ledger import Ledger
from ledger.records import Shard
from shards.store import Store

router = APIRouter(tags=["density"])


@router.get("/datasets/{name}/density", response_model=DensityOut, responses=problems(404, 409, 503))
def get_density(
    name: str,
    service: ServiceDep,
    min_count: Annotated[int, Query(ge=1, description="Occurrences from which a distinct noun is valid.")] = 10,
    propn: Annotated[bool, Query(description="Whether proper nouns count.")] = True,
) -> DensityOut:
    """Valid and distinct nouns, their share, and nouns per image, over all captions made so far."""
    # Here, not above: what counts nouns must not be loaded by whoever only imports the application.
    from analysis.density import table_from_files

    service.ledger.get_dataset(name)
    shards = [shard for shard in every_shard(service.ledger, name) if is_measured(shard)]
    files = [count_file(service.store, shard) for shard in shards]
    if not files:
        raise NotReadyError(f"No shard of {name} is measured yet.")
    table = table_from_files(files, min_count=min_count, names=propn)
    return DensityOut(dataset=name, shards=len(files), **table.as_dict())


def is_measured(shard: Shard) -> bool:
    """Whether the shard has an edition: its noun counts lie beside it. Quarantined ones do not count."""
    return shard.manifest_key is not None and shard.state != "quarantined"


def every_shard(ledger: Ledger, dataset: str) -> Iterator[Shard]:
    """All shards of a data set, by name. Raises NoSuchDatasetError."""
    cursor: str | None = None
    while True:
        shards, cursor = ledger.list_shards(dataset, cursor, 1000)
        yield from shards
        if cursor is None:
            return


def count_file(store: Store, shard: Shard) -> Path | bytes:
    """A shard's noun counts: the local file, or its bytes from a remote store."""
    assert shard.manifest_key is not None
    key = shard.manifest_key.removesuffix(".json") + ".nouns.parquet"
    path = store.path(key)
    return path if path is not None and path.exists() else store.read_bytes(key)
