"""Fixtures that every room's tests share."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def run_script(tmp_path_factory):
    """Run `scripts/NAME.py` in a process of its own, offline and on one thread, as a user would."""
    caches = tmp_path_factory.mktemp("huggingface")
    environment = {
        **os.environ,
        "HF_HOME": str(caches),
        "HF_HUB_CACHE": str(caches / "hub"),
        "HF_DATASETS_CACHE": str(caches / "datasets"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }

    def run(name, *arguments, cwd=None):
        command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True, timeout=600)

    return run


@pytest.fixture(scope="session")
def code_blocks():
    """Return a function: (Markdown file, language) -> the code blocks of that language, in their order."""

    def find(file, language):
        return re.findall(rf"^```{language}\n(.*?)^```", file.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)

    return find


@pytest.fixture(scope="session")
def make_encoder(tmp_path_factory):
    """Save a tiny encoder with random weights and a tokenizer trained on a few made-up words; return its folder.

    `make_encoder("bert")` has WordPiece and 32 positions, `make_encoder("roberta")` byte-level BPE and 32 usable
    positions. Plain folders, as transformers saves them, without sentence-transformers files.
    """
    made = {}

    def make(family):
        if family not in made:
            made[family] = _save_encoder(family, tmp_path_factory.mktemp(family))
        return made[family]

    return make


def _save_encoder(family, folder):
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel, RobertaTokenizer

    words = ["fever", "cough", "chest", "pain", "knee", "swelling", "left", "right", "mild", "severe", "no", "for"]
    texts = [f"{a} {b} {c}" for a in words for b in words for c in words[:3]]
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    if family == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[(name, special.index(name)) for name in ("[CLS]", "[SEP]")]
        )
        tokenizer = BertTokenizer(tokenizer_object=backend, model_max_length=32)
        model = BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **sizes))
    else:
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        backend.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special))
        backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        tokenizer = RobertaTokenizer(tokenizer_object=backend)
        model = RobertaModel(
            RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=34, pad_token_id=1, **sizes)
        )
    # Weights of this size would leave all embeddings nearly parallel; spread them so that a mistake shows.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


WORDS = (
    "the patient was admitted with chest pain and dyspnoea on exertion no fever cough or rash noted today "
    "plan continue aspirin metoprolol review in clinic after echo well stable discharged home follow up"
).split()


@pytest.fixture(scope="session")
def bert_tokenizer(tmp_path_factory):
    """A WordPiece tokenizer over the words above, their letters and letter continuations."""
    from transformers import BertTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary += sorted(set(WORDS) - set(letters))
    return BertTokenizer(vocab={token: index for index, token in enumerate(vocabulary)})


@pytest.fixture(scope="session")
def notes():
    """Forty short made-up documents of 30 to 160 words, two a patient."""
    import numpy as np
    from datasets import Dataset

    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(30, 160))) for _ in range(40)]
    return Dataset.from_dict(
        {
            "text": texts,
            "document_id": [f"note-{number}" for number in range(40)],
            "patient_id": [f"patient-{number // 2}" for number in range(40)],
            "note_category": ["Nursing" if number % 3 else "Radiology" for number in range(40)],
        }
    )


@pytest.fixture(scope="session")
def roberta_tokenizer(notes):
    """A byte-level BPE trained on the made-up documents."""
    from modeling.from_scratch import train_tokenizer

    return train_tokenizer(notes, 400)


@pytest.fixture(params=["bert", "roberta", "distilbert", "modernbert"])
def family(request):
    """Each encoder family in turn."""
    return request.param


@pytest.fixture(scope="session")
def make_model(bert_tokenizer, roberta_tokenizer):
    """Return a function: family -> (tiny untrained masked language model, its tokenizer); seeded, without dropout."""
    from transformers import set_seed

    from modeling.from_scratch import EncoderSize, scratch_config, untrained_model

    def make(family="bert", dropout=0.0, window=64):
        tokenizer = roberta_tokenizer if family in ("roberta", "modernbert") else bert_tokenizer
        config = scratch_config(family, EncoderSize(16, 2, 2, 32, window, dropout), tokenizer)
        set_seed(0)
        return untrained_model(config), tokenizer

    return make
