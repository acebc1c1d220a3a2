"""What the service costs: the same shards through the bare engine loop, and through upload, queue, ledger and finalise.

    python benchmarks/service_overhead.py [--shards 8] [--images 256] [--model FOLDER] [--embedded]

Bare: a loop that reads the tars, decodes and captions with one engine, and keeps the texts in a list.
Service: from the first byte uploaded to the last shard accepted (uploaded over HTTP, claimed by a worker process
through Redis, recorded, written as captioned shards, their nouns counted, gates passed). Both engines are loaded before
the clock starts, have the same batch size and one thread for matrix products.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from record import free_port, record, started, wait_until_ready

from captioner.captions import Sample, caption_samples
from captioner.engine import Engine, load_engine
from core.settings import Settings
from core.spec import DEMO_MODEL
from scenes.dataset import samples
from shards.images import ImageLimits, decode_image
from shards.writer import write_shard
from tests.services import RedisServer


def bare_loop(engine: Engine, settings: Settings, shards: list[Path]) -> float:
    """Images per second of the loop that people write themselves."""
    import webdataset

    limits = ImageLimits.from_settings(settings)

    def samples() -> Iterator[Sample]:
        for raw in webdataset.WebDataset([str(path) for path in shards], shardshuffle=False):
            yield (raw["__key__"], decode_image(raw["jpg"], limits), raw["txt"].decode(), {})

    begin = time.perf_counter()
    captions = list(caption_samples(engine, settings.default_spec(), samples()))
    return len(captions) / (time.perf_counter() - begin)


def through_service(url: str, name: str, spec: dict[str, object], shards: list[Path]) -> float:
    """Images per second from the first byte uploaded to the last shard accepted."""
    with httpx.Client(base_url=f"{url}/v1", timeout=600) as client:
        client.post("/datasets", json={"name": name, "spec": spec}).raise_for_status()
        begin = time.perf_counter()
        for path in shards:
            client.put(f"/datasets/{name}/shards/{path.name}", content=path.read_bytes()).raise_for_status()
        while True:
            counts = client.get(f"/datasets/{name}/progress").json()
            if set(counts["shards"]) == {"accepted"}:
                return float(counts["captioned"]) / (time.perf_counter() - begin)
            assert "quarantined" not in counts["shards"], counts
            time.sleep(0.25)


@contextlib.contextmanager
def fleet(folder: Path, model: str, embedded: bool) -> Iterator[str]:
    """A running service with one worker; yields its URL."""
    port = free_port()
    environment = {
        "DENSIFY_DATA": str(folder / "data"),
        "DENSIFY_MODEL": model,
        "DENSIFY_CPU_THREADS": "1",
        "DENSIFY_CHUNK_SAMPLES": "64",
        "DENSIFY_LOG_LEVEL": "WARNING",
    }
    url = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        if embedded:
            stack.enter_context(started(["serve", "--embedded", "--port", str(port)], environment, folder / "api.log"))
        else:
            environment["DENSIFY_BROKER"] = stack.enter_context(RedisServer()).url
            stack.enter_context(started(["serve", "--port", str(port)], environment, folder / "api.log"))
            stack.enter_context(started(["worker"], environment, folder / "worker.log"))
        wait_until_ready(url)
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--images", type=int, default=256, help="images in a shard")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default=DEMO_MODEL, help="name or folder of a LLaVA; without: the one that ships")
    parser.add_argument("--embedded", action="store_true", help="measure the embedded service instead of the fleet")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="densify-overhead-"))
    try:
        measure(folder, options)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, options: argparse.Namespace) -> None:
    settings = Settings(model=options.model, cpu_threads=1)
    engine = load_engine(settings.default_spec(), settings)
    spec = settings.default_spec().model_dump(mode="json")
    warm_up = [folder / "warm.tar"]
    write_shard(warm_up[0], samples(64, seed=0))
    bare_loop(engine, settings, warm_up)
    bare, service = [], []
    with fleet(folder, options.model, options.embedded) as url:
        through_service(url, "warm", spec, warm_up)
        for number in range(options.rounds):
            shards = []
            for shard in range(options.shards):
                # Other pictures in each round: the service never does the same work twice.
                path = folder / f"{number}-{shard}.tar"
                write_shard(path, samples(options.images, seed=1 + number * options.shards + shard))
                shards.append(path)
            bare.append(bare_loop(engine, settings, shards))
            service.append(through_service(url, f"round-{number}", spec, shards))
            print(f"round {number}: bare {bare[-1]:.2f} images/s, service {service[-1]:.2f} images/s")
    kind = "embedded" if options.embedded else "Celery on Redis, one worker process"
    record(
        f"Service overhead ({'embedded' if options.embedded else 'fleet'})",
        "python benchmarks/service_overhead.py" + (" --embedded" if options.embedded else ""),
        [
            ("images", f"{options.rounds} rounds of {options.shards} shards with {options.images} images"),
            ("bare engine loop, images/s (median)", f"{statistics.median(bare):.2f}"),
            ("bare engine loop, ms an image", f"{1000 / statistics.median(bare):.1f}"),
            (f"service ({kind}), images/s (median)", f"{statistics.median(service):.2f}"),
            ("ratio, round by round", ", ".join(f"{b / a:.3f}" for a, b in zip(bare, service, strict=True))),
            ("ratio of the medians", f"{statistics.median(service) / statistics.median(bare):.3f}"),
        ],
        f"Model: {options.model}, pictures of the demo world, float32, one thread for matrix products. The service's "
        "time includes upload and finalising.",
    )


if __name__ == "__main__":
    main()
