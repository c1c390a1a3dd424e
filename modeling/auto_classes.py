"""Makes transformers' auto classes know ours, without importing transformers for it.

Scripts look for missing files and options before the seconds that transformers takes to import, with functions of this
package; so the package itself must not import it.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

AUTO_CLASSES = "transformers.models.auto.modeling_auto"
OURS = ("modeling.note_classifier", "modeling.tagger")  # these register their classes when they are imported


def register_when_transformers_is_there() -> None:
    """Register our classes now if transformers' auto classes are imported, else right after they will be."""
    if AUTO_CLASSES in sys.modules:
        _import_ours()
    elif not any(isinstance(finder, _AfterAutoClasses) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterAutoClasses())


class _AfterAutoClasses(importlib.abc.MetaPathFinder):
    """Lets the import of the auto classes go its way, and imports our classes after it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != AUTO_CLASSES:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _import_ours()


def _import_ours() -> None:
    for name in OURS:
        importlib.import_module(name)
