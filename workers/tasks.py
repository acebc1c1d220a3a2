"""The three tasks, each thin: claim in the ledger, do the work, commit. The same functions serve Celery and threads.

    ingest     a shard named by URL is read into the store
    chunk      a run of samples is captioned; whoever commits the last chunk of a shard finalises it
    finalise   the captioned shard is written, measured and judged by its gates

A task raises FatalFault only: what else goes wrong is written to the ledger, and the hint has done its job.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import lru_cache

from analysis.nouns import load_pipeline
from captioner.engine import load_engine
from core.errors import (
    DensifyError,
    EngineConfigError,
    EngineError,
    EngineOutError,
    LeaseLostError,
    NotStoredError,
    StorageError,
    StorageFullError,
)
from core.logs import get_logger
from ledger import ChunkClaim, ShardClaim
from shards.index import ShardIndex
from shards.ingest import load_index
from workers.chunks import ChunkOutput, ChunkWork, Stopped
from workers.engines import EngineHolder, EngineLoader
from workers.finalise import finalise_shard
from workers.hints import Kind
from workers.ingest import ingest_shard
from workers.leases import Lease, LeaseKeeper
from workers.service import Service

log = get_logger(__name__)

#: Seconds that a thread waits after the engine, the disk or the network failed it, before it takes other work.
PAUSE_S = 5.0

STORAGE_OUT = (StorageError, StorageFullError)


class FatalFault(Exception):
    """The accelerator's context is broken: nothing more can be done in this process. It must end, and start anew."""


class Tasks:
    """The tasks of one process, shared by its threads."""

    def __init__(self, service: Service, load: EngineLoader = load_engine) -> None:
        self._service = service
        self._settings = service.settings
        self._ledger = service.ledger
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.stopping = threading.Event()
        self._engines = EngineHolder(service.settings, load)
        self._leases = LeaseKeeper(service.ledger, service.settings.lease_s, service.settings.stall_s)
        self._chunks = ChunkWork(service.store, service.settings)
        self._index = lru_cache(maxsize=8)(self._read_index)

    def warm_up(self) -> None:
        """Loads the engine of the settings, if they name one, and the noun pipeline.

        Raises the EngineConfigError tree.
        """
        if self._settings.has_model:
            with self._engines.engine(self._settings.default_spec()):
                pass
        load_pipeline()  # here, once: threads that finalise their first shards together would each load their own

    def close(self) -> None:
        """Stops the process's threads and frees the engine; chunks in hand were given back when `stopping` was set."""
        self.stopping.set()
        self._leases.stop()
        self._chunks.close()
        self._engines.close()

    def run(self, kind: Kind, identifier: str) -> None:
        """Follows one hint. Raises FatalFault only."""
        if self.stopping.is_set():
            return
        follow: dict[Kind, Callable[[str], None]] = {
            "ingest": self.ingest,
            "chunk": self.chunk,
            "finalise": self.finalise,
        }
        try:
            follow[kind](identifier)
        except DensifyError as error:
            # The ledger itself did not answer, or the lease is gone: the work stands there unfinished, and the
            # sweeper finds it.
            log.error("task_failed", kind=kind, id=identifier, code=error.code, error=error.sentence)

    # ---- chunk ------------------------------------------------------------------------------------------------------

    def chunk(self, chunk_id: str) -> None:
        claim = self._ledger.claim_chunk(chunk_id, self.worker, self._settings.lease_s)
        if claim is None:
            return  # done, or another holds it
        with self._leases.keep(claim) as lease:
            last = self._attempt(claim, lease)
        if last:
            self.finalise(claim.shard_id)

    def _attempt(self, claim: ChunkClaim, lease: Lease) -> bool:
        """One attempt at a chunk; true when its commit was the shard's last."""
        try:
            output = self._caption(claim, lease)
        except Stopped:
            if not lease.lost:
                self._ledger.release(claim)
        except NotStoredError as error:
            # The source is gone or cut: no attempt can help. Sending the shard again brings it back.
            self._ledger.quarantine(claim.shard_id, error.code, error.sentence)
        except (EngineOutError, EngineConfigError, *STORAGE_OUT) as error:
            self._give_back(claim, error)
        except EngineError as error:
            if error.details.get("fatal"):
                # Counted as an attempt: a sample that breaks every accelerator must end alone, rejected.
                self._ledger.fail(claim, error.sentence, self._settings.chunk_attempts)
                raise FatalFault(error.sentence) from error
            return self._failed(claim, error)
        except LeaseLostError:
            raise
        except Exception as error:
            return self._failed(claim, error)
        else:
            return self._commit(claim, output)
        return False

    def _failed(self, claim: ChunkClaim, error: Exception) -> bool:
        """Enters a failed attempt; true when the shard has no open chunk left (its last sample was given up)."""
        where = {"shard": claim.shard, "start": claim.start, "stop": claim.stop}
        log.error("chunk_failed", chunk=claim.chunk_id, **where, exc_info=error)
        failure = self._ledger.fail(claim, _sentence(error), self._settings.chunk_attempts)
        self._service.hints.send("chunk", failure.chunk_ids)
        return failure.last

    def _caption(self, claim: ChunkClaim, lease: Lease) -> ChunkOutput:
        def progress() -> None:
            lease.touch()
            if self.stopping.is_set() or lease.lost:
                raise Stopped

        with self._engines.engine(claim.spec) as engine:
            lease.touch()
            return self._chunks.run(
                self._index(claim.sha256), claim.sha256, claim.start, claim.stop, claim.spec, engine, progress
            )

    def _commit(self, claim: ChunkClaim, output: ChunkOutput) -> bool:
        rejects = [(r.ordinal, r.key, r.reason or "", r.sentence or "") for r in output.rejected]
        return self._ledger.commit(
            claim, output.key, output.sha256, output.captioned, len(output.rejected), output.flagged, rejects
        )

    def _give_back(self, claim: ChunkClaim, error: DensifyError) -> None:
        """The engine cannot be asked, or the disk takes nothing: no sample's fault, no attempt. Others may do it."""
        log.error("chunk_given_back", chunk=claim.chunk_id, shard=claim.shard, code=error.code, error=error.sentence)
        self._ledger.release(claim, (error.code, error.sentence))
        self.stopping.wait(PAUSE_S)

    def _read_index(self, sha256: str) -> ShardIndex:
        return load_index(self._service.store, sha256)

    # ---- shards -----------------------------------------------------------------------------------------------------

    def finalise(self, shard_id: str) -> None:
        claim = self._ledger.claim_finalise(shard_id, self.worker, self._settings.lease_s)
        if claim is None:
            return
        with self._leases.keep(claim) as lease:
            try:
                finalise_shard(self._service, claim, self._index, lease.touch)
            except LeaseLostError:
                raise
            except Exception as error:
                self._shard_failed(claim, error)

    def ingest(self, shard_id: str) -> None:
        claim = self._ledger.claim_ingest(shard_id, self.worker, self._settings.lease_s)
        if claim is None:
            return
        # The read has a deadline of its own, and nothing else to tell that it goes on.
        with self._leases.keep(claim, stall_s=self._settings.ingest_timeout_s):
            try:
                ingest_shard(self._service, claim)
            except LeaseLostError:
                raise
            except Exception as error:
                self._shard_failed(claim, error)
        self._service.wake()

    def _shard_failed(self, claim: ShardClaim, error: Exception) -> None:
        """A disk that takes nothing is not the shard's fault; anything else counts, the last attempt quarantines."""
        log.error("shard_failed", kind=claim.kind, shard=claim.shard.name, dataset=claim.dataset.name, exc_info=error)
        if isinstance(error, STORAGE_OUT) and not isinstance(error, NotStoredError):
            self._ledger.release_shard(claim)
            self.stopping.wait(PAUSE_S)
        else:
            self._ledger.fail_shard(claim, _sentence(error), self._settings.chunk_attempts)


def _sentence(error: Exception) -> str:
    return error.sentence if isinstance(error, DensifyError) else f"{type(error).__name__}: {error}"
