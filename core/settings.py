"""Settings: read once from the environment (DENSIFY_*), typed, each with its unit. docs/settings.md lists them all."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingError
from core.spec import DEMO_MODEL, PIXART_PROMPT, CaptionSpec, Generation

CommaList = Annotated[list[str], NoDecode]


class Settings(BaseSettings):
    """One field per DENSIFY_ variable."""

    model_config = SettingsConfigDict(env_prefix="DENSIFY_", extra="ignore")

    # where things are
    data: str = Field("densify-data", description="Folder or fsspec URL that holds shards, captions and hand-offs.")
    ledger: str = Field("", description="SQLAlchemy URL of the ledger; empty: SQLite inside DENSIFY_DATA (a folder).")
    broker: str = Field("redis://127.0.0.1:6379/0", description="Redis URL that carries hints to the workers.")
    url: str = Field("http://127.0.0.1:8000", description="Where the command line finds the service.")
    api_key: str = Field("", description="Key that the command line sends.")
    api_keys: CommaList = Field(
        default_factory=list, description="Keys registered when the service starts, comma separated; kept as hashes."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")

    # what captions
    engine: Literal["transformers", "openai"] = Field("transformers", description="Engine of data sets without a spec.")
    model: str = Field(DEMO_MODEL, description="Hub id or folder of the model, or its name at the endpoint.")
    revision: str = Field("", description="Hub revision of the model; empty: the default branch.")
    prompt: str = Field(PIXART_PROMPT, description="Prompt of data sets that bring no spec.")
    max_new_tokens: int = Field(300, ge=1, description="Longest caption, in tokens, of data sets that bring no spec.")
    device: str = Field("auto", description="`auto` (the first GPU, else the CPU), `cpu`, `cuda`, `cuda:1`.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number type of the weights; auto: bfloat16 where the GPU has it, float32 on a CPU."
    )
    batch_size: int = Field(
        0, ge=0, description="Images in one batch; 0: found by probing the memory (8 on a CPU, 64 of small models)."
    )
    cpu_threads: int = Field(0, ge=0, description="Threads of the CPU's matrix products; 0: as many as torch takes.")
    endpoint: str = Field("", description="Base URL of the OpenAI-compatible endpoint, with its /v1.")
    endpoint_key: str = Field("", description="Key that is sent to the endpoint.")
    endpoint_concurrency: int = Field(16, ge=1, description="Requests under way at once at the endpoint.")
    endpoint_timeout_s: float = Field(120.0, gt=0, description="Longest wait for one answer of the endpoint, seconds.")
    endpoint_retries: int = Field(5, ge=0, description="Further tries after a passing fault of the endpoint.")

    # how work is cut and kept
    chunk_samples: int = Field(512, ge=1, description="Samples in a chunk, the unit of claim and retry.")
    chunk_attempts: int = Field(3, ge=1, description="Failed attempts after which a chunk is halved.")
    lease_s: float = Field(60.0, gt=0, description="Seconds that a claim lasts without a renewal.")
    stall_s: float = Field(600.0, gt=0, description="Seconds without a caption after which a claim is not renewed.")
    sweep_s: float = Field(5.0, gt=0, description="Seconds between two rounds of the sweeper.")
    worker_threads: int = Field(2, ge=1, description="Chunks that overlap in one engine, in one process.")
    decode_threads: int = Field(2, ge=1, description="Threads that read and decode images ahead of the engine.")

    # limits
    max_shard_bytes: int = Field(64 << 30, ge=1, description="Largest shard, bytes.")
    max_member_bytes: int = Field(256 << 20, ge=1, description="Largest member of a shard, bytes.")
    max_members: int = Field(2_000_000, ge=1, description="Most members in a shard.")
    max_pixels: int = Field(100_000_000, ge=1, description="Most pixels in an image, checked before decoding.")
    min_side: int = Field(8, ge=1, description="Shortest side of an image, pixels.")
    max_aspect: float = Field(20.0, ge=1, description="Longest side over shortest side of an image.")
    upload_stall_s: float = Field(30.0, gt=0, description="Seconds without a byte after which an upload is dropped.")
    ingest_allow: CommaList = Field(
        default_factory=list, description="URL prefixes that may be read (file:///data/, s3://bucket/, https://host/)."
    )
    ingest_timeout_s: float = Field(3600.0, gt=0, description="Longest time that reading one shard by URL may take.")

    @field_validator("api_keys", "ingest_allow", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @property
    def ledger_url(self) -> str:
        """The ledger's SQLAlchemy URL, the default filled in. Raises SettingError where no default is possible."""
        if self.ledger:
            return self.ledger
        folder = self.data_folder
        if folder is None:
            raise SettingError(
                f"DENSIFY_LEDGER is empty and DENSIFY_DATA is not a local folder ({self.data}).",
                hint="Set DENSIFY_LEDGER to a database, for example postgresql+psycopg://densify@host/densify.",
            )
        return f"sqlite:///{folder / 'ledger.sqlite'}"

    @property
    def data_folder(self) -> Path | None:
        """DENSIFY_DATA as a local folder, or None where it is another file system's URL."""
        if self.data.startswith("file://"):
            return Path(self.data.removeprefix("file://"))
        return None if "://" in self.data else Path(self.data).absolute()

    @property
    def has_model(self) -> bool:
        """Whether a model is set that the engine can have: the one that ships is no endpoint's."""
        return bool(self.model) and not (self.engine == "openai" and self.model == DEMO_MODEL)

    def default_spec(self) -> CaptionSpec:
        """The captioning spec of a data set that brings none. Raises SettingError without a model."""
        if not self.has_model:
            raise SettingError(
                "No model is set.",
                hint="Set DENSIFY_MODEL to a LLaVA-family hub id or folder, for example llava-hf/llava-1.5-7b-hf.",
            )
        return CaptionSpec(
            engine=self.engine,
            model=self.model,
            revision=self.revision or None,
            prompt=self.prompt,
            generation=Generation(max_new_tokens=self.max_new_tokens),
        )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once. Raises SettingError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "DENSIFY_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingError(f"{name} is wrong: {first['msg']}.") from error
