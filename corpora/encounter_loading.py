"""One entry to the encounters of a site, whatever the form of its tables, and what two sites must keep apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal

import numpy as np

from corpora.encounter_options import EncounterOptions
from corpora.encounters import Encounters, require_both_outcomes
from corpora.errors import InputError

_ALWAYS = {"encounter_format", "outcome_column", "positive_values", "outcome_above", "concept_names"}
_ALWAYS |= {"encounter_delimiter", "on_missing_outcome", "on_missing_name"}
_USED = {
    "events": {
        *("encounter_preset", "prediction_hours", "domains", "encounter_column", "patient_column", "start_column"),
        *("end_column", "code_column", "description_column", "time_column", "state_column", "low_column"),
        *("high_column", "domain_column", "time_unit", "name_levels", "present_values", "absent_values"),
        "missing_values",
    },
    "wide": {
        *("encounter_column", "patient_column", "ignored_columns", "present_values", "absent_values"),
        *("missing_values", "missing_as"),
    },
    "omop": {"prediction_hours", "domains", "death_days"},
}


def load_encounters(
    files: str | Path | Sequence[str | Path], options: EncounterOptions, site: str | None = None
) -> Encounters:
    """Read the encounters of one site.

    Args:
        files: Its files, in the form that the options name.
        options: How to read them.
        site: Its name; by default that of the first file or folder, without its ending.

    Returns:
        The encounters, at least two with and two without the outcome.

    Raises:
        InputError: A file, a row, a column or an option is at fault.
    """
    files = [files] if isinstance(files, (str, Path)) else list(files)
    if not files:
        raise InputError("no file of encounters is given", remedy="name at least one")
    _refuse_unused(options)
    site = site or Path(files[0]).name.split(".")[0]
    if options.encounter_format == "wide":
        from corpora.wide_encounters import read_wide_encounters as read
    elif options.encounter_format == "omop":
        from corpora.omop_tables import read_omop_tables as read
    else:
        from corpora.event_tables import read_event_tables as read
    encounters = read(files, options, site)
    require_both_outcomes(encounters)
    return encounters


def separate_sites(
    source: Encounters, target: Encounters, shared_patients: Literal["error", "distinct", "drop"] = "error"
) -> tuple[Encounters, Encounters]:
    """Make sure that no patient is at both sites, so that no target patient was seen in training.

    Args:
        source: Site to learn from.
        target: Site to move to.
        shared_patients: What to do about patient ids that both sites have: `error`; `distinct`, where ids of the two
            coincide by accident: the site's name goes before each id; `drop`, where they are the same people: they
            leave the source.

    Returns:
        Both sites; reports say how many patients they shared, and the source's how many encounters it lost.

    Raises:
        InputError: Sites share patients and the policy is `error`, the sites have the same name, or the source has too
            few encounters left.
    """
    if source.site == target.site:
        raise InputError(f"both sites are called {source.site}", remedy="give each its own name")
    shared = np.intersect1d(source.patient_ids, target.patient_ids)
    if len(shared) and shared_patients == "error":
        raise InputError(
            f"{len(shared):,} patient {'id is' if len(shared) == 1 else 'ids are'} at both sites "
            f"{source.site} and {target.site}",
            remedy="pass --shared_patients distinct where ids coincide by accident, or drop where they are the same "
            "people",
        )
    if len(shared) and shared_patients == "distinct":
        source, target = (
            replace(one, patient_ids=np.char.add(f"{one.site}:", one.patient_ids)) for one in (source, target)
        )
    dropped = 0
    if len(shared) and shared_patients == "drop":
        stays = ~np.isin(source.patient_ids, shared)
        dropped = int((~stays).sum())
        source = source.select(stays)
        require_both_outcomes(source)
    return (
        source.with_report(shared_patients=len(shared), dropped_as_shared=dropped),
        target.with_report(shared_patients=len(shared)),
    )


def _refuse_unused(options: EncounterOptions) -> None:
    """Refuse an option that the format does not look at, rather than pass it over."""
    used = _ALWAYS | _USED[options.encounter_format]
    if options.encounter_format == "omop" and options.outcome_column is not None:
        used = used - {"death_days"}
    if options.encounter_format == "omop" and options.outcome_column is None:
        used = used - {"positive_values", "outcome_above"}
    defaults = EncounterOptions()
    for field in fields(options):
        if field.name not in used and getattr(options, field.name) != getattr(defaults, field.name):
            raise InputError(
                f"--{field.name} means nothing with --encounter_format {options.encounter_format}"
                + (" and this outcome" if field.name in ("death_days", "positive_values", "outcome_above") else ""),
                remedy="leave it out",
            )
