"""Data sets over HTTP: making one, listing them, looking at one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from pydantic import ValidationError

from api.deps import Cursor, Limit, ServiceDep
from api.errors import from_validation
from api.openapi import problems
from api.schemas import DatasetIn, DatasetOut, Page, SpecIn
from core.errors import NoSuchDatasetError
from core.settings import Settings
from core.spec import CaptionSpec
from ledger import Ledger
from ledger.records import Dataset
from shards.names import check_dataset_name

router = APIRouter(tags=["data sets"])


@router.post(
    "/datasets",
    status_code=HTTPStatus.CREATED,
    response_model=DatasetOut,
    responses={
        200: {"model": DatasetOut, "description": "It was there already, the same."},
        **problems(400, 409, 413, 415),
    },
)
def create_dataset(body: DatasetIn, response: Response, service: ServiceDep) -> DatasetOut:
    """Makes a data set. Asked twice for the same one, it answers 200 the second time; another spec or other gates
    under the same name are refused."""
    check_dataset_name(body.name)
    spec = make_spec(body.spec or SpecIn(), service.settings)
    gates = check_gates(body.gates)
    if _exists(service.ledger, body.name):
        response.status_code = HTTPStatus.OK
    made = service.ledger.create_dataset(body.name, spec, gates)
    response.headers["Location"] = f"/v1/datasets/{quote(made.name)}"
    return dataset_out(made)


@router.get("/datasets", response_model=Page[DatasetOut], responses=problems(400))
def list_datasets(service: ServiceDep, cursor: Cursor = None, limit: Limit = 100) -> Page[DatasetOut]:
    """All data sets, by name."""
    items, following = service.ledger.list_datasets(cursor, limit)
    return Page[DatasetOut](items=[dataset_out(each) for each in items], next=following)


@router.get("/datasets/{name}", response_model=DatasetOut, responses=problems(404))
def get_dataset(name: str, service: ServiceDep) -> DatasetOut:
    """One data set."""
    return dataset_out(service.ledger.get_dataset(name))


def dataset_out(dataset: Dataset) -> DatasetOut:
    """The ledger's record as it is shown."""
    return DatasetOut(
        name=dataset.name,
        spec=dataset.spec,
        spec_hash=dataset.spec.hash,
        gates=dataset.gates,
        created_at=dataset.created_at,
    )


def make_spec(given: SpecIn, settings: Settings) -> CaptionSpec:
    """The whole spec: what was given over the server's settings.

    Raises BadFieldError, BadPromptError, and SettingError where neither names a model.
    """
    from captioner.prompts import check_prompt, resolve

    asked: dict[str, Any] = given.model_dump(exclude_none=True)
    if "model" in asked:
        # The server's revision belongs to the server's model.
        base = settings.model_copy(update={"model": asked["model"], "revision": ""}).default_spec()
    else:
        base = settings.default_spec()
    generation = base.generation.model_dump() | asked.pop("generation", {})
    prompt = asked.pop("prompt", base.prompt)
    check_prompt(prompt)
    try:
        # A prompt's name is written out: the spec's hash then says what was asked, not what it was called.
        return CaptionSpec.model_validate(
            base.model_dump() | asked | {"generation": generation, "prompt": resolve(prompt)}
        )
    except ValidationError as error:
        raise from_validation(error, "spec") from error


def check_gates(gates: dict[str, Any] | None) -> dict[str, Any] | None:
    """The gates as they are kept, validated. Raises BadFieldError naming the threshold."""
    if gates is None:
        return None
    from core.gates import Gates

    try:
        return Gates.model_validate(gates).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        raise from_validation(error, "gates") from error


def _exists(ledger: Ledger, name: str) -> bool:
    try:
        ledger.get_dataset(name)
    except NoSuchDatasetError:
        return False
    return True
