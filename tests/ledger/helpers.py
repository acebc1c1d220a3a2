"""Short ways to fill a ledger, for the tests of this room."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from core.spec import CaptionSpec
from ledger import ChunkClaim, Ledger, ShardClaim
from ledger.records import NewReject, Shard

SPEC = CaptionSpec(model="some/model")
REPOSITORY = Path(__file__).resolve().parents[2]

#: Longer than any test.
LONG_S = 600.0
#: A lease that has run out when it is given.
GONE_S = -1.0


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def reject(ordinal: int, reason: str = "no_image") -> NewReject:
    return ordinal, f"key{ordinal}", reason, f"Unit {ordinal} was refused."


def add(
    ledger: Ledger, units: int = 10, chunk: int = 4, rejected: Sequence[int] = (), name: str = "shard", data: str = "d"
) -> Shard:
    """A data set with one shard in it."""
    ledger.create_dataset(data, SPEC)
    shard, created = ledger.add_shard(data, name, sha(name), 1000, units, [reject(n) for n in rejected], chunk)
    assert created
    return shard


def send_again(ledger: Ledger, shard: Shard) -> Shard:
    """The bytes of a shard that the data set has, once more: the way out of quarantine."""
    assert shard.sha256 is not None
    there, created = ledger.add_shard("d", shard.name, shard.sha256, 1000, shard.units, [], 4)
    assert not created
    return there


def claim(ledger: Ledger, chunk_id: str, worker: str = "w", lease_s: float = LONG_S) -> ChunkClaim:
    claimed = ledger.claim_chunk(chunk_id, worker, lease_s)
    assert claimed is not None
    return claimed


def commit(ledger: Ledger, held: ChunkClaim, bad: Sequence[int] = (), flagged: int = 0) -> bool:
    """Commits a result in which the units `bad` are new rejects."""
    rejected = held.structural + len(bad)
    rejects = [reject(ordinal, "image_corrupt") for ordinal in bad]
    path = f"chunks/{held.chunk_id}"
    return ledger.commit(held, path, sha(held.chunk_id), held.units - rejected, rejected, flagged, rejects)


def caption_all(ledger: Ledger) -> None:
    """Does every pending chunk."""
    while ids := ledger.claimable("chunk"):
        for chunk_id in ids:
            commit(ledger, claim(ledger, chunk_id))


def finalise(ledger: Ledger, shard_id: str, edition: str = "e1", passed: bool = True) -> Shard:
    """From all chunks done to accepted or held."""
    held = claim_shard(ledger, shard_id)
    captioned(ledger, held, edition)
    ledger.complete_measured(held, {"images": held.shard.captioned})
    return ledger.complete_gated(held, passed, [] if passed else ["too few nouns"])


def claim_shard(ledger: Ledger, shard_id: str, worker: str = "w", lease_s: float = LONG_S) -> ShardClaim:
    claimed = ledger.claim_finalise(shard_id, worker, lease_s)
    assert claimed is not None
    return claimed


def captioned(ledger: Ledger, held: ShardClaim, edition: str = "e1") -> Shard:
    shard = held.shard
    return ledger.complete_captioned(
        held, f"captioned/{edition}.json", edition, sha(edition), 2000, shard.captioned, shard.rejected, 0
    )


def ready(ledger: Ledger, units: int = 10, name: str = "shard") -> Shard:
    """A shard that can be finalised."""
    shard = add(ledger, units, name=name)
    caption_all(ledger)
    return ledger.get_shard_by_id(shard.id)


def proven(ledger: Ledger, data: str = "d") -> bool:
    """The audit agrees; what it finds is shown by the assertion otherwise."""
    found = ledger.audit(data)
    assert found.findings == (), found.findings
    assert found.units == found.captioned + found.rejected + found.pending
    return True


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts another process that runs `code` beside this one; `arguments` are its sys.argv[1:]."""
    program = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)


def output(process: subprocess.Popen[str]) -> str:
    """What it printed; fails with its error output where it did not end well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out
