"""Addresses of pages about evidence: what runtimes saw."""

from django.urls import URLPattern, path

from budgets.console.evidence import evidence, evidence_export, evidence_trace
from budgets.console.platform_evidence import platform_evidence
from budgets.console.reach import reach, reach_stop

ops: list[URLPattern] = [
    path("evidence/", platform_evidence, name="evidence"),
    path("evidence/reach/", reach, name="evidence_reach"),
    path("evidence/reach/stop/", reach_stop, name="evidence_reach_stop"),
]
books: list[URLPattern] = [
    path("evidence/", evidence, name="evidence"),
    path("evidence/export/", evidence_export, name="evidence_export"),
    path("evidence/traces/<str:trace_id>/", evidence_trace, name="evidence_trace"),
]
