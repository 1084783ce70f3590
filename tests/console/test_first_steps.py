"""The commands on empty pages do what they say, as they are written there."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client, override_settings

from config.installed import MIDDLEWARES
from tenants.models import Tenant
from tests.support.books import Books
from tests.support.management import platform_key
from tests.support.tenants import drop_tenant

_COMMAND = re.compile(r"<pre><code>curl -sS (\S+) \\\n  -H \"([^:]+): \$\w+\" .*?-d '(.*?)'</code></pre>", re.DOTALL)


def run(command: tuple[str, str, str], *, key: str) -> Any:
    """Send what the command would send."""
    url, header, body = (unescape(part) for part in command)
    return Client().post(urlsplit(url).path, body, content_type="application/json", headers={header: key})


class TestEmptyPages:
    def test_first_budget_key_and_call_work_as_printed(self, acme: Tenant, browser: Client) -> None:
        text = unescape(browser.get("/ops/tenants/acme/").content.decode())
        budget, reserve, key = _COMMAND.findall(text)

        assert run(budget, key=platform_key().token).status_code == 201
        issued = run(key, key=platform_key().token)
        assert issued.status_code == 201
        with override_settings(ROOT_URLCONF="config.urls_api", MIDDLEWARE=MIDDLEWARES["api"]):
            reserved = run(reserve, key=issued.json()["token"])

        assert reserved.status_code == 200
        assert "$0.01" in browser.get("/ops/tenants/acme/").content.decode()

    def test_first_tenant_works_as_printed(self, database: None, browser: Client) -> None:
        if Tenant.objects.exists():
            pytest.skip("another test's tenant is still there")
        (command,) = _COMMAND.findall(unescape(browser.get("/ops/").content.decode()))

        assert run(command, key=platform_key().token).status_code == 201
        tenant = Tenant.objects.get(slug="acme")
        assert Books(tenant).key is not None
        drop_tenant(tenant)
