"""Tables of SQLite databases, such as those of fafbseg; nothing of a database is executed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_quac.data.tables.batches import Batch, TextBatch
from napari_quac.data.tables.cells import as_text
from napari_quac.data.tables.column_names import guess_columns
from napari_quac.errors import DataError, one_line, shorten
from napari_quac.large_files import check_time, time_limit
from napari_quac.stepwise import check_canceled

BATCH_ROWS = 20_000
MAX_TABLES, MAX_COLUMNS, MAX_VALUE = 1000, 1000, 1 << 20
_STEPS = 10_000  # of the database between two looks at the clock


class SqliteTable:
    """A table of a SQLite database.

    Parameters
    ----------
    path : Path
        The file, which is opened read-only.
    table : str
        Name of the table; empty for the only one with coordinates.

    Attributes
    ----------
    names : tuple of str
    n_rows : int
        An upper limit where rows were deleted.

    Raises
    ------
    DataError
        If it is damaged, or has no such table, or several.
    """

    separator = ""

    def __init__(self, path: Path, table: str = "") -> None:
        self.path = path
        with self._connect() as database, time_limit(path):
            tables = _tables(database)
            if table and table not in tables:
                raise DataError(
                    f"'{path.name}' has no table '{table}', but {_listed(tables)}. Choose another."
                )
            names = {name: _columns(database, name) for name in tables}
            chosen = [table] if table else [name for name in names if _has_points(names[name])]
            if len(chosen) != 1:
                count = f"{len(chosen)} tables" if chosen else "no table"
                raise DataError(
                    f"'{path.name}' has {count} with coordinates ({_listed(chosen or names)}). "
                    "Name one of them (--table), or export it as CSV."
                )
            self.table = chosen[0]
            self.names = names[self.table]
            row = database.execute(f"SELECT max(rowid) FROM {_quoted(self.table)}").fetchone()  # noqa: S608
            self.n_rows = int(row[0] or 0)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Yield the rows with some columns."""
        if not columns:
            return
        query = f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(self.table)}"  # noqa: S608
        with self._connect() as database:
            cursor = database.execute(query)
            while rows := cursor.fetchmany(BATCH_ROWS):
                check_canceled()
                texts = [tuple(map(_text, values)) for values in zip(*rows, strict=True)]
                yield TextBatch(dict(zip(columns, texts, strict=True)), len(rows))

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        database = None
        reasons: list[BaseException] = []

        def check() -> int:
            """Interrupt a query that was canceled, or takes long without consent."""
            try:
                check_time()
            except BaseException as error:  # noqa: BLE001 - raised when the query has ended
                reasons.append(error)
            return len(reasons)

        try:
            address = f"{self.path.resolve().as_uri()}?mode=ro&immutable=1"
            database = sqlite3.connect(address, uri=True)
            database.text_factory = lambda content: content.decode("utf-8", "replace")
            database.set_progress_handler(check, _STEPS)
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
            database.set_authorizer(_authorize)
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
                database.execute(f"PRAGMA {pragma}")
            yield database
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            if reasons:
                raise reasons[0] from error
            raise DataError(
                f"'{self.path.name}' cannot be read as a SQLite database ({one_line(error)}). "
                "Copy it again, or export the table as CSV."
            ) from error
        finally:
            if database is not None:
                database.close()


def _authorize(action: int, *_: Any) -> int:
    """Allow reading alone: a database can define functions, triggers and links to other files."""
    allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA,
               sqlite3.SQLITE_FUNCTION)  # fmt: skip
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _tables(database: sqlite3.Connection) -> list[str]:
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    ).fetchmany(MAX_TABLES)
    return [str(row[0]) for row in rows]


def _columns(database: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = database.execute(f"PRAGMA table_info({_quoted(table)})").fetchmany(MAX_COLUMNS)
    return tuple(str(row[1]) for row in rows)


def _has_points(names: Sequence[str]) -> bool:
    return bool(guess_columns(names).coordinates)


def _text(cell: Any) -> str:
    return "" if isinstance(cell, bytes) else as_text(cell)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Any) -> str:
    return shorten(", ".join(f"'{name}'" for name in names), 200) or "none"
