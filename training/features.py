"""Features that are computed once: latents of images and vectors of texts, one file for each shard, named by content.

A file's name is a hash of what decides its content: the shard's bytes and which of its samples are read, the encoder's
files, and how images are cut or texts are read. Another hand-off with the same shard finds it again; another encoder,
resolution or token limit does not (docs/training.md lists what makes a file stale). Whether a caption is dropped is not
in it: captions, old texts and no caption lie side by side, and captions.py chooses whenever a sample is read.

Half precision; of a text its own tokens alone (PixArt's 120 padded tokens of 4,096 single-precision values take 1.97 MB
a caption, a caption of 80 tokens here 0.66 MB). A file is read where it lies, never as a whole (safetensors, mapped).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from core.errors import BadCheckpointError
from core.files import write_atomic
from core.spec import content_hash
from shards.records import Record
from training.buckets import Bucket, Buckets, cover
from training.encoders import ImageEncoder, TextEncoder
from training.memory import room
from training.source import Part, Source, decoded

FORMAT = "densify.features/1"
#: Images or texts that an encoder gets together.
BATCH = 32

Which = Literal["caption", "old_text"]
Told = Callable[[int], None]


class Features:
    """Items of different sizes in one file: item i lies in `values` from `starts[i]`, with the shape `shapes[i]`."""

    def __init__(self, file: Path) -> None:
        from safetensors import safe_open

        with safe_open(file, "pt") as opened:
            self._starts = opened.get_tensor("starts").tolist()
            self._shapes = opened.get_tensor("shapes").tolist()
            self.about: dict[str, Any] = json.loads(opened.metadata()["densify"])
        self._file = safe_open(file, "pt").__enter__()
        self._values = self._file.get_slice("values")

    def __len__(self) -> int:
        return len(self._shapes)

    def shape(self, item: int) -> tuple[int, ...]:
        """Shape of an item."""
        return tuple(self._shapes[item])

    def __getitem__(self, item: int) -> torch.Tensor:
        """An item, float16."""
        return self._values[self._starts[item] : self._starts[item + 1]].view(*self._shapes[item])


def write_features(
    file: Path, items: Iterable[torch.Tensor], about: dict[str, Any], keys: Sequence[str] | None = None
) -> None:
    """Writes items of one number of dimensions; the file appears whole or not at all. `keys`: of the items' samples.

    Raises BadCheckpointError where a value is no number or beyond half precision, StorageError and kin.
    """
    from safetensors.torch import save

    flat, shapes = [], []
    for place, item in enumerate(items):
        half = item.to("cpu", torch.float16).reshape(-1)
        if not half.isfinite().all():
            raise BadCheckpointError(
                f"An encoder's answer to the sample {keys[place] if keys else place} holds values that are no numbers "
                "in half precision.",
                hint="Some encoders overflow in fp16, as SDXL's VAE does: name one that is made for it.",
            )
        flat.append(half)
        shapes.append(tuple(item.shape))
    lengths = torch.tensor([len(each) for each in flat], dtype=torch.int64)
    tensors = {
        "values": torch.cat(flat) if flat else torch.zeros(0, dtype=torch.float16),
        "starts": torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
        "shapes": torch.tensor(shapes, dtype=torch.int64),
    }
    write_atomic(file, save(tensors, {"densify": json.dumps({"format": FORMAT, **about}, sort_keys=True)}))


def latents_file(folder: Path, part: Part, encoder: ImageEncoder, shapes: Buckets) -> Path:
    """The file of a shard's latents. Images that are cut to another shape than their own are in its name as well."""
    made_of = [FORMAT, part.digest, encoder.identity, [[shape.height, shape.width] for shape in shapes.shapes]]
    sizes = [(record.width or 1, record.height or 1) for record in part.records]
    if moved := [
        [item, shape.height, shape.width]
        for item, size in enumerate(sizes)
        if (shape := shapes.of(*size)) != shapes.own(*size)
    ]:
        made_of.append(moved)
    return folder / f"latents-{content_hash(made_of)[:32]}.safetensors"


def texts_file(folder: Path, part: Part, encoder: TextEncoder, which: Which, tokens: int) -> Path:
    """The file of a shard's captions, or of its old texts."""
    return folder / f"{which}-{content_hash([FORMAT, part.digest, encoder.identity, which, tokens])[:32]}.safetensors"


def compute_latents(
    folder: Path, source: Source, part: Part, encoder: ImageEncoder, shapes: Buckets, threads: int, told: Told
) -> Path:
    """The file of a shard's latents, made where it is not there. `told` hears of images as they are done."""
    file = latents_file(folder, part, encoder, shapes)
    if not file.is_file():
        found: dict[str, torch.Tensor] = {}
        for shape, items in _by_shape(source, part, shapes, threads):
            what = f"{len(items)} images of {shape.width} x {shape.height} pixels do not fit with the VAE"
            with room(encoder.device, what, "End what else uses it, or lower data.resolution."):
                latents = _kept(encoder.encode([image for _, image in items]))
            found |= {key: latent for (key, _), latent in zip(items, latents, strict=True)}
            told(len(items))
        keys = [record.key for record in part.records]
        write_features(file, (found[key] for key in keys), {"shard": part.shard.name}, keys)
    return file


def _kept(values: torch.Tensor) -> torch.Tensor:
    """In memory as they are written: a shard's features may be more than a GPU holds."""
    return values.to("cpu", torch.float16)


def _by_shape(
    source: Source, part: Part, shapes: Buckets, threads: int
) -> Iterator[tuple[Bucket, list[tuple[str, Image.Image]]]]:
    """Batches of images of one shape, cut to it: (key, image)."""
    waiting: dict[Bucket, list[tuple[str, Image.Image]]] = {}
    with ThreadPoolExecutor(max(1, threads)) as pool:
        files = ((record.key, data) for record, data in source.images(part))
        # One batch is decoded while the encoder works on the one before.
        ahead = _cut_ahead(pool, files, shapes)
        while some := ahead:
            ahead = _cut_ahead(pool, files, shapes)
            for key, future in some:
                shape, image = future.result()
                waiting.setdefault(shape, []).append((key, image))
                if len(waiting[shape]) == BATCH:
                    yield shape, waiting.pop(shape)
    yield from waiting.items()


def _cut_ahead(
    pool: ThreadPoolExecutor, files: Iterator[tuple[str, bytes]], shapes: Buckets
) -> list[tuple[str, Future[tuple[Bucket, Image.Image]]]]:
    return [(key, pool.submit(_cut, data, shapes)) for key, data in islice(files, BATCH)]


def _cut(data: bytes, shapes: Buckets) -> tuple[Bucket, Image.Image]:
    """The image in a file, scaled to cover its bucket, the middle of it."""
    image = decoded(data)
    shape = shapes.of(*image.size)
    size, box = cover(*image.size, shape)
    return shape, image.resize(size, Image.Resampling.LANCZOS).crop(box)


def compute_texts(folder: Path, part: Part, encoder: TextEncoder, which: Which, tokens: int, told: Told) -> Path:
    """The file of a shard's captions or old texts, made where it is not there; a sample without old text has none."""
    file = texts_file(folder, part, encoder, which, tokens)
    if not file.is_file():
        texts = [_text(record, which) for record in part.records]
        found: list[torch.Tensor] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            what = f"{len(batch)} texts of up to {tokens} tokens do not fit with the text encoder"
            with room(encoder.device, what, "End what else uses it, or lower captions.tokens."):
                found += [_kept(vectors) for vectors in encoder.encode(batch, tokens)]
            told(len(batch))
        write_features(file, found, {"shard": part.shard.name}, [record.key for record in part.records])
    return file


def _text(record: Record, which: Which) -> str:
    text = record.caption if which == "caption" else record.old_text
    return text or ""


def null_vectors(encoder: TextEncoder) -> torch.Tensor:
    """(1, width) what stands for no caption: the encoder's answer to the empty prompt."""
    (found,) = encoder.encode([""], 1)
    return found


def padded(texts: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, longest, width) vectors filled up with zeros, and (n, longest) which of them are the texts' own."""
    vectors = torch.nn.utils.rnn.pad_sequence([text.float() for text in texts], batch_first=True)
    lengths = torch.tensor([len(text) for text in texts])
    return vectors, (torch.arange(vectors.shape[1])[None] < lengths[:, None]).to(vectors.dtype)
