"""Trainers: one thin `transformers.Trainer` subclass and one arguments dataclass for each objective."""

from trainers.declutr_arguments import DeclutrArguments
from trainers.declutr_trainer import DeclutrTrainer
from trainers.mlm_arguments import MlmArguments
from trainers.mlm_trainer import MlmTrainer
from trainers.note_category_arguments import NoteCategoryArguments
from trainers.note_category_trainer import NoteCategoryTrainer
from trainers.resuming import last_complete_checkpoint

__all__ = [
    "DeclutrArguments",
    "DeclutrTrainer",
    "MlmArguments",
    "MlmTrainer",
    "NoteCategoryArguments",
    "NoteCategoryTrainer",
    "last_complete_checkpoint",
]
