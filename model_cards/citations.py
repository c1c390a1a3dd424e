"""What a card cites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEALTHCARE_SPACES = """@misc{taylor2024developing,
  title = {Developing Healthcare Language Model Embedding Spaces},
  author = {Taylor, Niall and Schofield, Dan and Kormilitzin, Andrey and Joyce, Dan W. and Nevado-Holgado, Alejo},
  year = {2024},
  eprint = {2403.19802},
  archivePrefix = {arXiv}
}"""
DECLUTR = """@inproceedings{giorgi2021declutr,
  title = {{DeCLUTR}: Deep Contrastive Learning for Unsupervised Textual Representations},
  author = {Giorgi, John and Nitski, Osvald and Wang, Bo and Bader, Gary},
  booktitle = {Proceedings of ACL-IJCNLP},
  year = {2021},
  eprint = {2006.03659},
  archivePrefix = {arXiv}
}"""
LM_CRF = """@misc{belkadi2022crossdomain,
  title = {On Cross-Domain Pre-Trained Language Models for Clinical Text Mining: How Do They Perform on Data-Constrained
    Fine-Tuning?},
  author = {Belkadi, Samuel and Han, Lifeng and Wu, Yuping and Antonini, Valerio and Nenadic, Goran},
  year = {2022},
  eprint = {2210.12770},
  archivePrefix = {arXiv}
}"""
SENTENCE_TRANSFORMERS = """@inproceedings{reimers2019sentencebert,
  title = {Sentence-{BERT}: Sentence Embeddings using Siamese {BERT}-Networks},
  author = {Reimers, Nils and Gurevych, Iryna},
  booktitle = {Proceedings of EMNLP-IJCNLP},
  year = {2019},
  eprint = {1908.10084},
  archivePrefix = {arXiv}
}"""


def citations(training: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """Return BibTeX entries of the method and of what the model is used with."""
    objectives = {training.get("objective"), *(one.get("objective") for one in training.get("earlier_trainings") or ())}
    # A tagger may stand on any encoder; one of ours brings its own paper.
    found = [LM_CRF] if model["tagger"] else []
    if not model["tagger"] or training.get("earlier_trainings"):
        found.append(HEALTHCARE_SPACES)
    if "declutr" in objectives:
        found.append(DECLUTR)
    if model["sentence_transformers"]:
        found.append(SENTENCE_TRANSFORMERS)
    return found
