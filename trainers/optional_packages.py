"""Packages that some arguments of the Trainer need and that need not be installed."""

from __future__ import annotations

from transformers import Trainer, TrainingArguments

from corpora.errors import InputError

# Optimizers that cannot be asked for without the model, which is not loaded yet.
WITH_MODEL = ("galore", "apollo", "lomo", "adalomo")
# Places to report to that transformers never lists as installed, or not beside others.
UNLISTED = ("flyte", "azure_ml")


def refuse_missing_packages(args: TrainingArguments) -> None:
    """Look for what the Trainer would look for when it reports or makes its optimizer, with a traceback.

    Args:
        args: Of the training.

    Raises:
        InputError: There is no such place to report to, or a package is not installed.
    """
    if args.report_to:
        _check_reports(args.report_to)
    try:
        Trainer.get_optimizer_cls_and_kwargs(args)
    except (ImportError, ValueError) as error:
        name = str(getattr(args.optim, "value", args.optim))
        if isinstance(error, ImportError) or not name.startswith(WITH_MODEL):
            asked = f"--optim {name}" + (f" with --optim_args {args.optim_args}" if args.optim_args else "")
            raise InputError(f"{asked} cannot be used here ({error})", remedy="choose another one") from error


def _check_reports(names: list[str]) -> None:
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    installed = get_available_reporting_integrations()
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise InputError(f"--report_to {name} is unknown", remedy=f"choose from none, {known}")
        if name not in (*installed, *UNLISTED):
            raise InputError(
                f"--report_to {name} needs a package that is not installed", remedy="install it, or choose another"
            )
