"""Which of its texts a sample is read with: its caption, its old text, or none. Chosen whenever it is read.

The choice depends on the seed, the epoch and the sample's key alone, so that it is the same on any number of processes
and after a resume; another rate makes another choice of the same cached features, never a new cache. Dropping captions
is what classifier-free guidance needs (arXiv 2207.12598; Imagen and PixArt drop 10 %). Leaves out: tokens.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from training.recipe import Captions

Text = Literal["caption", "old_text", "none"]


def choose(captions: Captions, seed: int, epoch: int, key: str, *, has_old_text: bool = True) -> Text:
    """What the sample with this key is read with in this epoch.

    The two rates are of all samples: dropped first, then old text. A sample without old text is read with its caption,
    unless old text is all that is read: then with nothing.
    """
    digest = hashlib.sha256(f"{seed}:{epoch}:{key}".encode()).digest()
    drop, old = (int.from_bytes(digest[at : at + 7]) / 2**56 for at in (0, 7))
    if drop < captions.dropout:
        return "none"
    if old >= captions.old_text:
        return "caption"
    if has_old_text:
        return "old_text"
    return "none" if captions.old_text == 1 else "caption"
