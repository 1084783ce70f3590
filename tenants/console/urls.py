"""Addresses of pages about the directory of tenants; `config.urls_console` mounts them."""

from django.urls import URLPattern, path

from tenants.console.search import platform_search, tenant_search

ops: list[URLPattern] = [
    path("search/", platform_search, name="search"),
]
books: list[URLPattern] = [
    path("search/", tenant_search, name="search"),
]
