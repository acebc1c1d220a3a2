"""Gates as data: thresholds that a shard or data set must meet, and what is said where one is not met.

Leaves out: the judging (analysis/gates.py).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

#: Later gates are not written where they are not set: hand-offs made before them keep their bytes, and so their digest.
_LATER = frozenset({"valid_share_images", "max_cut_off_share", "max_rejected_share"})


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
