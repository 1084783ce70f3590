from budgets.models.alerts import Alert, AlertChannel, AlertMark, AlertRule
from budgets.models.budget import Budget
from budgets.models.decision import Decision
from budgets.models.invoice_file import InvoiceFile
from budgets.models.keeping import KeepingTerm, KeptKind, LedgerOpening
from budgets.models.ledger import LedgerEntry, LedgerHead
from budgets.models.policies import PolicyVersion, RouterLabel, RouterModel, Subscription
from budgets.models.reconciliation import Reconciliation
from budgets.models.requests import BudgetRequest
from budgets.models.reservation import Reservation
from budgets.models.rollups import DecisionRollup, RollupMark, UsageDay, UsageRollup
from budgets.models.rules import KillSwitch, QuotaCounter, Ruleset, Run
from budgets.models.run_template import RunTemplate
from budgets.models.seals import LedgerSeal

__all__ = [
    "Alert",
    "AlertChannel",
    "AlertMark",
    "AlertRule",
    "Budget",
    "BudgetRequest",
    "Decision",
    "DecisionRollup",
    "InvoiceFile",
    "KeepingTerm",
    "KeptKind",
    "KillSwitch",
    "LedgerEntry",
    "LedgerHead",
    "LedgerOpening",
    "LedgerSeal",
    "PolicyVersion",
    "QuotaCounter",
    "Reconciliation",
    "Reservation",
    "RollupMark",
    "RouterLabel",
    "RouterModel",
    "Ruleset",
    "Run",
    "RunTemplate",
    "Subscription",
    "UsageDay",
    "UsageRollup",
]
