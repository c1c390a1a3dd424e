"""Documents to token ids, rows and length reports."""

import copy

import numpy as np
import pytest
from datasets import Dataset
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from collators import cut_into_rows, keep_long_enough, tokenize_documents
from collators.special_tokens import token_ids


def test_documents_are_tokenised_whole_and_keys_tell_them_apart(bert_tokenizer):
    documents = Dataset.from_dict(
        {
            "text": ["the patient was well", "the patient was well", "a" + " b" * 3000],
            "document_id": ["1", "2", "3"],
            "patient_id": ["p", "p", None],
        }
    )
    tokenized = tokenize_documents(documents, bert_tokenizer)
    assert "text" not in tokenized.column_names
    assert (
        tokenized[0]["input_ids"].tolist()
        == bert_tokenizer("the patient was well", add_special_tokens=False)["input_ids"]
    )
    assert tokenized[2]["length"] == len(tokenized[2]["input_ids"]) == 3001
    assert tokenized[0]["content_key"] == tokenized[1]["content_key"] != tokenized[2]["content_key"]
    assert tokenized[0]["patient_key"] == tokenized[1]["patient_key"] != tokenized[2]["patient_key"]
    assert len(set(tokenized["document_key"])) == 3


def test_too_short_documents_are_counted_by_category(bert_tokenizer):
    documents = Dataset.from_dict(
        {
            "text": ["a b", "a b c d e", "a b c d e f", "a"],
            "document_id": list("1234"),
            "note_category": ["ECG", "ECG", "Nursing", None],
        }
    )
    kept, report = keep_long_enough(tokenize_documents(documents, bert_tokenizer), 5)
    assert kept["document_id"][:] == ["2", "3"]
    assert report.as_dict() == {
        "required_tokens": 5,
        "documents": 4,
        "kept": 2,
        "kept_share": 0.5,
        "kept_by_category": {"ECG": [1, 2], "": [0, 1], "Nursing": [1, 1]},
    }


def test_blocks_hold_every_token_once(bert_tokenizer):
    texts = [" ".join(["patient"] * count) for count in (3, 50, 7, 1)]
    documents = tokenize_documents(Dataset.from_dict({"text": texts, "document_id": list("abcd")}), bert_tokenizer)
    blocks = cut_into_rows(documents, bert_tokenizer, 16, concatenate=True)
    expected = [token for text in texts for token in bert_tokenizer(text)["input_ids"]]
    assert np.concatenate([row["input_ids"] for row in blocks]).tolist() == expected
    assert {len(row["input_ids"]) for row in list(blocks)[:-1]} == {16}
    assert len(set(blocks["document_id"])) == len(blocks)


def test_rows_keep_documents_apart_and_lose_nothing(bert_tokenizer):
    texts = [" ".join(["patient"] * count) for count in (3, 50)]
    documents = tokenize_documents(Dataset.from_dict({"text": texts, "document_id": ["a", "b"]}), bert_tokenizer)
    rows = cut_into_rows(documents, bert_tokenizer, 16, concatenate=False)
    cls, sep = bert_tokenizer.cls_token_id, bert_tokenizer.sep_token_id
    assert all(row["input_ids"][0] == cls and row["input_ids"][-1] == sep for row in rows)
    assert rows["document_id"][:] == ["a/0", "b/0", "b/14", "b/28", "b/42"]
    assert rows["length"][:] == [5, 16, 16, 16, 10]


def test_tokenising_again_reads_the_cache(bert_tokenizer, tmp_path):
    Dataset.from_dict({"text": ["the patient was well"] * 3, "document_id": list("123")}).save_to_disk(tmp_path / "n")
    tokenize_documents(Dataset.load_from_disk(tmp_path / "n"), bert_tokenizer)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cache-*.arrow")}
    assert files
    tokenize_documents(Dataset.load_from_disk(tmp_path / "n"), bert_tokenizer)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cache-*.arrow")} == files


def cached_files(folder):
    return set(folder.rglob("cache-*.arrow"))


def test_another_tokenizer_or_column_is_another_cache(bert_tokenizer, roberta_tokenizer, tmp_path):
    columns = {"text": ["the patient was well"] * 3, "document_id": list("123"), "ward": list("aab")}
    Dataset.from_dict(columns).save_to_disk(tmp_path / "n")
    splitting = copy.deepcopy(bert_tokenizer)
    splitting.split_special_tokens = True
    text, ways = (
        columns["text"][0],
        [(bert_tokenizer, []), (bert_tokenizer, ["ward"]), (roberta_tokenizer, []), (splitting, [])],
    )
    for count, (tokenizer, keep) in enumerate(ways, 1):
        found = tokenize_documents(Dataset.load_from_disk(tmp_path / "n"), tokenizer, keep_columns=keep)
        assert len(cached_files(tmp_path)) == count
        assert found[0]["input_ids"].tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ("ward" in found.column_names) == bool(keep)
    other = Dataset.from_dict({**columns, "text": ["the patient was unwell"] * 3})
    other.save_to_disk(tmp_path / "other")
    tokenize_documents(Dataset.load_from_disk(tmp_path / "other"), bert_tokenizer)
    assert len(cached_files(tmp_path)) == len(ways) + 1


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_ids_are_those_of_a_call_whatever_the_tokenizer_did_before(bert_tokenizer, roberta_tokenizer, family):
    tokenizer = copy.deepcopy({"bert": bert_tokenizer, "roberta": roberta_tokenizer}[family])
    texts = ["the patient was well " * 9, f"no fever {tokenizer.mask_token} today", " é \n\t x", ""]
    for splitting in (False, True):
        tokenizer.split_special_tokens = splitting
        expected = tokenizer(texts, add_special_tokens=False)["input_ids"]
        tokenizer(texts, truncation=True, max_length=4, padding=True)
        assert token_ids(tokenizer, texts) == expected
        assert (tokenizer.mask_token_id in token_ids(tokenizer, texts)[1]) != splitting


def test_a_tokenizer_without_a_backend_is_called(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "well", "patient"]))
    tokenizer = BertTokenizerLegacy(str(tmp_path / "vocab.txt"))
    assert not tokenizer.is_fast
    assert token_ids(tokenizer, ["patient well", ""]) == [[6, 5], []]
    documents = Dataset.from_dict({"text": ["patient well"], "document_id": ["1"]})
    assert tokenize_documents(documents, tokenizer)[0]["input_ids"].tolist() == [6, 5]
