"""A supervisor that outlives the command that started it."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from config.supervisor.errors import StartRefused

LOG_NAME = "watermaster.log"
END_SECONDS_MAX = 10


def start_detached(*, var: Path) -> None:
    """Start the supervisor in the background, show its steps, return when both planes answer.

    Raises `StartRefused` with the background process's own sentence.
    """
    log = var / "log" / LOG_NAME
    log.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    with log.open("a") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.supervisor", "run", "--report-to", str(write_end)],
            pass_fds=[write_end],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as reports:
            for line in reports:
                report = json.loads(line)
                if report["kind"] == "ready":
                    return
                if report["kind"] == "refused":
                    # It is about to end; whoever reads the refusal finds nothing of it left.
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(END_SECONDS_MAX)
                    raise StartRefused(report["text"])
                print(report["text"], flush=True)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise StartRefused("Stopped before everything was up.") from None
    raise StartRefused(f"The supervisor ended without a word: see {log}.")


class Reporter:
    """The background side of the pipe; a reader who went away does not matter."""

    def __init__(self, descriptor: int) -> None:
        self._stream = os.fdopen(descriptor, "w")
        # Servers must not inherit it: the reader waits for the last copy to close.
        os.set_inheritable(descriptor, False)

    def send(self, kind: str, text: str = "") -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(json.dumps({"kind": kind, "text": text}) + "\n")
            self._stream.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
