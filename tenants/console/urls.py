"""Addresses of pages about the directory of tenants; `config.urls_console` mounts them."""

from django.urls import URLPattern

ops: list[URLPattern] = []
books: list[URLPattern] = []
