"""Problem documents (RFC 9457): the error tree as HTTP answers, also for bad fields, unknown paths and our own faults.

A problem is `{type, title, status, detail, instance, code, hint, …}`: `code` is the error's code in docs/errors.md,
`detail` its sentence, `hint` what to do, and further members are its machine-readable details (`offset`, `members`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from core.errors import (
    BadFieldError,
    BadNameError,
    DensifyError,
    InputError,
    MethodNotAllowedError,
    NotFoundError,
    RangeError,
    ServiceError,
    UnauthorizedError,
    UnsupportedMediaError,
)
from core.logs import get_logger, mask_url

MEDIA_TYPE = "application/problem+json"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

#: Members that an error's details may not replace.
_STANDARD = frozenset({"type", "title", "status", "detail", "instance", "code", "hint"})

#: Characters of a path that an answer repeats at most.
LONGEST_PATH = 300

#: Seconds after which a client may try again when a part that the service leans on failed.
RETRY_AFTER_S = 5

log = get_logger(__name__)


def document(error: DensifyError, instance: str) -> dict[str, Any]:
    """The problem document of `error`; `instance` is the path that was asked for."""
    problem: dict[str, Any] = {
        "type": f"urn:densify:problem:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": mask_url(error.sentence),
        "instance": instance,
        "code": error.code,
    }
    if error.hint:
        problem["hint"] = error.hint
    problem.update({name: value for name, value in error.details.items() if name not in _STANDARD})
    return problem


def headers_of(error: DensifyError) -> dict[str, str]:
    """The headers that HTTP wants beside a status: WWW-Authenticate, Content-Range, Retry-After."""
    if isinstance(error, UnauthorizedError):
        wrong = ', error="invalid_token"' if error.details.get("presented") else ""
        return {"WWW-Authenticate": f'Bearer realm="densify"{wrong}'}
    if isinstance(error, RangeError):
        return {"Content-Range": f"bytes */{error.details.get('size_bytes', '*')}"}
    if isinstance(error, ServiceError) and error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER_S)}
    return {}


def path_of(scope: Scope) -> str:
    """The path that was asked for as it may stand in an answer or a log line: escaped, and cut where it is long."""
    path = quote(scope["path"], safe="/:@!$&'()*+,;=~", errors="replace")
    return path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "..."


def problem_response(error: DensifyError, scope: Scope, headers: dict[str, str] | None = None) -> Response:
    """The whole answer: document, status, media type and headers. Errors of ours (5xx) are logged."""
    instance = path_of(scope)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", path=instance, code=error.code, error=error.sentence)
    body = json.dumps(document(error, instance), ensure_ascii=False, default=str).encode()
    return Response(body, error.status, headers_of(error) | (headers or {}), MEDIA_TYPE)


def field_error(errors: Sequence[Any], prefix: str = "") -> BadFieldError:
    """pydantic's list of findings as one error: the sentence names the first field, `errors` lists them all.

    `prefix` is put before each field's name, for objects that were validated apart from the request.
    """
    found = [{"field": _field_name(each["loc"], prefix), "message": _sentence(each["msg"])} for each in errors]
    first = found[0]
    return BadFieldError(
        f"{first['field']}: {first['message']}",
        hint="Correct the named fields; /docs shows every field with an example.",
        field=first["field"],
        errors=found,
    )


def from_validation(error: ValidationError, prefix: str) -> BadFieldError:
    """A pydantic ValidationError raised inside a handler, its fields named below `prefix`."""
    return field_error(error.errors(), prefix)


def _field_name(loc: Sequence[Any], prefix: str) -> str:
    """`("body", "gates", "min_valid_share")` → `gates.min_valid_share`; the name tells where a field came from."""
    parts = [str(part) for part in loc]
    if parts and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:] or parts
    return ".".join([prefix, *parts] if prefix else parts)


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ").rstrip(".")
    return text[:1].lower() + text[1:] + "."


def install(app: FastAPI) -> None:
    """Makes every failure of `app` a problem document."""
    app.add_exception_handler(DensifyError, _on_densify_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_fault)


async def _on_densify_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DensifyError)
    return problem_response(error, request.scope)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(_explain(request, error.errors()), request.scope)


def _explain(request: Request, errors: Sequence[Any]) -> InputError:
    """The likeliest cause first: a body of another type, a body that is no JSON, a field."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if any(tuple(each["loc"]) == ("body",) for each in errors) and not kind.endswith("json"):
        has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        if has_body:
            return UnsupportedMediaError(
                f"The body is {kind or 'of no stated type'}, where JSON is expected.",
                hint="Send `Content-Type: application/json`.",
            )
    for each in errors:
        if each["type"] == "json_invalid":
            reason = each.get("ctx", {}).get("error", "it cannot be read")
            return InputError(f"The body is no JSON: {reason} at character {each['loc'][-1]}.")
    return field_error(errors)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, scope = path_of(request.scope), request.scope
    if not scope["path"].isprintable() and error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        return problem_response(BadNameError(f"{path} has a control character."), scope)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods_at(request))
        wrong = MethodNotAllowedError(f"{request.method} is not possible at {path}.")
        return problem_response(wrong, scope, headers={"Allow": allowed})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem_response(
            NotFoundError(f"There is nothing at {path}.", hint="docs/http.md and /docs list every path."), scope
        )
    return problem_response(InputError(str(error.detail)), scope)


def _methods_at(request: Request) -> list[str]:
    """Every method that the path takes: several routes may share it, and each knows only its own."""
    routes = request.app.router.routes
    scopes = ({**request.scope, "method": method} for method in _METHODS)
    return [scope["method"] for scope in scopes if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def _on_fault(request: Request, error: Exception) -> Response:
    # The framework raises the exception again behind this answer, so that its traceback is logged once.
    sentence = "The service made a mistake; its log has the details."
    return problem_response(DensifyError(sentence), request.scope)
