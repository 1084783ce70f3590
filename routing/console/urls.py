"""Addresses of pages about prices, plans, routes and policies; `config.urls_console` mounts them."""

from django.urls import URLPattern

ops: list[URLPattern] = []
books: list[URLPattern] = []
