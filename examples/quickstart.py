"""Hold, work, book: one enforced call with the low-level client of `runcycles`.

. var/demo.env sets API_URL and ACME_API_KEY; `.venv/bin/python examples/quickstart.py` runs it.
"""

import os
from uuid import uuid4

from runcycles import Action, Amount, CommitRequest, CyclesClient, CyclesConfig, ReservationCreateRequest, Subject, Unit

CENT = 1_000_000  # in USD_MICROCENTS: one US dollar is 100,000,000


def usd(amount: int) -> Amount:
    return Amount(unit=Unit.USD_MICROCENTS, amount=amount)


config = CyclesConfig(base_url=os.environ["API_URL"], api_key=os.environ["ACME_API_KEY"], tenant="acme")
with CyclesClient(config) as client:
    held = client.create_reservation(
        ReservationCreateRequest(
            idempotency_key=str(uuid4()),
            subject=Subject(tenant="acme", workspace="prod", agent="support"),
            action=Action(kind="llm.completion", name="gpt-4o-mini"),
            estimate=usd(5 * CENT),
        )
    )
    if not held.is_success:
        raise SystemExit(f"Refused: {held.error_message}")

    # Here the model is called. It turns out to cost 3 cents.
    booked = client.commit_reservation(
        held.body["reservation_id"], CommitRequest(idempotency_key=str(uuid4()), actual=usd(3 * CENT))
    )

print("charged", booked.body["charged"]["amount"], "released", booked.body["released"]["amount"])
for balance in booked.body["balances"]:
    print(f"{balance['scope_path']}: USD {balance['remaining']['amount'] / (100 * CENT):.2f} left")
