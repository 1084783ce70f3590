"""What settlements taught about estimates of input: how many tokens a model counts for each that was estimated."""

from typing import Final

from django.db import connection

from routing.services.token_estimates import PULL_MAX, Calibration

#: The newest settlements that are looked at.
SETTLEMENTS: Final = 5_000
#: Factors are told apart by whole percents, so that rules do not change with every settlement.
_STEP_PPM: Final = 10_000

_QUERY: Final = """
    SELECT s.model, count(*), sum(s.estimated),
        sum(least(greatest(s.actual, s.estimated / %(pull)s), s.estimated * %(pull)s))
    FROM (
        SELECT d.admission -> 'route' ->> 'key' AS model, (d.admission -> 'route' ->> 'input')::bigint AS estimated,
            (r.metrics ->> 'tokens_input')::bigint AS actual
        FROM (
            SELECT id, metrics FROM reservation WHERE status = 'COMMITTED' ORDER BY id DESC LIMIT %(rows)s
        ) AS r
        JOIN decision AS d ON d.id = r.id
    ) AS s
    WHERE s.model IS NOT NULL AND s.estimated > 0 AND s.actual IS NOT NULL
    GROUP BY s.model
"""


def input_factors() -> dict[str, int]:
    """Factors in parts per million by the model's name, of the tenant whose schema the connection is in.

    Only those that differ from 1 and stand on enough settlements.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUERY, {"pull": PULL_MAX, "rows": SETTLEMENTS})
        found = {
            model: Calibration(settlements=settlements, estimated=int(estimated), actual=int(actual)).factor_ppm
            for model, settlements, estimated, actual in cursor.fetchall()
        }
    rounded = {model: -(-ppm // _STEP_PPM) * _STEP_PPM for model, ppm in found.items()}
    return {model: ppm for model, ppm in rounded.items() if ppm != 10**6}
