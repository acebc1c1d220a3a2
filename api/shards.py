"""Shards over HTTP, apart from their bytes: by URL, lists, one, its release, and the samples that were rejected."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter

from api.deps import Cursor, Limit, ServiceDep
from api.openapi import problems
from api.schemas import Page, ReasonIn, RejectOut, ShardOut, UrlsIn, UrlsOut
from core.errors import BadFieldError, BadNameError
from core.settings import Settings
from ledger.records import Shard
from shards.allow import check_url, shown
from shards.names import check_dataset_name, check_shard_name, expand_braces, show

router = APIRouter(tags=["shards"])

#: URLs in one call, braces expanded.
MAX_URLS = 10_000


@router.post(
    "/datasets/{name}/shards",
    status_code=HTTPStatus.ACCEPTED,
    response_model=UrlsOut,
    responses=problems(400, 403, 404, 409, 413, 415, 503),
)
def add_shards_by_url(name: str, body: UrlsIn, service: ServiceDep) -> UrlsOut:
    """Takes note of shards that workers read by themselves. All URLs are taken, or none.

    Each must lie below a prefix of DENSIFY_INGEST_ALLOW. The same URL again is the same shard.
    """
    service.ledger.get_dataset(check_dataset_name(name))
    wanted = plan(body.urls, service.settings)
    shards = [service.ledger.add_remote(name, shard, url) for shard, url in wanted]
    service.wake()
    return UrlsOut(items=[shard_out(shard) for shard in shards])


def plan(urls: list[str], settings: Settings) -> list[tuple[str, str]]:
    """(shard name, URL) of every URL, braces expanded, each once. Nothing is stored before all have passed.

    Raises UrlRefusedError, BadNameError, BadFieldError.
    """
    expanded: dict[str, str] = {}
    for pattern in urls:
        for url in expand_braces(pattern, MAX_URLS):
            check_url(url, settings.ingest_allow)
            expanded[url] = shard_name(url)
            if len(expanded) > MAX_URLS:
                raise BadFieldError(
                    f"urls: more than {MAX_URLS:,} URLs.", hint="Send them in several calls.", field="urls"
                )
    return [(name, url) for url, name in expanded.items()]


def shard_name(url: str) -> str:
    """The name that a URL gives its shard: the last part of its path, without `.tar`. Raises BadNameError."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    if not last.endswith(".tar"):
        raise BadNameError(f"{show(url)} does not end in .tar.", hint="A shard's URL ends in its name and .tar.")
    return check_shard_name(last.removesuffix(".tar"))


@router.get("/datasets/{name}/shards", response_model=Page[ShardOut], responses=problems(400, 404))
def list_shards(
    name: str, service: ServiceDep, cursor: Cursor = None, limit: Limit = 100, state: str | None = None
) -> Page[ShardOut]:
    """The shards of a data set; `state` shows only those in one state."""
    items, following = service.ledger.list_shards(name, cursor, limit, state)
    return Page[ShardOut](items=[shard_out(shard) for shard in items], next=following)


@router.get("/datasets/{name}/shards/{shard}", response_model=ShardOut, responses=problems(404))
def get_shard(name: str, shard: str, service: ServiceDep) -> ShardOut:
    """One shard."""
    return shard_out(service.ledger.get_shard(name, shard))


@router.post(
    "/datasets/{name}/shards/{shard}/release", response_model=ShardOut, responses=problems(400, 404, 409, 413, 415)
)
def release_shard(name: str, shard: str, body: ReasonIn, service: ServiceDep) -> ShardOut:
    """Lets a shard through that its gates hold back. The reason is kept with it."""
    held = service.ledger.get_shard(name, shard)
    return shard_out(service.ledger.release_held(held.id, body.reason))


@router.get("/datasets/{name}/rejects", response_model=Page[RejectOut], responses=problems(400, 404))
def list_rejects(name: str, service: ServiceDep, cursor: Cursor = None, limit: Limit = 100) -> Page[RejectOut]:
    """Every sample that was not captioned, with its reason."""
    items, following = service.ledger.list_rejects(name, cursor, limit)
    return Page[RejectOut](items=[RejectOut.model_validate(row) for row in items], next=following)


def shard_out(shard: Shard) -> ShardOut:
    """The ledger's record as it is shown; a URL without its query, which may hold a signature."""
    values = {name: getattr(shard, name) for name in ShardOut.model_fields if name != "samples"}
    return ShardOut.model_validate(values | {"samples": shard.units, "url": shown(shard.url) if shard.url else None})
