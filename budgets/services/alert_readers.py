"""Readers of a mail who did not take what others took: what they have missed, and when they are told it.

Within `lock_alerts`, but for `wait_of`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from budgets.models import Alert, AlertChannel
from budgets.selectors.alerts import PACE

RETRY_MAX: Final = timedelta(hours=6)
_IN_A_GO: Final = 500


def wait_of(tries: int) -> timedelta:
    """How long they wait for the next mail after so many that somebody did not take."""
    return min(PACE * (1 << tries), RETRY_MAX)


def hurry_readers(*, now: datetime) -> None:
    """Those who wait for whether an alert comes back are told soon: one has."""
    for channel in AlertChannel.objects.select_for_update().filter(behind_at__gt=now + PACE).order_by("pk"):
        channel.behind_at = min(channel.behind_at or now, now + wait_of(channel.behind_tries))
        channel.save(update_fields=["behind_at"])


def channels_untold(row: Alert, channels: Iterable[AlertChannel]) -> list[UUID] | None:
    """Those that are to be told where it comes back; None where only readers who are behind are."""
    channels = list(channels)
    concerned = [
        each
        for each in channels
        if each.severity_min <= row.severity and (row.for_channels is None or each.pk in row.for_channels)
    ]
    untold = [each.pk for each in concerned if each.told_at < row.tell_at]
    behind = [each.pk for each in concerned if each.told_at >= row.tell_at and _has_missed(row, each)]
    # Another one, which heard of it the last time, would find it too.
    is_found_by_others = any(each not in concerned and each.told_at < row.tell_at for each in channels)
    # It goes to whole channels then, rather twice to some readers than to others never.
    return None if behind and not untold and not is_found_by_others else untold + behind


def leave_to_channels(alerts: QuerySet[Alert]) -> None:
    """Of alerts that are over: where they come back they go to the whole channels with readers who missed them.

    For readers who are about to be told of everything else, and are behind no longer.
    """
    rows = list(alerts.filter(for_channels=None))
    channels = list(AlertChannel.objects.filter(is_on=True)) if rows else []
    for row in rows:
        concerned = (each for each in channels if each.severity_min <= row.severity)
        row.for_channels = [each.pk for each in concerned if _has_missed(row, each)]
    Alert.objects.bulk_update(rows, ["for_channels"], batch_size=_IN_A_GO)


def _has_missed(row: Alert, channel: AlertChannel) -> bool:
    return bool(channel.behind) and channel.behind_since is not None and channel.behind_since < row.tell_at
