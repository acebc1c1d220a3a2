"""The demo's report: one HTML file that needs nothing else; for those who only glance, a strip and a summary.

Pictures come with their old text and their new caption, nouns lit, and with what the scene graph says of both. Leaves
out making any of it (demo.py) and counting facts (scenes/scorer.py).
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

    from analysis.density import Table
    from analysis.lit import Pieces
    from analysis.nouns import NounPipeline
    from cli.demo_training import Drawn
    from scenes.graph import Scene
    from scenes.scorer import Scores

TEMPLATE = "demo_report.html"
#: The density report beside this one, to which it links.
DENSITY = "density.html"
#: Pictures in the report: the first ones of the set, not the best ones.
SHOWN = 24
#: Pictures in the strip, and its height in pixels.
STRIP_PICTURES, STRIP_HEIGHT = 5, 240


@dataclass(frozen=True, slots=True)
class Pair:
    """One sample before and after: `picture` is its JPEG file."""

    key: str
    picture: bytes
    scene: Scene
    old_text: str
    caption: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the demo found, for the report. `old` and `new`: density tables; `old_scores`, `new_scores`: truth."""

    pairs: Sequence[Pair]
    old: Table
    new: Table
    old_scores: Scores
    new_scores: Scores
    proof: str
    next_commands: Sequence[str]
    model: str
    seed: int
    drawn: Drawn


def read_truths(shards: Sequence[Path]) -> Iterator[tuple[str, bytes, Scene]]:
    """(key, JPEG file, scene) of every sample of the drawn shards, in order."""
    from scenes.graph import Scene

    for shard in shards:
        with tarfile.open(shard) as tar:
            pictures: dict[str, bytes] = {}
            for member in tar:
                key, _, extension = member.name.rpartition(".")
                content = tar.extractfile(member)
                data = content.read() if content else b""
                if extension == "jpg":
                    pictures[key] = data
                elif extension == "json":
                    yield key, pictures.pop(key, b""), Scene.from_dict(json.loads(data)["scene"])


def write_report(file: Path, told: Told, nouns: NounPipeline) -> None:
    """Writes the page; the file appears whole or not at all."""
    import jinja2

    from core.files import write_atomic

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    shown = told.pairs[:SHOWN]
    cards = [
        _card(pair, old_pieces, new_pieces)
        for pair, old_pieces, new_pieces in zip(
            shown,
            _lit([pair.old_text for pair in shown], nouns),
            _lit([pair.caption for pair in shown], nouns),
            strict=True,
        )
    ]
    page = environment.get_template(TEMPLATE).render(
        told=told,
        cards=cards,
        tiles=_tiles(told),
        rows=_rows(told),
        facts=_facts(told),
        images=len(told.pairs),
        density=DENSITY,
        sheet=base64.b64encode(told.drawn.sheet.read_bytes()).decode(),
    )
    write_atomic(file, page.encode())


def write_strip(file: Path, pairs: Sequence[Pair]) -> None:
    """The first pictures side by side, at one height, as a JPEG file."""
    from PIL import Image

    from core.files import write_atomic

    gap = 8
    pictures = [_fitted(Image.open(io.BytesIO(pair.picture))) for pair in pairs[:STRIP_PICTURES]]
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    strip = Image.new("RGB", (width, STRIP_HEIGHT), "white")
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + gap
    buffer = io.BytesIO()
    strip.save(buffer, "JPEG", quality=90)
    write_atomic(file, buffer.getvalue())


def write_summary(file: Path, told: Told) -> None:
    """The strip's old texts and captions, and the density table, as Markdown: what the README shows."""
    from core.files import write_atomic

    lines = [f"![the demo's first {STRIP_PICTURES} pictures](pictures.jpg)", ""]
    lines += ["| old text, as the web has it | caption by the LLaVA that ships |", "|---|---|"]
    for pair in told.pairs[:STRIP_PICTURES]:
        lines.append(f"| {_markdown(pair.old_text) or '*(nothing)*'} | {_markdown(pair.caption)} |")
    lines += ["", "| text | images | VN | DN | VN/DN | total nouns | nouns per image | things rightly named |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for (name, cells), scores in zip(_rows(told), (told.old_scores, told.new_scores), strict=True):
        lines.append(f"| {name} | {' | '.join(cells)} | {scores.noun.recall.value:.1%} |")
    write_atomic(file, ("\n".join(lines) + "\n").encode())


def _markdown(text: str) -> str:
    """The text as plain words of a table's cell."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _fitted(picture: Image.Image) -> Image.Image:
    from PIL import Image

    width = round(picture.width * STRIP_HEIGHT / picture.height)
    return picture.convert("RGB").resize((width, STRIP_HEIGHT), Image.Resampling.LANCZOS)


def _lit(texts: Sequence[str], nouns: NounPipeline) -> Iterator[Pieces]:
    """Each text in pieces, with whether a piece is a noun."""
    from analysis.lit import lit

    for text, found in zip(texts, nouns.nouns(texts), strict=True):
        yield lit(text, ((noun.start, noun.end) for noun in found))


def _card(pair: Pair, old: Pieces, new: Pieces) -> dict[str, Any]:
    from scenes.scorer import score

    scores = score([(pair.scene, pair.caption)])
    said, there = scores.noun.right, scores.noun.there
    if scores.exact.value:
        verdict, good = "right word for word", True
    else:
        verdict, good = f"{said} of {there} things named, {scores.colour.right} with the right colour", said == there
    return {
        "key": pair.key,
        "picture": base64.b64encode(pair.picture).decode(),
        "old": old,
        "new": new,
        "verdict": verdict,
        "good": good,
    }


def _tiles(told: Told) -> list[tuple[str, str, str]]:
    """(heading, figure, words below)."""
    return [
        ("nouns per image", f"{told.new.nouns_per_image:.1f}", f"{told.old.nouns_per_image:.1f} in the old text"),
        ("valid distinct nouns", f"{told.new.valid_nouns}", f"{told.old.valid_nouns} in the old text"),
        ("valid share (VN/DN)", f"{told.new.valid_share:.0%}", f"{told.old.valid_share:.0%} in the old text"),
        (
            "things rightly named",
            f"{told.new_scores.noun.recall.value:.1%}",
            f"{told.old_scores.noun.recall.value:.0%} by the old text",
        ),
    ]


def _rows(told: Told) -> list[tuple[str, list[str]]]:
    """Rows of the density table."""
    return [(name, density_cells(table)) for name, table in (("old text", told.old), ("LLaVA captions", told.new))]


def density_cells(table: Table) -> list[str]:
    """images, VN, DN, VN/DN, total nouns, nouns per image."""
    return [
        f"{table.images:,}",
        f"{table.valid_nouns:,}",
        f"{table.distinct_nouns:,}",
        f"{table.valid_share:.1%}",
        f"{table.total_nouns:,}",
        f"{table.nouns_per_image:.2f}",
    ]


def _facts(told: Told) -> list[tuple[str, float, float]]:
    """(fact, F1 of the old text, F1 of the captions): what bars show."""
    kinds = ("noun", "colour", "position", "relation", "count")
    return [(k, getattr(told.old_scores, k).f1.value, getattr(told.new_scores, k).f1.value) for k in kinds]
