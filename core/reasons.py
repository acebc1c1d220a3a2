"""Why a sample was rejected, and why a caption was flagged: the two closed vocabularies.

A *reject* ends a sample's way: it is not in the captioned shard, its reason is. A *flag* is a doubt about a caption
that stays in the shard; gates count flags. Both lists stand in docs/formats.md (a test compares them).
"""

from __future__ import annotations

from dataclasses import dataclass

REJECT_REASONS: dict[str, str] = {
    # tar members (shards/reader.py)
    "link_member": "a symbolic or hard link; links are never followed",
    "special_member": "a device, pipe, sparse or otherwise special member",
    "unsafe_name": "a member name that is absolute, has '..' or a control character, is too long or not UTF-8",
    "bad_name": "a member name without an extension or without a key, or one that WebDataset keeps for itself",
    "duplicate_member": "two members with the same key and extension (upper and lower case count as the same)",
    "keys_not_adjacent": "members of one key that do not stand beside each other in the tar",
    "no_image": "a sample without a jpg, jpeg, png or webp member",
    "two_images": "a sample with more than one image member",
    "member_too_large": "a member over the size limit",
    # images (shards/images.py)
    "image_empty": "an image member of zero bytes",
    "not_an_image": "bytes that are no JPEG, PNG or WebP",
    "image_truncated": "an image cut short",
    "image_corrupt": "an image that does not decode",
    "image_too_large": "more pixels than the limit, seen before decoding",
    "image_too_small": "a side shorter than the limit",
    "image_aspect": "an aspect ratio beyond the limit",
    "image_animated": "more than one frame",
    # captioning (captioner/, workers/)
    "missing_field": "the prompt template names a field that the sample does not have",
    "engine_refused": "the engine could not take this image or prompt",
    "out_of_memory": "the image alone does not fit into the accelerator's memory",
    "poison": "the work on this sample failed in every attempt, alone",
}

FLAGS: dict[str, str] = {
    "empty": "no word in the caption",
    "cut_off": "stopped by the token limit (finish reason `length`)",
    "loop": "a phrase repeated until the watchdog or the check stopped it",
    "refusal": "the model declined to describe the image",
    "prompt_echo": "the caption repeats the prompt",
    "boilerplate": "opens with a stock phrase such as 'The image features'",
    "stripped": "a stock opening was cut off, as the spec asks",
    "retried": "the first caption looped; this is the second, drawn with other sampling",
    "old_text_not_utf8": "the sample's old text was not valid UTF-8; broken bytes were replaced",
}


@dataclass(frozen=True, slots=True)
class Reject:
    """A sample, or a lone member, that does not go on: `key` is the sample's key or the member's name."""

    key: str
    reason: str
    sentence: str

    def __post_init__(self) -> None:
        assert self.reason in REJECT_REASONS, self.reason
