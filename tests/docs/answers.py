"""Comparing what a page shows with what was really answered: the words and the shape, not the numbers and ids."""

import re
from typing import Any, Final

_VARYING: Final = re.compile(
    r"wm_live_\w+"
    r"|(?:rsv|evt|dec|req)_\w+"
    r"|loop-[0-9a-f]+"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\b[0-9a-f]{32}\b"
    r"|[0-9]+"
)


def masked(text: str) -> str:
    """`text` with every id and number replaced by a sign for it."""
    return _VARYING.sub("#", text)


def differences(shown: Any, real: Any, *, at: str = "the answer") -> list[str]:
    """Where `shown` says what `real` does not; `real` may have more fields, and longer lists."""
    if isinstance(shown, dict) and isinstance(real, dict):
        missing = [f"{at} has no {name}" for name in shown.keys() - real.keys()]
        nested = [differences(shown[name], real[name], at=f"{at}.{name}") for name in shown.keys() & real.keys()]
        return missing + [line for lines in nested for line in lines]
    if isinstance(shown, list) and isinstance(real, list):
        if len(shown) > len(real):
            return [f"{at} has {len(real)} entries, not {len(shown)}"]
        pairs = zip(shown, real, strict=False)
        return [line for n, (one, other) in enumerate(pairs) for line in differences(one, other, at=f"{at}[{n}]")]
    if isinstance(shown, str) and isinstance(real, str):
        return [] if masked(shown) == masked(real) else [f"{at} is {real!r}, not {shown!r}"]
    # Numbers differ from run to run, their kind does not; true and false are no numbers.
    return [] if type(shown) is type(real) else [f"{at} is {real!r}, not {shown!r}"]
