"""What the environment says becomes settings, or one plain sentence."""

import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment


class TestServers:
    def test_are_embedded_when_none_is_named(self, tmp_path: Path) -> None:
        servers = environment.servers({"WATERMASTER_VAR": str(tmp_path)})

        assert servers.embedded is not None
        assert servers.embedded.root == tmp_path
        assert "watermaster_runtime" in servers.runtime_database_url
        assert "watermaster_owner" in servers.owner_database_url

    def test_are_the_named_ones_and_none_is_embedded(self) -> None:
        named = {"DATABASE_URL": "postgresql://runtime@db/wm", "REDIS_URL": "redis://cache"}

        servers = environment.servers(named | {"DATABASE_OWNER_URL": "postgresql://owner@db/wm"})

        assert servers.embedded is None
        assert servers.runtime_database_url == "postgresql://runtime@db/wm"
        assert servers.owner_database_url == "postgresql://owner@db/wm"
        assert servers.redis_url == "redis://cache"

    def test_share_one_login_when_no_owner_is_named(self) -> None:
        servers = environment.servers({"DATABASE_URL": "postgresql://one@db/wm", "REDIS_URL": "redis://cache"})

        assert servers.owner_database_url == servers.runtime_database_url

    def test_embedded_ones_may_be_shared_by_runs_that_keep_apart(self, tmp_path: Path) -> None:
        named = {"WATERMASTER_VAR": str(tmp_path)}

        assert "?" not in environment.servers(named).redis_url
        assert environment.servers(named | {"VALKEY_DATABASE": "3"}).redis_url.endswith(".sock?db=3")
        assert environment.servers(named | {"VALKEY_DATABASE": "1023"}).redis_url.endswith("?db=1023")
        for none in ("three", "-1", "1024", "9" * 5000):
            with pytest.raises(ImproperlyConfigured, match="number of a database, from 0 to 1023"):
                environment.servers(named | {"VALKEY_DATABASE": none})

    @pytest.mark.parametrize("half", ["DATABASE_URL", "REDIS_URL"])
    def test_come_in_pairs(self, half: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="together, or neither"):
            environment.servers({half: "somewhere"})


class TestDatabase:
    def test_reads_every_part_of_a_url(self) -> None:
        entry = environment.database(
            "postgresql://run%40time:p%2Fss@db.example:6432/wm?sslmode=require", startup={"lock_timeout": "2s"}
        )

        assert (entry["USER"], entry["PASSWORD"]) == ("run@time", "p/ss")
        assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("db.example", "6432", "wm")
        assert entry["OPTIONS"]["sslmode"] == "require"
        assert entry["OPTIONS"]["options"] == "-c lock_timeout=2s"

    def test_reads_a_socket_folder(self) -> None:
        entry = environment.database("postgresql://runtime@/wm?host=%2Fvar%2Frun%2Fwm", startup={})

        assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("/var/run/wm", "", "wm")

    def test_refuses_another_kind_of_database_without_repeating_the_url(self) -> None:
        with pytest.raises(ImproperlyConfigured) as refusal:
            environment.database("mysql://user:secret@db/wm", startup={})

        assert "secret" not in str(refusal.value)


class TestBroker:
    @pytest.mark.parametrize(
        ("redis_url", "broker_url"),
        [
            ("unix:///var/run/wm/valkey.sock", "redis+socket:///var/run/wm/valkey.sock"),
            ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
            ("redis://:secret@cache:6379/0", "redis://:secret@cache:6379/0"),
            ("rediss://cache", "rediss://cache"),
        ],
    )
    def test_is_the_same_server_in_celerys_spelling(self, redis_url: str, broker_url: str) -> None:
        assert environment.celery_broker_url(redis_url) == broker_url


class TestRootSecret:
    def test_is_made_once_and_readable_by_its_user_alone(self, tmp_path: Path) -> None:
        first = environment.root_secret({}, var=tmp_path)

        assert environment.root_secret({}, var=tmp_path) == first
        assert len(first) >= environment.SECRET_LENGTH_MIN
        assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]

    def test_comes_from_the_environment_when_it_is_there(self, tmp_path: Path) -> None:
        assert environment.root_secret({"WATERMASTER_SECRET": "s" * 32}, var=tmp_path) == "s" * 32
        assert list(tmp_path.iterdir()) == []

    def test_is_refused_when_one_character_too_short(self, tmp_path: Path) -> None:
        with pytest.raises(ImproperlyConfigured, match="at least 32"):
            environment.root_secret({"WATERMASTER_SECRET": "s" * 31}, var=tmp_path)


class TestFlag:
    @pytest.mark.parametrize(("text", "value"), [("yes", True), ("1", True), ("No", False), ("0", False), ("", True)])
    def test_is_yes_or_no_or_the_default(self, text: str, *, value: bool) -> None:
        assert environment.flag({"FLAG": text}, "FLAG", default=True) is value

    def test_refuses_what_is_neither(self) -> None:
        with pytest.raises(ImproperlyConfigured, match="FLAG is yes or no"):
            environment.flag({"FLAG": "perhaps"}, "FLAG", default=True)
