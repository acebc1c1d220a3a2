"""`densify caption`: captioned shards from local shards, without a service. The work is that of workers/local.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cli.console import Line, Meter
    from core.spec import CaptionSpec


def caption(
    shards: Annotated[list[str], typer.Argument(metavar="SHARD...", help="Tars, or folders of tars.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where captioned shards and their records go.")],
    spec_file: Annotated[Path | None, typer.Option("--spec-file", help="JSON file with the captioning spec.")] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", help="Prompt or template, instead of the spec's.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model, instead of the spec's: hub id, folder, endpoint's name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Caption local shards without a service. Stopped halfway, the same call goes on where it stopped."""
    from cli.console import Meter, print_json
    from core.errors import InputError
    from core.logs import configure
    from core.settings import get_settings
    from workers.local import caption_locally

    settings = get_settings()
    configure("WARNING" if settings.log_level == "INFO" else settings.log_level)
    files, urls = _sorted(shards)
    if urls:
        raise InputError(
            f"{urls[0]} is a URL: only local shards are captioned without a service.",
            hint="Copy it here first, or let the service read it: `densify upload DATASET URL`.",
        )
    spec = make_spec(spec_file, prompt, model)
    done: list[dict[str, Any]] = []
    with Meter("images") as meter:
        lines = Lines(meter)
        for result in caption_locally(files, out, spec, settings, lines.progress):
            manifest = result.manifest
            counts = {name: getattr(manifest, name) for name in ("samples_in", "captioned", "rejected", "flagged")}
            lines.finish(result.source, f"{manifest.captioned} captioned, {manifest.rejected} rejected → {result.tar}")
            done.append({"source": str(result.source), "tar": str(result.tar), **counts})
    if as_json:
        print_json({"shards": done})


def _sorted(shards: list[str]) -> tuple[list[Path], list[str]]:
    from cli.upload import sort_arguments

    return sort_arguments(shards)


def make_spec(spec_file: Path | None, prompt: str | None, model: str | None) -> CaptionSpec:
    """The whole captioning spec: what the options say over what the settings say.

    Raises SettingError without a model, BadFieldError for a field that is wrong, BadPromptError.
    """
    from pydantic import ValidationError

    from captioner.prompts import check_prompt, resolve
    from cli.upload import read_spec
    from core.errors import BadFieldError
    from core.settings import get_settings
    from core.spec import CaptionSpec

    settings = get_settings()
    given = read_spec(spec_file, prompt, model) or {}
    if "model" in given:
        # The settings' revision belongs to the settings' model.
        settings = settings.model_copy(update={"model": str(given["model"]), "revision": ""})
    base = settings.default_spec().model_dump()
    generation = given.pop("generation", {})
    if not isinstance(generation, dict):
        raise BadFieldError("spec.generation is no JSON object.")
    try:
        spec = CaptionSpec.model_validate({**base, **given, "generation": {**base["generation"], **generation}})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadFieldError(f"spec.{where} is wrong: {first['msg']}.") from error
    check_prompt(spec.prompt)
    return spec.model_copy(update={"prompt": resolve(spec.prompt)})


class Lines:
    """One line of progress per shard, begun when its first units are done."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._open: dict[Path, Line] = {}

    def progress(self, shard: Path, done: int, units: int) -> None:
        self._line(shard, units).set(done, units)

    def finish(self, shard: Path, outcome: str) -> None:
        self._line(shard, 0).finish(outcome)
        del self._open[shard]

    def _line(self, shard: Path, units: int) -> Line:
        if shard not in self._open:
            self._open[shard] = self._meter.line(shard.name, units)
        return self._open[shard]
