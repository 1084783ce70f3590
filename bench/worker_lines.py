"""One line of what the workers' bench prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A figure beside its target; without a target it is only told."""

    what: str
    measured: str
    target: str = ""
    is_missed: bool = False

    @property
    def verdict(self) -> str:
        if not self.target:
            return ""
        return "missed" if self.is_missed else "met"


def seconds_line(what: str, seconds: float, *, at_most: float, number: int) -> Line:
    measured = f"{seconds:,.1f} s ({number / seconds:,.0f}/s)"
    return Line(what=what, measured=measured, target=f"< {at_most:,.0f} s", is_missed=seconds >= at_most)
