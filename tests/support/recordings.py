"""Recorded data beside the project, for tests that measure themselves against the world. Read there, never copied."""

from pathlib import Path

import pytest

from tests.support.shared_folder import SHARED


def recorded(folder: str) -> Path:
    """The folder of one data set; skips the test where it is not there."""
    path = SHARED / "data" / folder
    if not path.is_dir():
        pytest.skip(f"the recorded data {folder} is not there: WATERMASTER_SHARED names the folder above data/")
    return path
