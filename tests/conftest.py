"""Fixtures that every room's tests share."""

import gc
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_finish():
    """Keep what collection has imported out of the garbage collector, which every training calls at its end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def offline_environment(tmp_path_factory):
    """The environment of a process of its own: offline, on one thread, with empty caches."""
    caches = tmp_path_factory.mktemp("huggingface")
    return {
        **os.environ,
        "HF_HOME": str(caches),
        "HF_HUB_CACHE": str(caches / "hub"),
        "HF_DATASETS_CACHE": str(caches / "datasets"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


@pytest.fixture(scope="session")
def run_script(offline_environment):
    """Run `scripts/NAME.py` in a process of its own, offline and on one thread, as a user would."""

    def run(name, *arguments, cwd=None):
        command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=offline_environment, text=True, capture_output=True, timeout=600)

    return run


# Importing the libraries takes ten times as long as most of what the tests let a process do.
FORK_SERVER = """
import gc, json, os, runpy, signal, sys, traceback
sys.path[:0] = sys.argv[1:3]
import torch
torch.set_num_threads(1)
import datasets, matplotlib.figure, pandas, scipy.stats, sentence_transformers, sklearn.linear_model, transformers
import collators, model_cards.card_callback, trainers
from transformers import AutoModel, BertConfig, BertModel
# The first model that is loaded compiles the names of the weights of all models, the first card its template.
small = BertConfig(vocab_size=9, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2)
BertModel(small).save_pretrained(sys.argv[3])
AutoModel.from_pretrained(sys.argv[3])
model_cards.card_callback.write_card(sys.argv[3])
gc.collect()
gc.freeze()  # the children need not look at these objects again


def child(job, environment):
    signal.alarm(400)
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1), os.dup2(log, 2)
    os.environ.update(environment)
    sys.argv = [job["program"], *job["arguments"]]
    try:
        runpy.run_path(job["program"], run_name="__main__")
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(status)


for line in sys.stdin:
    job, children = json.loads(line), []
    for environment in job["environments"]:
        children.append(os.fork())
        if not children[-1]:
            child(job, environment)
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in children]
    print("ended", json.dumps(codes), flush=True)
"""


@pytest.fixture(scope="session")
def run_forked(offline_environment, tmp_path_factory):
    """Run a Python program in forks of one clean interpreter that has imported the libraries, and `scripts/` in reach.

    `run_forked(program, *arguments, environments=[{}])` runs a file once for each environment, all at the same time,
    and fails with what they wrote unless all end well.
    """
    folder = tmp_path_factory.mktemp("forks")
    command = [sys.executable, "-c", FORK_SERVER, str(ROOT / "scripts"), str(ROOT), str(folder / "small")]
    with (folder / "server.log").open("w") as errors:
        server = subprocess.Popen(
            command, env=offline_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )

    def run(program, *arguments, environments=({},)):
        log = folder / f"{len(list(folder.iterdir()))}.log"
        job = {"program": program, "arguments": arguments, "environments": environments, "log": log}
        with suppress(BrokenPipeError):  # it has died, which its log tells
            server.stdin.write(json.dumps(job, default=str) + "\n")
            server.stdin.flush()
        answer = next((line for line in server.stdout if line.startswith("ended ")), None)
        assert answer is not None, (folder / "server.log").read_text()[-3000:]
        codes = json.loads(answer.removeprefix("ended "))
        assert not any(codes), f"{codes}: {log.read_text()[-4000:]}"

    yield run
    with suppress(BrokenPipeError):
        server.stdin.close()
    server.wait()


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


@pytest.fixture
def base(make_model, tmp_path):
    """Return the folder of a tiny masked language model."""
    model, tokenizer = make_model("roberta")
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"
