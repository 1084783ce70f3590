"""The embedded servers: started once, stopped by the last user, back after any death."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from kernel.embedded import Layout, Servers
from kernel.embedded.errors import DiskFull
from kernel.embedded.postgres import Postgres
from kernel.embedded.valkey import Valkey


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    pair = Servers(Layout(tmp_path_factory.mktemp("embedded")))
    yield pair
    pair.release()
    pair.stop()


def postgres_of(servers: Servers) -> Postgres:
    return Postgres(layout=servers.layout, account=servers.account())


def valkey_of(servers: Servers) -> Valkey:
    return Valkey(layout=servers.layout, account=servers.account())


def running_pid(servers: Servers) -> int:
    pid = postgres_of(servers).postmaster_pid()
    assert pid is not None
    return pid


def answer(servers: Servers, query: str) -> object:
    with psycopg.connect(servers.layout.database_url(user="watermaster_runtime")) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


class TestStart:
    def test_is_safe_to_repeat(self, servers: Servers) -> None:
        servers.start()
        first = running_pid(servers)

        servers.start()

        assert running_pid(servers) == first
        assert valkey_of(servers).is_running()

    def test_keeps_what_was_acknowledged_when_postgres_is_killed(self, servers: Servers) -> None:
        servers.start()
        with psycopg.connect(servers.layout.database_url(user="watermaster_owner")) as owner:
            owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            owner.execute("GRANT SELECT ON kept TO watermaster_app")
        postmaster = psutil.Process(running_pid(servers))
        children = postmaster.children()
        postmaster.kill()
        psutil.wait_procs([postmaster, *children], timeout=10)

        servers.start()

        assert answer(servers, "SELECT answer FROM kept") == 42

    def test_is_not_fooled_by_a_pid_file_whose_id_another_process_has(self, servers: Servers) -> None:
        servers.start()
        pid_file = servers.layout.postgres_folder / "postmaster.pid"
        left_behind = pid_file.read_text()
        servers.stop()
        pid_file.write_text(re.sub(r"^\d+", str(os.getpid()), left_behind))

        assert not servers.are_running()
        servers.start()

        assert answer(servers, "SELECT 1") == 1

    def test_brings_back_the_one_that_died(self, servers: Servers) -> None:
        servers.start()
        postgres_pid = running_pid(servers)
        valkey_of(servers).stop()

        servers.start()

        assert valkey_of(servers).is_running()
        assert running_pid(servers) == postgres_pid

    def test_lets_nobody_else_look_into_the_folders(self, servers: Servers) -> None:
        servers.start()

        for folder in (servers.layout.postgres_folder, servers.layout.socket_folder, servers.layout.log_folder):
            assert folder.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("data_checksums", "on"),
            ("listen_addresses", ""),
            ("log_parameter_max_length", "0"),
            ("server_version_num", "18"),
        ],
    )
    def test_gives_a_server_that_loses_and_tells_nothing(self, servers: Servers, setting: str, value: str) -> None:
        servers.start()

        assert str(answer(servers, f"SELECT current_setting('{setting}')"))[: len(value) or None] == value

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
    def test_says_that_the_disk_is_full(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(disk)], check=False)
        if mounted.returncode:
            pytest.skip("no right to mount")
        try:
            with pytest.raises(DiskFull, match=r"^The disk that holds .* is full: free at least 500 MB"):
                Servers(Layout(disk)).start()
        finally:
            subprocess.run(["umount", str(disk)], check=True)


class TestUsers:
    def test_the_last_one_stops_the_servers(self, servers: Servers) -> None:
        first, second = Servers(servers.layout), Servers(servers.layout)
        first.hold()
        second.hold()

        first.release()
        assert servers.are_running()

        second.release()
        assert not servers.are_running()

    def test_a_killed_one_does_not_count(self, servers: Servers) -> None:
        program = (
            "import sys, time; from pathlib import Path; from kernel.embedded import Layout, Servers\n"
            "Servers(Layout(Path(sys.argv[1]))).hold(); print('held', flush=True); time.sleep(60)"
        )
        user = subprocess.Popen(
            [sys.executable, "-c", program, str(servers.layout.root)], stdout=subprocess.PIPE, text=True
        )
        assert user.stdout is not None
        assert user.stdout.readline() == "held\n"
        survivor = Servers(servers.layout)
        survivor.hold()
        user.kill()
        user.wait()

        survivor.release()

        assert not servers.are_running()


class TestLayout:
    def test_moves_the_sockets_when_the_path_is_too_long_for_one(self, tmp_path: Path) -> None:
        short, long = Layout(Path("/var/lib/watermaster")), Layout(tmp_path / ("x" * 100))

        assert short.socket_folder == Path("/var/lib/watermaster/run")
        assert len(str(long.socket_folder / ".s.PGSQL.5432.lock")) <= 100
        assert long.socket_folder == Layout(long.root).socket_folder
        assert long.socket_folder != Layout(tmp_path / ("y" * 100)).socket_folder
