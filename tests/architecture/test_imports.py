"""Who may import whom. import-linter keeps the directions; here is what it cannot see."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP_FOLDERS = [
    *(
        ROOT / "platform" / name
        for name in ("accounts", "accounts/keys", "vault", "telemetry", "telemetry/evidence", "telemetry/findings")
    ),
    *(ROOT / name for name in ("tenants", "budgets", "routing")),
]
SOURCE_FOLDERS = [ROOT / "platform", *(ROOT / name for name in ("tenants", "budgets", "routing"))]
ROOMS_WITHOUT_DOORS = ("services", "selectors", "models")
DOOR_LIBRARIES = ("rest_framework", "celery", "django_htmx", "django.http", "django.shortcuts", "django.views")


def room_files() -> list[Path]:
    files = [
        path
        for app in APP_FOLDERS
        for room in ROOMS_WITHOUT_DOORS
        for path in [*(app / room).rglob("*.py"), app / f"{room}.py"]
        if path.exists()
    ]
    return sorted(set(files))


def source_files() -> list[Path]:
    return sorted(path for folder in SOURCE_FOLDERS for path in folder.rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; ``from a.b import c`` gives ``a.b`` and ``a.b.c``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def belongs_to(module: str, library: str) -> bool:
    return module == library or module.startswith(f"{library}.")


class TestRooms:
    @pytest.mark.parametrize("path", room_files(), ids=name_of)
    def test_services_selectors_and_models_know_no_door(self, path: Path) -> None:
        doors = {
            module for module in imported_modules(path) for library in DOOR_LIBRARIES if belongs_to(module, library)
        }

        assert doors == set()

    @pytest.mark.parametrize("path", source_files(), ids=name_of)
    def test_settings_are_read_through_django(self, path: Path) -> None:
        assert not [module for module in imported_modules(path) if belongs_to(module, "config.settings")]


class TestContracts:
    def test_are_kept(self) -> None:
        program = Path(sys.executable).with_name("lint-imports")

        result = subprocess.run(
            [str(program), "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
        )

        assert result.returncode == 0, result.stdout + result.stderr

    def test_protect_the_models_of_every_app(self) -> None:
        contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        protected = {
            module
            for contract in contracts
            if contract["type"] == "protected"
            for module in contract["protected_modules"]
        }
        apps_with_models = {
            ".".join((*app.relative_to(ROOT).parts, "models")).removeprefix("platform.")
            for app in APP_FOLDERS
            if (app / "models" / "__init__.py").exists() or (app / "models.py").exists()
        }

        assert protected == apps_with_models
