"""Addresses of pages about one tenant's books: budgets, requests, runs, denials, keys, the start."""

from django.urls import URLPattern, path

from budgets.console.asking import request_decline, request_grant, request_list, request_list_of_all, request_new
from budgets.console.budgets import budget_export, budget_list
from budgets.console.moving import budget_move, budget_move_line, budget_move_undo

ops: list[URLPattern] = [
    path("requests/", request_list_of_all, name="request_list"),
]
books: list[URLPattern] = [
    path("budgets/", budget_list, name="budget_list"),
    path("budgets/export/", budget_export, name="budget_export"),
    path("budgets/move/", budget_move, name="budget_move"),
    path("budgets/move/line/", budget_move_line, name="budget_move_line"),
    path("budgets/move/<int:seq>/undo/", budget_move_undo, name="budget_move_undo"),
    path("requests/", request_list, name="request_list"),
    path("requests/new/", request_new, name="request_new"),
    path("requests/<uuid:request_id>/grant/", request_grant, name="request_grant"),
    path("requests/<uuid:request_id>/decline/", request_decline, name="request_decline"),
]
