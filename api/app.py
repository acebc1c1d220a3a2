"""The application: routes, middleware and lifetime put together around one service. Everything else has its own file.

Middleware, outermost first: measuring and logging · bodies (deadlines, limits) · API keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from api import (
    datasets,
    density,
    downloads,
    errors,
    events,
    handoff_files,
    handoffs,
    health,
    keeps,
    metrics,
    openapi,
    samples,
    shards,
    uploads,
)
from api.access import AccessMiddleware
from api.auth import AuthMiddleware, register_keys
from api.bodies import BodyMiddleware
from api.parts import remove_abandoned
from core.logs import get_logger
from core.version import VERSION
from workers.service import Service

log = get_logger(__name__)

#: Threads that hash, write, scan and store uploads.
POOL_THREADS = 16


def create_app(service: Service) -> FastAPI:
    """The ASGI application around `service`, which stays the caller's to close.

    Raises SettingError for an unusable DENSIFY_API_KEYS, LedgerError when the ledger does not answer.
    """
    register_keys(service.ledger, service.settings.api_keys)
    app = FastAPI(
        title="Densify",
        version=VERSION,
        summary="Turns image shards into text-to-image training data whose concept density is measured and proven.",
        lifespan=_lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.metrics = metrics.Metrics(service)
    app.state.stall = health.StallWatch(service)
    app.state.stopping = asyncio.Event()
    for middleware, options in (
        (AuthMiddleware, {"ledger": service.ledger}),
        (BodyMiddleware, {"stall_s": service.settings.upload_stall_s}),
        (AccessMiddleware, {"metrics": app.state.metrics, "stopping": app.state.stopping}),
    ):
        app.add_middleware(middleware, **options)
    app.include_router(_versioned())
    app.include_router(health.router)
    app.include_router(metrics.router)
    errors.install(app)
    openapi.install(app)
    return app


def _versioned() -> APIRouter:
    """All that wants a key, below /v1. The scheme is named for /docs only; AuthMiddleware is what checks."""
    bearer = HTTPBearer(auto_error=False, description="An API key; wanted as soon as one exists.")
    router = APIRouter(prefix="/v1", dependencies=[Security(bearer)])
    for module in (datasets, uploads, shards, downloads, samples, events, density, keeps, handoffs, handoff_files):
        router.include_router(module.router)
    return router


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    removed = await run_in_threadpool(remove_abandoned, app.state.service.store.staging())
    if removed:
        log.info("abandoned_uploads_removed", files=removed)
    with ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="densify-upload") as pool:
        app.state.pool = pool
        yield
        app.state.stopping.set()
