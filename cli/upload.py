"""`densify upload`: tars to the service, several at once; safe to call again after any interruption.

Resuming is by content: what the service already has, it is not sent again, whatever the file is called. URLs are not
fetched here; the service is asked to read them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.options import AsJson, Dataset, Url

if TYPE_CHECKING:
    from cli.client import Client
    from cli.console import Meter

T = TypeVar("T")

#: Further tries of one upload after the connection broke, and the seconds before each: a restart of the service, or a
#: lost link, is waited out.
RETRY_WAITS_S = (1.0, 4.0, 15.0)


#: States of shards whose bytes are sent again: a quarantined one gets another chance by that.
SENT_AGAIN = frozenset({"uploading", "quarantined"})

#: Set by Ctrl-C in the main thread, where Python delivers it.
_interrupted = threading.Event()


@dataclass(frozen=True, slots=True)
class LocalShard:
    """A tar on this machine."""

    file: Path
    sha256: str
    size_bytes: int

    @property
    def name(self) -> str:
        return self.file.name.removesuffix(".tar")


def upload(
    dataset: Dataset,
    shards: Annotated[
        list[str], typer.Argument(metavar="SHARD...", help="Tars, folders of tars, or URLs that the service reads.")
    ],
    spec_file: Annotated[
        Path | None, typer.Option("--spec-file", help="JSON file with the captioning spec of the data set.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Prompt or template of the data set, where it is made now.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model of the data set, where it is made now: hub id or folder.")
    ] = None,
    gates_file: Annotated[
        Path | None,
        typer.Option("--gates-file", help="JSON file with the gates of the data set, where it is made."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=32, help="Uploads under way at once.")] = 4,
    force: Annotated[
        bool, typer.Option("--force", help="Send also what is there already: mends a copy that has decayed.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the captioning until every shard is finished.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Upload WebDataset shards. Makes the data set when absent; sends nothing twice; call it again to resume."""
    from cli.client import Client
    from cli.console import print_json
    from core.settings import get_settings

    files, urls = sort_arguments(shards)
    spec, gates = read_spec(spec_file, prompt, model), read_object(gates_file)
    with Client.from_settings(get_settings(), url) as client:
        warn_of_demo_model(ensure_dataset(client, dataset, spec, gates))
        locals_ = hash_all(files, jobs)
        outcome = send_all(client, dataset, locals_, jobs, force)
        if urls:
            outcome += [{**item, "outcome": "asked for"} for item in client.add_urls(dataset, urls)]
        if wait:
            follow(client, dataset)
        if as_json:
            print_json({"dataset": dataset, "shards": outcome})
        if wait:
            judge(client, dataset)


def sort_arguments(arguments: list[str]) -> tuple[list[Path], list[str]]:
    """Tars and URLs, braces expanded and folders opened. Raises NoSuchPathError, NothingToReadError."""
    from core.errors import NoSuchPathError, NothingToReadError
    from shards.names import expand_braces

    files: list[Path] = []
    urls: list[str] = []
    for argument in arguments:
        if "://" in argument:
            urls += expand_braces(argument)
            continue
        # A name may hold braces itself; only what is not there as written is a pattern.
        names = [argument] if Path(argument).exists() else expand_braces(argument)
        for name in names:
            path = Path(name)
            if path.is_dir():
                found = sorted(path.glob("*.tar"))
                if not found:
                    raise NothingToReadError(f"{path} holds no .tar.", hint="Name a folder with shards, or the tars.")
                files += found
            elif path.is_file():
                files.append(path)
            else:
                raise NoSuchPathError(f"{path} does not exist.")
    return files, urls


def read_object(file: Path | None) -> dict[str, Any] | None:
    """A JSON object from a file; None where there is no file. Raises BadFieldError, NoSuchPathError."""
    import json

    from core.errors import BadFieldError, NoSuchPathError

    if file is None:
        return None
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise NoSuchPathError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadFieldError(f"{file} is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadFieldError(f"{file} holds no JSON object.")
    return value


def read_spec(spec_file: Path | None, prompt: str | None, model: str | None) -> dict[str, Any] | None:
    """The captioning spec that the options ask for, in parts: the service fills in the rest from its settings.

    `--prompt` and `--model` replace single fields of the file's spec. None where the options ask for nothing.
    """
    spec = dict(read_object(spec_file) or {})
    if prompt is not None:
        spec["prompt"] = prompt
    if model is not None:
        spec["model"] = model
    return spec or None


def ensure_dataset(
    client: Client, dataset: str, spec: dict[str, Any] | None, gates: dict[str, Any] | None
) -> dict[str, Any]:
    """The data set, made where it is absent. Raises DatasetExistsError where it exists with another spec."""
    from core.errors import NoSuchDatasetError

    if spec is None and gates is None:
        try:
            return client.dataset(dataset)
        except NoSuchDatasetError:
            pass
    return client.create_dataset(dataset, spec, gates)


def warn_of_demo_model(dataset: dict[str, Any]) -> None:
    """Says so where the model that ships would caption pictures of another world: it describes them wrongly."""
    from cli.console import note
    from core.spec import DEMO_MODEL

    if dataset["spec"]["model"] == DEMO_MODEL:
        note(
            f"warning: {dataset['name']} is captioned by {DEMO_MODEL}, which knows the demo world's drawn scenes only. "
            "For other pictures name a model: `densify upload NEW … --model llava-hf/llava-1.5-7b-hf`."
        )


def hash_all(files: list[Path], jobs: int) -> list[LocalShard]:
    """SHA-256 of every file: it announces the upload, and tells what the service has already."""
    from cli.console import Meter

    with Meter("bytes") as meter:

        def one(file: Path) -> LocalShard:
            return hash_file(file, meter)

        return in_parallel(one, files, jobs)


def hash_file(file: Path, meter: Meter) -> LocalShard:
    import hashlib

    from core.errors import NoSuchPathError

    digest = hashlib.sha256()
    size_bytes = 0
    line = meter.line(f"reading {file.name}", file.stat().st_size)
    try:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                size_bytes += len(block)
                stoppable(line.advance)(len(block))
    except OSError as error:
        raise NoSuchPathError(f"{file} cannot be read: {error.strerror}.") from error
    finally:
        line.drop()
    return LocalShard(file, digest.hexdigest(), size_bytes)


def send_all(
    client: Client, dataset: str, shards: list[LocalShard], jobs: int, force: bool = False
) -> list[dict[str, Any]]:
    """Sends what the service lacks, or all. Every shard is tried; the first error is raised when all have ended."""
    from cli.console import Meter

    if not shards:
        return []
    there = {item["sha256"] for item in client.shards(dataset) if item["state"] not in SENT_AGAIN}
    with Meter("bytes") as meter:

        def one(shard: LocalShard) -> dict[str, Any]:
            if shard.sha256 in there and not force:
                meter.say(f"{shard.name}: already there")
                return {"name": shard.name, "sha256": shard.sha256, "outcome": "already there"}
            return send_one(client, dataset, shard, meter)

        return in_parallel(one, shards, jobs)


def send_one(client: Client, dataset: str, shard: LocalShard, meter: Meter) -> dict[str, Any]:
    """One upload, begun again when the connection breaks."""
    from core.errors import BodyStalledError, BodyTooShortError, ShuttingDownError, UnreachableError

    broken = (UnreachableError, ShuttingDownError, BodyStalledError, BodyTooShortError)
    line = meter.line(shard.name, shard.size_bytes)
    for wait_s in (*RETRY_WAITS_S, None):
        line.set(0)
        try:
            answer, new = client.put_shard(dataset, shard.name, shard.file, shard.sha256, stoppable(line.advance))
        except broken as error:
            if wait_s is None:
                line.drop()
                raise
            meter.say(f"{shard.name}: {error.sentence} Trying again in {wait_s:.0f} s.")
            time.sleep(wait_s)
            continue
        except BaseException:
            line.drop()
            raise
        outcome = "uploaded" if new else "already there"
        stored_as = "" if answer["name"] == shard.name else f" as {answer['name']}"
        line.finish(outcome + stored_as)
        return {**answer, "outcome": outcome}
    raise AssertionError("the loop ends by return or raise")


def in_parallel(work: Callable[[Any], T], items: list[Any], jobs: int) -> list[T]:
    """`work` on every item, `jobs` at once, results in order. All items are tried; then the first error is raised."""
    _interrupted.clear()

    def guarded(item: Any) -> T:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        return work(item)

    with ThreadPoolExecutor(max_workers=min(jobs, max(1, len(items)))) as pool:
        futures = [pool.submit(guarded, item) for item in items]
        try:
            errors = [future.exception() for future in futures]
        except KeyboardInterrupt:
            _interrupted.set()
            raise
    for error in errors:
        if error is not None:
            raise error
    return [future.result() for future in futures]


def stoppable(advance: Callable[[int], None]) -> Callable[[int], None]:
    """`advance`, which ends its thread's work after Ctrl-C: the main thread waits for all of them."""

    def step(amount: int) -> None:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        advance(amount)

    return step


def follow(client: Client, dataset: str, every_s: float = 1.0) -> None:
    """Shows the captioning until no shard of the data set has work left."""
    from cli.console import Meter

    trouble = None
    with Meter("images") as meter:
        line = meter.line(f"captioning {dataset}", 0)
        while True:
            progress = client.progress(dataset)
            if progress.get("trouble") != trouble:
                trouble = progress.get("trouble")
                meter.say(f"waiting: {trouble}" if trouble else "going on")
            line.set(progress["captioned"] + progress["rejected"], progress["samples"])
            if unfinished(progress) == 0:
                break
            time.sleep(every_s)
        line.finish(f"{progress['captioned']} captioned, {progress['rejected']} rejected")


def unfinished(progress: dict[str, Any]) -> int:
    """Shards that are still on their way."""
    return int(progress["unfinished_shards"])


def judge(client: Client, dataset: str) -> None:
    """After waiting: raises CheckFailedError where a shard was held by a gate or quarantined."""
    from core.errors import CheckFailedError

    bad = [shard for shard in client.shards(dataset) if shard["state"] in ("held", "quarantined")]
    if not bad:
        return
    why = "; ".join(f"{shard['name']} is {shard['state']}" for shard in bad[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    raise CheckFailedError(
        f"Not every shard of {dataset} was accepted: {why}{more}.",
        hint=f"`densify status {dataset}` tells why; `densify release {dataset} SHARD --reason …` accepts a held one.",
    )
