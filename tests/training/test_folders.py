"""A folder is whole at every moment: what is written takes the old one's place, or leaves it as it was."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from core.errors import StorageError, StorageFullError
from training.folders import standing, whole_folder


def write(target: Path, text: str) -> None:
    with whole_folder(target) as part:
        (part / "in").mkdir()
        (part / "in" / "file").write_text(text)


def test_the_new_folder_takes_the_old_ones_place_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    for text in ("one", "two"):
        write(target, text)
        assert (target / "in" / "file").read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_after_an_error_the_old_one_is_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "folder", "one")
    with pytest.raises(KeyError), whole_folder(tmp_path / "folder") as part:
        (part / "half").touch()
        raise KeyError
    assert (tmp_path / "folder" / "in" / "file").read_text() == "one"
    assert len(list(tmp_path.iterdir())) == 1


def test_killed_between_the_renames_the_old_one_is_found_and_the_next_one_goes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = tmp_path / "folder", Path.rename
    write(target, "one")

    def killed(source: Path, to: Path) -> Path:
        if to == target:
            raise KeyboardInterrupt
        return rename(source, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            write(target, "two")
    assert not target.exists()
    assert (standing(target) / "in" / "file").read_text() == "one"
    write(target, "three")
    assert standing(target) == target
    assert (target / "in" / "file").read_text() == "three"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFullError), (errno.EACCES, StorageError)])
def test_what_safetensors_says_of_the_disk_is_an_error_of_the_disk(
    tmp_path: Path, number: int, kind: type[Exception]
) -> None:
    said = SafetensorError(f"Error while serializing: I/O error: so it is (os error {number})")
    with pytest.raises(kind) as caught, whole_folder(tmp_path / "folder"):
        raise said
    assert type(caught.value) is kind
    with pytest.raises(SafetensorError), whole_folder(tmp_path / "folder"):
        raise SafetensorError("a tensor of no shape")
    assert not list(tmp_path.iterdir())
