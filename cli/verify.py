"""`densify verify`: in = captioned + rejected, hashes and provenance, proven from the files alone, without a service.

The proofs are those of shards/verify.py (captioned shards) and analysis/handoff_verify.py (hand-offs); here they are
told.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import AsJson

if TYPE_CHECKING:
    from shards.handoff import Handoff
    from shards.verify import Finding, VerifyReport

COUNTS = ("samples_in", "captioned", "rejected")
#: Counts of shards of which a hand-off keeps some samples: captioned = kept + left_out.
KEPT = ("kept", "left_out")
#: Findings that are printed; --json has them all.
SHOWN = 20


@dataclass(slots=True)
class Report:
    """What was proven: one row per captioned shard, one finding per thing that is not as the manifests say.

    A shard of several hand-offs has a row for each.
    """

    path: str
    shards: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, str]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def keeps(self) -> bool:
        """Whether hand-offs keep some samples of every shard, and no shard is in two of them."""
        each = [shard for shard in self._once() if "kept" in shard]
        return 0 < len(each) == len(self.shards)

    def sum(self, name: str) -> int:
        """One of COUNTS, or KEPT, over all shards, each once."""
        return sum(shard.get(name, 0) for shard in self._once())

    def _once(self) -> list[dict[str, Any]]:
        return list({shard["sha256"]: shard for shard in self.shards}.values())

    def sentence(self) -> str:
        """What was proven, or that it was not."""
        if not self.ok:
            return f"NOT proven: {len(self.findings)} findings"
        samples, captioned, rejected = (self.sum(name) for name in COUNTS)
        kept = f"{self.sum('kept')} kept + {self.sum('left_out')} left out"
        return (
            f"proven: {samples} samples in = {kept if self.keeps else f'{captioned} captioned'} + {rejected} rejected"
        )

    def add_findings(self, findings: list[Finding], unlisted: int = 0) -> None:
        self.findings += [asdict(finding) for finding in findings]
        if unlisted:
            self.findings.append({"code": "more", "where": "", "sentence": f"{unlisted} more findings of this shard."})

    def add_shard(self, name: str, report: VerifyReport) -> None:
        """Takes in the proof of one captioned shard."""
        sha256 = report.manifest.sha256 if report.manifest else name
        self.shards.append({"name": name, "sha256": sha256, **report.counts, "ok": report.ok})
        self.add_findings(report.findings, report.unlisted)


def verify(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A hand-off manifest, a captioned shard, or a folder of them.")
    ],
    as_json: AsJson = False,
) -> None:
    """Prove samples in = captioned + rejected, every hash and every provenance record, from the files alone."""
    from cli.console import print_json

    report = verify_path(path)
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        show_report(report)
    if not report.ok:
        raise typer.Exit(1)


def verify_path(path: Path) -> Report:
    """Proves what lies at `path`. Raises NoSuchPathError, NothingToReadError where there is nothing to prove."""
    from core.errors import NoSuchPathError

    report = Report(str(path))
    if not path.exists():
        raise NoSuchPathError(f"{path} does not exist.")
    if path.is_dir():
        _folder(path, report)
    else:
        _file(path, report)
    return report


def format_of(file: Path) -> str:
    """The `format` of a JSON file: what kind of manifest it is. Empty for any other file."""
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    return str(value.get("format", "")) if isinstance(value, dict) else ""


def _folder(folder: Path, report: Report) -> None:
    """Hand-offs first; then the shards that no hand-off names; a tar without a manifest is a finding.

    Source shards, which lie beside captioned ones in a whole DENSIFY_DATA, are passed over.
    """
    from core.errors import NothingToReadError

    kinds = {file: format_of(file) for file in _visible(folder, "*.json")}
    handoffs = [file for file, kind in kinds.items() if kind.startswith("densify.handoff/")]
    manifests = [file for file, kind in kinds.items() if kind.startswith("densify.captioned/")]
    sources = {file.with_suffix(".tar") for file, kind in kinds.items() if kind.startswith("densify.source/")}
    tars = [tar for tar in _visible(folder, "*.tar") if tar not in sources]
    if not handoffs and not manifests and not tars:
        raise NothingToReadError(
            f"{folder} holds neither a hand-off nor a captioned shard.", hint="Name the folder that `--out` wrote."
        )
    proven: set[Path] = set()
    for file in handoffs:
        proven |= _handoff(file, report)
    for file in sorted({*manifests, *(tar.with_suffix(".json") for tar in tars)}):
        if file.resolve() not in proven:
            _captioned(file, report)


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Files below the folder, without those in hidden folders: there, unfinished work lies."""
    found = (file for file in folder.rglob(pattern) if file.is_file())
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _file(file: Path, report: Report) -> None:
    from core.errors import NothingToReadError

    kind = format_of(file) if file.suffix == ".json" else ""
    if kind.startswith("densify.handoff/"):
        _handoff(file, report)
    elif kind.startswith("densify.captioned/") or file.suffix == ".tar":
        _captioned(file, report)
    else:
        raise NothingToReadError(
            f"{file} is neither a hand-off manifest nor a captioned shard nor its manifest.",
            hint="Name the .json of a hand-off, or the .tar or .json of a captioned shard.",
        )


def _handoff(file: Path, report: Report) -> set[Path]:
    """Proves a hand-off with all its shards; returns the manifests of these shards."""
    from analysis.handoff_verify import verify_handoff

    found = verify_handoff(file)
    report.add_findings(found.findings)
    places = [finding.where for finding in found.findings]
    for shard in found.handoff.shards:
        stem = Path(shard.path).stem
        # Sample keys do not say which shard they are of: with such a finding no shard of the hand-off is called proven.
        named = any(where == shard.name or stem in where for where in places)
        report.shards.append(
            {
                "name": shard.name,
                "sha256": shard.sha256,
                "samples_in": shard.samples_in,
                "captioned": shard.captioned,
                "rejected": shard.rejected,
                **({} if shard.kept is None else {name: getattr(shard, name) for name in KEPT}),
                "ok": found.ok or (not named and all(_names_a_shard(where, found.handoff) for where in places)),
            }
        )
    return {(file.parent / shard.manifest.path).resolve() for shard in found.handoff.shards}


def _names_a_shard(where: str, handoff: Handoff) -> bool:
    return any(where == shard.name or Path(shard.path).stem in where for shard in handoff.shards)


def _captioned(file: Path, report: Report) -> None:
    from core.settings import get_settings
    from shards.tar import TarLimits
    from shards.verify import verify_captioned

    report.add_shard(file.stem, verify_captioned(file, TarLimits.from_settings(get_settings())))


def show_report(report: Report) -> None:
    """One row per shard, the sum, and the findings."""
    from cli.console import print_table

    counts = (*COUNTS, *KEPT) if any("kept" in shard for shard in report.shards) else COUNTS
    rows = [
        [shard["name"], *(str(shard.get(name, "-")) for name in counts), "ok" if shard["ok"] else "NOT OK"]
        for shard in report.shards
    ]
    if len(rows) > 1:
        rows.append(["all", *(str(report.sum(name)) for name in counts), "ok" if report.ok else "NOT OK"])
    print_table(report.path, ["shard", *(name.replace("_", " ") for name in counts), ""], rows, text=("shard",))
    for finding in report.findings[:SHOWN]:
        print(f"{finding['code']}: {finding['where']}: {finding['sentence']}")
    if len(report.findings) > SHOWN:
        print(f"… and {len(report.findings) - SHOWN} more; --json lists them all.")
    print(report.sentence())
