"""Addresses of our own on the runtime plane that need prices and routes."""

from django.urls import path

from routing.api.runtime.admit import AdmitView
from routing.api.runtime.settle import SettleView
from routing.api.runtime.tools import IsolationView, ToolsView

urlpatterns = [
    path("v1/x-watermaster/admit", AdmitView.as_view()),
    path("v1/x-watermaster/settle", SettleView.as_view()),
    path("v1/x-watermaster/tools", ToolsView.as_view()),
    path("v1/x-watermaster/isolation", IsolationView.as_view()),
]
