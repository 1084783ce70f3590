"""One stream for the lines of all processes."""

import shutil
import threading
from pathlib import Path
from typing import IO, Protocol

NAME_WIDTH = 8
LOG_BYTES_MAX = 50_000_000


class Sink(Protocol):
    """A text stream, as far as it is needed here."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Output:
    """Writes ``name | line``. Safe to use from many threads; never raises for a reader who went away."""

    def __init__(self, stream: Sink) -> None:
        self._stream: Sink | None = stream
        self._lock = threading.Lock()
        self._last_lines: dict[str, str] = {}

    def last_line(self, name: str) -> str:
        """The last line with words that a process said."""
        return self._last_lines.get(name, "nothing")

    def line(self, name: str, text: str) -> None:
        with self._lock:
            if text.strip():
                self._last_lines[name] = text.strip()
            if self._stream is None:
                return
            try:
                self._stream.write(f"{name:<{NAME_WIDTH}} | {text}\n")
                self._stream.flush()
            except OSError:
                # The terminal was closed or the disk is full: go on without a word.
                self._stream = None

    def follow(self, name: str, pipe: IO[str]) -> threading.Thread:
        """Copy a process's lines until it closes them."""

        def copy() -> None:
            with pipe:
                for line in pipe:
                    self.line(name, line.rstrip("\n"))

        thread = threading.Thread(target=copy, name=f"output-{name}", daemon=True)
        thread.start()
        return thread


class RotatingFile:
    """A text file that starts anew at `LOG_BYTES_MAX` and keeps one predecessor."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def write(self, text: str) -> int:
        if self._file.tell() > LOG_BYTES_MAX:
            self._file.close()
            shutil.move(self._path, self._path.with_suffix(".log.1"))
            self._file = self._path.open("a", encoding="utf-8")
        return self._file.write(text)

    def flush(self) -> None:
        self._file.flush()
