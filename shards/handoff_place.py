"""Where a hand-off lies, and how the files it names are reached: a local path or an fsspec URL."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from core.errors import NoSuchPathError
from shards.store import Store, open_store


class Place:
    """The manifest's place, and how files relative to it are reached: one store above all of them."""

    def __init__(self, location: str) -> None:
        scheme, mark, path = location.rpartition("://")
        self._scheme = scheme + mark
        if not self._scheme or scheme == "file":
            path = os.path.abspath(path)  # noqa: PTH100 - links are kept: the store may lie behind one
            if not Path(path).is_file():
                raise NoSuchPathError(f"There is no hand-off manifest {location}.")
        self.folder, self.name = posixpath.split(path)

    def read(self) -> bytes:
        """The manifest's bytes. Raises NotStoredError."""
        return self._store(self.folder).read_bytes(self.name)

    def file(self, path: str) -> tuple[Store, str]:
        """The store and key of a file named relative to the manifest."""
        full = posixpath.normpath(posixpath.join(self.folder, path))
        root = posixpath.commonpath([self.folder, posixpath.dirname(full)])
        return self._store(root), posixpath.relpath(full, root)

    def url(self, path: str) -> str:
        """The full path or URL of a file named relative to the manifest."""
        return self._scheme + posixpath.normpath(posixpath.join(self.folder, path))

    def _store(self, folder: str) -> Store:
        return open_store(self._scheme + folder)
