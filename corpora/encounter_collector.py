"""Encounters and events, row by row, to encounter sets: what counts, what is left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from corpora.concept_names import ConceptNames, read_concept_names
from corpora.encounter_options import EncounterOptions
from corpora.encounters import PRESENT, Encounters, encounters_from_sets
from corpora.errors import InputError
from corpora.event_times import Moment
from corpora.table_rows import Place

MOST_LEVELS = 100
"""States of one concept; a column with more holds numbers or text."""


class _Kept(NamedTuple):
    position: int
    start: Moment | None
    end: float | None


class EncounterCollector:
    """Takes the rows of a site's tables: first all encounters, then their events.

    Args:
        options: Prediction time, and what becomes of rows at fault.
        site: Name of the site.
    """

    def __init__(self, options: EncounterOptions, site: str) -> None:
        self.options, self.site = options, site
        given = read_concept_names(options.concept_names) if options.concept_names else None
        self.names = ConceptNames(given, options.name_levels)
        self._ids: list[str] = []
        self._patients: list[str] = []
        self._outcomes: list[int] = []
        self._said: list[set[tuple[str, str]]] = []
        self._kept: dict[str, _Kept] = {}
        self._dropped: set[str] = set()
        self._states: dict[str, set[str]] = {}
        self._encounters = Counter(read=0, end_unknown=0)
        self._dropped_encounters: Counter[str] = Counter()
        self._events = Counter(read=0, used=0)
        self._dropped_events: Counter[str] = Counter()

    def add_encounter(
        self,
        encounter: str | None,
        patient: str | None,
        outcome: int | None,
        place: Place,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        outcome_column: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Take an encounter.

        Args:
            encounter: Its id.
            patient: Its patient's id.
            outcome: 0 or 1, or None where it is missing.
            place: Where it stands.
            start: Its start, as a date.
            end: Its end or, where that is earlier, the time of the outcome.
            outcome_column: For messages.
            reason: Why it is left out, if it is.

        Raises:
            InputError: An id or the outcome is missing, or the encounter stands twice.
        """
        for what, value in (("encounter", encounter), ("patient", patient)):
            if value is None:
                remedy = f"give each row one, or name its column with --{what}_column"
                raise place.fault(f"the {what} id is missing", remedy)
        self._encounters["read"] += 1
        if encounter in self._kept or encounter in self._dropped:
            raise place.fault("the encounter stands in an earlier row as well", "keep one row for each")
        last = place.offset(end, start)
        reason = reason or self._why_no_encounter(outcome, last, place, outcome_column)
        if reason is not None:
            self._dropped.add(encounter)
            self._dropped_encounters[reason] += 1
            return
        self._encounters["end_unknown"] += last is None and self.options.encounter_format != "wide"
        self._kept[encounter] = _Kept(len(self._ids), start, last.latest if last else None)
        self._ids.append(encounter)
        self._patients.append(patient)
        self._outcomes.append(outcome)
        self._said.append(set())

    def _why_no_encounter(
        self, outcome: int | None, last: Moment | None, place: Place, column: str | None
    ) -> str | None:
        if outcome is None:
            if self.options.on_missing_outcome == "error":
                remedy = "fill it, or leave such encounters out with --on_missing_outcome skip"
                raise place.fault("the outcome is missing", remedy, column)
            return "outcome missing"
        if last is not None and last.latest < 0:
            return "ends before it starts"
        if last is not None and self.options.cut_off is not None and last.earliest < self.options.cut_off:
            return "ends before the prediction time"
        return None

    def add_event(
        self,
        encounter: str | None,
        code: str | None,
        description: Any,
        place: Place,
        *,
        state: str | None = PRESENT,
        time: Moment | None = None,
        domain: str | None = None,
    ) -> None:
        """Take an event, or count why it is left out.

        Args:
            encounter: Id of its encounter.
            code: Of the concept.
            description: Of the concept.
            place: Where it stands.
            state: What is said of the concept; None for nothing.
            time: A date, or an offset from the start of the encounter.
            domain: Kind of event.

        Raises:
            InputError: The time is a date and the encounter has none of its start, or the concept has too many states.
        """
        self._events["read"] += 1
        reason = "no state" if state is None else self._why_no_event(encounter, code, time, domain, place)
        if reason is not None:
            self._dropped_events[reason] += 1
            return
        self.names.add(code, description, place)
        said = self._said[self._kept[encounter].position]
        if (code, state) in said:
            self._dropped_events["repeat"] += 1
            return
        said.add((code, state))
        self._events["used"] += 1
        self._check_levels(code, state, place)

    def add_findings(
        self, encounter: str, findings: Sequence[tuple[str, str] | None], names: Sequence[str | None], place: Place
    ) -> None:
        """Take a whole row of a wide table: `add_event` for each finding, many times faster.

        Args:
            encounter: Id of the encounter.
            findings: Code and state; None where nothing is said.
            names: Of the codes.
            place: Where the row stands.
        """
        self._events["read"] += len(findings)
        kept = self._kept.get(encounter)
        if kept is None:
            self._dropped_events["of an encounter left out"] += len(findings)
            return
        said = {finding for finding in findings if finding is not None}
        unknown = sum(finding is None for finding in findings)
        self._events["used"] += len(said)
        if unknown:
            self._dropped_events["no state"] += unknown
        self._said[kept.position] = said
        for finding, name in zip(findings, names, strict=True):
            if finding is not None and finding[1] not in self._states.get(finding[0], ()):
                self.names.add(finding[0], name, place)
                self._check_levels(*finding, place)

    def _check_levels(self, code: str, state: str, place: Place) -> None:
        states = self._states.setdefault(code, set())
        states.add(state)
        if len(states) > MOST_LEVELS:
            remedy = "give levels such as low, normal and high, or leave the column out"
            raise place.fault(f"the concept {code} has more than {MOST_LEVELS} states", remedy)

    def _why_no_event(
        self, encounter: str | None, code: str | None, time: Moment | None, domain: str | None, place: Place
    ) -> str | None:
        if self.options.domains and domain not in self.options.domains:
            return "other domain"
        if not code:
            return "no code"
        if encounter is None:
            return "no encounter"
        if encounter not in self._kept:
            return "of an encounter left out" if encounter in self._dropped else "of an encounter that is not listed"
        kept, cut_off = self._kept[encounter], self.options.cut_off
        if time is None:
            # Codes without a time, such as billing codes, may have been given after the prediction time.
            return None if cut_off is None else "no time"
        latest = place.offset(time, kept.start).latest
        if cut_off is not None:
            return "after the prediction time" if latest > cut_off else None
        if kept.end is not None and latest > kept.end:
            return "after the end of the encounter"
        return None

    def finish(self, files: Sequence[str | Path]) -> Encounters:
        """Return the encounters.

        Args:
            files: What was read, for the report.

        Raises:
            InputError: No encounter or no event is left, or a concept has no name.
        """
        if not self._ids:
            raise InputError(
                f"site {self.site}: no encounter is left ({_reasons(self._dropped_encounters)})",
                remedy="check the outcome and the prediction time",
            )
        names, named = self.names.settle(self.options.on_missing_name)
        encounters = encounters_from_sets(self._ids, self._patients, self._outcomes, self._said, names, self.site)
        if not encounters.occurs.nnz:
            raise InputError(
                f"site {self.site}: no event is left ({_reasons(self._dropped_events)})",
                remedy="check that the ids of both tables match, the domains and the prediction time",
            )
        return encounters.with_report(
            files=[Path(file).name for file in files],
            format=self.options.encounter_format,
            prediction_hours=self.options.prediction_hours,
            domains=list(self.options.domains),
            encounters={
                **self._encounters,
                "dropped": dict(sorted(self._dropped_encounters.items())),
                "kept": len(encounters),
                "positives": encounters.positives,
                "patients": len(set(self._patients)),
                "without_events": encounters.without_states,
            },
            events={**self._events, "dropped": dict(sorted(self._dropped_events.items()))},
            concepts={"kept": len(names), "states": len(encounters.states), **named},
        )


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()) or "there are none"
