"""What is printed: `kernel.pages.pdf` makes a file of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """`widths` are shares; columns from `numbers_from` on are aligned to the right. The `last_is_total` row is bold."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[int]
    numbers_from: int
    last_is_total: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is printed, top to bottom. `made_at` is all that the file knows of when it was made."""

    title: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[PaperTable]
    notes: Sequence[str]
    made_at: datetime
