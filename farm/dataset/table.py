"""The index as a table that can be asked: every gait a row, every parameter and label a column.

The rows lie in Parquet files in a folder of our own, and DuckDB reads of them the
columns and row groups that a question needs: a million gaits with 250 columns
would fill many gigabytes of memory. Filters come from users, so once these files
are opened the database may touch nothing else, neither files nor network nor
Python's variables, and only one expression that is true or false is accepted.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from farm.dataset.parquet import connect, damaged, first_line, text
from farm.errors import UserError

BATCH_ROWS = 8192
"""Rows of one batch, a few tens of megabytes with every column."""


@dataclass(frozen=True)
class TableFiles:
    """Parquet files of one folder, by what their rows are.

    Attributes:
        folder: Where they lie; whoever is given these files may remove it when done.
        shards: One row for each commit; see `farm.dataset.parts`.
        rejected: One row for each sample that was turned down.
    """

    folder: Path
    gaits: tuple[Path, ...]
    shards: tuple[Path, ...] = ()
    rejected: tuple[Path, ...] = ()


class IndexTable:
    """Rows of the index, filtered by SQL expressions."""

    def __init__(self, files: TableFiles) -> None:
        """A table over files that are there already; it removes their folder when it is no longer used.

        A column that some of the files lack is null there.

        Raises:
            FormatError: A Parquet file is damaged.
        """
        weakref.finalize(self, _remove, files.folder, os.getpid())
        self._database = connect(files.folder)
        for name, paths in (("gaits", files.gaits), ("shards", files.shards), ("rejected", files.rejected)):
            if paths:
                listed = ", ".join(text(str(path)) for path in paths)
                try:
                    self._database.execute(
                        f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{listed}], union_by_name = true)"  # noqa: S608
                    )
                except duckdb.Error as error:
                    raise damaged(error) from None
        # From here on these very files and nothing else, and nobody changes that.
        allowed = ", ".join(text(str(path)) for path in (*files.gaits, *files.shards, *files.rejected))
        self._database.execute(f"SET allowed_paths = [{allowed}]")
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def __len__(self) -> int:
        return self.count()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(row[0] for row in self._database.cursor().execute("DESCRIBE gaits").fetchall())

    def check_columns(self, names: Iterable[str]) -> None:
        """See that there are these columns.

        Raises:
            UserError: One of them is not there.
        """
        for name in names:
            if name not in self.columns:
                raise UserError(_no_column(name, self.columns))

    def count(self, where: str | None = None) -> int:
        """For how many gaits `where` is true (None: of how many there are).

        Raises:
            UserError: As `rows`.
        """
        kept = "" if where is None else f"WHERE {self._checked(where)}"
        return int(self._ask(f"SELECT count(*) FROM gaits {kept}", where).fetchall()[0][0])  # noqa: S608  (checked)

    def rows(self, where: str | None = None, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows for which `where` is true (None: all), with all or some columns, by sample id.

        Raises:
            UserError: `where` is not an expression that is true or false, or names a column that is not there.
        """
        return [row for batch in self.batches(where, columns) for row in batch]

    def batches(
        self, where: str | None = None, columns: Sequence[str] | None = None, size: int = BATCH_ROWS
    ) -> Iterator[list[dict[str, Any]]]:
        """The same rows, at most `size` at a time: memory for one batch, however many there are.

        Raises:
            UserError: As `rows`, before the first batch.
        """
        if where is None and not len(self):
            return iter(())  # of no gaits the columns are not known either
        self.check_columns(columns or ())
        chosen = "*" if columns is None else ", ".join(_quoted(name) for name in columns)
        kept = "" if where is None else f"WHERE {self._checked(where)}"
        answer = self._ask(f"SELECT {chosen} FROM gaits {kept} ORDER BY sample_id", where)  # noqa: S608  (checked)
        return _batches(answer, size)

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Our own SQL over the tables `gaits`, `shards` and `rejected`; never a user's words, which go through `rows`.

        Args:
            values: For the query's question marks.

        Raises:
            FormatError: The files are not what the catalogue's are.
        """
        try:
            return self._database.cursor().execute(query, list(values)).fetchall()
        except duckdb.Error as error:
            raise damaged(error) from None

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
                f"--where {where!r} is not one SQL expression ({first_line(error)}); "
                "write for instance \"gait_speed < 0.8 and condition == 'foot_drop'\""
            ) from None
        kind = self._ask(f"DESCRIBE SELECT {bracketed} FROM gaits", where).fetchall()  # noqa: S608  (one expression)
        if [row[1] for row in kind] != ["BOOLEAN"]:
            raise UserError(
                f"--where {where!r} is not true or false; compare it with something, such as 'gait_speed < 0.8'"
            )
        return bracketed

    def _ask(self, query: str, where: str | None) -> duckdb.DuckDBPyConnection:
        """The answer, on a cursor of its own: batches of one question may be read while the next is asked."""
        try:
            return self._database.cursor().execute(query)
        except duckdb.PermissionException:
            raise UserError(f"--where {where!r} may read the index only, no files and no network") from None
        except duckdb.Error as error:
            if where is None:
                raise damaged(error) from None
            missing = re.search(r'column "([^"]+)" not found', str(error))
            cause = _no_column(missing[1], self.columns) if missing else first_line(error)
            raise UserError(f"--where {where!r}: {cause}") from None


def _remove(folder: Path, owner: int) -> None:
    """A process that was forked off must not take its parent's files away."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _batches(answer: duckdb.DuckDBPyConnection, size: int) -> Iterator[list[dict[str, Any]]]:
    names = [item[0] for item in answer.description or ()]
    while True:
        try:
            rows = answer.fetchmany(size)
        except duckdb.Error as error:
            raise damaged(error) from None
        if not rows:
            return
        yield [dict(zip(names, row, strict=True)) for row in rows]


def _no_column(name: str, columns: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"columns are {', '.join(columns[:12])}, ... (`gaitfarm info`)"
    return f"the index has no column {name!r}; {hint}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
