"""What is kept outside of the tenant's schema is kept under its name: entries of caches, files of its people."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configuration
from django.core.cache import caches
from pytest_django import Settings

from kernel.ids import PLATFORM_TAG
from kernel.tenancy import in_public, in_tenant
from telemetry.services.archiving import folder_of
from tests.foe.conftest import Feud

each_cache = pytest.mark.parametrize("alias", sorted(configuration.CACHES))


class TestCaches:
    @each_cache
    def test_a_name_in_one_tenant_is_no_name_in_another(self, alias: str, feud: Feud) -> None:
        cache = caches[alias]
        with in_tenant(feud.theirs.tag):
            cache.set("the-same", "theirs")
            cache.set("count", 7)
        try:
            with in_tenant(feud.own.tag):
                assert cache.get("the-same") is None
                assert cache.add("the-same", "own")
                cache.set_many({"the-same": "own", "count": 1})
                cache.incr("count")
                cache.touch("the-same", 10)
                assert cache.delete("the-same")
                assert not cache.delete("the-same")
            with in_public():
                assert cache.get_many(["the-same", "count"]) == {}
            with in_tenant(feud.theirs.tag):
                assert cache.get_many(["the-same", "count"]) == {"the-same": "theirs", "count": 7}
        finally:
            with in_tenant(feud.theirs.tag):
                cache.delete_many(["the-same", "count"])

    @each_cache
    def test_a_key_cannot_be_written_so_that_it_means_another_tenants(self, alias: str, feud: Feud) -> None:
        """The tenant stands before the name, and is of one length, so that no name makes up for it."""
        cache, tag = caches[alias], feud.theirs.tag
        with in_tenant(tag):
            wanted = cache.make_key("name")
        names = [wanted, f"{tag}:1:name", f"../t_{tag}:1:name", f"name:1:t_{tag}", f"\n{wanted}"]
        with in_tenant(feud.own.tag):
            assert wanted not in {cache.make_key(name) for name in names}
        with in_public():
            assert wanted not in {cache.make_key(name) for name in names}

    def test_every_cache_is_of_the_tenant_in_whose_schema_it_is_asked(self) -> None:
        configured: dict[str, Any] = configuration.CACHES

        assert {cache["KEY_FUNCTION"] for cache in configured.values()} == {"kernel.cache_keys.tenant_key"}


class TestArchives:
    def test_each_tenant_has_a_folder_of_its_own(self, feud: Feud, tmp_path: Path, settings: Settings) -> None:
        settings.ARCHIVE_DIR = str(tmp_path)
        folders = [folder_of(owner) for owner in (feud.own.tag, feud.theirs.tag, PLATFORM_TAG)]

        assert {folder.parent for folder in folders} == {tmp_path}
        assert len(set(folders)) == len(folders)

    @pytest.mark.parametrize(
        "owner", ["", ".", "..", "../acme", "acme", "a" * 19, "A" * 20, "a" * 20 + "/..", "a" * 20 + "\n", "/etc"]
    )
    def test_what_is_no_tag_has_none(self, owner: str, tmp_path: Path, settings: Settings) -> None:
        settings.ARCHIVE_DIR = str(tmp_path)

        with pytest.raises(ValueError, match="not a tag"):
            folder_of(owner)
