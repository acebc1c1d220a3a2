"""Where a model comes from: what is written into a run's folder when it starts, and beside everything that it saves.

A folder belongs to one recipe and one hand-off: going on with another is refused. Leaves out: the states (states.py).
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.errors import ConflictError
from core.files import write_atomic
from core.spec import content_hash
from core.version import VERSION
from shards.handoff import Handoff
from training.recipe import Recipe

FILE = "lineage.json"
_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy")


@dataclass(frozen=True)
class Lineage:
    """`handoff`: digest of the manifest; `captioning`: hash of the spec that its captions were made by; `encoders`: by
    name their identities; `start`: identity of the weights it begins with, if any."""

    recipe: dict[str, Any]
    handoff: str
    dataset: str
    captioning: str
    model: str
    encoders: dict[str, str]
    start: str | None
    code_version: str
    packages: dict[str, str]
    python: str

    @property
    def digest(self) -> str:
        """A hash of all that decides the result: the packages' versions do not, as far as anyone can promise."""
        told = asdict(self)
        return content_hash({name: told[name] for name in ("recipe", "handoff", "encoders", "start")})


def lineage(recipe: Recipe, handoff: Handoff, encoders: dict[str, str], start: str | None) -> Lineage:
    """The lineage of a run that starts now."""
    return Lineage(
        recipe=recipe.model_dump(mode="json"),
        handoff=handoff.digest,
        dataset=handoff.dataset,
        captioning=handoff.spec_hash,
        model=", ".join(sorted({shard.model_identity for shard in handoff.shards})),
        encoders=encoders,
        start=start,
        code_version=VERSION,
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        python=platform.python_version(),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write(folder: Path, told: Lineage) -> None:
    """Writes it; the file appears whole or not at all."""
    write_atomic(
        folder / FILE, (json.dumps(asdict(told), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    )


def claim(folder: Path, told: Lineage) -> None:
    """Makes the folder this run's, or finds that it is. Raises ConflictError where it is another run's.

    What it tells and how often it saves may change from one start to the next; how long it goes on may not, since rates
    follow from it.
    """
    file = folder / FILE
    if file.is_file():
        found = json.loads(file.read_text())
        changed = [
            name
            for name in _decisive(told.recipe)
            if _decisive(told.recipe)[name] != _decisive(found["recipe"]).get(name)
        ]
        changed += [name for name in ("handoff", "encoders", "start") if found.get(name) != getattr(told, name)]
        if changed:
            raise ConflictError(
                f"{folder} holds another run: {', '.join(sorted(changed))} differ.",
                hint="Name a new folder with --out, or call it with the recipe that it was begun with.",
            )
    write(folder, told)


#: Fields that may change while a run goes on: none of them changes a step that was taken.
_FREE = frozenset(
    {
        "run.save_every",
        "run.keep",
        "run.log_every",
        "run.compile",
        "run.shard",
        "data.workers",
        "data.cache",
        "data.handoff",
    }
)


def _decisive(recipe: dict[str, Any]) -> dict[str, Any]:
    """Every field of a recipe by its full name, without those that change no step."""
    flat = {
        f"{section}.{name}": value
        for section, fields in recipe.items()
        if isinstance(fields, dict)
        for name, value in fields.items()
    }
    return {
        name: value
        for name, value in flat.items()
        if name not in _FREE and not name.startswith(("validation.", "previews."))
    } | {"method": recipe.get("method")}
