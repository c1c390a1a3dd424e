"""A measure's value with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """What a measure gave.

    Args:
        value: Not a number where the measure is undefined.
        low: Lower end of the 95 % interval over documents; None where there is none.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Return value and interval for JSON, null where they are not finite."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {
            name: None if number is None or not math.isfinite(number) else float(number)
            for name, number in numbers.items()
        }
