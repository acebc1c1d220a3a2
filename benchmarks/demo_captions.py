"""How fast the LLaVA that ships captions the demo world's pictures on one core: Densify's engine against a plain loop.

    python benchmarks/demo_captions.py [--images 1024] [--rounds 3]

Both run in one process that is bound to one core, with the same weights, prompt and batch size, from JPEG files to
texts. Plain: decode a batch, the model's processor, `generate`, decode the tokens, next batch. Both texts are compared.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Iterator

import psutil
from PIL import Image
from record import record

from captioner.demo.score import opened
from captioner.engine import CaptionRequest
from captioner.source import SHIPPED
from core.settings import Settings
from core.spec import DEMO_MODEL, PIXART_PROMPT, Generation
from scenes.dataset import samples
from shards.images import ImageLimits, decode_image

BATCH = 64
AIM = 40  # images per second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)
    files = [members["jpg"] for _, members in samples(options.images, seed=77)]
    limits = ImageLimits.from_settings(Settings())
    plain, engine = [], []
    with opened(DEMO_MODEL, batch=BATCH) as model:

        def requests(wanted: int) -> Iterator[CaptionRequest]:
            for number, file in enumerate(files[:wanted]):
                yield CaptionRequest(str(number), decode_image(file, limits), PIXART_PROMPT)

        loop = PlainLoop()
        loop.captions(files[:BATCH])
        list(model.caption(requests(BATCH), Generation()))
        for number in range(options.rounds):
            begin = time.perf_counter()
            theirs = loop.captions(files)
            plain.append(len(files) / (time.perf_counter() - begin))
            begin = time.perf_counter()
            ours = [done.text for done in model.caption(requests(len(files)), Generation())]
            engine.append(len(files) / (time.perf_counter() - begin))
            print(f"round {number}: plain {plain[-1]:.1f} images/s, engine {engine[-1]:.1f} images/s")
    same = sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(files)
    ratios = [b / a for a, b in zip(plain, engine, strict=True)]
    record(
        "Captions of the demo world",
        "python benchmarks/demo_captions.py" + (f" --images {options.images}" if options.images != 1024 else ""),
        [
            ("images", f"{options.rounds} rounds of {options.images}, 96 to 512 pixels, JPEG"),
            ("engine, images/s on one core (median)", f"{statistics.median(engine):.1f}"),
            ("plain loop, images/s on one core (median)", f"{statistics.median(plain):.1f}"),
            ("ratio engine / plain, round by round", ", ".join(f"{ratio:.3f}" for ratio in ratios)),
            ("the same captions", f"{same:.1%}"),
            ("peak memory of the process, MiB", f"{psutil.Process().memory_info().rss / 2**20:.0f}"),
        ],
        f"Model: {DEMO_MODEL}, float32, batches of {BATCH}, default prompt, the process bound to one core. The aim is "
        f"{AIM} images/s.",
    )


class PlainLoop:
    """What people write themselves with transformers."""

    def __init__(self) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        folder = SHIPPED[DEMO_MODEL]
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32").eval()
        self.processor = AutoProcessor.from_pretrained(folder)
        turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PIXART_PROMPT}]}
        self.text = self.processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)

    def captions(self, files: list[bytes]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(files), BATCH):
            pictures = [Image.open(io.BytesIO(file)).convert("RGB") for file in files[start : start + BATCH]]
            inputs = self.processor(
                images=pictures, text=[self.text] * len(pictures), padding=True, return_tensors="pt"
            )
            output = self.model.generate(**inputs, max_new_tokens=300, do_sample=False)
            new = output[:, inputs["input_ids"].shape[1] :]
            found += [text.strip() for text in self.processor.batch_decode(new, skip_special_tokens=True)]
        return found


if __name__ == "__main__":
    main()
