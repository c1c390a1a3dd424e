"""Collapsed taggers are told from poor ones."""

import pytest

from metrics.collapse import collapse


@pytest.mark.parametrize(
    ("tags", "labels", "expected"),
    [
        ([["O", "O"], [], ["O"]], ["Drug"], "all O"),
        ([["B-Drug", "B-Drug"], ["B-Drug"]], ["Drug"], "one tag: B-Drug"),
        ([["I-Drug"], ["I-Drug", "I-Drug"]], ["Dose", "Drug"], "one tag: I-Drug"),
        ([["O", "B-Drug", "I-Drug"], ["O"]], ["Dose", "Drug"], "one label: Drug"),
        ([["O", "S-Drug", "E-Drug"], ["O"]], ["Dose", "Drug"], "one label: Drug"),
        ([["O", "B-Drug", "I-Drug"], ["O"]], ["Drug"], None),
        ([["O", "B-Drug"], ["B-Dose"]], ["Dose", "Drug", "Form"], None),
        ([[], []], ["Drug"], None),
        ([], [], None),
    ],
)
def test_collapse(tags, labels, expected):
    assert collapse(tags, labels) == expected
    assert collapse(iter(tags), iter(labels)) == expected
