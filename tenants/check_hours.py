"""When books are checked."""

from typing import Final

#: Hours of the day, UTC, in which a check may begin.
CHECK_HOURS: Final = range(1, 5)
