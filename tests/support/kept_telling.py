"""Looking for a tenant's alerts and telling them in a loop of its own process: something to kill.

``python -m tests.support.kept_telling TAG``; says "begun" before its first turn.
"""

import sys

import django


def main(tag_text: str) -> None:
    django.setup()
    from budgets.services.alert_telling import tell_channels
    from budgets.services.visits import visit_books
    from kernel.ids import Tag

    tag = Tag(tag_text)
    print("begun", flush=True)
    while True:
        visit_books(tag=tag, has_time=lambda: True)
        tell_channels(tag=tag, has_time=lambda: True, chance=lambda: 0.0)


if __name__ == "__main__":
    main(sys.argv[1])
