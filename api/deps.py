"""What handlers ask for: the service, the pool for slow file work, list cursors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from fastapi import Depends, Query, Request

from workers.service import Service

#: Longest page of a list.
MAX_PAGE = 1000


async def get_service(request: Request) -> Service:
    """The one service that the application was made with."""
    service: Service = request.app.state.service
    return service


async def get_pool(request: Request) -> ThreadPoolExecutor:
    """Threads for hashing, writing and scanning uploads; apart from those that answer small requests."""
    pool: ThreadPoolExecutor = request.app.state.pool
    return pool


ServiceDep = Annotated[Service, Depends(get_service)]
PoolDep = Annotated[ThreadPoolExecutor, Depends(get_pool)]

Cursor = Annotated[str | None, Query(description="The `next` of the page before; none: the first page.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items on the page.")]
