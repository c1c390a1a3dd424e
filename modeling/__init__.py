"""Modules and files that `from_pretrained` loads: pooling, masked-LM forward, classifiers, LoRA, checkpoint files.

Import from the submodules; this room knows nothing of trainers and scripts. Importing it makes
`AutoModelForSequenceClassification` know `NoteClassifier` and `AutoModelForTokenClassification` know `TokenTagger`,
before or after transformers itself is imported.
"""

from modeling.auto_classes import register_when_transformers_is_there

register_when_transformers_is_there()
