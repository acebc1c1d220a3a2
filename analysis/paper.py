"""The four rows that PixArt-alpha published (arXiv 2310.00426, table 1 and section 2.4), and counting as it seems to.

Its data sets all had about 11.2 million images (total over average), so its rows may be compared with one another, and
with nothing smaller. Tagger, folding and names are not told there: the profile `paper` takes forms as they are written,
counts names, and leads with what is told, a valid noun occurs more than 10 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: How to count: as Densify does, or as the paper seems to.
Profile = Literal["densify", "paper"]
PAPER_TITLE = "PixArt-alpha, about 11.2 million images each (arXiv 2310.00426)"
PROFILE_NOTE = (
    "Counted as PixArt-alpha's table seems to be: forms as written, names too, VN from more than 10. "
    "Its data sets had about 11.2 million images each: only as many can be set beside its rows."
)


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One published row, every figure as printed there: shares are of unrounded counts, and differ by 0.1 points."""

    name: str
    valid_nouns: int
    distinct_nouns: int
    valid_share: float
    total_nouns: int
    nouns_per_image: float


PAPER = (
    PaperRow("LAION", 210_000, 2_461_000, 0.085, 72_000_000, 6.4),
    PaperRow("LAION-LLaVA", 85_000, 646_000, 0.133, 233_900_000, 20.9),
    PaperRow("SAM-LLaVA", 23_000, 124_000, 0.186, 327_900_000, 29.3),
    PaperRow("Internal", 152_000, 582_000, 0.261, 136_600_000, 12.2),
)
