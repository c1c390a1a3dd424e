"""Publishing to a Hub that answers, refuses, stumbles and goes away: the real client, over real connections."""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from hub_server import TOKEN

from corpora.errors import InputError
from model_cards.publishing import HubTarget, LeakOptions, checked, publish
from model_cards.remote_push import sha256_of
from model_cards.retries import RetryPolicy

REPO = "clinic/notes-encoder"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def waits(monkeypatch):
    """Do not wait between attempts, and keep the seconds."""
    slept = []
    plain = time.sleep

    def sleep(seconds):
        if seconds >= 0.9:
            slept.append(seconds)
        else:
            plain(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


@pytest.fixture(scope="module")
def checkpoint(make_model, tmp_path_factory):
    from modeling.sentence_transformers_files import write_sentence_transformers_files

    folder = tmp_path_factory.mktemp("checkpoint")
    model, tokenizer = make_model("bert")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_sentence_transformers_files(folder, model.config.hidden_size, 64)
    (folder / "README.md").write_text("---\nlicense: other\n---\n# An encoder of made-up notes\n")
    return folder


@pytest.fixture(scope="module")
def publication(checkpoint):
    return checked(checkpoint, LeakOptions(None), lambda line: None)


@pytest.fixture
def target(hub):
    return HubTarget(REPO, endpoint=hub.endpoint, token=TOKEN, policy=RetryPolicy(attempts=3))


@pytest.fixture
def said():
    return []


@pytest.fixture
def send(publication, target, said, monkeypatch):
    """Publish with changes to the target; loading what came back is left to the round trip, for it takes a second."""
    monkeypatch.setattr("model_cards.loader_check.loader_outputs", lambda folder: publication.outputs)

    def send(**changes):
        return publish(publication, replace(target, **changes), said.append)

    return send


def contents(publication):
    return {name: file.read_bytes() for name, file in publication.files.items()}


def holds(hub, publication):
    main = dict(hub.repositories[REPO].main)
    main.pop(".gitattributes")
    return main == contents(publication)


def test_a_publication_is_private_whole_and_done_once(hub, publication, send):
    commit = send(tag="v1", gated="manual")
    repository = hub.repositories[REPO]
    assert repository.private and repository.gated == "manual" and repository.tags == {"v1": commit}
    assert holds(hub, publication) and len(repository.commits) == 2 and repository.head == commit
    assert repository.messages[commit] == "Publish model" and hub.count("upload") >= 1
    before = len(hub.received)
    assert send(tag="v1", gated="manual") == commit
    assert len(repository.commits) == 2 and repository.tags == {"v1": commit}
    assert not {"create", "preupload", "batch", "upload", "commit", "tag", "settings"} & set(hub.requests[before:])


def test_a_change_is_one_commit_of_what_changed(hub, publication, send, tmp_path):
    first = send()
    repository = hub.repositories[REPO]
    # Left over from a larger model, and someone's own file.
    stale = {**repository.main, "model-00001-of-00002.safetensors": b"old", "poster.pdf": b"theirs"}
    repository.commit({**stale, "README.md": b"an older card"}, "before")
    uploads = hub.count("upload")
    second = send()
    assert second != first and repository.parents[second] != first and hub.count("upload") == uploads
    assert set(repository.main) - set(publication.hashes) == {".gitattributes", "poster.pdf"}
    assert repository.main["README.md"] == publication.files["README.md"].read_bytes()


# Fault, and whether it passes within three attempts. `{}` in the message is the state of main.
PASSING = [
    ("create", 503),
    ("create", (429, {"Retry-After": "7"})),
    ("create", "drop"),
    ("info", "drop"),
    ("validate", 500),
    ("preupload", 502),
    ("batch", (429, {"Retry-After": "7"})),
    ("upload", "drop"),
    ("upload", 500),
    ("verify", 503),
    ("commit", 500),
    ("commit", (429, {"Retry-After": "7"})),
    ("commit", "drop"),
    ("commit", "lose answer"),
    ("commit", 409),
    ("resolve", 503),
    ("resolve", "drop"),
    ("tag", 500),
    ("tag", "lose answer"),
    ("settings", "drop"),
    ("upload", "slow"),
]


@pytest.mark.parametrize(("step", "fault"), PASSING)
def test_a_passing_fault_is_waited_out(hub, publication, send, said, waits, step, fault):
    hub.faults[step] = [fault]
    commit = send(tag="v1", gated="auto")
    assert hub.faults[step] == []
    repository = hub.repositories[REPO]
    assert holds(hub, publication) and repository.tags == {"v1": commit}
    assert len(repository.commits) == 2  # never the same commit twice
    if fault != "slow":
        assert len(waits) == 1 and waits[0] >= (7 if isinstance(fault, tuple) else 1)
    assert TOKEN not in " ".join(said)


LASTING = [
    ("create", 500, r"could not create the repository \(the Hub answered 500.*nothing was published"),
    ("create", 403, r"could not create.*403.*write permission"),
    ("info", 401, r"could not read the repository.*401.*hf auth login"),
    ("preupload", 503, r"could not push.*main of clinic/notes-encoder is as it was"),
    ("upload", "drop", r"could not push.*connection was lost.*is as it was"),
    ("upload", 403, r"could not push.*403.*is as it was.*write permission"),
    ("commit", 500, r"could not push.*500.*is as it was"),
    ("commit", "drop", r"could not push.*connection was lost.*is as it was"),
    ("commit", 409, r"could not push.*409.*is as it was"),
]


@pytest.mark.parametrize(("step", "fault", "message"), LASTING)
def test_a_lasting_fault_leaves_main_as_it_was(hub, publication, send, said, waits, step, fault, message):
    hub.faults[step] = [fault] * 60
    with pytest.raises(InputError, match=message) as caught:
        send(tag="v1")
    assert TOKEN not in str(caught.value) + " ".join(said) and "\n" not in str(caught.value)
    repository = hub.repositories.get(REPO)
    if repository is not None:
        assert repository.private and list(repository.main) == [".gitattributes"] and not repository.tags
    # The same call completes it.
    hub.faults.clear()
    commit = send(tag="v1")
    assert holds(hub, publication) and hub.repositories[REPO].tags == {"v1": commit}


def test_faults_after_the_commit_say_so_and_the_same_call_goes_on(hub, publication, send, waits):
    hub.faults["resolve"] = [503] * 60
    with pytest.raises(InputError, match="the files are published, and not verified yet"):
        send(tag="v1", public=True)
    repository = hub.repositories[REPO]
    assert holds(hub, publication) and repository.private and not repository.tags
    hub.faults.clear()
    hub.faults["tag"] = [403]
    with pytest.raises(InputError, match=r"could not set tag 'v1'.*without the tag"):
        send(tag="v1", public=True)
    assert repository.private
    commit = send(tag="v1", public=True)
    assert repository.tags == {"v1": commit} and not repository.private and len(repository.commits) == 2


def test_a_commit_of_someone_else_in_between_stands(hub, send, waits):
    send()
    repository = hub.repositories[REPO]
    repository.commit({**repository.main, "README.md": b"changed here"}, "mine")
    before = len(repository.commits)
    hub.faults["commit"] = [lambda hub: repository.commit({**repository.main, "theirs.txt": b"x"}, "theirs")]
    with pytest.raises(InputError, match="someone else changed"):
        send()
    assert len(repository.commits) == before + 1 and repository.messages[repository.head] == "theirs"


def test_a_lost_answer_with_a_later_commit_of_someone_else_is_no_second_commit(hub, send, waits):
    def then_theirs(hub):
        repository = hub.repositories[REPO]
        repository.commit({**repository.main, "theirs.txt": b"x"}, "theirs")

    hub.faults["commit"] = ["lose answer"]
    hub.faults["info"] = [None, None, None, then_theirs]
    send()
    repository = hub.repositories[REPO]
    assert [repository.messages[oid] for oid in repository.commits] == ["initial commit", "Publish model", "theirs"]


def test_no_answer_in_time_is_tried_again(hub, publication, send, waits):
    import importlib

    package = type(huggingface_hub.get_session()).__module__.partition(".")[0]
    client = importlib.import_module(package).Client
    huggingface_hub.set_client_factory(lambda: client(timeout=0.3, follow_redirects=True))
    try:
        hub.faults["commit"] = ["hang"]
        send()
    finally:
        from huggingface_hub.utils import _http

        huggingface_hub.set_client_factory(_http.default_client_factory)
    assert holds(hub, publication) and len(hub.repositories[REPO].commits) == 2 and waits


def test_a_tag_is_never_moved(hub, send):
    commit = send(tag="v1")
    repository = hub.repositories[REPO]
    later = repository.commit({**repository.main, "README.md": b"another"}, "theirs")
    with pytest.raises(InputError, match=r"tag 'v1'.*marks another commit.*was not changed"):
        send(tag="v1")
    assert repository.head == later and repository.tags == {"v1": commit}


def test_a_public_repository_needs_the_word(hub, publication, send):
    send()
    hub.repositories[REPO].private = False
    with pytest.raises(InputError, match="is public already; pass --public"):
        send()
    send(public=True)
    assert not hub.repositories[REPO].private


def test_a_repository_is_public_only_after_it_was_verified(hub, publication, send):
    def corrupt(hub):
        repository = hub.repositories[REPO]
        repository.commits[repository.head]["README.md"] = b"x" * len(repository.main["README.md"])

    hub.faults["resolve"] = [corrupt]
    with pytest.raises(InputError, match=r"1 of \d+ files are not those that were checked \(README.md\)"):
        send(public=True, tag="v1")
    assert hub.repositories[REPO].private and not hub.repositories[REPO].tags
    send(public=True, tag="v1")
    assert holds(hub, publication) and not hub.repositories[REPO].private


def test_a_file_that_changes_after_the_check_is_found(hub, publication, target, tmp_path):
    import shutil

    folder = Path(shutil.copytree(publication.folder, tmp_path / "model"))
    other = replace(publication, folder=folder)
    (folder / "README.md").write_text("something else")
    with pytest.raises(InputError, match="not those that were checked"):
        publish(other, target, lambda line: None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repo_id": "name"}, "ORG/NAME"),
        ({"repo_id": "a/b/c"}, "ORG/NAME"),
        ({"token": "hf_wrongTokenOfNobody0000"}, r"401.*hf auth login"),
    ],
)
def test_faults_of_the_user(hub, send, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        send(**changes)
    assert "hf_wrong" not in str(caught.value) and not hub.repositories


def test_no_token_and_no_hub(hub, send, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(InputError, match=r"no access token.*HF_TOKEN"):
        send(token=None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"switches the Hub off.*--target folder"):
        send()
    assert hub.requests == []


@pytest.mark.parametrize("step", ["upload", "commit"])
def test_a_push_killed_half_way_leaves_main_and_is_completed(hub, publication, send, step):
    hub.faults[step] = ["hang"]
    process = multiprocessing.get_context("fork").Process(target=send)
    process.start()
    deadline = time.monotonic() + 60
    while not hub.log and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert hub.log == [f"hangs in {step}"]
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    repository = hub.repositories[REPO]
    assert list(repository.main) == [".gitattributes"] and repository.private and len(repository.commits) == 1
    uploaded = set(repository.lfs)
    before = hub.count("upload")
    send()
    assert holds(hub, publication) and len(repository.commits) == 2
    if step == "commit":  # what was there already is not sent again
        assert uploaded and hub.count("upload") == before


ROUND_TRIP = """
import json, sys
sys.path.insert(0, sys.argv.pop())
import publish
encoder, encoder_folder, classifier, classifier_folder, tagger, tagger_folder, corpus = sys.argv[1:]
publish.main([encoder_folder, "--repo_id", encoder, "--without_corpus", "--tag", "v1"])
publish.main([classifier_folder, "--repo_id", classifier, "--without_corpus", "--commit-message", "First"])
publish.main([tagger_folder, "--repo_id", tagger, "--corpus", corpus])
import numpy as np
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForTokenClassification
from modeling.note_classifier import NoteClassifier
from modeling.tagger import TokenTagger
from model_cards.loader_check import PROBES
AutoTokenizer.from_pretrained(encoder, revision="v1")
AutoModelForMaskedLM.from_pretrained(encoder)
np.savez(
    "out.npz",
    embeddings=SentenceTransformer(encoder).encode(list(PROBES)),
    weights=AutoModel.from_pretrained(encoder, revision="v1").embeddings.word_embeddings.weight.detach().numpy(),
    probabilities=NoteClassifier.from_pretrained(classifier).predict(PROBES),
)
for loader in (TokenTagger, AutoModelForTokenClassification):
    found = loader.from_pretrained(tagger).predict(PROBES)
    with open(f"{loader.__name__}.json", "w") as file:
        json.dump([[[one.label, one.start, one.end, one.probability] for one in entities] for entities in found], file)
"""


def test_round_trip_through_every_loader(
    hub, hub_environment, publication, checkpoint, make_model, make_tagger, tmp_path
):
    from model_cards.render import write_card
    from modeling.note_classifier import NoteClassifier
    from modeling.tagger import TokenTagger

    model = NoteClassifier.from_encoder(checkpoint, ["absent", "present"])
    folder = tmp_path / "classifier"
    model.save_pretrained(folder)
    model.tokenizer().save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: other\n---\n# A classifier\n")
    tagger_folder, annotated = make_tagger(tmp_path / "tagger"), tmp_path / "annotated"
    write_card(tagger_folder)
    annotated.mkdir()
    (annotated / "a.txt").write_text("Severe chest pain and a mild cough.\n")
    (annotated / "a.ann").write_text("T1\tSign 7 17\tchest pain\n")
    places = [REPO, checkpoint, "clinic/classifier", folder, "clinic/tagger", tagger_folder, annotated, SCRIPTS]
    command = [sys.executable, "-c", ROUND_TRIP, *map(str, places)]
    done = subprocess.run(command, env=hub_environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "loaders agree: SentenceTransformer, AutoModel, AutoModelForMaskedLM\n" in done.stdout
    assert "loaders agree: NoteClassifier, AutoModelForSequenceClassification\n" in done.stdout
    assert "loaders agree: TokenTagger, AutoModelForTokenClassification\n" in done.stdout
    assert "published: clinic/tagger at" in done.stdout
    tagger = TokenTagger.from_pretrained(tagger_folder)
    expected = [
        [(one.label, one.start, one.end, pytest.approx(one.probability, abs=1e-5)) for one in entities]
        for entities in tagger.predict(_probes())
    ]
    assert sum(map(len, expected)) > 5
    for name in ("TokenTagger", "AutoModelForTokenClassification"):
        found = json.loads((tmp_path / f"{name}.json").read_text())
        assert [[tuple(one) for one in entities] for entities in found] == expected
    assert "published: clinic/classifier at" in done.stdout and TOKEN not in done.stdout + done.stderr
    assert holds(hub, publication) and hub.repositories["clinic/classifier"].private
    back = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(back["embeddings"], publication.outputs["SentenceTransformer"], atol=1e-5)
    expected = make_model("bert")[0].bert.embeddings.word_embeddings.weight.detach().numpy()
    np.testing.assert_array_equal(back["weights"], expected)
    np.testing.assert_allclose(back["probabilities"], model.predict(_probes()), atol=1e-6)
    hashes = {name: sha256_of(file) for name, file in publication.files.items()}
    assert hashes == dict(publication.hashes)


def _probes():
    from model_cards.loader_check import PROBES

    return PROBES


def test_what_was_sent_holds_no_more_than_the_files(hub, publication, send):
    send()
    sent = json.dumps([body.decode("latin-1") for body in hub.received])
    assert str(publication.folder) not in sent and str(Path.home() / ".cache") not in sent and TOKEN not in sent


def test_logged_addresses_lose_their_signatures(caplog):
    import logging

    from model_cards.retries import hide_signed_addresses

    hide_signed_addresses()
    hide_signed_addresses()
    logger = logging.getLogger("huggingface_hub.utils._http")
    logger.addHandler(caplog.handler)
    try:
        logger.warning("HTTP Error %s thrown while requesting PUT https://store/x?X-Amz-Signature=abc now", 503)
    finally:
        logger.removeHandler(caplog.handler)
    assert "PUT https://store/x now" in caplog.text and "Signature" not in caplog.text


def test_metadata_that_the_hub_refuses(hub, send, waits):
    hub.faults["validate"] = [400]
    with pytest.raises(InputError, match=r"Invalid metadata in README.md.*as it was; mend it"):
        send()
    assert list(hub.repositories[REPO].main) == [".gitattributes"] and not waits
