"""Archiving in a loop of its own process, a few rows at a time: something to kill.

``python -m tests.support.kept_archives TAG``; says "begun" before it drops anything.
"""

import sys
from datetime import UTC, datetime, timedelta

import django


def main(tag_text: str) -> None:
    django.setup()
    from budgets.services import ledger_archive, retention
    from kernel.ids import Tag
    from kernel.tenancy import in_tenant
    from telemetry.services import archiving

    # Many files and many small transactions: many places to be killed at.
    archiving.BATCH = 5  # type: ignore[misc]
    ledger_archive.FILE_ENTRIES = retention.FILE_ROWS = 60  # type: ignore[misc]
    tag = Tag(tag_text)
    print("begun", flush=True)
    while True:
        now = datetime.now(UTC)
        before = now - timedelta(days=95)
        with in_tenant(tag), archiving.alone(tag) as is_alone:
            if is_alone:
                retention.drop_decisions(tag=tag, before=before, now=now, has_time=lambda: True)
                _, is_done = ledger_archive.drop_ledger(tag=tag, before=before, now=now, has_time=lambda: True)
                if is_done:
                    print("done", flush=True)
                    return


if __name__ == "__main__":
    main(sys.argv[1])
