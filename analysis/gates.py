"""Judging by gates: which thresholds a shard or data set does not meet. A figure at the threshold passes.

Leaves out: the thresholds themselves (core/gates.py), what happens to what fails (the ledger holds it), and where the
figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.density import Table
from core.gates import GateFailure, Gates

if TYPE_CHECKING:
    from analysis.rarefaction import Abundance

#: Digits of a valid share at fewer images than there are: machines differ in the last bits of its sums.
_DIGITS = 9


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
