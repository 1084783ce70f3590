#!/usr/bin/env python
"""The operator's door: ``python manage.py help``."""

import os
import sys
from pathlib import Path

# platform/ is a source root like src/, not a package: a package of that name would shadow the standard
# library's `platform`. At 1, so that the folder of this file stays first.
sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 (after the settings' name)
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
