"""What decisions say of tools, asked of the function that they use themselves."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from django.db import connection

_ASK: Final = """
    SELECT array_agg(public.tool_verdict_v1(%s::jsonb, t.name) ORDER BY t.n)
    FROM unnest(%s::text[]) WITH ORDINALITY AS t (name, n)
"""


def tool_verdicts(rules: Mapping[str, Any], tools: Sequence[str]) -> list[str]:
    """allow, deny or gated for each tool, in order, by the `tools` of a ruleset. One query."""
    if not tools:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_ASK, [msgspec.json.encode(rules).decode(), list(tools)])
        verdicts: list[str] = cursor.fetchone()[0]
    return verdicts
