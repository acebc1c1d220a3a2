"""`densify demo`: the whole way on this machine, offline, on a CPU, from drawn pictures to a proven hand-off.

It is the real service with a real LLaVA class inside; only the weights are random, and it says so. Leaves out on
purpose: any claim about quality.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.client import Client
    from core.settings import Settings

#: A folder with this file in it was made by the demo, and may be replaced by it.
MARK = ".densify-demo"
DATASET = "scenes"
IMAGES_PER_SHARD = 16
#: Pictures in a shard that is written for its own sake.
LONE_SHARD_IMAGES = 1000
READY_S = 60.0


def demo(
    images: Annotated[int, typer.Option("--images", min=1, max=10_000_000, help="How many pictures to draw.")] = 48,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other pictures.")] = 0,
    shards: Annotated[
        Path | None, typer.Option("--shards", help="Only draw: write the pictures as shards into this folder, and end.")
    ] = None,
    per_shard: Annotated[
        int, typer.Option("--per-shard", min=0, help="Pictures in a shard; without it 1000 with --shards, else 16.")
    ] = 0,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where everything goes; a folder that the demo made before is replaced.")
    ] = Path("demo"),
) -> None:
    """See the whole way on this machine: pictures, upload, captions, density, hand-off, proof."""
    from cli.pictures import write_shards
    from cli.verify import show_report, verify_path
    from core.logs import configure

    # Loading a model must not paint bars of its own between ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    configure("WARNING")
    if shards is not None:
        files = write_shards(shards, images, per_shard or LONE_SHARD_IMAGES, seed)
        print(f"{images} pictures in {len(files)} shards: {files[0]}" + (f" … {files[-1]}" if len(files) > 1 else ""))
        return
    make_room(folder)

    step(1, f"{images} pictures of the demo world with old text as bad as the web's, packed as WebDataset shards")
    files = write_shards(folder / "shards", images, per_shard or IMAGES_PER_SHARD, seed)
    print("  " + ", ".join(str(file) for file in files))

    step(2, "a small LLaVA, built here")
    model = build_model(folder / "model")
    print(f"  {model}: LLaVA's real classes, RANDOM weights. Its captions are gibberish: words without sense.")

    step(3, "the service, embedded: API and one worker in this process, SQLite and a folder")
    with service(demo_settings(folder, model)) as client:
        print(f"  {client.url}")
        manifest = the_main_job(client, files, folder)

    step(7, "proof, from the files alone")
    report = verify_path(manifest)
    show_report(report)
    print(closing(folder, manifest))
    if not report.ok:
        raise typer.Exit(1)


def the_main_job(client: Client, shards: list[Path], folder: Path) -> Path:
    """Upload, captions, density, hand-off. Returns the manifest's file."""
    from analysis.report import render
    from analysis.tables import measure_paths
    from cli.console import print_rich
    from cli.handoff import fetch_handoff
    from cli.upload import ensure_dataset, follow, hash_all, judge, send_all

    step(4, "upload over REST, then captions")
    ensure_dataset(client, DATASET, None, None)
    send_all(client, DATASET, hash_all(shards, jobs=2), jobs=2)
    follow(client, DATASET, every_s=0.3)
    judge(client, DATASET)

    step(5, "concept density of the old text and of the captions")
    captions, old_text = write_texts(client, folder)
    print_rich(render(measure_paths([captions]), measure_paths([old_text])))
    print("  The captions have more nouns because random words from a list are nouns, not because they are true.")

    step(6, "hand-off")
    handed_off = client.hand_off(DATASET)
    manifest = fetch_handoff(client, DATASET, handed_off, folder / "handoff")
    print(f"  {manifest}")
    return manifest


def step(number: int, text: str) -> None:
    print(f"\n{number}. {text}", flush=True)


def make_room(folder: Path) -> None:
    """An empty folder; what an earlier demo left there is removed. Raises ConflictError for a foreign folder."""
    from core.errors import ConflictError

    if folder.exists():
        if not (folder / MARK).is_file():
            raise ConflictError(
                f"{folder} exists and was not made by the demo.", hint="Name another with --folder, or move it away."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def build_model(folder: Path) -> Path:
    from captioner.small import build_small_llava

    return build_small_llava(folder, "llava")


def demo_settings(folder: Path, model: Path) -> Settings:
    """Everything inside `folder`; captions short, since long gibberish says no more than short."""
    from core.settings import Settings
    from core.spec import PIXART_PROMPT

    return Settings(
        data=str(folder / "data"),
        ledger="",
        engine="transformers",
        model=str(model.absolute()),
        revision="",
        prompt=PIXART_PROMPT,
        device="cpu",
        dtype="float32",
        max_new_tokens=24,
        chunk_samples=8,
        api_keys=[],
        api_key="",
    )


@contextmanager
def service(settings: Settings) -> Iterator[Client]:
    """The embedded service in threads of this process, on a free port, until the block ends."""
    from cli.client import Client
    from cli.serve import listen, prepared, url_of

    with listen("127.0.0.1", 0) as ear, prepared(settings, True, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [ear]}, name="densify-api")
        thread.start()
        try:
            with Client(url_of(ear)) as client:
                client.wait_ready(READY_S)
                yield client
        finally:
            server.should_exit = True
            thread.join()


def write_texts(client: Client, folder: Path) -> tuple[Path, Path]:
    """The captions and the old texts as JSON lines, ready for `densify density`."""
    captions, old_text = folder / "captions.jsonl", folder / "old_text.jsonl"
    with captions.open("w") as new, old_text.open("w") as old:
        for number, sample in enumerate(client.samples(DATASET)):
            new.write(json.dumps({"key": sample["key"], "caption": sample["caption"]}) + "\n")
            old.write(json.dumps({"key": sample["key"], "caption": sample["old_text"] or ""}) + "\n")
            if number < 3:
                print(f"  {sample['key']}  old: {sample['old_text'] or '(nothing)'}")
                print(f"          new: {sample['caption']}")
    return captions, old_text


def closing(folder: Path, manifest: Path) -> str:
    """What to type next."""
    return f"""
All of it lies in {folder}. What to type next:

  densify verify {manifest}
  densify density {folder}/captions.jsonl --baseline {folder}/old_text.jsonl
  densify doctor --embedded

and with a model that has learnt something, on shards of yours:

  export DENSIFY_MODEL=llava-hf/llava-1.5-7b-hf
  densify serve --embedded
  densify upload mine train-*.tar --wait"""
