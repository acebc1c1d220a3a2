"""Gates: thresholds that a shard or data set must meet before it is handed off. A figure at the threshold passes.

Leaves out: what happens to what fails (the ledger holds it), and where the figures come from.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from analysis.density import Table


class Gates(BaseModel):
    """Every gate that is not set passes everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_valid_share: float | None = Field(None, ge=0, le=1, description="Least share of valid distinct nouns, 0 to 1.")
    min_nouns_per_image: float | None = Field(None, ge=0, description="Least noun occurrences per image.")
    max_flagged_share: float | None = Field(
        None, ge=0, le=1, description="Greatest share of captions that carry a flag, 0 to 1."
    )


class GateFailure(BaseModel):
    """One gate that said no: its name, its threshold, the figure that was found, and a sentence with both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    threshold: float
    figure: float
    sentence: str


def check(gates: Gates, table: Table, flagged: int, captioned: int) -> list[GateFailure]:
    """The gates that fail, in the order of Gates; none: it passes. Without a caption, shares and averages are 0."""
    share = flagged / captioned if captioned else 0.0
    least = [
        ("min_valid_share", gates.min_valid_share, table.valid_share, "The valid share is {}, the gate asks for {}."),
        (
            "min_nouns_per_image",
            gates.min_nouns_per_image,
            table.nouns_per_image,
            "There are {} nouns per image, the gate asks for {}.",
        ),
    ]
    failures = [
        _failure(name, threshold, figure, sentence)
        for name, threshold, figure, sentence in least
        if threshold is not None and figure < threshold
    ]
    limit = gates.max_flagged_share
    if limit is not None and share > limit:
        failures.append(_failure("max_flagged_share", limit, share, "The share of flagged captions is {}, over {}."))
    return failures


def _failure(gate: str, threshold: float, figure: float, sentence: str) -> GateFailure:
    return GateFailure(
        gate=gate, threshold=threshold, figure=figure, sentence=sentence.format(f"{figure:.4g}", f"{threshold:.4g}")
    )
