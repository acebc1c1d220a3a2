"""Every error a person can meet, in one tree: a code, one sentence, a hint, an HTTP status, an exit code.

    DensifyError
    ├── InputError            the call or its input is wrong               exit 2, HTTP 4xx
    │   ├── ShardError        a shard that is not a whole, plain tar
    │   ├── NotFoundError     what was named does not exist
    │   └── ConflictError     legal in itself, but not now
    ├── CheckFailedError      a check, proof or gate said no               exit 1, HTTP 409 or 422
    └── ServiceError          a part that Densify leans on failed          exit 1, HTTP 5xx

The sentence says what is wrong and where; the hint says what to do. `assert` is for programmer errors only.
Every code here is listed in docs/errors.md (a test compares the two).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

#: Exit code of a process whose accelerator is broken (sysexits' EX_SOFTWARE): start it again, nothing is lost.
EXIT_FATAL = 70


class DensifyError(Exception):
    """The root. `details` are machine-readable extras that go into the problem document beside the sentence."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    hint: str = ""

    def __init__(self, sentence: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if hint is not None:
            self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return self.sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.sentence, self.hint, self.details))


def _rebuild(kind: type[DensifyError], sentence: str, hint: str, details: dict[str, Any]) -> DensifyError:
    return kind(sentence, hint=hint, **details)


# ---- the call or its input ------------------------------------------------------------------------------------------


class InputError(DensifyError):
    code = "bad_input"
    status = 400
    exit_code = 2


class BadNameError(InputError):
    code = "bad_name"
    hint = "Names are 1 to 200 letters, digits, '.', '_' and '-', and begin with a letter or digit."


class BadFieldError(InputError):
    code = "bad_field"
    status = 422


class BadPromptError(InputError):
    code = "bad_prompt"
    status = 422
    hint = "A template may use {old_text} and {field} for any field of the sample's .json; write {{ and }} for braces."


class BadCursorError(InputError):
    code = "bad_cursor"
    hint = "Pass the `next` value of the previous page unchanged, or none at all."


class BadRecipeError(InputError):
    code = "bad_recipe"
    status = 422
    hint = "docs/training.md lists every field; `densify train RECIPE --dry-run` reads a recipe without training."


class DigestMismatchError(InputError):
    code = "digest_mismatch"
    status = 422
    hint = "The bytes that arrived are not the bytes that were announced: upload it again."


class BadDigestError(InputError):
    code = "bad_digest"
    hint = "Send `Repr-Digest: sha-256=:<base64 of the 32 bytes>:` (RFC 9530)."


class LengthRequiredError(InputError):
    code = "length_required"
    status = 411
    hint = "Send a Content-Length header."


class BodyTooLongError(InputError):
    code = "body_too_long"
    status = 413
    hint = "Split the shard, or raise DENSIFY_MAX_SHARD_BYTES on the server."


class BodyTooShortError(InputError):
    code = "body_too_short"
    hint = "The connection ended before the announced length: upload it again."


class BodyStalledError(InputError):
    code = "body_stalled"
    status = 408
    hint = "Next to nothing arrived for DENSIFY_UPLOAD_STALL_S seconds: upload it again."


class UnsupportedMediaError(InputError):
    code = "unsupported_media"
    status = 415
    hint = "Send the tar itself as the body of a PUT; multipart forms are not taken for shards."


class UrlRefusedError(InputError):
    code = "url_refused"
    status = 403
    hint = "Only URLs below a prefix in DENSIFY_INGEST_ALLOW are read; by default there is none."


class UnauthorizedError(InputError):
    code = "unauthorized"
    status = 401
    hint = "Send `Authorization: Bearer <key>`; `densify key create NAME` makes a key."


class MethodNotAllowedError(InputError):
    code = "method_not_allowed"
    status = 405
    hint = "docs/http.md lists the methods of every path; the Allow header lists those of this one."


class RangeError(InputError):
    """A byte range that begins behind the end of the file."""

    code = "range_not_satisfiable"
    status = 416
    hint = "The Content-Range header of the answer tells the size."


class NoSuchPathError(InputError):
    code = "no_such_path"
    hint = "Check the spelling; relative paths start at the current folder."


class NothingToReadError(InputError):
    code = "nothing_to_read"


class BadCaptionsError(InputError):
    """A caption file that cannot be read: not JSON on line N, no caption column, two that could be."""

    code = "bad_captions"


class PublicWithoutKeyError(InputError):
    code = "public_without_key"
    hint = "Make a key first (`densify key create NAME`), or serve on 127.0.0.1."


class MissingPackageError(InputError):
    """An optional dependency is not installed; the hint names the extra."""

    code = "missing_package"


class SettingError(InputError):
    code = "bad_setting"
    hint = "docs/settings.md lists every DENSIFY_ setting with its unit and default."


# ---- shards ---------------------------------------------------------------------------------------------------------


class ShardError(InputError):
    code = "shard_corrupt"
    status = 422
    hint = "Make the shard again from its source; a shard is one plain, uncompressed tar."


class ShardCorruptError(ShardError):
    """A header that fails its checksum, bytes that belong to nothing: `offset` says where."""


class ShardTruncatedError(ShardError):
    code = "shard_truncated"
    hint = "The tar lacks its end: the program that wrote it was stopped, or the copy was. Write or copy it again."


class ShardEmptyError(ShardError):
    code = "shard_empty"
    hint = "A shard holds at least one sample (members sharing a key, one of them a jpg, jpeg, png or webp)."


class UnsupportedFormatError(ShardError):
    code = "unsupported_format"
    hint = "Unpack it, or write a plain tar: `tar -cf shard.tar folder/`."


class ShardLimitError(ShardError):
    code = "shard_limit"
    hint = "Split the shard, or raise the limit that is named on the server."


# ---- not there, not now ---------------------------------------------------------------------------------------------


class NotFoundError(InputError):
    code = "not_found"
    status = 404


class NoSuchDatasetError(NotFoundError):
    code = "no_such_dataset"
    hint = "`densify status` lists the data sets; POST /v1/datasets makes one."


class NoSuchShardError(NotFoundError):
    code = "no_such_shard"
    hint = "`densify status DATASET` lists its shards."


class NoSuchSampleError(NotFoundError):
    code = "no_such_sample"


class NoSuchHandoffError(NotFoundError):
    code = "no_such_handoff"


class ConflictError(InputError):
    code = "conflict"
    status = 409


class DatasetExistsError(ConflictError):
    code = "dataset_exists"
    hint = "A data set's captioning spec never changes: choose another name for another spec."


class IllegalTransitionError(ConflictError):
    """The ledger refuses a change of state that is not in its table (ledger/states.py)."""

    code = "illegal_transition"


class LeaseLostError(ConflictError):
    """A worker tries to commit with a fencing token that is no longer the newest: its lease went to another."""

    code = "lease_lost"


class NotReadyError(ConflictError):
    code = "not_ready"
    hint = "Wait until the shard is captioned: `densify status DATASET`."


class NothingToHandOffError(ConflictError):
    code = "nothing_to_hand_off"
    hint = "A hand-off needs at least one accepted shard: `densify status DATASET` shows their states."


class PreconditionError(ConflictError):
    """If-Match names a version that is no longer the newest."""

    code = "precondition_failed"
    status = 412
    hint = "Someone changed it meanwhile: read it again, and send its ETag in If-Match."


# ---- checks ---------------------------------------------------------------------------------------------------------


class CheckFailedError(DensifyError):
    code = "check_failed"
    status = 422


class CountMismatchError(CheckFailedError):
    """samples in ≠ captioned + rejected."""

    code = "count_mismatch"


# ---- parts that Densify leans on ------------------------------------------------------------------------------------


class ServiceError(DensifyError):
    code = "service_failed"
    status = 503


class TrainingStoppedError(ServiceError):
    """A run that cannot go on: a loss that is no number, or a division that does not work out."""

    code = "training_stopped"


class OutOfMemoryError(ServiceError):
    code = "out_of_memory"


class StorageFullError(ServiceError):
    code = "storage_full"
    status = 507
    hint = "Free some space under DENSIFY_DATA; what was acknowledged before is intact."


class StorageError(ServiceError):
    code = "storage_failed"


class NotStoredError(StorageError):
    """Nothing lies under this key of the store."""

    code = "not_stored"
    hint = "The file was deleted or never published; `densify verify` names what is missing."


class FetchFailedError(ServiceError):
    """A shard's URL is allowed, but its bytes did not come: no answer, a bad status, cut off, or too slow."""

    code = "fetch_failed"
    status = 502
    hint = "Check that the URL can be read from the server; the ingest is tried again by itself."


class LedgerError(ServiceError):
    code = "ledger_failed"
    hint = "Check DENSIFY_LEDGER and that the database answers: `densify doctor`."


class UnreachableError(ServiceError):
    """The command line cannot reach the service."""

    code = "unreachable"
    hint = "Start it with `densify serve --embedded`, or set DENSIFY_URL."


class ShuttingDownError(ServiceError):
    """The service was told to stop while a request was under way."""

    code = "shutting_down"
    hint = "Send the request again when the service is back; nothing of this one was kept."


class EngineError(ServiceError):
    """The captioning engine failed while working. Perhaps one image's fault: it counts as an attempt at the chunk."""

    code = "engine_failed"


class EngineOutError(EngineError):
    """The engine cannot be reached or asked at all. No sample's fault: the work waits, no attempt is counted."""

    code = "engine_out"


class EngineConfigError(InputError):
    """The engine cannot start with this configuration: no such folder, unknown kind, endpoint missing."""

    code = "engine_config"
    status = 422


class HubUnreachableError(EngineConfigError):
    code = "hub_unreachable"
    hint = "Download the model where the hub can be reached, copy its folder here, set DENSIFY_MODEL to the folder."


class BadCheckpointError(EngineConfigError):
    """Weights missing, unexpected, or of another shape: Densify neither captions nor trains on with random ones."""

    code = "bad_checkpoint"


def tree(root: type[DensifyError] = DensifyError) -> Iterator[type[DensifyError]]:
    """Yields `root` and every class below it, once each, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)
