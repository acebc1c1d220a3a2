"""The truth, in SQL: data sets, shards, chunks, leases with fencing tokens, attempts, results inserted once, rejects.

`Ledger` is the one way in; what it returns stands in `ledger.records`, what it raises in `core.errors`.
"""

from ledger.facade import Ledger
from ledger.records import ChunkClaim, Claim, ShardClaim

__all__ = ["ChunkClaim", "Claim", "Ledger", "ShardClaim"]
