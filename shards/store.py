"""The content-addressed store: whole files under keys, in a local folder or on any file system fsspec knows.

A key is '/'-separated and relative to DENSIFY_DATA; what is published under one is there whole or not at all. The
layout of keys is in docs/formats.md. Leaves out: what the files mean. Serves ingest, the workers, the API.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import fsspec

from core.errors import BadNameError, DensifyError, MissingPackageError, NotStoredError, StorageError
from core.files import TEMPORARY_MARK, fsync_folder, storage_errors, temporary_path, write_atomic
from core.logs import mask_url
from shards.keys import captioned_key, chunk_folder, chunk_key, handoff_key, source_key
from shards.names import show

__all__ = ["Store", "captioned_key", "chunk_folder", "chunk_key", "handoff_key", "open_store", "source_key"]

#: Folder of a local store that holds unfinished files; `list` never shows it.
STAGING = "tmp"
_COPY_BYTES = 1 << 20
#: What file systems without hard links answer (some network and FAT ones).
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_READ_AHEAD_BYTES = 4 << 20


class Store:
    """Files under keys below `root_url`. Safe to use from several threads. Use `open_store` to make one."""

    def __init__(self, root_url: str) -> None:
        self.root_url = root_url.rstrip("/") or "/"
        self.folder = _local_folder(root_url)
        self._fs: Any = None
        self._root = ""
        self._staging: Path | None = None
        if self.folder is not None:
            with storage_errors(str(self.folder)):
                self.folder.mkdir(parents=True, exist_ok=True)
        else:
            self._fs, self._root = _file_system(root_url)

    # ---- looking ----------------------------------------------------------------------------------------------------

    def path(self, key: str) -> Path | None:
        """Where `key` lies (or would lie) in the local folder; None where the store is not local."""
        return None if self.folder is None else self.folder / _checked(key)

    def url(self, key: str) -> str:
        """The key's full URL (a plain path where the store was opened by one)."""
        return f"{self.root_url.rstrip('/')}/{_checked(key)}"

    def exists(self, key: str) -> bool:
        path = self.path(key)
        if path is not None:
            return path.is_file()
        with self._reading(key):
            return bool(self._fs.isfile(self._remote(key)))

    def size(self, key: str) -> int:
        """Bytes under `key`. Raises NotStoredError."""
        path = self.path(key)
        with self._reading(key):
            return path.stat().st_size if path is not None else int(self._fs.size(self._remote(key)))

    def sha256(self, key: str) -> str:
        """Reads everything under `key` and hashes it. Raises NotStoredError."""
        with self.open(key) as file, self._reading(key):
            return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()

    def list(self, prefix: str = "") -> Iterator[str]:
        """Every key below the folder `prefix` (and `prefix` itself where it is a key), sorted; no unfinished files."""
        if self.folder is not None:
            start = self.folder / _checked(prefix) if prefix else self.folder
            paths = [start] if start.is_file() else (path for path in start.rglob("*") if path.is_file())
            found = [path.relative_to(self.folder).as_posix() for path in paths]
        else:
            base = self._remote(prefix) if prefix else self._root
            with self._reading(prefix):
                found = [name.removeprefix(self._root).lstrip("/") for name in self._fs.find(base)]
        yield from sorted(key for key in found if not key.startswith(f"{STAGING}/") and TEMPORARY_MARK not in key)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read_bytes(self, key: str) -> bytes:
        """Everything under `key`. Raises NotStoredError."""
        path = self.path(key)
        with self._reading(key):
            return path.read_bytes() if path is not None else cast(bytes, self._fs.cat_file(self._remote(key)))

    def read_range(self, key: str, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset` on; fewer only where the file ends. Raises NotStoredError."""
        if size <= 0:
            return b""
        path = self.path(key)
        with self._reading(key):
            if path is None:
                return cast(bytes, self._fs.cat_file(self._remote(key), start=offset, end=offset + size))
            with path.open("rb", buffering=0) as file:
                file.seek(offset)
                return _read_up_to(file, size)

    def open(self, key: str) -> IO[bytes]:
        """A seekable binary file for reading. Raises NotStoredError."""
        path = self.path(key)
        with self._reading(key):
            if path is not None:
                return path.open("rb")
            return cast(IO[bytes], self._fs.open(self._remote(key), "rb", block_size=_READ_AHEAD_BYTES))

    # ---- publishing -------------------------------------------------------------------------------------------------

    def put_bytes(self, key: str, data: bytes) -> None:
        """Publishes `data` in place of what was there.

        Raises StorageFullError or StorageError; what was there is then intact.
        """
        path = self.path(key)
        if path is not None:
            write_atomic(path, data)
            return
        with self._writing(key):
            self._make_parent(key)
            self._fs.pipe_file(self._remote(key), data)

    def put_new(self, key: str, data: bytes) -> bytes:
        """Publishes `data` unless something is there already; returns the bytes that are there afterwards."""
        path = self.path(key)
        try:
            if path is not None:
                _link_new(path, data)
            else:
                with self._writing(key):
                    self._make_parent(key)
                    self._fs.pipe_file(self._remote(key), data, mode="create")
        except StorageError as error:
            if isinstance(error.__cause__, FileExistsError) or self.exists(key):
                return self.read_bytes(key)
            raise
        return data

    def put_file(self, key: str, local: Path, replace: bool = False) -> None:
        """Moves a finished local file to `key`. One of the same size that is there is kept, unless `replace`.

        Raises StorageFullError or StorageError; `local` is then still there, and so is what was under `key`.
        """
        path = self.path(key)
        with self._writing(key):
            if not replace and self.exists(key) and self.size(key) == local.stat().st_size:
                local.unlink()
                return
            if path is None:
                self._make_parent(key)
                self._fs.put_file(str(local), self._remote(key))
                local.unlink()
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            _fsync(local)
            if local.stat().st_dev == path.parent.stat().st_dev:
                local.replace(path)
            else:
                _copy_then_rename(local, path)
            fsync_folder(path.parent)

    def delete(self, key: str) -> None:
        """Removes `key`; nothing happens where it is not there."""
        path = self.path(key)
        with self._writing(key):
            if path is not None:
                path.unlink(missing_ok=True)
            elif self.exists(key):
                self._fs.rm_file(self._remote(key))

    def staging(self) -> Path:
        """A local folder for unfinished files; in a local store on its own file system, so that moves are renames."""
        if self.folder is not None:
            folder = self.folder / STAGING
            with storage_errors(str(folder)):
                folder.mkdir(exist_ok=True)
            return folder
        if self._staging is None:
            self._staging = Path(tempfile.mkdtemp(prefix="densify-"))
            weakref.finalize(self, shutil.rmtree, self._staging, ignore_errors=True)
        return self._staging

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _remote(self, key: str) -> str:
        return f"{self._root}/{_checked(key)}"

    def _make_parent(self, key: str) -> None:
        # Object stores have no folders, and making one there would try to make the bucket.
        if "s3" not in self._fs.protocol:
            self._fs.makedirs(self._remote(key).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except DensifyError:
            raise
        except FileNotFoundError as error:
            raise NotStoredError(f"{show(key)} is not in the store.", key=key) from error
        except OSError as error:
            raise StorageError(f"{mask_url(self.url(key))} could not be read: {error.strerror or error}.") from error
        except Exception as error:
            raise self._remote_failure(key, "read", error) from error

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            with storage_errors(mask_url(self.url(key))):
                yield
        except DensifyError:
            raise
        except Exception as error:
            raise self._remote_failure(key, "written", error) from error

    def _remote_failure(self, key: str, done: str, error: Exception) -> Exception:
        # Clients of object stores have exceptions of their own (botocore's among them are no OSErrors).
        if self._fs is None:
            return error
        return StorageError(f"{mask_url(self.url(key))} could not be {done}: {error}.")


def open_store(url: str) -> Store:
    """Opens the store at a folder's path, a file:// URL, or any fsspec URL (s3:// needs the extra `s3`)."""
    return Store(url)


def _local_folder(url: str) -> Path | None:
    if url.startswith("file://"):
        return Path(url.removeprefix("file://")).absolute()
    return None if "://" in url else Path(url).absolute()


def _file_system(url: str) -> tuple[Any, str]:
    try:
        # A cached listing would hide what another process has published meanwhile.
        fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingPackageError(
            f"{mask_url(url)} needs a package that is not installed: {error}.",
            hint="For s3:// URLs: pip install 'densify[s3]'.",
        ) from error
    except ValueError as error:
        raise StorageError(f"{mask_url(url)} is no store that fsspec knows: {error}.") from error
    return fs, root.rstrip("/")


def _checked(key: str) -> str:
    parts = key.rstrip("/").split("/")
    if not all(parts) or any(part in (".", "..") for part in parts) or "\0" in key or "\\" in key:
        raise BadNameError(f"{show(key)} is no key of the store.")
    return key


def _read_up_to(file: IO[bytes] | Any, size: int) -> bytes:
    # One read nearly always; Linux returns at most 2 GiB from one.
    data: bytes = file.read(size) or b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _link_new(path: Path, data: bytes) -> None:
    # A hard link fails where the name is taken: the one atomic 'publish unless there' that a local file system has.
    part = temporary_path(path)
    try:
        write_atomic(part, data)
        with storage_errors(str(path)):
            try:
                path.hardlink_to(part)
            except OSError as error:
                if error.errno not in _NO_LINKS or path.exists():
                    raise
                # Two writers may both come here; what they write under one key is the same work.
                part.replace(path)
            fsync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _copy_then_rename(local: Path, path: Path) -> None:
    part = temporary_path(path)
    try:
        with local.open("rb") as source, part.open("xb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
            target.flush()
            os.fsync(target.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    local.unlink()


def _fsync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
