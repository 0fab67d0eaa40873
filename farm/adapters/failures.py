"""Failures that would come again, in the catalogue's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, insert, select

from farm.adapters import tables
from farm.model.attempt import Lasting
from farm.model.job import JobKey
from farm.model.outcome import Diagnosis

if TYPE_CHECKING:
    from farm.adapters.database import Database


class FailureBook:
    """ports.Failures. StoreError when the database fails. A row that a newer farm wrote in another form is no row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: JobKey, inputs: str) -> Lasting | None:
        table = tables.failures
        with self._database.read() as connection:
            query = select(table).where(table.c.key == key, table.c.inputs == inputs)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        try:
            diagnosis = msgspec.json.decode(row["diagnosis"], type=Diagnosis)
        except msgspec.DecodeError:
            return None
        return Lasting(
            key=JobKey(row["key"]), inputs=row["inputs"], attempt=row["attempt"], stage=row["stage"], seconds=row["seconds"],
            diagnosis=diagnosis,
        )  # fmt: skip

    def keep(self, lasting: Lasting) -> None:
        table = tables.failures
        values = {
            "key": lasting.key, "inputs": lasting.inputs, "attempt": lasting.attempt, "stage": lasting.stage,
            "seconds": lasting.seconds, "diagnosis": msgspec.json.encode(lasting.diagnosis).decode(),
        }  # fmt: skip
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.key == lasting.key, table.c.inputs == lasting.inputs))
            connection.execute(insert(table).values(values))
