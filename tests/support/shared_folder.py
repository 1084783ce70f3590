"""Reference material that lies beside the project and is never copied into it."""

import os
from pathlib import Path
from typing import Final

SHARED: Final = Path(os.environ.get("WATERMASTER_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
TRACES: Final = SHARED / "data" / "azure-llm-2023"
