"""`densify doctor`: looks at every part that Densify leans on, and says of each what to do.

Each check is a function that returns findings; a check that is broken itself is a finding, not a traceback. Nothing
is changed, no model is loaded, nothing is downloaded.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from core.settings import Settings

Level = Literal["ok", "warn", "fail"]

#: Below this many free bytes under DENSIFY_DATA a worker will not get far.
LITTLE_SPACE_BYTES = 5_000_000_000

#: Distributions whose versions decide what works; see constraints.txt for the set that is known to.
PACKAGES = (
    "torch",
    "transformers",
    "pillow",
    "webdataset",
    "spacy",
    "pyarrow",
    "duckdb",
    "fastapi",
    "uvicorn",
    "celery",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do where it is not well."""

    level: Level
    subject: str
    found: str
    advice: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Leave Redis out: the embedded service does not use it.")
    ] = False,
) -> None:
    """Check Python, packages, device, data folder, ledger, Redis, model and endpoint, and say what to do."""
    from cli.console import print_json
    from core.settings import get_settings

    settings = get_settings()
    findings = list(examine(settings, embedded))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(f"{finding.level:<4}  {finding.subject}: {finding.found}")
            if finding.advice:
                print(f"      → {finding.advice}")
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings, embedded: bool) -> Iterator[Finding]:
    """Every check in the order in which a person would set things up."""
    checks: list[tuple[str, Callable[[Settings], Iterator[Finding]]]] = [
        ("Python", check_python),
        ("packages", check_packages),
        ("device", check_device),
        ("data", check_data),
        ("ledger", check_ledger),
        ("model", check_model),
    ]
    if not embedded:
        checks.append(("Redis", check_redis))
    for subject, check in checks:
        try:
            yield from check(settings)
        except Exception as error:  # a broken check must not hide the others
            yield Finding("fail", subject, f"{type(error).__name__}: {error}", getattr(error, "hint", ""))


def check_python(_settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def check_packages(_settings: Settings) -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("fail", "packages", f"missing: {', '.join(missing)}", "Install Densify again: `make setup`.")
    yield Finding("ok", "packages", ", ".join(found))


def check_device(settings: Settings) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            yield Finding("ok", "device", f"cuda:{number} {name}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free")
    elif settings.device.startswith("cuda"):
        yield Finding("fail", "device", "DENSIFY_DEVICE asks for a GPU, torch sees none", "Set DENSIFY_DEVICE=auto.")
    elif settings.engine == "openai":
        yield Finding("ok", "device", "CPU; the endpoint has the model")
    else:
        advice = "A 7B model takes minutes an image on a CPU: use a GPU, or DENSIFY_ENGINE=openai with an endpoint."
        yield Finding("warn", "device", f"no GPU; {os.cpu_count()} CPU cores", advice)


def check_data(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_folder
    if folder is None:
        from shards.store import open_store

        next(iter(open_store(settings.data).list("handoffs/")), None)
        yield Finding("ok", "data", f"{settings.data} answers")
        return
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("fail", "data", f"{folder} is not writable", "Set DENSIFY_DATA to a folder of this user.")
        return
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"densify")
    free = shutil.disk_usage(place).free
    level: Level = "warn" if free < LITTLE_SPACE_BYTES else "ok"
    advice = "Captioned shards need as much room as the shards themselves." if level == "warn" else ""
    yield Finding(level, "data", f"{folder} is writable, {free / 1e9:.1f} GB free", advice)


def check_ledger(settings: Settings) -> Iterator[Finding]:
    from alembic.runtime.migration import MigrationContext

    from core.logs import mask_url
    from ledger.db import Database
    from ledger.migrate import newest

    url = settings.ledger_url
    folder = settings.data_folder
    if not settings.ledger and folder is not None and not (folder / "ledger.sqlite").exists():
        yield Finding("ok", "ledger", f"{url} will be made at the first start")
        return
    database = Database(url)
    try:
        with database.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()
    shown, latest = mask_url(url), newest()
    if found == latest:
        yield Finding("ok", "ledger", f"{shown} answers, schema {found}")
    else:
        advice = "The service brings it up to date when it starts; start the service first, then the workers."
        yield Finding(
            "warn", "ledger", f"{shown} answers, its schema is {found or 'none'}, the newest {latest}", advice
        )


def check_redis(settings: Settings) -> Iterator[Finding]:
    import redis

    from core.logs import mask_url

    url = mask_url(settings.broker)
    client = redis.Redis.from_url(settings.broker, socket_connect_timeout=2, socket_timeout=2)
    try:
        client.ping()
        policy = _redis_setting(client, "maxmemory-policy")
        append_only = _redis_setting(client, "appendonly")
    except (redis.RedisError, OSError) as error:
        advice = "Start Redis and set DENSIFY_BROKER; `densify serve --embedded` does without (doctor --embedded)."
        yield Finding("fail", "Redis", f"{url} does not answer: {error}", advice)
        return
    finally:
        client.close()
    yield Finding("ok", "Redis", f"{url} answers")
    if policy is None or append_only is None:
        yield Finding("warn", "Redis", "its settings are not shown to this user", "See docs/operations.md for them.")
        return
    if policy != "noeviction":
        advice = "Set `maxmemory-policy noeviction`: any other may drop hints until the sweeper sends them again."
        yield Finding("warn", "Redis", f"maxmemory-policy is {policy}", advice)
    if append_only != "yes":
        advice = "Set `appendonly yes`: without it a restart forgets all hints; the sweeper sends them again."
        yield Finding("warn", "Redis", "the append-only file is off", advice)


def _redis_setting(client: object, name: str) -> str | None:
    """One setting of the server; None where CONFIG is not allowed (managed Redis)."""
    import redis

    assert isinstance(client, redis.Redis)
    try:
        values: Any = client.config_get(name)
    except redis.ResponseError:
        return None
    value = values.get(name, values.get(name.encode()))
    return value.decode() if isinstance(value, bytes) else value


def check_model(settings: Settings) -> Iterator[Finding]:
    from core.spec import DEMO_MODEL

    if settings.engine == "openai":
        yield from check_endpoint(settings)
        return
    if not settings.has_model:
        advice = "Set DENSIFY_MODEL to a LLaVA-family hub id or folder, or give each data set a spec."
        yield Finding("warn", "model", "DENSIFY_MODEL is not set", advice)
        return
    if settings.model == DEMO_MODEL:
        advice = "For pictures of your own set DENSIFY_MODEL to a LLaVA-family hub id or folder."
        yield Finding("ok", "model", f"{DEMO_MODEL}, which ships: it knows drawn scenes of the demo world only", advice)
        return
    from pathlib import Path

    folder = Path(settings.model)
    if folder.is_dir():
        weights = any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))
        if weights and (folder / "config.json").is_file():
            yield Finding("ok", "model", f"{folder} holds a config and weights")
        else:
            advice = "Copy the whole folder of the model: config.json, tokenizer, processor, weights."
            yield Finding("fail", "model", f"{folder} lacks config.json or weights", advice)
    elif settings.model.startswith((".", "/", "~")):
        yield Finding("fail", "model", f"{folder} does not exist", "Set DENSIFY_MODEL to a hub id or to a folder.")
    else:
        yield from _check_hub_cache(settings)


def _check_hub_cache(settings: Settings) -> Iterator[Finding]:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(settings.model, "config.json", revision=settings.revision or None)
    if isinstance(cached, str):
        yield Finding("ok", "model", f"{settings.model} is in the hub's cache")
    elif os.environ.get("HF_HUB_OFFLINE") == "1":
        advice = "Unset HF_HUB_OFFLINE, or download the model elsewhere and set DENSIFY_MODEL to its folder."
        yield Finding("fail", "model", f"{settings.model} is not in the hub's cache and HF_HUB_OFFLINE is set", advice)
    else:
        advice = f"Download it now: `hf download {settings.model}`."
        yield Finding("warn", "model", f"{settings.model} is not in the hub's cache yet", advice)


def check_endpoint(settings: Settings) -> Iterator[Finding]:
    import httpx

    if not settings.endpoint:
        advice = "Set DENSIFY_ENDPOINT, for example http://127.0.0.1:8001/v1."
        yield Finding("fail", "endpoint", "DENSIFY_ENGINE is openai, but DENSIFY_ENDPOINT is not set", advice)
        return
    headers = {"Authorization": f"Bearer {settings.endpoint_key}"} if settings.endpoint_key else {}
    try:
        answer = httpx.get(f"{settings.endpoint.rstrip('/')}/models", headers=headers, timeout=5)
        answer.raise_for_status()
        served = [str(item["id"]) for item in answer.json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        advice = "Start the endpoint, or correct DENSIFY_ENDPOINT and DENSIFY_ENDPOINT_KEY."
        yield Finding("fail", "endpoint", f"{settings.endpoint} does not list its models: {error}", advice)
        return
    if settings.model in served:
        yield Finding("ok", "endpoint", f"{settings.endpoint} serves {settings.model}")
    else:
        advice = f"Set DENSIFY_MODEL to one of: {', '.join(served) or 'none is served'}."
        yield Finding("warn", "endpoint", f"{settings.endpoint} does not list {settings.model or 'a model'}", advice)
