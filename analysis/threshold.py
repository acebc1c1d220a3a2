"""From how many occurrences a noun is valid: at least `min_count`, or more than it, as PixArt-alpha's text says.

Both figures stand in every table; which of them leads is chosen here, once for the terminal and the page.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.density import Table
from analysis.rarefaction import Estimate, Figure
from analysis.truncation import Loss


@dataclass(frozen=True, slots=True)
class Threshold:
    """`over`: more than `min_count` occurrences instead of at least as many."""

    min_count: int
    over: bool = False

    @property
    def least(self) -> int:
        """The fewest occurrences of a valid noun."""
        return self.min_count + self.over

    @property
    def words(self) -> str:
        """`at least 10`, or `more than 10`."""
        return f"{'more than' if self.over else 'at least'} {self.min_count}"

    @property
    def heading(self) -> str:
        """`VN (>= 10)`, or `VN (> 10)`."""
        return f"VN ({'>' if self.over else '>='} {self.min_count})"

    @property
    def other(self) -> Threshold:
        """The one that stands beside it."""
        return Threshold(self.min_count, not self.over)

    def of(self, table: Table) -> tuple[int, float]:
        """VN and VN/DN of a data set."""
        if self.over:
            return table.valid_nouns_over, table.valid_share_over
        return table.valid_nouns, table.valid_share

    def expected(self, estimate: Estimate) -> tuple[Figure, Figure]:
        """VN and VN/DN at another number of images."""
        if self.over:
            return estimate.valid_over, estimate.valid_share_over
        return estimate.valid, estimate.valid_share

    def lost(self, loss: Loss) -> int:
        """Nouns that are valid in the whole captions and not in what a trainer reads of them."""
        return loss.valid_lost_over if self.over else loss.valid_lost
