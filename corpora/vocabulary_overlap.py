"""Two sites whose vocabularies overlap less: only shared codes, only codes of one's own, renamed codes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Literal

import numpy as np
import xxhash

from corpora.encounters import Encounters
from corpora.errors import InputError

Overlap = Literal["full", "shared", "disjoint", "dealt"]
NewNames = Literal["stay", "synonyms", "codes"]


def codes_of(encounters: Encounters) -> frozenset[str]:
    """Return the codes of which anything is said in at least one encounter."""
    said = np.asarray(encounters.occurs.sum(0)).ravel() > 0
    return frozenset(state.code for state, occurs in zip(encounters.states, said, strict=True) if occurs)


def restrict_overlap(
    source: Encounters, target: Encounters, overlap: Overlap, seed: int = 0
) -> tuple[Encounters, Encounters]:
    """Keep the part of both vocabularies that an experiment is about.

    All encounters stay, those without a state left as well, so that scores of different overlaps are of the same
    encounters.

    Args:
        source: Site to learn from.
        target: Site to move to.
        overlap: `full`: as they are. `shared`: codes that both sites use. `disjoint`: at each site the codes that the
            other does not use, which are rare ones as a rule. `dealt`: those, and of the shared codes every second, in
            random order, at one site and the rest at the other: no code in common, with as frequent codes as before.
        seed: Of the order in which shared codes are dealt.

    Raises:
        InputError: A site has nothing left.
    """
    at_source, at_target = codes_of(source), codes_of(target)
    shared = at_source & at_target
    if overlap == "full":
        return source, target
    if overlap == "shared":
        kept_source = kept_target = shared
    else:
        order = _shuffled(shared, seed) if overlap == "dealt" else []
        kept_source, kept_target = at_source - shared | set(order[::2]), at_target - shared | set(order[1::2])
    return _restricted(source, kept_source, overlap), _restricted(target, kept_target, overlap)


def rename_codes(
    encounters: Encounters,
    share: float,
    seed: int = 0,
    *,
    new_names: NewNames = "stay",
    synonyms: Mapping[str, str] | None = None,
    among: Set[str] | None = None,
) -> Encounters:
    """Give a share of the codes local codes that no other site has.

    The codes renamed at a smaller share are among those renamed at a larger one with the same seed.

    Args:
        encounters: Of one site.
        share: Of the codes, from 0 to 1.
        seed: Of their order.
        new_names: `stay`: only the code changes. `synonyms`: the name becomes the synonym of the old code, and only
            codes with a synonym are renamed. `codes`: the name becomes the local code, so that nothing tells what is
            meant: a control.
        synonyms: Old code to new name (`corpora.concept_names.read_concept_names` reads a file of them).
        among: Codes to choose from, as a rule those shared by both sites; all by default.

    Returns:
        The encounters, with the number of `renamed` codes in the report.

    Raises:
        InputError: The share is out of range, or no code has a synonym.
    """
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share} of the codes", remedy="give a share from 0 to 1")
    codes = codes_of(encounters)
    candidates = codes if among is None else codes & among
    if new_names == "synonyms":
        candidates = candidates & set(synonyms or {})
        if not candidates:
            raise InputError(
                f"site {encounters.site}: no code has a synonym",
                remedy="give a file of synonyms with this site's codes",
            )
    chosen = _shuffled(candidates, seed)[: round(share * len(candidates))]
    # Numbered in the order drawn, so that neither code nor name is told by the number; the site keeps them local.
    local = {code: f"local:{encounters.site}:{number:05d}" for number, code in enumerate(chosen, 1)}
    names = {"stay": {}, "synonyms": synonyms or {}, "codes": local}[new_names]
    renamed = encounters.renamed(local, {code: names[code] for code in chosen if code in names})
    return renamed.with_report(renamed={"codes": len(chosen), "of": len(candidates), "names": new_names})


def overlap_report(source: Encounters, target: Encounters) -> dict[str, Any]:
    """Count how far two sites' vocabularies overlap, for JSON.

    Returns:
        Codes of each site and shared; shared codes under the same name; the share of what is said at the target that
        is said in shared codes; target encounters of which nothing is said in shared codes.
    """
    at_source, at_target = codes_of(source), codes_of(target)
    shared = at_source & at_target
    names = [{state.code: state.name for state in one.states if state.code in shared} for one in (source, target)]
    said = target.with_states([state.code in shared for state in target.states])
    return {
        "source_codes": len(at_source),
        "target_codes": len(at_target),
        "shared_codes": len(shared),
        "shared_codes_of_one_name": sum(names[0][code] == names[1][code] for code in shared),
        "share_of_target_said_in_shared_codes": said.occurs.nnz / max(1, target.occurs.nnz),
        "target_encounters_without_shared_codes": said.without_states,
    }


def _restricted(encounters: Encounters, codes: Set[str], overlap: str) -> Encounters:
    if not codes:
        raise InputError(
            f"site {encounters.site} has no code left with the {overlap} vocabulary",
            remedy="choose another overlap",
        )
    kept = encounters.with_states(np.array([state.code in codes for state in encounters.states], dtype=bool))
    return kept.with_report(overlap=overlap, codes=len(codes), without_events=kept.without_states)


def _shuffled(codes: Set[str], seed: int) -> list[str]:
    """Order codes at random by their hashes, the same way whatever other codes there are."""
    return sorted(codes, key=lambda code: (xxhash.xxh3_64_intdigest(f"{seed}\0{code}".encode()), code))
