"""Gates: thresholds that a shard or data set must meet before it is handed off. A figure at the threshold passes.

Leaves out: what happens to what fails (the ledger holds it), and where the figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from analysis.density import Table

if TYPE_CHECKING:
    from analysis.rarefaction import Abundance

#: Later gates are not written where they are not set: hand-offs made before them keep their bytes, and so their digest.
_LATER = frozenset({"valid_share_images", "max_cut_off_share", "max_rejected_share"})
#: Digits of a valid share at fewer images than there are: machines differ in the last bits of its sums.
_DIGITS = 9


class Gates(BaseModel):
    """Every gate that is not set passes everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_valid_share: float | None = Field(None, ge=0, le=1, description="Least share of valid distinct nouns, 0 to 1.")
    valid_share_images: int | None = Field(
        None, ge=1, description="Images at which the data set's valid share is judged; none: all, shard by shard too."
    )
    min_nouns_per_image: float | None = Field(None, ge=0, description="Least noun occurrences per image.")
    max_flagged_share: float | None = Field(
        None, ge=0, le=1, description="Greatest share of captions that carry a flag, 0 to 1."
    )
    max_cut_off_share: float | None = Field(
        None, ge=0, le=1, description="Greatest share of captions that the token limit cut off, 0 to 1."
    )
    max_rejected_share: float | None = Field(
        None, ge=0, le=1, description="Greatest share of samples that were rejected, 0 to 1."
    )

    @model_validator(mode="after")
    def _has_a_share_to_judge(self) -> Gates:
        if self.valid_share_images is not None and self.min_valid_share is None:
            raise ValueError("valid_share_images says at how many images min_valid_share is judged: set both")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None or name not in _LATER}

    def of_shard(self) -> Gates:
        """The gates that a single shard is asked: not those of the data set as a whole."""
        if self.valid_share_images is None:
            return self
        return self.model_copy(update={"min_valid_share": None, "valid_share_images": None})


class GateFailure(BaseModel):
    """One gate that said no: its name, its threshold, the figure that was found, and a sentence with both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    threshold: float
    figure: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What gates look at beside the density table: of `samples_in` so many were `rejected`; of `captions`, so many
    carry a flag and so many were `cut_off` by the token limit."""

    samples_in: int
    rejected: int
    captions: int
    flagged: int
    cut_off: int


def check(
    gates: Gates, table: Table, tally: Tally, abundance: Callable[[], Abundance] | None = None
) -> list[GateFailure]:
    """The gates that fail, in the order of Gates; none: it passes. Without a caption, shares and averages are 0.

    `abundance`: makes the histogram of the table's noun counts; it is asked only where `valid_share_images` is set.
    """
    failures = list(_valid_share(gates, table, abundance))
    least = gates.min_nouns_per_image
    if least is not None and table.nouns_per_image < least:
        sentence = "There are {} nouns per image, the gate asks for {}."
        failures.append(_failure("min_nouns_per_image", least, table.nouns_per_image, sentence))
    for gate, part, whole, sentence in (
        ("max_flagged_share", tally.flagged, tally.captions, "The share of flagged captions is {}, over {}."),
        ("max_cut_off_share", tally.cut_off, tally.captions, "The share of captions cut off is {}, over {}."),
        ("max_rejected_share", tally.rejected, tally.samples_in, "The share of rejected samples is {}, over {}."),
    ):
        limit, share = getattr(gates, gate), part / whole if whole else 0.0
        if limit is not None and share > limit:
            failures.append(_failure(gate, limit, share, sentence))
    return failures


def _valid_share(gates: Gates, table: Table, abundance: Callable[[], Abundance] | None) -> Iterator[GateFailure]:
    least, images = gates.min_valid_share, gates.valid_share_images
    if least is None:
        return
    share, where = table.valid_share, ""
    if images is not None:
        if table.images < images:
            sentence = f"The valid share is judged at {images:,} images; {table.images:,} are too few to judge."
            yield GateFailure(gate="valid_share_images", threshold=images, figure=table.images, sentence=sentence)
            return
        from analysis.rarefaction import at

        assert abundance is not None, "a data set is judged with its noun counts"
        share = round(at(abundance(), images, min_count=table.min_count).valid_share.value, _DIGITS)
        where = f" at {images:,} images"
    if share < least:
        yield _failure("min_valid_share", least, share, f"The valid share{where} is {{}}, the gate asks for {{}}.")


def _failure(gate: str, threshold: float, figure: float, sentence: str) -> GateFailure:
    return GateFailure(
        gate=gate, threshold=threshold, figure=figure, sentence=sentence.format(f"{figure:.4g}", f"{threshold:.4g}")
    )
