"""Options of the demo corpus, its specialties and note categories."""

from __future__ import annotations

from dataclasses import dataclass, field

from corpora.demo_lexicon import HOSPITALS
from corpora.errors import InputError

SPECIALTIES = {
    "cardiology": 0.16, "respiratory": 0.15, "neurology": 0.13, "gastroenterology": 0.14, "oncology": 0.13,
    "obstetrics": 0.09, "orthopaedics": 0.11, "nephrology": 0.09,
}  # fmt: skip
"""Each specialty with its share of the patients."""
CATEGORIES = {
    "Physician": 0.21, "Nursing": 0.22, "Radiology": 0.21, "ECG": 0.11, "Pharmacy": 0.10, "Emergency": 0.10,
    "Incident report": 0.05, "Discharge summary": 0.0,
}  # fmt: skip
"""Each note category with its share of the notes other than discharge summaries, which follow the encounters."""


@dataclass(frozen=True)
class DemoOptions:
    """What to generate; the fields explain themselves in their ``help``."""

    _argument_group_name = "Demo corpus"

    patients: int = field(default=1000, metadata={"help": "number of patients, with about 3.8 notes each"})
    seed: int = field(default=0, metadata={"help": "a patient's notes depend on this and the patient's number alone"})
    hospitals: tuple[str, ...] = field(
        default=HOSPITALS, metadata={"help": "hospitals to draw from: north, south or both"}
    )
    length_scale: float = field(
        default=1.0,
        metadata={"help": "factor on the sentences of repeatable passages; 1 gives a median of about 90 words"},
    )
    focus: float = field(
        default=0.75,
        metadata={
            "help": "probability that a mention belongs to the encounter's own condition, not to a comorbidity or the "
            "common stock; higher is easier to classify"
        },
    )
    exact_copies: float = field(default=0.01, metadata={"help": "share of notes filed a second time word for word"})
    near_copies: float = field(default=0.02, metadata={"help": "share of notes filed again with an addendum"})

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: When one is out of range.
        """
        if self.patients < 1:
            raise InputError(f"patients is {self.patients}", remedy="give at least 1")
        if not self.hospitals or not set(self.hospitals) <= set(HOSPITALS):
            raise InputError(
                f"hospitals are {', '.join(map(str, self.hospitals)) or 'empty'}",
                remedy=f"choose from {', '.join(HOSPITALS)}",
            )
        if not 0.1 <= self.length_scale <= 10:
            raise InputError(f"length_scale is {self.length_scale}", remedy="give a factor from 0.1 to 10")
        for name in ("focus", "exact_copies", "near_copies"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise InputError(f"{name} is {value}", remedy="give a share from 0 to 1")
        if (total := self.exact_copies + self.near_copies) > 1:
            raise InputError(f"exact_copies and near_copies add up to {total:g}", remedy="keep them within 1")
