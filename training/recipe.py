"""A recipe: everything that decides what a run makes, in one YAML file, typed, with no field that is not known.

Relative paths inside a recipe are relative to the folder where `densify train` is called. Leaves out: reading files
(recipe_files.py), which fields play no part beside which others (unread.py), and what is recorded when a run starts
(lineage.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

#: Where a run begins: another run's folder, a diffusers folder, or a hub id.
Start = str


#: Of an average what stays at each step; at 1 nothing would ever be added.
Share = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Data(_Section):
    """What is read, and in what order."""

    handoff: str = Field(description="The hand-off's manifest: a path or an fsspec URL.")
    digest: str | None = Field(
        None, pattern=r"^[0-9a-f]{8,64}$", description="First digits of the hand-off's digest; another one is refused."
    )
    split: Literal["train", "all"] = Field("train", description="`train` leaves the validation samples out.")
    label: str = Field("label", description="Field of a sample's .json that holds its class (methods dit, classifier).")
    resolution: int = Field(256, ge=8, description="Side of a square image in pixels; of a bucket, its area's root.")
    aspects: Literal["square", "buckets"] = Field(
        "square", description="`square`: resized, centre crop. `buckets`: each image in the nearest of many shapes."
    )
    shuffle: int = Field(4096, ge=1, description="Samples held in memory to draw from; whole shards are shuffled too.")
    workers: int = Field(2, ge=0, description="Threads that decode images ahead.")
    cache: str | None = Field(
        None, description="Folder of computed features, shared by runs; none: inside the run's folder."
    )


class Captions(_Section):
    """What is read of a sample's texts, chosen anew whenever it is read: no cache holds the choice."""

    dropout: float = Field(0.1, ge=0, le=1, description="Share of samples that are read without a caption.")
    old_text: float = Field(
        0.0, ge=0, le=1, description="Share of samples that are read with their old text instead; with 1 no caption is."
    )
    tokens: int = Field(120, ge=1, description="Tokens read of a caption. CLIP 77, PixArt-alpha 120, PixArt-sigma 300.")


class Model(_Section):
    """What learns, and from where it starts."""

    size: str | None = Field(None, description="A named size (`densify train --sizes`); none: that of `start`.")
    start: Start | None = Field(None, description="A run, a diffusers folder or a hub id whose weights it begins with.")
    reparameterise_at: int = Field(
        500, ge=0, le=999, description="Time step at which a DiT and the PixArt made of it agree (the paper: 500)."
    )
    without_class: Literal["zero", "null"] = Field(
        "null", description="What a DiT without class condition is: a zero vector, or its class for no class."
    )
    vae: str = Field("demo", description="The image encoder: `demo`, a folder or a hub id.")
    text_encoder: str = Field("demo", description="Encoder and tokenizer: `demo`, a folder or a hub id.")

    @field_validator("without_class", mode="before")
    @classmethod
    def _null_is_a_word(cls, value: Any) -> Any:
        # YAML reads null without quotes as nothing.
        return "null" if value is None else value


class Objective(_Section):
    """What is learnt of a noised image."""

    kind: Literal["flow", "epsilon", "v"] = Field("flow", description="What the model says of a noised image.")
    learn_sigma: bool = Field(False, description="DiT's hybrid loss: the model says the variance too (epsilon only).")
    steps: int = Field(1000, ge=100, description="Time steps of the noise schedule; any number ends in noise.")
    times: Literal["uniform", "logit_normal"] = Field(
        "uniform", description="How time steps are drawn; flow matching does best with logit_normal."
    )
    min_snr: float | None = Field(None, gt=0, description="Gamma of min-SNR weighting (arXiv 2303.09556: 5).")
    offset_noise: float = Field(0.0, ge=0, description="Strength of one noise value per channel for the whole image.")
    zero_terminal_snr: bool = Field(False, description="The last step holds no image (arXiv 2305.08891); v only.")

    @model_validator(mode="after")
    def _fits_together(self) -> Objective:
        if self.learn_sigma and self.kind != "epsilon":
            raise ValueError("learn_sigma is the hybrid loss of epsilon prediction: set kind to epsilon")
        if self.zero_terminal_snr and self.kind != "v":
            raise ValueError("at zero terminal SNR the noise says nothing of the image: set kind to v")
        if self.times == "logit_normal" and self.kind != "flow":
            raise ValueError("times: logit_normal is flow matching's: set times to uniform")
        if self.kind == "flow" and (self.min_snr or self.offset_noise):
            raise ValueError("min_snr and offset_noise belong to noise schedules: leave them out of flow matching")
        return self


class Optimiser(_Section):
    """How weights move."""

    name: Literal["adamw", "adamw8bit", "muon"] = Field(
        "adamw", description="`muon`: torch's, for matrices, AdamW for the rest; `adamw8bit` needs bitsandbytes."
    )
    rate: float = Field(2e-5, gt=0, description="Learning rate of AdamW.")
    matrix_rate: float = Field(3e-3, gt=0, description="Learning rate of Muon.")
    betas: tuple[Share, Share] = Field((0.9, 0.999), description="Of AdamW.")
    eps: float = Field(1e-8, gt=0, description="Of AdamW.")
    weight_decay: float = Field(0.03, ge=0, description="Of matrices; vectors, norms and tables have none.")
    clip: float = Field(1.0, gt=0, description="Longest gradient.")
    schedule: Literal["constant", "cosine", "decay"] = Field(
        "constant", description="After the warm-up. `decay`: constant, then to nothing over `decay_share`."
    )
    decay_share: float = Field(0.3, gt=0, le=1, description="Last share of the steps in which the rate falls.")
    warmup: int = Field(0, ge=0, description="Steps in which the rate rises.")


class Run(_Section):
    """How long, how wide, and what is kept."""

    steps: int = Field(ge=1, description="Steps of the optimiser.")
    batch: int = Field(ge=1, description="Images in a step, over all processes and accumulated parts.")
    accumulate: int = Field(1, ge=1, description="Parts in which a process computes its share of a batch.")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Number type of the products; weights: fp32."
    )
    checkpointing: bool = Field(False, description="Compute activations twice instead of keeping them.")
    compile: bool = Field(False, description="torch.compile the model.")
    shard: bool = Field(
        False, description="Spread weights, averages and optimiser over the processes (FSDP 2); AdamW, fp32 or bf16."
    )
    ema: float = Field(0.9999, ge=0, lt=1, description="Share of the average that stays at each step; 0: no average.")
    seed: int = Field(0, ge=0, description="Of everything that is drawn by chance.")
    save_every: int = Field(1000, ge=1, description="Steps between checkpoints.")
    keep: int = Field(2, ge=1, description="Checkpoints kept, newest first.")
    log_every: int = Field(50, ge=1, description="Steps between two lines of the log.")


class Validation(_Section):
    """A loss that only learning changes: the same images, noise and time steps whenever it is measured."""

    every: int = Field(0, ge=0, description="Steps between measurements; 0: none.")
    samples: int = Field(64, ge=1, description="Images of the validation split.")
    times: int = Field(8, ge=1, description="Time steps for each, spread evenly.")


class Previews(_Section):
    """Pictures drawn while it learns."""

    every: int = Field(0, ge=0, description="Steps between pictures; 0: none.")
    prompts: tuple[str, ...] = Field((), description="One picture each; none: captions of the validation split.")
    count: int = Field(16, ge=1, le=256, description="Pictures, where `prompts` names none.")
    steps: int = Field(20, ge=1, description="Sampling steps.")
    guidance: float = Field(3.0, ge=0, description="Guidance scale; 1: none.")


class Recipe(_Section):
    """One run."""

    method: Literal["pixart", "dit", "classifier"] = Field(
        description="`dit`: stage 1, from classes; `classifier`: tells classes, to guide it; `pixart`: from captions."
    )
    data: Data
    captions: Captions = Captions()
    model: Model = Model()
    objective: Objective = Objective()
    optimiser: Optimiser = Optimiser()
    run: Run
    validation: Validation = Validation()
    previews: Previews = Previews()

    @model_validator(mode="after")
    def _can_be_divided(self) -> Recipe:
        if self.run.batch % self.run.accumulate:
            raise ValueError(f"run.batch {self.run.batch} cannot be divided into {self.run.accumulate} equal parts")
        return self

    @model_validator(mode="after")
    def _can_be_spread(self) -> Recipe:
        if self.run.shard and self.optimiser.name != "adamw":
            raise ValueError("run.shard leaves each process a part of every matrix: set optimiser.name to adamw")
        if self.run.shard and (self.run.precision == "fp16" or self.run.compile):
            raise ValueError("run.shard goes with fp32 and bf16, and without run.compile")
        return self

    @model_validator(mode="after")
    def _scales_once(self) -> Recipe:
        # Of two optimisers accelerate would divide the second one's gradients by the scale twice.
        if self.run.precision == "fp16" and self.optimiser.name == "muon":
            raise ValueError("muon does not go with fp16: set run.precision to bf16, or optimiser.name to adamw")
        return self

    @model_validator(mode="after")
    def _suits_a_classifier(self) -> Recipe:
        if self.method != "classifier":
            return self
        if self.model.start:
            raise ValueError("a classifier begins anew: leave model.start out")
        if self.data.aspects != "square":
            raise ValueError("a classifier reads latents of one shape: set data.aspects to square")
        if self.run.checkpointing:
            raise ValueError("a classifier is small: leave run.checkpointing out")
        if self.previews.every:
            raise ValueError("a classifier draws nothing: leave previews.every out")
        return self
