"""The bar of a budget: what is spent, what is held, what is left."""

from dataclasses import dataclass
from enum import StrEnum

#: Tenths of a percent: the width of the drawing in its own units.
FULL = 1000
#: From here on a bar warns.
NEAR = 900


class Tone(StrEnum):
    """Colours by meaning. A word stands beside each of them, for whoever does not see it."""

    CALM = "calm"
    INFO = "info"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Bar:
    """Widths in thousandths of the whole bar."""

    used: int
    held: int
    tone: Tone
    label: str

    @property
    def used_width(self) -> str:
        return _svg_percent(self.used)

    @property
    def held_width(self) -> str:
        return _svg_percent(self.held)


def budget_bar(*, allocated: int, used: int, held: int) -> Bar:
    """The bar of amounts in one unit; `used` is spent plus debt. What goes beyond the allocation fills the bar.

    Amber from 90 % used and held, red when nothing is left. What is not zero is never drawn as nothing.
    """
    whole = max(allocated, used + held, 1)
    used_width, held_width = _share(used, whole), _share(held, whole)
    taken = used + held
    if taken >= allocated and (taken or allocated == 0):
        tone = Tone.BAD if taken else Tone.CALM
    elif taken * FULL >= allocated * NEAR:
        tone = Tone.WARN
    else:
        tone = Tone.INFO
    return Bar(
        used=used_width,
        held=min(held_width, FULL - used_width),
        tone=tone,
        label=f"{_percent(used, allocated)} spent, {_percent(held, allocated)} held",
    )


def _share(part: int, whole: int) -> int:
    width = part * FULL // whole
    return max(width, 5) if part > 0 else 0


def _percent(part: int, whole: int) -> str:
    if part <= 0:
        return "0%"
    if whole <= 0:
        return "all"
    percent = part * 100 / whole
    return "under 1%" if percent < 1 else f"{percent:.0f}%"


def _svg_percent(thousandths: int) -> str:
    return f"{thousandths // 10}.{thousandths % 10}%"
