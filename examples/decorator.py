"""A loop that nobody stops, stopped by the budget of its run.

The template `chat` gives a run USD 1.00. Every turn holds 30 cents and costs 25: the fourth has no room.
"""

import os
from uuid import uuid4

from runcycles import BudgetExceededError, CyclesClient, CyclesConfig, cycles

CENT = 1_000_000  # in USD_MICROCENTS
RUN = {"run": f"loop-{uuid4().hex[:8]}", "run_template": "chat"}

config = CyclesConfig(
    base_url=os.environ["API_URL"], api_key=os.environ["ACME_API_KEY"], tenant="acme", workspace="prod", agent="support"
)


@cycles(
    estimate=30 * CENT,
    actual=25 * CENT,
    action_kind="llm.completion",
    action_name="gpt-4o-mini",
    dimensions=RUN,
    client=CyclesClient(config),
)
def ask(question: str) -> str:
    return "Let me think about that once more."  # the model is called here


turn = 0
while True:
    turn += 1
    try:
        print(turn, ask("Are we done?"))
    except BudgetExceededError as refusal:
        print(turn, refusal)
        print(refusal.details["explain_url"])
        break
