from budgets.models.budget import Budget
from budgets.models.decision import Decision
from budgets.models.ledger import LedgerEntry, LedgerHead
from budgets.models.reservation import Reservation
from budgets.models.run_template import RunTemplate

__all__ = ["Budget", "Decision", "LedgerEntry", "LedgerHead", "Reservation", "RunTemplate"]
