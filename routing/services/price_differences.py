"""What each undecided price would change: its terms beside those in force at its beginning."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from routing.models import PriceVersion
from routing.selectors.price_pages import approved_of
from routing.services.price_import import Difference
from routing.services.price_timeline import in_force, terms_in


def differences_of(proposals: Sequence[PriceVersion], *, now: datetime) -> list[Difference]:
    """In the order of the proposals. One query."""
    approved: defaultdict[tuple[str, str], list[PriceVersion]] = defaultdict(list)
    for version in approved_of(proposals):
        approved[version.provider, version.model].append(version)
    found = []
    for proposal in proposals:
        before = in_force(approved[proposal.provider, proposal.model], proposal.effective.lower or now)
        found.append(Difference(proposal=proposal, before=None if before is None else terms_in(before)))
    return found
