"""Following a list: what is new is seen once every older transaction has ended, whoever's it is."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.support.management import Caller

#: Writes one row by its name.
type Write = Callable[..., None]


def eventually[T](found: Callable[[], T], wanted: T) -> T:
    """What is found, once it is what is wanted: as long as an older transaction of anybody's is open, it is less."""
    deadline = time.monotonic() + 60
    while (seen := found()) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


class Follower:
    """Somebody who asks again and again with the cursor that came last. `seen` are the rows' values of `word`."""

    def __init__(self, caller: Caller, path: str, *, rows: str, word: str) -> None:
        self.seen: list[Any] = []
        self._caller, self._path, self._rows, self._word = caller, path, rows, word
        self._cursor = ""

    def look(self) -> bool:
        """One page; whether the next one is there already."""
        answer = self._caller.get(f"{self._path}&cursor={self._cursor}")
        assert answer.status_code == 200, answer.content
        page = answer.json()
        self.seen += [row[self._word] for row in page[self._rows]]
        self._cursor = page["next_cursor"]
        return bool(page["has_more"])

    def look_until(self, count: int) -> list[Any]:
        """What was seen in all, when it is so much."""
        eventually(lambda: (self.look(), len(self.seen) >= count)[1], True)
        return self.seen


def written_at_once(
    stranger: Callable[[], AbstractContextManager[tuple[psycopg.Connection, Write]]],
    *,
    meanwhile: Callable[[], object],
    suffix: str = "",
) -> set[str]:
    """What four writers have written, whose transactions have rows of several times, savepoints and rollbacks.

    `meanwhile` is done again and again until the last of them has ended.
    """
    chance = random.Random(7)
    plans = [[chance.choice(["plain", "inner", "two", "lost"]) for _ in range(12)] for _ in range(4)]

    def work(number: int) -> None:
        with stranger() as (connection, write):
            for turn, plan in enumerate(plans[number]):
                at = datetime.now(UTC) - timedelta(seconds=turn * number)
                write(f"w{number}.{turn}{suffix}", at=at)
                if plan == "inner":
                    with connection.transaction():
                        write(f"w{number}.{turn}.more{suffix}", at=at)
                if plan == "two":
                    write(f"w{number}.{turn}.more{suffix}")
                (connection.rollback if plan == "lost" else connection.commit)()

    writers = [threading.Thread(target=work, args=(number,)) for number in range(len(plans))]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        meanwhile()
    return {
        name
        for number, plan in enumerate(plans)
        for turn, way in enumerate(plan)
        for name in (f"w{number}.{turn}{suffix}", *([f"w{number}.{turn}.more{suffix}"] * (way in {"inner", "two"})))
        if way != "lost"
    }
