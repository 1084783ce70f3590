"""Times as text, always with their zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def moment_text(at: datetime, *, time_zone: str, now: datetime) -> str:
    """As short as it stays clear: `09:02:14 IST` today, `Nov 21, 09:02 IST` this year, else with the year."""
    local, today = at.astimezone(ZoneInfo(time_zone)), now.astimezone(ZoneInfo(time_zone))
    zone = local.tzname()
    if local.date() == today.date():
        return f"{local:%H:%M:%S} {zone}"
    day = f"{local:%b} {local.day}"
    if local.year != today.year:
        day += f" {local.year},"
    return f"{day} {local:%H:%M} {zone}" if day.endswith(",") else f"{day}, {local:%H:%M} {zone}"


def day_text(at: datetime, *, time_zone: str) -> str:
    """A date: `Nov 21, 2026`."""
    local = at.astimezone(ZoneInfo(time_zone))
    return f"{local:%b} {local.day}, {local.year}"


def exact_moment_text(at: datetime, *, time_zone: str) -> str:
    """To the millisecond, in the zone and in UTC: what a pointer over a time shows."""
    local = at.astimezone(ZoneInfo(time_zone))
    exact = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local.tzname()}"
    return (
        exact if local.utcoffset() == at.astimezone(UTC).utcoffset() else f"{exact} ({at.astimezone(UTC):%H:%M:%S} UTC)"
    )


def duration_text(milliseconds: int) -> str:
    """A length of time by its two largest units: `250 ms`, `1.5 s`, `10 min 1 s`, `2 h 5 min`."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1_000:.3f}".rstrip("0").rstrip(".") + " s"
    minutes, seconds = divmod(milliseconds // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
