"""The work behind the decisions in a loop of its own process, in small steps: something to kill.

``python -m tests.support.kept_work TAG``; says "begun" once it has worked.
"""

import sys
import time
from datetime import timedelta

import django
from django.db import Error, connections


def main(tag_text: str) -> None:
    django.setup()
    from budgets.services.engine import EngineUnavailable
    from budgets.services.expiry import visit_tenant
    from budgets.services.rollups import roll_up
    from budgets.services.sealing import seal_closed
    from budgets.services.visits import visit_books
    from kernel.ids import Tag

    tag = Tag(tag_text)
    while True:
        try:
            visit_tenant(tag=tag, has_time=lambda: True)
            roll_up(tag=tag, has_time=lambda: True, step=20)
            seal_closed(tag=tag, has_time=lambda: True, segment=15, closes_after=timedelta(seconds=0.3))
            visit_books(tag=tag, has_time=lambda: True)
            print("begun", flush=True)
        except (Error, EngineUnavailable):
            connections.close_all()
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
