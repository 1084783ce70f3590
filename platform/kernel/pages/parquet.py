"""Lists as Parquet, one row group after the other, so that no more than one is in memory. Needs the extra `parquet`."""

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

#: What there is to read where it is not installed.
MISSING: Final = "Parquet is not installed here: add the extra `parquet` (pyarrow), or take the file as CSV."
#: Digits of a sum.
_DIGITS: Final = 38


class ParquetMissing(Exception):
    """pyarrow is not installed; its text is `MISSING`."""


class _Drain:
    """A file that gives back what was written to it since."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, part: Any) -> int:
        written = bytes(part)
        self._parts.append(written)
        self._position += len(written)
        return len(written)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits anywhere."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def is_installed() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def chunks(columns: Sequence[tuple[str, str]], groups: Iterable[Sequence[Sequence[object]]]) -> Iterator[bytes]:
    """The bytes of a file with these columns, each with its kind: text, integer, sum or time.

    Raises `ParquetMissing` at once, not when the first bytes are asked for.
    """
    if not is_installed():
        raise ParquetMissing(MISSING)
    return _chunks(columns, groups)


def _chunks(columns: Sequence[tuple[str, str]], groups: Iterable[Sequence[Sequence[object]]]) -> Iterator[bytes]:
    # Only here: whoever takes no Parquet does without the package, and without the time that it takes to load.
    arrow = importlib.import_module("pyarrow")
    files = importlib.import_module("pyarrow.parquet")
    types = {
        "text": arrow.string(),
        "integer": arrow.int64(),
        "sum": arrow.decimal128(_DIGITS, 0),
        "time": arrow.timestamp("ms", tz="UTC"),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in columns])
    drain = _Drain()
    writer = files.ParquetWriter(arrow.PythonFile(drain, mode="w"), schema, compression="zstd")
    try:
        for rows in groups:
            arrays = [
                arrow.array([_value(row[place], kind) for row in rows], type=types[kind])
                for place, (_, kind) in enumerate(columns)
            ]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))
            yield drain.taken()
    finally:
        writer.close()
    yield drain.taken()


def _value(value: object, kind: str) -> object:
    return str(value) if kind == "text" and value is not None and not isinstance(value, str) else value
