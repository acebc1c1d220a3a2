"""Samples over HTTP: captions beside the old text, read from each captioned shard's records; correcting one.

A page reads at most a few shards, so with a rare flag it may hold fewer items than asked for and still name a `next`.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.auth import caller
from api.deps import Cursor, Limit, ServiceDep
from api.downloads import manifest_key
from api.openapi import problems
from api.schemas import CorrectionIn, CorrectionOut, Page, SampleOut
from core.errors import BadCursorError, BadFieldError, NoSuchSampleError, PreconditionError
from core.reasons import FLAGS
from ledger import Ledger
from ledger.records import Shard
from shards.names import show
from shards.records import Record, read_records
from shards.store import Store
from workers.service import Service

router = APIRouter(tags=["samples"])

#: Shards that one page looks through at most.
SHARDS_PER_PAGE = 16

#: The check of a version and the correction that follows are one step, within this process.
_correcting = threading.Lock()


@router.get("/datasets/{name}/samples", response_model=Page[SampleOut], responses=problems(400, 404, 503))
def list_samples(
    name: str,
    service: ServiceDep,
    cursor: Cursor = None,
    limit: Limit = 100,
    flag: Annotated[str | None, Query(description="Only captions that carry this flag.", examples=["cut_off"])] = None,
    shard: Annotated[str | None, Query(description="Only samples of this shard.")] = None,
) -> Page[SampleOut]:
    """Captions beside old text, shard by shard, in the order of the tar."""
    if flag is not None and flag not in FLAGS:
        raise BadFieldError(f"flag: there is no flag {show(flag)}.", hint=f"Flags: {', '.join(FLAGS)}.", field="flag")
    place = Place.decode(cursor)
    if shard is not None:
        shards: list[Shard] = [service.ledger.get_shard(name, shard)]
        following = None
    else:
        shards, following = service.ledger.list_shards(name, place.after, SHARDS_PER_PAGE)
    items: list[SampleOut] = []
    for here in _from(shards, place.shard):
        start = place.ordinal if here.id == place.shard else 0
        for sample in samples_of(service, here, start, flag):
            if len(items) == limit:
                return Page[SampleOut](items=items, next=Place(place.after, here.id, sample.ordinal).encode())
            items.append(sample)
    return Page[SampleOut](items=items, next=Place(following, "", 0).encode() if following else None)


@router.get(
    "/datasets/{name}/samples/{shard}/{key:path}", response_model=SampleOut, responses=problems(400, 404, 409, 503)
)
def get_sample(name: str, shard: str, key: str, response: Response, service: ServiceDep) -> SampleOut:
    """One sample. Its ETag is its version: send it in If-Match when correcting."""
    sample = find_sample(service, service.ledger.get_shard(name, shard), key)
    response.headers["ETag"] = f'"{sample.version}"'
    return sample


@router.patch(
    "/datasets/{name}/samples/{shard}/{key:path}",
    response_model=CorrectionOut,
    responses=problems(400, 404, 409, 412, 413, 415, 503),
)
def correct_sample(
    name: str,
    shard: str,
    key: str,
    body: CorrectionIn,
    response: Response,
    service: ServiceDep,
    if_match: Annotated[
        str | None, Header(description='The version that is corrected, `"0"` for the model\'s.')
    ] = None,
) -> CorrectionOut:
    """Puts a person's caption in the place of the present one. Every version is kept; a new edition is made."""
    expected = expected_version(if_match)
    author = body.author or caller.get() or "unnamed"
    with _correcting:
        sample = find_sample(service, service.ledger.get_shard(name, shard), key)
        if expected is not None and sample.version != expected:
            raise PreconditionError(
                f"Sample {show(key)} is at version {sample.version}, not {expected}.", version=sample.version
            )
        version = service.ledger.correct(name, shard, key, body.caption, author)
    service.wake()
    response.headers["ETag"] = f'"{version}"'
    return CorrectionOut(shard=shard, key=key, caption=body.caption, version=version, author=author)


class Place:
    """Where a page of samples ends: the page of shards (`after`), the shard in it, and the ordinal to go on with."""

    def __init__(self, after: str | None, shard: str, ordinal: int) -> None:
        self.after = after
        self.shard = shard
        self.ordinal = ordinal

    def encode(self) -> str:
        data = json.dumps([self.after, self.shard, self.ordinal], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str | None) -> Place:
        """Raises BadCursorError for a text that `encode` did not make."""
        if cursor is None:
            return cls(None, "", 0)
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            after, shard, ordinal = json.loads(data)
        except (binascii.Error, ValueError, TypeError, RecursionError) as error:
            raise BadCursorError("The cursor is not one of ours.") from error
        good = (after is None or isinstance(after, str)) and isinstance(shard, str) and type(ordinal) is int
        if not good or ordinal < 0:
            raise BadCursorError("The cursor is not one of ours.")
        return cls(after, shard, ordinal)


def samples_of(service: Service, shard: Shard, start: int = 0, flag: str | None = None) -> Iterator[SampleOut]:
    """The captioned samples of a shard from ordinal `start` on, newest corrections in place."""
    if shard.manifest_key is None:
        return
    corrections = corrections_of(service.ledger, shard)
    for record in records_of(service.store, shard.manifest_key):
        if record.ordinal < start or not record.is_captioned:
            continue
        sample = sample_out(shard.name, record, corrections.get(record.key))
        if flag is None or flag in sample.flags:
            yield sample


def find_sample(service: Service, shard: Shard, key: str) -> SampleOut:
    """The captioned sample of this key. Raises NotReadyError, NoSuchSampleError (which says why it was rejected)."""
    found = [record for record in records_of(service.store, manifest_key(shard)) if record.key == key]
    record = next((each for each in found if each.is_captioned), None)
    if record is not None:
        return sample_out(shard.name, record, corrections_of(service.ledger, shard).get(key))
    if found:
        raise NoSuchSampleError(
            f"Sample {show(key)} of {shard.name} was rejected: {found[0].sentence}", reason=found[0].reason
        )
    raise NoSuchSampleError(f"Shard {shard.name} has no sample {show(key)}.")


def corrections_of(ledger: Ledger, shard: Shard) -> dict[str, tuple[int, str]]:
    """The newest correction of each corrected key; asked only where there is one."""
    return ledger.corrections_for(shard.id) if shard.corrections else {}


def records_of(store: Store, key: str) -> list[Record]:
    """The records beside the captioned shard whose manifest lies under `key`."""
    records = key.removesuffix(".json") + ".parquet"
    path = store.path(records)
    return read_records(path if path is not None and path.exists() else store.read_bytes(records))


def sample_out(shard: str, record: Record, correction: tuple[int, str] | None) -> SampleOut:
    """A record as it is shown. A correction that is newer than the published edition already counts."""
    version, caption, flags = record.correction or 0, record.caption or "", list(record.flags)
    if correction is not None and correction[0] > version:
        version, caption, flags = correction[0], correction[1], []
    return SampleOut(
        shard=shard,
        ordinal=record.ordinal,
        key=record.key,
        caption=caption,
        old_text=record.old_text,
        flags=flags,
        finish_reason=record.finish_reason,
        tokens=record.tokens,
        width=record.width,
        height=record.height,
        image_sha256=record.image_sha256,
        version=version,
    )


def expected_version(if_match: str | None) -> int | None:
    """`"3"` → 3; None where any version will do (no header, or `*`). Raises BadFieldError."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadFieldError(
            f"If-Match is no version: {show(if_match)}.", hint="Send the sample's ETag.", field="if-match"
        )
    return int(text)


def _from(shards: list[Shard], identifier: str) -> Iterator[Shard]:
    """The shards from the one with this id on; all, where it is no longer among them or none is named."""
    ids = [shard.id for shard in shards]
    yield from shards[ids.index(identifier) if identifier in ids else 0 :]
