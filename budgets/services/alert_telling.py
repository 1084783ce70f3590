"""Telling channels of alerts: many together, in one message, and not too often; nothing is held while it is sent.

A channel is taken for a minute, spoken to outside of any transaction, and then it is written down how far it was told.
Killed in between, it is told again after that minute: at least once. Readers of a mail who did not take it though
others did are told by themselves until they do: the others read it once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from budgets.models import Alert, AlertChannel
from budgets.models.choices import ChannelKind
from budgets.selectors.alerts import GATHER, PACE, due_channels
from budgets.services.alert_addresses import ChannelNotAllowed
from budgets.services.alert_channels import address_of
from budgets.services.alert_lock import lock_alerts
from budgets.services.alert_messages import (
    may_come_back,
    may_come_back_until,
    message_of,
    message_of_test,
    untold_alerts,
)
from budgets.services.alert_readers import RETRY_MAX, leave_to_channels, wait_of
from budgets.services.alert_senders import Message, NotTold, tell
from budgets.services.alerts import WATCH, note_open_alerts
from kernel.ids import Tag
from kernel.tenancy import in_tenant
from telemetry.services import audit, outbox

#: How long a channel is nobody else's. Longer than any service may take.
_TAKEN_FOR: Final = timedelta(minutes=1)
#: Failures one behind the other after which a channel is switched off.
FAILURES_MAX: Final = 12
#: Mails after which a reader who takes none is left behind.
TRIES_MAX: Final = 8
_RETRY_FIRST: Final = timedelta(minutes=1)
_LOST: Final = "The address cannot be read any more: make the channel anew."
_FORBIDDEN: Final = "This installation does not speak to this kind of channel any more."
_NOT_ALL: Final = "Not all of its readers took it: the others are told again."


class _Round(Enum):
    """What a message is for: a test, what the channel does not know, or what some of its readers do not."""

    TEST = auto()
    NEWS = auto()
    BEHIND = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A channel that is ours for now, and what it is to be told. `until` is the newest alert that it knows then."""

    channel: AlertChannel
    round: _Round
    message: Message
    until: datetime
    busy_until: datetime


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What went wrong, empty where nothing did; and who of several readers did not take what others took."""

    failure: str = ""
    missed: tuple[str, ...] = ()


def tell_channels(*, tag: Tag, has_time: Callable[[], bool], chance: Callable[[], float]) -> int:
    """Tell the tenant's channels what they do not know; to how many. Safe to repeat, and to run twice at once.

    `chance` is from 0 to 1: it spreads the retries of many.
    """
    told = 0
    with in_tenant(tag):
        now = _now()
        due = [channel_id for channel_id, at in due_channels() if at <= now]
    for channel_id in due:
        if not has_time():
            break
        told += _tell_one(tag, channel_id, chance())
    note_open_alerts(tag=tag)
    return told


def _tell_one(tag: Tag, channel_id: UUID, chance: float) -> int:
    with in_tenant(tag):
        taken = _take(channel_id)
    if taken is None:
        return 0
    spoken = _speak(taken)
    with in_tenant(tag):
        _settle(taken, spoken, chance)
    return 0 if spoken.failure else 1


def _take(channel_id: UUID) -> _Taken | None:
    with transaction.atomic():
        # Whoever opens alerts waits, or an alert could come back unseen while its readers are told to wait for it.
        now = lock_alerts()
        channel = AlertChannel.objects.select_for_update(skip_locked=True).filter(pk=channel_id).first()
        if channel is None or (channel.busy_until is not None and channel.busy_until > now):
            return None
        if channel.test_asked_at is not None:
            return _taken(channel, _Round.TEST, message_of_test(channel), until=now, now=now)
        if not channel.is_on:
            return None
        if channel.behind_at is not None and channel.behind_at <= now:
            after = channel.behind_since or channel.told_at
            if lines := untold_alerts(channel, after=after, until=channel.told_at):
                leave_to_channels(may_come_back(channel, after=after, now=now))
                return _taken(channel, _Round.BEHIND, message_of(lines), until=channel.told_at, now=now)
            _wait_or_catch_up(channel, may_come_back_until(channel, after=after, now=now))
            channel.save()
        # Whoever opens alerts reads the clock behind the same lock: what cannot be seen yet is newer than all that can.
        newest = Alert.objects.order_by("-tell_at").values_list("tell_at", flat=True).first()
        lines = untold_alerts(channel, after=channel.told_at)
        if newest is None or not lines or not _is_time(channel, lines, now=now):
            return None
        return _taken(channel, _Round.NEWS, message_of(lines), until=newest, now=now)


def _is_time(channel: AlertChannel, lines: list[Alert], *, now: datetime) -> bool:
    """As the list of due channels has it: this one may have been due for those of its readers who are behind alone."""
    not_before = [min(each.tell_at for each in lines) + GATHER, channel.retry_at]
    not_before.append(channel.sent_at + PACE if channel.sent_at else None)
    return all(at is None or at <= now for at in not_before)


def _taken(channel: AlertChannel, what: _Round, message: Message, *, until: datetime, now: datetime) -> _Taken:
    channel.busy_until = now + _TAKEN_FOR
    channel.save(update_fields=["busy_until"])
    return _Taken(channel=channel, round=what, message=message, until=until, busy_until=channel.busy_until)


def _speak(taken: _Taken) -> _Spoken:
    channel = taken.channel
    address = address_of(channel)
    if address is None:
        return _Spoken(_LOST)
    if channel.behind and taken.round != _Round.TEST:
        is_behind = taken.round == _Round.BEHIND
        address = ",".join(each for each in address.split(",") if (each in channel.behind) == is_behind)
    try:
        return _Spoken(missed=tell(ChannelKind(channel.kind), address, taken.message))
    except ChannelNotAllowed:
        return _Spoken(_FORBIDDEN)
    except NotTold as failure:
        return _Spoken(str(failure))


def _settle(taken: _Taken, spoken: _Spoken, chance: float) -> None:
    with transaction.atomic():
        channel = AlertChannel.objects.select_for_update().filter(pk=taken.channel.pk).first()
        is_ours = channel is not None and channel.busy_until == taken.busy_until
        # Where it took too long somebody else has it now. What was told is told all the same: a service that is slow
        # each time would else hear it again and again.
        if channel is None or (spoken.failure and not is_ours):
            return
        now = _now()
        if is_ours:
            channel.busy_until = None
        match taken.round:
            case _Round.TEST:
                # A test says nothing of when alerts were told: it does not put off the next ones.
                channel.test_asked_at = None
                channel.failure = spoken.failure or (_NOT_ALL if spoken.missed else "")
                channel.failed_at = now if channel.failure else channel.failed_at
            case _Round.BEHIND:
                _settle_behind(channel, spoken, chance, now=now)
            case _Round.NEWS if spoken.failure:
                _settle_failure(channel, spoken.failure, chance, now=now)
            case _Round.NEWS:
                _settle_news(channel, taken.until, spoken.missed, now=now)
        channel.save()


def _settle_news(channel: AlertChannel, until: datetime, missed: tuple[str, ...], *, now: datetime) -> None:
    if missed:
        channel.behind_since = min(channel.behind_since or channel.told_at, channel.told_at)
        channel.behind = sorted({*channel.behind, *missed})
        channel.failed_at = now
    if channel.behind:
        # Also those who wait for what may come back: they hear of this one first.
        soon = now + wait_of(channel.behind_tries)
        channel.behind_at = min(channel.behind_at or soon, soon)
    channel.told_at, channel.sent_at = max(until, channel.told_at), now
    channel.failures, channel.retry_at = 0, None
    channel.failure = _NOT_ALL if channel.behind else ""


def _settle_behind(channel: AlertChannel, spoken: _Spoken, chance: float, *, now: datetime) -> None:
    still = [each for each in channel.behind if spoken.failure or each in spoken.missed]
    channel.behind, channel.behind_tries = still, channel.behind_tries + 1
    if still and channel.behind_tries >= TRIES_MAX:
        _give_up(channel, "left_behind", {"readers": still, "tries": channel.behind_tries}, now=now)
        still = []
    if not still:
        _catch_up(channel)
        return
    channel.behind_at = now + wait_of(channel.behind_tries) * (1 + chance / 2)
    channel.failed_at, channel.failure = now, _NOT_ALL


def _wait_or_catch_up(channel: AlertChannel, until: datetime | None) -> None:
    """What they missed is over. They know as much as the others, unless it comes back before `until`."""
    if until is None:
        _catch_up(channel)
        return
    # Whoever opens it again, and whoever tells news, lets them wait no longer.
    channel.behind_at = until
    channel.failure = "" if channel.failure == _NOT_ALL else channel.failure


def _catch_up(channel: AlertChannel) -> None:
    channel.behind, channel.behind_since, channel.behind_at, channel.behind_tries = [], None, None, 0
    if channel.failure == _NOT_ALL:
        channel.failure = ""


def _settle_failure(channel: AlertChannel, failure: str, chance: float, *, now: datetime) -> None:
    channel.failures += 1
    channel.failed_at, channel.failure = now, failure
    wait = min(_RETRY_FIRST * 2 ** (channel.failures - 1), RETRY_MAX)
    channel.retry_at = now + wait * (1 + chance / 2)
    if channel.failures >= FAILURES_MAX:
        channel.is_on = False
        _give_up(channel, "gave_up", {"failures": channel.failures, "failure": failure}, now=now)


def _give_up(channel: AlertChannel, what: str, facts: dict[str, Any], *, now: datetime) -> None:
    action = f"alert_channel.{what}"
    audit.record(actor=WATCH, action=action, target=f"alert_channel:{channel.pk}", at=now, after=facts)
    # Who reads a mail is for the tenant's own people, who read the trail.
    content = {"channel_id": str(channel.pk), "kind": channel.kind, "name": channel.name}
    outbox.announce(outbox.Event(event_type=f"custom.{action}", content=content), actor=WATCH, at=now)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
