"""Columns as one Parquet file, by DuckDB.

Rows are gathered in a database file beside the target, so a long table does not have to fit in memory, and written out
in their order at the end; the target appears only when it is whole.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]


@contextmanager
def parquet_writer(out: Path, types: Mapping[str, str]) -> Iterator[Callable[[Columns], None]]:
    """What is given to the function yielded becomes the rows of ``out``, columns as in ``types`` (name → SQL type).

    Each call brings equally long columns under just these names. After an error nothing is written. Raises OSError
    when the directory cannot be written to.
    """
    import duckdb  # when it is used: the command line knows of presets without it

    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as place:
        part = Path(place) / "whole.parquet"
        with duckdb.connect(str(Path(place) / "rows.duckdb")) as database:
            columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
            database.execute(f"CREATE TABLE gathered ({columns})")

            def put(batch: Columns) -> None:
                database.register("batch", dict(batch))
                database.execute("INSERT INTO gathered BY NAME SELECT * FROM batch")
                database.unregister("batch")

            yield put
            database.execute("COPY gathered TO $target (FORMAT parquet, COMPRESSION zstd)", {"target": str(part)})
        part.replace(out)
