"""Following a list: what is new is seen once every older transaction has ended, whoever's it is."""

import time
from collections.abc import Callable
from typing import Any

from tests.support.management import Caller


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
