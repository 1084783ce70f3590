"""How many tokens a request will have, before anybody knows: for holds, never for bills."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from routing.pricing.usage import BYTES_PER_TOKEN, TOKENS_MAX
from routing.services.tokenizers import count_tokens, tokenizer_of, utf8_length

_PPM: Final = 10**6
#: Settlements before a factor is believed, and after which the older half counts for less.
SETTLEMENTS_MIN: Final = 20
SETTLEMENTS_MAX: Final = 2_000
#: What a factor may be, in parts per million: a half to threefold.
_FACTOR_MIN: Final = 500_000
_FACTOR_MAX: Final = 3_000_000
#: One settlement pulls no harder than this many times its estimate.
PULL_MAX: Final = 4


class CountedBy(StrEnum):
    """RUNTIME: the caller's own count; TOKENIZER: ours; BYTES: a third of the bytes."""

    RUNTIME = "runtime"
    TOKENIZER = "tokenizer"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What settlements taught about estimates of one model, counted in one way: sums of tokens."""

    estimated: int = 0
    actual: int = 0
    settlements: int = 0

    @property
    def factor_ppm(self) -> int:
        """What an estimate is multiplied with, in parts per million; 1 until there is enough to learn from."""
        if self.settlements < SETTLEMENTS_MIN or not self.estimated:
            return _PPM
        return min(max(self.actual * _PPM // self.estimated, _FACTOR_MIN), _FACTOR_MAX)

    def learn(self, *, estimated: int, actual: int) -> "Calibration":
        """With one more settlement: the count before any factor, and what the provider charged for."""
        if estimated <= 0 or actual < 0:
            return self
        actual = min(max(actual, estimated // PULL_MAX), estimated * PULL_MAX)
        settlements, divisor = self.settlements + 1, 1
        if settlements >= SETTLEMENTS_MAX:
            settlements, divisor = settlements // 2, 2
        return Calibration(
            estimated=(self.estimated + estimated) // divisor,
            actual=(self.actual + actual) // divisor,
            settlements=settlements,
        )


UNCALIBRATED: Final = Calibration()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """`tokens` is what to hold for; `counted` is it before the factor, which `Calibration.learn` wants."""

    tokens: int
    counted: int
    counted_by: CountedBy


def estimate_input(
    *, model: str, own_count: int | None = None, text: str = "", calibrations: "Calibrations | None" = None
) -> TokenEstimate:
    """The tokens of a request's input: the runtime's own count where it sent one, else ours of `text`."""
    tokenizer = tokenizer_of(model)
    if own_count is not None:
        counted, counted_by = own_count, CountedBy.RUNTIME
    elif tokenizer is not None:
        counted, counted_by = count_tokens(text, tokenizer=tokenizer), CountedBy.TOKENIZER
    else:
        counted, counted_by = -(-utf8_length(text) // BYTES_PER_TOKEN), CountedBy.BYTES
    calibration = (calibrations or {}).get(counted_by, UNCALIBRATED)
    tokens = -(-counted * calibration.factor_ppm // _PPM)
    return TokenEstimate(tokens=min(tokens, TOKENS_MAX), counted=counted, counted_by=counted_by)


#: Of one model.
type Calibrations = dict[CountedBy, Calibration]
