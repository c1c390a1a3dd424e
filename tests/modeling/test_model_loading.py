"""Checkpoints that cannot be loaded, and rooms that can be entered from any door."""

import json
import shutil
import subprocess
import sys

import pytest

from corpora.errors import InputError
from modeling.document_encoder import DocumentEncoder
from modeling.encoder_loading import load_encoder
from modeling.loading import load_masked_lm, load_tokenizer


@pytest.fixture
def damaged(make_encoder, tmp_path):
    """Return a function that copies a good checkpoint and changes its settings or overwrites a file of it."""

    def damage(file=None, text=None, **settings):
        folder = shutil.copytree(make_encoder("bert"), tmp_path / "damaged")
        if file is not None:
            (folder / file).write_text(text)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        return folder

    return damage


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"hidden_size": 32}, r"\(its weights have other shapes than its config.json says\)"),
        ({"hidden_act": "zzz"}, r"\(KeyError 'zzz'\)"),
        ({"num_attention_heads": 3}, "not a multiple of the number of attention heads"),
        ({"num_hidden_layers": "four"}, "num_hidden_layers"),
        ({"model_type": "nonsense"}, "model type `nonsense`"),
    ],
)
def test_a_configuration_that_does_not_fit_is_told_in_one_line(damaged, settings, told):
    folder = damaged(**settings)
    loaders = {"masked language model": load_masked_lm, "encoder": load_encoder}
    for what, load in {**loaders, "encoder ": DocumentEncoder.from_pretrained}.items():
        with pytest.raises(InputError, match=rf"no {what.strip()} can be loaded from here .*{told}") as raised:
            load(folder)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ['{"version": 1', "{}"])
def test_a_damaged_tokenizer_is_told_in_one_line(damaged, text):
    folder = damaged("tokenizer.json", text)
    for load in (load_tokenizer, load_encoder):
        with pytest.raises(
            InputError, match=r"no tokenizer can be loaded from here \(.+\); give a checkpoint"
        ) as raised:
            load(folder)
        assert "\n" not in str(raised.value)


# Importing transformers' auto classes imports our classifier and tagger, and with them these.
@pytest.mark.parametrize(
    "module", ["encoder_loading", "headed_encoder", "note_classifier", "tagger", "document_encoder"]
)
def test_a_module_can_be_the_first_to_be_imported(module):
    told = (
        "from transformers import AutoModelForTokenClassification as known; print(*known._model_mapping._extra_content)"
    )
    done = subprocess.run([sys.executable, "-c", f"import modeling.{module}; {told}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "TokenTaggerConfig" in done.stdout
