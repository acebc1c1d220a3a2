"""A hand-off written out for other trainers, as a folder of images and captions that appears whole or not at all.

    kohya         1_densify/NAME.jpg + NAME.txt     sd-scripts: --train_data_dir OUT --caption_extension .txt
    everydream    NAME.jpg + NAME.txt               EveryDream2trainer: --data_root OUT
    imagefolder   NAME.jpg, metadata.jsonl          datasets/diffusers: load_dataset("imagefolder", data_dir=OUT)
    pixart        InternImgs/NAME.jpg, InternData/data_info.json    PixArt-sigma: root=OUT/InternData
    repacked      NAME.tar                          WebDataset, without samples that the hand-off does not keep

Image bytes are untouched. The first two read one line of caption, so there its white space is folded to single spaces.
Leaves out: reading (shards/handoff_read.py), and how shards are packed anew (repack.py).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from analysis.repack import repack
from core.errors import BadFieldError, ConflictError, CountMismatchError
from core.files import fsync_folder, storage_errors, temporary_path
from shards.handoff import Handoff, HandoffShard, load
from shards.handoff_place import Place
from shards.handoff_read import Split, open_shard, shards_to_read
from shards.image_headers import read_header
from shards.index import read_members

Format = Literal["kohya", "everydream", "imagefolder", "pixart", "repacked"]
FORMATS: tuple[str, ...] = get_args(Format)

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
#: Names that a file system or a trainer reads in its own way (EveryDream2trainer: multiply.txt and its kin).
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d|multiply|cond_dropout|flip_p|batch_id|loss_scale|shuffle_tags)", re.IGNORECASE
)
_LONGEST_STEM = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One captioned sample as it goes out. `stem` is its file name without extension, unique in the export."""

    stem: str
    extension: str
    key: str
    shard: str
    image: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: the folder, the format, how many samples."""

    folder: Path
    format: str
    samples: int


def export(
    manifest: Path | str,
    out: Path,
    format: Format,
    *,
    split: Split = "all",
    progress: Callable[[int], None] | None = None,
) -> Export:
    """Writes the hand-off's samples (of one split, or all) into the new folder `out`.

    `progress` is called with 1 for each sample. Raises BadFieldError for another format, ConflictError where `out` is
    there and not empty, NoSuchPathError, CheckFailedError where a shard's bytes are not the hand-off's,
    CountMismatchError where a sample is missing, StorageFullError or StorageError; `out` is then not there.
    """
    if format not in FORMATS:
        raise BadFieldError(f"There is no export format {format!r}.", hint=f"Formats: {', '.join(FORMATS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConflictError(f"{out} is there already.", hint="Name a new folder for the export.")
    place = Place(str(manifest))
    handoff = load(place.read())
    part = temporary_path(out.absolute())
    try:
        with storage_errors(str(out)):
            part.mkdir(parents=True)
            count = 0
            for _ in _write(format, part, handoff, place, split):
                count += 1
                if progress:
                    progress(1)
            _check_count(handoff, split, count)
            part.rename(out)
            fsync_folder(out.absolute().parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Export(out, format, count)


def _check_count(handoff: Handoff, split: Split, count: int) -> None:
    totals = handoff.totals
    expected = totals.samples_held if split == "all" else getattr(totals.splits, split)
    if count != expected:
        raise CountMismatchError(f"{count} samples were written, the hand-off has {expected}.")


def _write(format: Format, folder: Path, handoff: Handoff, place: Place, split: Split) -> Iterator[str]:
    """Writes everything in this format, yielding the key of each sample as it is written."""
    if format == "repacked":
        yield from repack(folder, handoff, place, split)
        return
    with closing(WRITERS[format](folder)) as writer:
        for sample in _samples(handoff, place, split):
            writer.add(sample)
            yield sample.key


def _samples(handoff: Handoff, place: Place, split: Split) -> Iterator[Sample]:
    taken: set[str] = set()
    for shard, wanted in shards_to_read(handoff, place, split):
        with open_shard(shard, place, wanted) as (open_range, units):
            for unit, data in read_members(open_range, units, ("image", "text")):
                if unit.image is not None and len(data) == 2:
                    extension = unit.image.name.rpartition(".")[2].lower()
                    stem = _stem(unit.key, shard, taken)
                    yield Sample(stem, extension, unit.key, shard.name, data["image"], data["text"].decode())


def _stem(key: str, shard: HandoffShard, taken: set[str]) -> str:
    """A file name for the key: the key where that is safe and free, else cleaned and with a hash that makes it unique.

    Letter case does not tell names apart, for file systems that ignore it.
    """
    stem = _UNSAFE.sub("_", key)[:_LONGEST_STEM].strip("-") or "sample"
    if stem != key or _RESERVED.fullmatch(stem) or stem.lower() in taken:
        stem = f"{stem}-{sha256(f'{shard.source_sha256}:{key}'.encode()).hexdigest()[:16]}"
    assert stem.lower() not in taken, stem
    taken.add(stem.lower())
    return stem


def _one_line(caption: str) -> str:
    return " ".join(caption.split())


# ---- one writer per format ------------------------------------------------------------------------------------------


class _Writer:
    """Writes samples of one format into a new, empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, sample: Sample) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Ends the files that hold all samples."""


class _TextPairs(_Writer):
    """An image and a text file beside it."""

    subfolder = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / self.subfolder)
        self.folder.mkdir(exist_ok=True)

    def add(self, sample: Sample) -> None:
        (self.folder / f"{sample.stem}.{sample.extension}").write_bytes(sample.image)
        # The line break keeps the file from being empty: sd-scripts refuses an empty one.
        (self.folder / f"{sample.stem}.txt").write_text(_one_line(sample.caption) + "\n", encoding="utf-8")


class _Kohya(_TextPairs):
    # sd-scripts reads "<repeats>_<name>" folders; once each.
    subfolder = "1_densify"


class _ImageFolder(_Writer):
    """Images, and one JSON line for each."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lines = (folder / "metadata.jsonl").open("w", encoding="utf-8")

    def add(self, sample: Sample) -> None:
        name = f"{sample.stem}.{sample.extension}"
        (self.folder / name).write_bytes(sample.image)
        row = {"file_name": name, "text": sample.caption, "key": sample.key, "shard": sample.shard}
        self.lines.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self.lines.close()


class _PixArt(_Writer):
    """Images, and one JSON array of path, width, height, ratio (height / width), prompt, sharegpt4v.

    The loader draws `prompt` or `sharegpt4v` by its real_prompt_ratio: both are the caption, so that every setting
    trains on it. Width and height are the file's own, before EXIF orientation, which that loader does not apply.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "InternImgs")
        self.folder.mkdir()
        (folder / "InternData").mkdir()
        self.file = (folder / "InternData" / "data_info.json").open("w", encoding="utf-8")
        self.file.write("[")
        self.first = True

    def add(self, sample: Sample) -> None:
        # The loader names feature files by replacing .png, .jpg and .webp; it knows no .jpeg.
        name = f"{sample.stem}.{'jpg' if sample.extension == 'jpeg' else sample.extension}"
        (self.folder / name).write_bytes(sample.image)
        header = read_header(sample.image)
        row: dict[str, Any] = {
            "path": name,
            "width": header.width,
            "height": header.height,
            "ratio": header.height / header.width,
            "prompt": sample.caption,
            "sharegpt4v": sample.caption,
        }
        self.file.write(("\n" if self.first else ",\n") + json.dumps(row, ensure_ascii=False))
        self.first = False

    def close(self) -> None:
        self.file.write("\n]\n")
        self.file.close()


WRITERS: dict[str, type[_Writer]] = {
    "kohya": _Kohya,
    "everydream": _TextPairs,
    "imagefolder": _ImageFolder,
    "pixart": _PixArt,
}
