"""Corpora: notes of any origin to a clean `DatasetDict`, and back from disk.

- `columns`: which columns mean what; presets for well-known exports
- `sources`, `reading`, `records`: files, saved datasets and Hub ids to validated notes, one at a time
- `cleaning`, `deduplication`, `splitting`: what happens to them
- `chunks`, `grouping`, `saving`, `preparation`: the restartable job over a corpus of any size
- `loading`: a prepared corpus, or raw files, for training and encoding
- `preparation_report`: what `preparation.json` holds, and its tables
- `entities`, `tag_schemes`, `conll`, `brat`, `span_json_lines`, `tagging_corpus`: annotated text to tagged sentences
- `encounters`, `event_tables`, `omop_tables`, `wide_encounters`, `encounter_loading`: records of a site to encounters,
  sets of concepts with an outcome; `vocabulary_overlap`, `bayes_network`: what two sites share, and the best answer
- `demo`, `demo_entities`, `demo_encounters`: generated notes, the entities in them, and two generated hospitals

Importing this package is quick; what needs `datasets` imports it when called.
"""

from corpora.columns import PRESETS, NoteColumns, preset_columns
from corpora.errors import InputError

__all__ = ["PRESETS", "InputError", "NoteColumns", "preset_columns"]
