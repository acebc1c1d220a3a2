"""`densify demo`: the whole way on this machine, offline, on a CPU, from drawn pictures to pictures that a model draws.

It is the real service with the LLaVA that ships, which knows the demo world. Leaves out training and drawing
(demo_training.py) and the report's looks (demo_report.py).
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

from cli.demo_report import DENSITY, Pair, Told, read_truths, write_report, write_strip, write_summary
from cli.demo_training import train_and_draw

if TYPE_CHECKING:
    from analysis.density import Table
    from cli.client import Client
    from core.settings import Settings
    from scenes.scorer import Scores

#: A folder with this file in it was made by the demo, and may be replaced by it.
MARK = ".densify-demo"
DATASET = "scenes"
IMAGES_PER_SHARD = 60
#: Every shard must pass them.
GATES = {"min_nouns_per_image": 8.0, "max_flagged_share": 0.02}
#: Pictures in a shard that is written for its own sake.
LONE_SHARD_IMAGES = 1000
READY_S = 60.0


def demo(
    images: Annotated[int, typer.Option("--images", min=1, max=10_000_000, help="How many pictures to draw.")] = 480,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other pictures.")] = 7,
    shards: Annotated[
        Path | None, typer.Option("--shards", help="Only draw: write the pictures as shards into this folder, and end.")
    ] = None,
    per_shard: Annotated[
        int, typer.Option("--per-shard", min=0, help="Pictures in a shard; without it 1000 with --shards, else 60.")
    ] = 0,
    square: Annotated[bool, typer.Option("--square", help="Draw square pictures only.")] = False,
    things: Annotated[
        int, typer.Option("--things", min=1, max=6, help="Things in a picture at most; the world allows 6.")
    ] = 6,
    large: Annotated[bool, typer.Option("--large", help="Draw large things only.")] = False,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where everything goes; a folder that the demo made before is replaced.")
    ] = Path("demo"),
) -> None:
    """See the whole way on this machine: pictures, captions, density, truth, hand-off, training, drawn pictures."""
    from analysis.nouns import load_pipeline
    from cli.pictures import write_shards
    from core.logs import configure
    from core.spec import DEMO_MODEL

    # Loading a model must not paint bars of its own between ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # The warning that the model knows this world only is right everywhere but here.
    configure("ERROR")
    if shards is not None:
        files = write_shards(
            shards, images, per_shard or LONE_SHARD_IMAGES, seed, square=square, most_things=things, large=large
        )
        print(f"{images} pictures in {len(files)} shards: {files[0]}" + (f" … {files[-1]}" if len(files) > 1 else ""))
        return
    make_room(folder)

    step(1, f"{images} pictures of the demo world with old text as bad as the web's, packed as WebDataset shards")
    per_shard = per_shard or IMAGES_PER_SHARD
    files = write_shards(folder / "shards", images, per_shard, seed, square=square, most_things=things, large=large)
    print(f"  {files[0]}" + (f" … {files[-1]}" if len(files) > 1 else ""))

    step(2, "the service, embedded: API and one worker in this process, SQLite and a folder")
    with service(demo_settings(folder)) as client:
        print(f"  {client.url}, captions by {DEMO_MODEL}, the LLaVA that ships")
        step(3, "upload over REST, then a caption for every picture")
        upload_and_caption(client, files)
        captions, old_text = write_texts(client, folder)
        step(4, "concept density of the old text and of the captions")
        old, new = density(old_text, captions)
        step(5, "are the captions true? Facts said against the scene graphs")
        pairs = read_pairs(client, files)
        scores = truth(pairs)
        step(6, "gates and hand-off")
        manifest = hand_off(client, folder)

    step(7, "proof, from the files alone")
    proof, ok = prove(manifest)
    drawn = train_and_draw(manifest, folder, images)
    told = Told(pairs, old, new, *scores, proof, next_commands(folder, manifest), DEMO_MODEL, seed, drawn)
    write_report(folder / "report.html", told, load_pipeline())
    write_strip(folder / "pictures.jpg", pairs)
    write_summary(folder / "summary.md", told)
    write_density(folder)
    print(closing(folder, told))
    if not ok:
        raise typer.Exit(1)


def upload_and_caption(client: Client, shards: list[Path]) -> None:
    """Every shard to the service; returns when all are captioned and accepted."""
    from cli.upload import ensure_dataset, follow, hash_all, judge, send_all

    ensure_dataset(client, DATASET, None, GATES)
    send_all(client, DATASET, hash_all(shards, jobs=2), jobs=2)
    follow(client, DATASET, every_s=0.3)
    judge(client, DATASET)


def density(old_text: Path, captions: Path) -> tuple[Table, Table]:
    """Prints and returns the tables of the old text and of the captions."""
    from analysis.report import render
    from analysis.tables import measure_paths
    from cli.console import print_rich

    new, old = measure_paths([captions]), measure_paths([old_text])
    print_rich(render(new, old))
    return old.whole.table, new.whole.table


def read_pairs(client: Client, shards: list[Path]) -> list[Pair]:
    """Every captioned sample with its picture and its scene."""
    truths = {key: (picture, scene) for key, picture, scene in read_truths(shards)}
    return [
        Pair(sample["key"], *truths[sample["key"]], sample["old_text"] or "", sample["caption"])
        for sample in client.samples(DATASET)
    ]


def truth(pairs: list[Pair]) -> tuple[Scores, Scores]:
    """Prints and returns the scores of the old text and of the captions."""
    from cli.console import print_table
    from scenes.scorer import FACTS, score

    old = score((pair.scene, pair.old_text) for pair in pairs)
    new = score((pair.scene, pair.caption) for pair in pairs)
    rows = [
        [name, *(f"{getattr(scores, fact).f1.value:.3f}" for fact in FACTS), f"{scores.exact.value:.1%}"]
        for name, scores in (("old text", old), ("captions", new))
    ]
    print_table("", ["F1 of", *FACTS, "word for word"], rows, text=["F1 of"])
    return old, new


def hand_off(client: Client, folder: Path) -> Path:
    """Hands the accepted shards off and copies them here. Returns the manifest's file."""
    from cli.handoff import fetch_handoff

    shards = list(client.shards(DATASET))
    accepted = sum(shard["state"] == "accepted" for shard in shards)
    rules = ", ".join(f"{name} {value:g}" for name, value in GATES.items())
    print(f"  {accepted} of {len(shards)} shards passed the gates ({rules})")
    manifest = fetch_handoff(client, DATASET, client.hand_off(DATASET), folder / "handoff")
    print(f"  {manifest}")
    return manifest


def prove(manifest: Path) -> tuple[str, bool]:
    """Prints the proof; returns its sentence, and whether everything is as the manifests say."""
    from cli.verify import show_report, verify_path

    report = verify_path(manifest)
    show_report(report)
    return report.sentence(), report.ok


def write_density(folder: Path) -> None:
    """The density report of what was handed off against the old texts, as `densify density --html` writes it."""
    from analysis.gathered import Gathered
    from analysis.html_report import Story, write_html
    from analysis.tables import Counting, measure_paths

    captions, old_text, page = folder / "handoff" / "captioned", folder / "old_text.jsonl", folder / DENSITY
    heard = Gathered()
    data = measure_paths([captions], Counting(told=heard))
    before = Gathered(wanted=heard.keys())
    baseline = measure_paths([old_text], Counting(told=before))
    command = f"densify density {captions} --baseline {old_text} --html {page}"
    write_html(page, Story(data, heard, Counting(), [captions], command, baseline, before))


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


def demo_settings(folder: Path) -> Settings:
    """Everything inside `folder`, whatever the environment says."""
    from core.settings import Settings
    from core.spec import DEMO_MODEL, PIXART_PROMPT

    return Settings(
        data=str(folder / "data"),
        ledger="",
        engine="transformers",
        model=DEMO_MODEL,
        revision="",
        prompt=PIXART_PROMPT,
        device="cpu",
        dtype="float32",
        max_new_tokens=300,
        chunk_samples=IMAGES_PER_SHARD,
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


def next_commands(folder: Path, manifest: Path) -> list[str]:
    """What a newcomer may try, on what the demo made and on pictures of their own."""
    return [
        f"densify sample {folder}/run --prompt 'A red boat is on the sea.' --count 8 --out boats.png",
        f"densify verify {manifest}",
        f"densify density {folder}/captions.jsonl --baseline {folder}/old_text.jsonl",
        "densify doctor --embedded",
        "export DENSIFY_MODEL=llava-hf/llava-1.5-7b-hf   # a model for pictures of your own",
        "densify serve --embedded",
        "densify upload mine train-*.tar --wait",
    ]


def closing(folder: Path, told: Told) -> str:
    """What was done, where it lies, and what to type next."""
    commands = "\n".join(f"  {command}" for command in told.next_commands)
    before, now = told.old_scores.noun.recall.value, told.new_scores.noun.recall.value
    return f"""
Nouns an image: {told.old.nouns_per_image:.1f} in the old text, {told.new.nouns_per_image:.1f} in the captions.
Things rightly named: {before:.1%} before, {now:.1%} now.
Look at {folder}/report.html and {folder}/{DENSITY} in a browser. What to type next:

{commands}"""
