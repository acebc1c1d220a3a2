"""Where a model comes from: what is written into a run's folder when it starts, and beside everything that it saves.

A folder with a state in it belongs to one recipe and one hand-off: going on with another is refused. Leaves out: the
states (states.py).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined, to_jsonable_python

from core.errors import ConflictError
from core.files import write_atomic
from core.spec import content_hash
from core.version import VERSION, commit
from shards.handoff import Handoff
from training.recipe import Recipe
from training.states import newest

FILE = "lineage.json"
_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy")


@dataclass(frozen=True)
class Lineage:
    """`handoff`: digest of the manifest; `captioning`: hash of the spec that its captions were made by; `encoders`: by
    name their identities; `start`: identity of the weights it begins with, if any, and `licences` what these are bound
    by. Versions are those of the first step: `resumes` has those of each later call, with the step it went on from.
    `commit`: git's, where the code ran from a checkout."""

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
    commit: str | None = None
    licences: tuple[str, ...] = ()
    resumes: tuple[dict[str, Any], ...] = ()

    @property
    def digest(self) -> str:
        """A hash of all that decides the result: the packages' versions do not, as far as anyone can promise."""
        told = asdict(self)
        return content_hash({name: told[name] for name in ("recipe", "handoff", "encoders", "start")})


def lineage(
    recipe: Recipe, handoff: Handoff, encoders: dict[str, str], start: str | None, licences: Sequence[str] = ()
) -> Lineage:
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
        commit=commit(),
        licences=tuple(licences),
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


def claim(folder: Path, told: Lineage) -> bool:
    """Makes the folder this run's, or finds that it is. Raises ConflictError where it is another run's.

    What it tells and how often it saves may change from one start to the next; how long it goes on may not, since rates
    follow from it. A folder that holds neither a state nor a pipeline is anybody's. Returns whether another recipe was
    tried in it before: what that one told counts no more.
    """
    from training.start import PIPELINE

    file, step = folder / FILE, newest(folder)
    began = json.loads(file.read_text()) if file.is_file() else None
    changed = _changed(began, told) if began else []
    if changed and (step is not None or (folder / PIPELINE).exists()):
        raise ConflictError(
            f"{folder} holds another run: {', '.join(changed)} differ.",
            hint="Name a new folder with --out, or call it with the recipe that it was begun with.",
        )
    if began and step is not None:
        told = _resumed(began, told, step)
    write(folder, told)
    return bool(changed)


def _resumed(began: dict[str, Any], told: Lineage, step: int) -> Lineage:
    """`told` of a run whose first step was taken with the versions in `began`, and that goes on after `step`."""
    names = ("code_version", "commit", "packages", "python")
    resumes = began.get("resumes", [])
    if step < told.recipe["run"]["steps"]:
        resumes = [*resumes, {"step": step} | {name: getattr(told, name) for name in names}]
    return replace(told, resumes=tuple(resumes), **{name: began.get(name) for name in names})


def _changed(began: dict[str, Any], told: Lineage) -> list[str]:
    """What decides the result and differs, by name."""
    was, asked = _decisive(began["recipe"]), _decisive(told.recipe)
    changed = [name for name in asked if asked[name] != was.get(name)]
    changed += [name for name in ("handoff", "encoders", "start") if began.get(name) != getattr(told, name)]
    return sorted(changed)


#: Fields that may change while a run goes on: none of them changes a step by more than rounding.
_FREE = frozenset(
    {
        "run.accumulate",
        "run.checkpointing",
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
    """Every field of a recipe by its full name, without those that change no step.

    A field that is missing came with a later version, whose default is what was done before.
    """
    flat = _defaults() | {
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


def _defaults() -> dict[str, Any]:
    """The fields of a recipe's sections that need not be given, by full name, as JSON has them."""
    return {
        f"{section}.{name}": to_jsonable_python(told.default)
        for section, kind in Recipe.model_fields.items()
        for name, told in getattr(kind.annotation, "model_fields", {}).items()
        if told.default is not PydanticUndefined
    }
