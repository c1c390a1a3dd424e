"""Checkpoints as they are deployed: encoders, classifiers, and adapters of peft on either, merged or not."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

from corpora.errors import InputError
from embedding_files import digest_of_checkpoint
from modeling.checkpoint_folder import check_checkpoint

if TYPE_CHECKING:
    from modeling.document_encoder import DocumentEncoder
    from modeling.note_classifier import NoteClassifier

ADAPTER = "adapter_config.json"


class DeployedCheckpoint:
    """A checkpoint on disk or on the Hub.

    Args:
        name: Folder or Hub id; a folder may hold an adapter of peft (LoRA, ...) alone, and names its base.

    Raises:
        InputError: It, or its base, is not there or not whole.
    """

    def __init__(self, name: str) -> None:
        folder = check_checkpoint(name)
        self.name, self.adapter, self.adapter_kind = name, None, None
        if folder is not None and (folder / ADAPTER).is_file():
            settings = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
            self.adapter_kind = "dora" if settings.get("use_dora") else str(settings.get("peft_type", "")).lower()
            base = settings.get("base_model_name_or_path")
            if not base:
                raise InputError("the adapter does not name its base model", file=folder / ADAPTER)
            self.name, self.adapter = base, folder
            folder = check_checkpoint(base)
        self.folder = folder

    def digest(self) -> str:
        """Return what tells the weights apart from others: a digest of the files, or the name of a Hub model."""
        parts = [digest_of_checkpoint(self.folder) if self.folder is not None else self.name]
        return "+".join([*parts, *([digest_of_checkpoint(self.adapter)] if self.adapter is not None else [])])

    def is_classifier(self) -> bool:
        """Tell whether it has a head, from its configuration."""
        from transformers import AutoConfig

        try:
            # sentence-transformers folders may keep the encoder one level down; those have no head.
            return AutoConfig.from_pretrained(self.name).model_type == "note_classifier"
        except (OSError, ValueError):
            return False

    def load_classifier(self, labels: list[str], *, merge: bool = True) -> NoteClassifier:
        """Load it as a classifier in float32 on the CPU; an encoder gets an untrained head.

        Args:
            labels: Names of the untrained head's classes.
            merge: Add an adapter's matrices to the weights, rather than compute them beside.

        Raises:
            InputError: It cannot be loaded.
        """
        import torch

        from modeling.loading import load_tokenizer, quiet_loading, refuse_unloadable
        from modeling.note_classifier import NoteClassifier

        if self.is_classifier():
            with refuse_unloadable("classifier", self.name), quiet_loading():
                model = NoteClassifier.from_pretrained(self.name, dtype=torch.float32)
            if self.adapter is not None:
                model = self._adapted(model, merge)
            model._tokenizer = load_tokenizer(self.name)
        else:
            torch.manual_seed(0)
            model = NoteClassifier.from_encoder(self.name, labels)
            if self.adapter is not None:
                model.encoder = self._adapted(model.encoder, merge)
        return model.eval()

    def load_encoder(self) -> DocumentEncoder:
        """Load it as an encoder in float32 on the CPU, with an adapter merged.

        Raises:
            InputError: It cannot be loaded.
        """
        from modeling.document_encoder import DocumentEncoder

        encoder = DocumentEncoder.from_pretrained(self.name, device="cpu", dtype="float32", unpadded=False)
        if self.adapter is not None:
            self._adapted(encoder.model[0].auto_model, merge=True)  # in place
        return encoder

    def _adapted(self, model: Any, merge: bool) -> Any:
        """Return the model with the adapter's matrices merged, or put into it beside the layers."""
        from peft import PeftModel, get_peft_model_state_dict
        from peft.utils import load_peft_weights

        from modeling.adapters import merge_in_place

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what does not fit is an error below
                adapted = PeftModel.from_pretrained(model, str(self.adapter))
        except (RuntimeError, ValueError, LookupError) as error:
            raise InputError("the adapter does not fit its base model", file=self.adapter) from error
        # peft only warns of matrices that find no layer, and the base model would be measured unnoticed.
        if set(load_peft_weights(str(self.adapter), device="cpu")) != set(get_peft_model_state_dict(adapted)):
            raise InputError(
                "the adapter's matrices are of another kind of model than its base",
                file=self.adapter,
                remedy="give a checkpoint into which it is merged",
            )
        return merge_in_place(adapted) if merge else adapted.base_model.model
