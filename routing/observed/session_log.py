"""Agents' session logs: a file of JSON lines for each session, as coding agents such as Claude Code write them.

A line of type `assistant` has the provider's message: its id, model and usage. One message comes on several lines, one
for each block of its content, the usage growing; it counts once, as its last line says.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from budgets.reconciling.calls import Observed
from routing.observed.reading import YEARS, Read, SourceRefused, Unpriced
from routing.pricing.anthropic_usage import messages
from routing.pricing.usage import UsageInvalid, UsageMissing

_PROVIDER: Final = "anthropic"
#: What the agent itself put in, without a call.
_SYNTHETIC: Final = "<synthetic>"
_SUFFIX: Final = ".jsonl"


def read_session_logs(path: Path, *, since: datetime | None = None, until: datetime | None = None) -> Read:
    """The calls in a file, or in all `*.jsonl` below a folder, from `since` to before `until`.

    Raises `SourceRefused` where there is no such file or none with lines of this kind.
    """
    files = sorted(path.rglob(f"*{_SUFFIX}")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise SourceRefused(f"There is no session log at {path}: a {_SUFFIX} file, or a folder of them.")
    found = Read()
    by_key: dict[tuple[str, str], Unpriced] = {}
    for file in files:
        try:
            with file.open(encoding="utf-8", errors="replace") as lines:
                _read_lines(lines, name=_shown(file.name), found=found, by_key=by_key)
        except OSError as error:
            raise SourceRefused(f"{_shown(str(file))} cannot be read: {error.strerror}.") from None
    found.unpriced = [
        each
        for each in by_key.values()
        if each.call.at is not None
        and (since is None or each.call.at >= since)
        and (until is None or each.call.at < until)
    ]
    found.require_room()
    return found


def _read_lines(lines: Iterable[str], *, name: str, found: Read, by_key: dict[tuple[str, str], Unpriced]) -> None:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            entry = json.loads(line)
            call = _call(entry, place=place) if isinstance(entry, Mapping) else None
        except (ValueError, UsageInvalid, RecursionError):
            # The last line of a session that goes on may be half written.
            found.unread.append(place)
            continue
        if call is None:
            continue
        key = (call.call.references[0], call.call.references[-1])
        known = by_key.get(key)
        found.repeated += known is not None
        if known is None or (call.call.tokens_output or 0) >= (known.call.tokens_output or 0):
            by_key[key] = call


def _call(entry: Mapping[str, Any], *, place: str) -> Unpriced | None:
    """None for a line that is no answer of a model."""
    message = entry.get("message")
    if entry.get("type") != "assistant" or not isinstance(message, Mapping):
        return None
    model, message_id = message.get("model"), message.get("id")
    if not isinstance(model, str) or model == _SYNTHETIC or not isinstance(message_id, str) or not message_id:
        return None
    try:
        usage = messages(message)
    except UsageMissing:
        return None
    request_id = entry.get("requestId")
    references = (message_id, request_id) if isinstance(request_id, str) and request_id else (message_id,)
    for text in (model, *references):
        _require_storable(text)
    return Unpriced(
        call=Observed(
            provider=_PROVIDER,
            model=model.lower(),
            references=references,
            at=_moment(entry.get("timestamp")),
            tokens_input=usage.input_tokens,
            tokens_output=usage.output_tokens,
            place=place,
        ),
        usage=usage,
    )


def _require_storable(text: str) -> None:
    """Raises ValueError for what no table can hold: NUL, or half of a sign."""
    if "\0" in text:
        raise ValueError("NUL")
    text.encode()


def _shown(name: str) -> str:
    """A name that is no UTF-8 can be shown and kept too."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _moment(text: object) -> datetime:
    """Raises ValueError where a line says no time, or one in which nobody called a model."""
    if not isinstance(text, str):
        raise ValueError("no timestamp")
    at = datetime.fromisoformat(text)
    if at.year not in YEARS:
        raise ValueError(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
