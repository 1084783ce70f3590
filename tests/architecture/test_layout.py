"""`platform/` is a source root and stays one, and every tool finds what lies in it."""

import os
import platform
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "kernel", "accounts", "vault", "telemetry")
APPS = (
    "accounts",
    "accounts/keys",
    "vault",
    "telemetry",
    "telemetry/evidence",
    "telemetry/findings",
    "tenants",
    "budgets",
    "routing",
)


class TestPlatformFolder:
    def test_is_no_package(self) -> None:
        assert not (ROOT / "platform" / "__init__.py").exists()

    def test_has_no_loose_modules(self) -> None:
        assert list((ROOT / "platform").glob("*.py")) == []

    def test_leaves_the_standard_library_its_name(self) -> None:
        standard_library = Path(sysconfig.get_path("stdlib"))

        assert Path(platform.__file__).parent == standard_library
        assert platform.python_version() == sys.version.split()[0]

    @pytest.mark.parametrize("package", PACKAGES)
    def test_gives_its_packages_names_of_their_own(self, package: str) -> None:
        spec = find_spec(package)

        assert spec is not None
        assert spec.origin == str(ROOT / "platform" / package / "__init__.py")

    def test_is_found_without_the_help_of_pytest(self) -> None:
        """Celery, granian and import-linter rely on the editable install alone."""
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        program = f"import {', '.join(PACKAGES)}, tenants, budgets, routing"

        result = subprocess.run(
            [sys.executable, "-c", program], cwd="/", env=environ, capture_output=True, text=True, check=False
        )

        assert result.returncode == 0, result.stderr


class TestPackaging:
    def test_ships_every_package(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        shipped = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])

        assert shipped == {*(f"platform/{name}" for name in PACKAGES), "tenants", "budgets", "routing"}

    def test_knows_every_folder_under_platform(self) -> None:
        folders = {folder.name for folder in (ROOT / "platform").iterdir() if any(folder.glob("*.py"))}

        assert folders == set(PACKAGES)

    @pytest.mark.parametrize("app", APPS)
    def test_every_app_says_its_name(self, app: str) -> None:
        folder = ROOT / app if (ROOT / app).exists() else ROOT / "platform" / app

        assert f'name = "{app.replace("/", ".")}"' in (folder / "apps.py").read_text()
