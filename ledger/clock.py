"""The database's clock, as epoch seconds in a double: the only clock that leases and times in the ledger are made by.

On PostgreSQL that is the server's clock, one for the whole fleet. SQLite has none of its own: it asks the machine that
the file lies on, which is one for all its processes too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):
    """`now()` in a statement: seconds since 1970-01-01 UTC when the statement runs, not when its transaction began."""

    inherit_cache = True
    type = Double()


@compiles(now, "postgresql")
def _postgresql(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) AS double precision)"


@compiles(now, "sqlite")
def _sqlite(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
