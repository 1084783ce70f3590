"""The live-server tests that the published client ships in its source distribution, unchanged."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.plugins.servers import ROOT
from tests.support.books import Books

VERSION = "0.5.3"
CACHE = ROOT / "var" / "cache"
DOWNLOAD_SECONDS_MAX = 90


@pytest.fixture(scope="session")
def source_distribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution; fetched once, and kept under var/."""
    archive = CACHE / f"runcycles-{VERSION}.tar.gz"
    if not archive.exists():
        fetch = ("pip", "download", f"runcycles=={VERSION}", "--no-deps", "--no-binary", ":all:", "--dest", str(CACHE))
        command = [sys.executable, "-m", *fetch]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_SECONDS_MAX)
        except (subprocess.SubprocessError, OSError):
            pytest.skip(f"The source distribution of runcycles {VERSION} cannot be had.")
    folder = tmp_path_factory.mktemp("runcycles")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"runcycles-{VERSION}"


def test_its_live_tests_pass(source_distribution: Path, standing_books: Books, api_url: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CYCLES_"))}
    environment |= {
        "CYCLES_BASE_URL": api_url,
        "CYCLES_API_KEY": standing_books.key.token,
        "CYCLES_TENANT": standing_books.tenant.slug,
    }
    quietly = ("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django")
    done = subprocess.run(
        [sys.executable, "-m", *quietly, "tests/integration/test_live_server.py"],
        check=False,
        cwd=source_distribution,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
