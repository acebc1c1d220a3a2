"""The OpenAPI document: problems as they are sent (application/problem+json), and what FastAPI cannot know."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import MEDIA_TYPE
from api.schemas import Problem

_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` entries of error statuses. 401 and 500 need not be named: every operation under /v1 has them."""
    return {
        status: {
            "description": HTTPStatus(status).phrase + " (a problem document)",
            "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Replaces the application's OpenAPI document by a complete one, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _complete(path, operation["responses"])
    # FastAPI's own form of validation errors is never sent.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return made


def _complete(path: str, responses: dict[str, Any]) -> None:
    wanted = (401, 422, 500) if path.startswith("/v1/") else (500,)
    for status, entry in problems(*wanted).items():
        validation = "HTTPValidationError" in str(responses.get(str(status), ""))
        if str(status) not in responses or validation:
            responses[str(status)] = entry
