"""The index as a table that can be asked: every gait a row, every parameter and label a column.

DuckDB holds the table in memory. Filters come from users, so after loading it may
touch neither files nor network nor Python's variables, and only one expression
that is true or false is accepted.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from farm.errors import FormatError, UserError

MAX_ROW_BYTES = 16 << 20
"""DuckDB's bound on one JSON line; a row takes a few kilobytes."""


class IndexTable:
    """Rows of the index, filtered by SQL expressions."""

    def __init__(self, rows: Sequence[Mapping[str, Any]] = (), parquet: Sequence[bytes] = ()) -> None:
        """Load rows, and Parquet files of such rows; a column that some of them lack is null there.

        Raises:
            FormatError: A Parquet file is damaged.
        """
        self._database = _connect()
        _load(self._database, rows, parquet)
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM gaits").fetchall()[0][0])

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(row[0] for row in self._database.execute("DESCRIBE gaits").fetchall())

    def rows(self, where: str | None = None, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows for which `where` is true (None: all), with all or some columns, by sample id.

        Raises:
            UserError: `where` is not an expression that is true or false, or names a column that is not there.
        """
        if not len(self) and where is None:
            return []  # of no gaits the columns are not known either
        for name in columns or ():
            if name not in self.columns:
                raise UserError(_no_column(name, self.columns))
        chosen = "*" if columns is None else ", ".join(_quoted(name) for name in columns)
        kept = "" if where is None else f"WHERE {self._checked(where)}"
        answer = self._ask(f"SELECT {chosen} FROM gaits {kept} ORDER BY sample_id", where)  # noqa: S608  (checked)
        names = [item[0] for item in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def _checked(self, where: str) -> str:
        """`where` in brackets, once it has proved to be one expression, alone and within brackets, of truth values.

        Both tests are needed: the first refuses `1=1) UNION (...`, the second `1=1 LIMIT 5`.
        """
        bracketed = f"({where}\n)"  # the line's end closes a comment
        try:
            duckdb.SQLExpression(where)
            duckdb.SQLExpression(bracketed)
        except duckdb.Error as error:
            raise UserError(
                f"--where {where!r} is not one SQL expression ({_first_line(error)}); "
                "write for instance \"gait_speed < 0.8 and condition == 'foot_drop'\""
            ) from None
        kind = self._ask(f"DESCRIBE SELECT {bracketed} FROM gaits", where).fetchall()  # noqa: S608  (one expression)
        if [row[1] for row in kind] != ["BOOLEAN"]:
            raise UserError(
                f"--where {where!r} is not true or false; compare it with something, such as 'gait_speed < 0.8'"
            )
        return bracketed

    def _ask(self, query: str, where: str | None) -> duckdb.DuckDBPyConnection:
        try:
            return self._database.execute(query)
        except duckdb.PermissionException:
            raise UserError(f"--where {where!r} may read the index only, no files and no network") from None
        except duckdb.Error as error:
            missing = re.search(r'column "([^"]+)" not found', str(error))
            cause = _no_column(missing[1], self.columns) if missing else _first_line(error)
            raise UserError(f"--where {where!r}: {cause}") from None


def to_parquet(rows: Sequence[Mapping[str, Any]], parquet: Sequence[bytes] = ()) -> bytes:
    """One Parquet file (zstd) of these rows and of those in other such files, by sample id."""
    database = _connect()
    _load(database, rows, parquet)
    with tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        path = Path(folder, "index.parquet")
        ordered = "SELECT * FROM gaits ORDER BY sample_id"
        database.execute(f"COPY ({ordered}) TO {_text(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        return path.read_bytes()


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": "2", "python_enable_replacements": "false"})


def _load(database: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]], parquet: Sequence[bytes]) -> None:
    """Make the table `gaits`."""
    with tempfile.TemporaryDirectory(prefix="gaitfarm-") as folder:
        sources = []
        for number, data in enumerate(parquet):
            path = Path(folder, f"{number}.parquet")
            path.write_bytes(data)
            sources.append(f"read_parquet({_text(str(path))})")
        if rows or not parquet:
            path = Path(folder, "rows.ndjson")
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(dict(row), allow_nan=False) + "\n" for row in rows)
            types = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in _types(rows).items())
            sources.append(
                f"read_json({_text(str(path))}, format = 'newline_delimited', columns = {{{types}}}, "
                f"maximum_object_size = {MAX_ROW_BYTES})"
            )
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM {source}" for source in sources)  # noqa: S608  (our files)
        try:
            database.execute(f"CREATE TABLE gaits AS {union}")
        except duckdb.Error as error:
            raise FormatError(
                f"the catalogue cannot be read ({_first_line(error)}); it is derived: "
                "delete the objects under catalogue/ and run `gaitfarm compact`"
            ) from None


def _types(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """SQL type of each column: the widest of what its cells are; numbers where all are null."""
    kinds: dict[str, str] = {"sample_id": "BIGINT"}
    rank = {"": 0, "BOOLEAN": 1, "BIGINT": 2, "DOUBLE": 3, "VARCHAR": 4}
    for row in rows:
        for name, value in row.items():
            kind = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}.get(type(value), "")
            if rank[kind] >= rank[kinds.get(name, "")]:
                kinds[name] = kind
    return {name: kind or "DOUBLE" for name, kind in kinds.items()}


def _no_column(name: str, columns: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"columns are {', '.join(columns[:12])}, ... (`gaitfarm info`)"
    return f"the index has no column {name!r}; {hint}"


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return re.sub(r"'[^']*gaitfarm-[^']*'", "the file", text)[:200]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
