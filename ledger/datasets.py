"""Data sets: a name, a captioning spec that never changes, and gates."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from core.errors import DatasetExistsError
from core.spec import CaptionSpec
from ledger.base import Base, dataset_record, get_dataset_row
from ledger.clock import now
from ledger.models import datasets
from ledger.records import Dataset
from ledger.texts import check_storable, clamp, decode_cursor, from_json, page, to_json


class Datasets(Base):
    """The methods on data sets."""

    def create_dataset(self, name: str, spec: CaptionSpec, gates: dict[str, Any] | None = None) -> Dataset:
        """Makes a data set, or returns the one of this name that has the same spec and gates.

        Raises DatasetExistsError where spec or gates differ, BadNameError.
        """
        check_storable("a data set's name", name)

        def work(connection: Connection) -> Dataset:
            row = connection.execute(select(datasets).where(datasets.c.name == name)).first()
            if row is None:
                values = {
                    "name": name,
                    "spec": to_json(spec.model_dump(mode="json")),
                    "spec_hash": spec.hash,
                    "gates": None if gates is None else to_json(gates),
                    "created_at": now(),
                }
                # Two that insert at once: the later one conflicts on the name, is run again and finds the row.
                row = connection.execute(datasets.insert().values(values).returning(datasets)).one()
            elif row.spec_hash != spec.hash:
                raise DatasetExistsError(f"There is a data set {name} already, with another captioning spec.")
            elif from_json(row.gates) != gates:
                raise DatasetExistsError(f"There is a data set {name} already, with other gates.")
            return dataset_record(row)

        return self._db.write(work)

    def get_dataset(self, name: str) -> Dataset:
        """Raises NoSuchDatasetError."""
        with self._db.read() as connection:
            return dataset_record(get_dataset_row(connection, name))

    def list_datasets(self, cursor: str | None = None, limit: int = 100) -> tuple[list[Dataset], str | None]:
        """A page by name, and the next page's cursor. Raises BadCursorError."""
        limit = clamp(limit)
        statement = select(datasets).order_by(datasets.c.name).limit(limit + 1)
        if position := decode_cursor(cursor, str):
            statement = statement.where(datasets.c.name > position[0])
        with self._db.read() as connection:
            items = [dataset_record(row) for row in connection.execute(statement)]
        return page(items, limit, lambda dataset: [dataset.name])
