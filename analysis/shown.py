"""The sample captions of a page: nouns lit, the old text beside them, and the picture where it lies in a shard.

Old text is what a captioned shard says of the sample, else the baseline's text under the same key. Pictures are read
from the shards once more, for the few samples that are shown; one that cannot be decoded is left out, like one whose
key and caption are in none of the shards.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from analysis.captions_input import SHARD_SUFFIX, STDIN, split_folder
from analysis.gathered import TEXT_CHARACTERS, Gathered, Heard
from analysis.lit import Pieces, lit
from analysis.nouns import NounPipeline
from analysis.reading import Reading
from analysis.truncation import Truncation
from shards.reader import MemberRef, Unit, read_units

#: Longest side of a picture in the page, in pixels, and its JPEG quality.
SIDE, QUALITY = 336, 80
#: Characters shown of a key.
KEY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Card:
    """One sample. `old_from`: where `old` is from, "old text" or "baseline"; None where there is no such text.

    `unread`, `old_unread`: what follows behind the trainer's cut; nothing without a trainer. `picture`: JPEG, base64.
    """

    key: str
    words: int
    nouns: int
    text: Pieces
    unread: Pieces
    old_from: str | None
    old: Pieces
    old_unread: Pieces
    picture: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    picture: str | None
    old_text: str | None


def cards(
    chosen: Sequence[Heard],
    pipeline: NounPipeline,
    *,
    names: bool = True,
    paths: Sequence[str | Path] = (),
    baseline: Gathered | None = None,
    trainer: Truncation | None = None,
) -> list[Card]:
    """`paths`: what the captions were read from, shards or not. `baseline`: what gathered the texts of their keys.
    `trainer`: what cuts captions.
    """
    found = _find(chosen, paths)
    olds = [_old_text(heard, found.get(place), baseline) for place, heard in enumerate(chosen)]
    nouns = pipeline.nouns([text[:TEXT_CHARACTERS] for _, text in olds])
    made = []
    for place, (heard, (old_from, text), marks) in enumerate(zip(chosen, olds, nouns, strict=True)):
        spans = [(noun.start, noun.end) for noun in marks if names or noun.tag == "NOUN"]
        old, old_unread = _shown(text, spans, len(text), trainer)
        new, unread = _shown(heard.text, heard.spans, heard.characters, trainer)
        picture = found[place].picture if place in found else None
        key = heard.key[:KEY_CHARACTERS]
        made.append(Card(key, heard.words, heard.nouns, new, unread, old_from, old, old_unread, picture))
    return made


def _shown(
    text: str, spans: Sequence[tuple[int, int]], characters: int, trainer: Truncation | None
) -> tuple[Pieces, Pieces]:
    """What a trainer reads of the text, and the rest."""
    text = text[:TEXT_CHARACTERS]
    end = trainer.ends([text])[0] if trainer else len(text)
    # A noun across the cut is lost: lit on neither side.
    read = lit(text[:end], [span for span in spans if span[1] <= end])
    unread = lit(text[end:], [(start - end, stop - end) for start, stop in spans if start >= end])
    if characters > TEXT_CHARACTERS:
        (unread or read).append((" …", False))
    return read, unread


def _old_text(heard: Heard, found: _Found | None, baseline: Gathered | None) -> tuple[str | None, str]:
    if found is not None and found.old_text is not None:
        return "old text", found.old_text
    text = baseline.text_of(heard.key) if baseline else None
    return (None, "") if text is None else ("baseline", text)


def _find(chosen: Sequence[Heard], paths: Sequence[str | Path]) -> dict[int, _Found]:
    """{place in `chosen`: what its shard has}; ends with the shard in which the last one was found."""
    from core.settings import get_settings
    from shards.tar import TarLimits

    limits = TarLimits.from_settings(get_settings())
    # Keys may stand in several shards: the caption must be the same too.
    wanted = {(heard.key, heard.text): place for place, heard in enumerate(chosen)}
    found: dict[int, _Found] = {}
    for shard in _shards(paths):
        if len(found) == len(wanted):
            break
        keys = {key for key, _ in wanted}
        with shard.open("rb") as file:
            units = [unit for unit in read_units(file, shard.stat().st_size, limits) if unit.key in keys]
            for unit in units:
                if unit.reject is None and unit.text is not None:
                    reading = Reading()
                    text = reading.clean(reading.decode(_data(file, unit.text)))
                    place = wanted.get((unit.key, text[:TEXT_CHARACTERS]))
                    if place is not None and place not in found:
                        found[place] = _Found(_thumbnail(file, unit), _old_text_of(file, unit))
    return found


def _shards(paths: Sequence[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if str(path) == STDIN:
            continue
        if path.is_dir():
            yield from split_folder(path)[0]
        elif path.suffix.lower() == SHARD_SUFFIX:
            yield path


def _data(file: IO[bytes], member: MemberRef) -> bytes:
    file.seek(member.offset)
    return file.read(member.size)


def _old_text_of(file: IO[bytes], unit: Unit) -> str | None:
    from shards.provenance import FIELD, parse_object

    if unit.json is None:
        return None
    own = parse_object(_data(file, unit.json)).get(FIELD)
    text = own.get("old_text") if isinstance(own, dict) else None
    return text if isinstance(text, str) else None


def _thumbnail(file: IO[bytes], unit: Unit) -> str | None:
    from PIL import Image

    from core.settings import get_settings
    from shards.images import ImageLimits, ImageRejected, decode_image

    assert unit.image is not None, unit.key
    try:
        picture = decode_image(_data(file, unit.image), ImageLimits.from_settings(get_settings()))
    except ImageRejected:
        return None
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=QUALITY)
    return base64.b64encode(sink.getvalue()).decode()
