"""Runs in the reader's words: how one stands, what became of it, what it has left."""

from datetime import datetime
from typing import Final

from budgets.console.grants import Fact
from budgets.console.wording import reason_words, scope_words
from budgets.models.choices import EntryKind
from budgets.selectors.run_ledgers import RunLedger
from budgets.selectors.run_lines import RunLine, RunState
from kernel.pages.amounts import counted_text, exact_amount_text, number_text
from kernel.pages.bars import Tone
from kernel.pages.moments import duration_text, moment_text
from kernel.pages.phrases import Phrase, Sentence, sentence, strong

_STATES: Final = {
    RunState.RUNNING: ("Running", Tone.INFO),
    RunState.STOPPED: ("Stopped by its limits", Tone.BAD),
    RunState.OVER: ("Over", Tone.CALM),
}
#: What a run is told of its own money, which has no word among the refusals of budgets.
_GIVEN_UP: Final = {"MAX_COST_REACHED": "its money was used up"}
_ENTRIES: Final = {
    EntryKind.RESERVE: ("Held", Tone.INFO),
    EntryKind.COMMIT: ("Settled", Tone.GOOD),
    EntryKind.RELEASE: ("Released", Tone.CALM),
    EntryKind.EXPIRE: ("Expired", Tone.WARN),
    EntryKind.EXTEND: ("Extended", Tone.CALM),
    EntryKind.EVENT: ("Charged", Tone.GOOD),
    EntryKind.CREATE: ("Opened", Tone.CALM),
    EntryKind.CORRECTION: ("Corrected", Tone.WARN),
}


def state_words(run: RunLine) -> tuple[str, Tone]:
    return _STATES[run.state]


def entry_words(kind: EntryKind) -> tuple[str, Tone]:
    return _ENTRIES.get(kind, (kind.replace("_", " ").capitalize(), Tone.CALM))


def run_summary(run: RunLine | None, ledger: RunLedger | None, *, time_zone: str, now: datetime) -> Sentence:
    """One sentence on what became of it."""
    spent = _amounts(ledger.spent) if ledger else "nothing"
    calls = counted_text(ledger.calls if ledger else 0, "call")
    denial = ledger.denials[0] if ledger and ledger.denials else None
    last_entry = ledger.entries[-1].at if ledger and ledger.entries else None
    if run is not None and run.gave_up_at is not None:
        at = moment_text(run.gave_up_at, time_zone=time_zone, now=now)
        why = _GIVEN_UP.get(run.gave_up_code or "") or _lower(reason_words(run.gave_up_code) or "one of its limits")
        pieces = ("This run was stopped at ", strong(at), " by a limit of its own: ", why)
        return sentence(*pieces, f", after {calls} for ", strong(spent), ".")
    if denial is not None and (last_entry is None or denial.at >= last_entry):
        at = moment_text(denial.at, time_zone=time_zone, now=now)
        scope = scope_words(denial.failed_scope or denial.scope_path or "")
        why = _lower(reason_words(denial.reason_code))
        refused = sentence("The last call of this run was refused at ", strong(at), ": ", why, " at ", strong(scope))
        return refused + sentence(f". Before it, {calls} cost ", strong(spent), ".")
    verb = "is at work" if run is not None and run.state == RunState.RUNNING else "is over"
    held = {unit: amount for unit, amount in (ledger.held if ledger else {}).items() if amount}
    holds = (" and ", strong(_amounts(held)), " still held") if held else ()
    return sentence(f"This run {verb}: {calls}, ", strong(spent), " spent", *holds, ".")


def limit_lines(run: RunLine | None, ledger: RunLedger | None, limits: dict[str, int]) -> list[Fact]:
    """What the run may still use of each limit that it has."""
    found = []
    if ledger is not None and ledger.budget is not None:
        budget = ledger.budget
        left, whole = (exact_amount_text(amount, budget.unit) for amount in (budget.remaining, budget.allocated))
        found.append(Fact("Money", sentence(strong(left), f" left of {whole}")))
    if run is not None:
        for name, key, used in (
            ("Iterations", "iterations_max", run.iterations),
            ("Tokens", "tokens_max", run.tokens),
        ):
            if key in limits:
                left = number_text(max(limits[key] - used, 0))
                found.append(Fact(name, sentence(strong(left), f" left of {number_text(limits[key])}")))
            elif used:
                found.append(Fact(name, sentence(strong(number_text(used)), " used, no limit")))
        if "wall_seconds_max" in limits:
            found.append(Fact("Time", sentence("at most ", strong(duration_text(limits["wall_seconds_max"] * 1_000)))))
    return found


def _amounts(amounts: dict[str, int]) -> str:
    return " and ".join(exact_amount_text(amount, unit) for unit, amount in amounts.items()) or "nothing"


def _lower(words: str) -> Phrase:
    return Phrase(words[:1].lower() + words[1:])
