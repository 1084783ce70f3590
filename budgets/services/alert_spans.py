"""How alerts speak of how long something lasts."""

from typing import Final

from kernel.pages.moments import duration_text

#: A forecast that is open recovers beyond five quarters of what opens it.
LASTS: Final = (5, 4)


def span_text(seconds: int) -> str:
    """Whole days from two on, else by the two largest units, at least a minute."""
    if seconds >= 172_800:
        return f"{seconds // 86_400} days"
    return duration_text(max(seconds // 60, 1) * 60_000)
