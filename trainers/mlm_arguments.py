"""Arguments of masked language modelling."""

from __future__ import annotations

from dataclasses import dataclass

from trainers.arguments import AdaptationArguments


@dataclass
class MlmArguments(AdaptationArguments):
    """Arguments of `MlmTrainer`."""
