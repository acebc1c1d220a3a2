"""Reading a shard that was named by URL: fetched under the allow-list, checked like an upload, stored.

A shard that cannot be had or is damaged is quarantined with the error's code and sentence; nothing half stays.
"""

from __future__ import annotations

import uuid

from core.errors import InputError
from core.files import TEMPORARY_MARK
from core.logs import get_logger
from ledger import ShardClaim
from shards.fetch import fetch_url
from shards.ingest import store_shard
from shards.tar import TarLimits
from workers.service import Service

log = get_logger(__name__)


def ingest_shard(service: Service, claim: ShardClaim) -> None:
    """Reads, stores and records one shard.

    Raises the ServiceError tree for what may pass (network, disk, ledger): another attempt follows. The shard's own
    faults end in quarantine.
    """
    settings, shard = service.settings, claim.shard
    assert shard.url is not None, "only shards named by URL are ingested"
    part = service.store.staging() / f"ingest{TEMPORARY_MARK}{uuid.uuid4().hex[:12]}"
    try:
        sha256, size_bytes = fetch_url(shard.url, part, settings)
        stored = store_shard(service.store, part, sha256, size_bytes, TarLimits.from_settings(settings))
    except InputError as error:
        service.ledger.quarantine(shard.id, error.code, error.sentence, claim)
        log.warning("shard_quarantined", shard=shard.name, code=error.code, error=error.sentence)
        return
    finally:
        part.unlink(missing_ok=True)
    service.ledger.complete_ingest(
        claim, stored.sha256, stored.size_bytes, stored.units, stored.rejects, settings.chunk_samples
    )
