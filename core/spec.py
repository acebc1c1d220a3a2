"""The captioning spec: everything that decides what a caption will be, and its hash, which names outputs.

Two specs with equal hashes ask for the same work. Where a model runs (device, batch size, number type of the
weights) is not part of the spec; what is asked of it is.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: The prompt of PixArt-alpha's automatic labelling (arXiv 2310.00426, section 2.4), word for word.
PIXART_PROMPT = "Describe this image and its style in a very detailed manner"

#: The name of the model that ships with Densify. It knows the drawn pictures of the demo world and nothing else.
DEMO_MODEL = "densify-demo-1"


def canonical_json(value: Any) -> bytes:
    """One byte string for one value: keys sorted, no spaces, UTF-8, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Generation(BaseModel):
    """How tokens are drawn. Greedy by default: the same image gives the same caption."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(300, ge=1, le=8192, description="Longest caption, in tokens of the model.")
    do_sample: bool = Field(False, description="Draw tokens at random instead of taking the likeliest.")
    temperature: float = Field(1.0, gt=0, le=10, description="Flattens (>1) or sharpens (<1) the draw; sampling only.")
    top_p: float = Field(1.0, gt=0, le=1, description="Draw from the likeliest tokens of this mass; sampling only.")
    seed: int = Field(0, ge=0, description="Seed of the draw, mixed with each image's hash; sampling only.")


class CaptionSpec(BaseModel):
    """engine + model + prompt + generation parameters; `hash` names what is made by it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["transformers", "openai"] = Field("transformers", description="Which engine runs the model.")
    model: str = Field(description="Hub id, folder, or the name that an OpenAI-compatible endpoint knows.")
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit); none: the default branch.")
    prompt: str = Field(PIXART_PROMPT, min_length=1, max_length=20_000, description="Prompt or prompt template.")
    field_defaults: dict[str, str] = Field(
        default_factory=dict, description="What a template field reads where a sample lacks it; else it is rejected."
    )
    generation: Generation = Field(default_factory=Generation)
    strip_opening: bool = Field(False, description="Cut stock openings ('The image features') off captions.")
    quantization: Literal["8bit", "4bit"] | None = Field(None, description="Load weights in 8 or 4 bit (bitsandbytes).")

    @property
    def hash(self) -> str:
        """SHA-256 of the spec's canonical JSON, in hexadecimal."""
        return content_hash(self.model_dump(mode="json"))

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of the prompt template's UTF-8 bytes, in hexadecimal."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()
