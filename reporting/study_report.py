"""The report of a study: one page, its tables as Markdown and LaTeX, and everything as JSON."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpora.json_files import json_text
from reporting.claims import STUDIES, ClaimResult
from reporting.claims_tables import claims_table, findings_table
from reporting.durations import minutes
from reporting.figure_style import save_figure
from reporting.printed_table import LATEX_HEAD, PrintedTable, bold_parts
from reporting.report_folder import write_report_files
from reporting.space_results import SpaceResults
from reporting.study_gains import Evaluation, gains_over_base
from reporting.study_parts import judge_study, load_study_parts, without_sweeps
from reporting.study_results import StudyResults
from reporting.study_sweep import find_sweeps, sweep_figure, sweep_table
from reporting.study_tables import (
    corpora_table,
    evaluation_table,
    file_table,
    gains_table,
    models_table,
    spaces_table,
)
from reporting.sweep_effects import effects_table
from reporting.tables import plain_text

PAGE, MARKDOWN, LATEX, VALUES = "report.html", "tables.md", "tables.tex", "report.json"
TEMPLATES = Path(__file__).parent / "templates"
SCHEMA_VERSION = 1
CLAIMS_OF = {1: "What holds of the main study", 2: "What holds of the study on entities"}


@dataclass(frozen=True)
class Figure:
    """A figure to show.

    Args:
        svg: Content of an SVG file.
        caption: What it shows.
        name: Of its files in the report's folder; None for one of another folder.
        png: Content of a PNG file, where it has a name.
    """

    svg: bytes
    caption: str
    name: str | None = None
    png: bytes = b""


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Args:
        title: Its heading.
        tables: In their order.
        figures: In their order.
        links: Title and path, relative to the page, of further pages.
    """

    title: str
    tables: Sequence[PrintedTable]
    figures: Sequence[Figure] = ()
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, eq=False)
class StudyReport:
    """All that is shown of a study."""

    study: StudyResults
    evaluations: Sequence[Evaluation]
    claims: Sequence[ClaimResult]
    sections: Sequence[Section]


def make_study_report(study: StudyResults, seed: int = 0) -> StudyReport:
    """Read the results of a study and lay them out.

    Args:
        study: The study; steps that are not finished are left out.
        seed: Of all draws.

    Raises:
        InputError: A result is damaged.
    """
    parts = load_study_parts(study, seed)
    claims = judge_study(study, parts, seed)
    evaluations = without_sweeps(study, parts.evaluations)
    sections = [
        *_claim_sections(claims),
        Section("Models and corpora", [models_table(study), corpora_table(study)]),
        *_classification_sections(study, evaluations),
        *_sweep_sections(study, parts.evaluations),
        *_space_sections(study, parts.spaces),
        *_correlation_section(study),
        *_tagging_sections(study),
    ]
    return StudyReport(study, evaluations, claims, sections)


def write_study_report(report: StudyReport, folder: Path) -> list[Path]:
    """Write page, tables and values into a folder, all or none.

    Tables hold no times, so that two runs of a study give the same; times are on the page.

    Returns:
        The files.
    """

    def write(partial: Path) -> None:
        tables = [table for section in report.sections for table in section.tables]
        markdown = [
            f"## {section.title}\n\n" + "\n".join(table.markdown() for table in section.tables)
            for section in report.sections
        ]
        head = f"# {plain_text(_title(report.study))}\n\n{plain_text(_facts(report.study))}\n\n"
        (partial / MARKDOWN).write_text(head + "\n".join(markdown), encoding="utf-8")
        (partial / LATEX).write_text(LATEX_HEAD + "\n".join(table.latex() for table in tables), encoding="utf-8")
        for figure in (figure for section in report.sections for figure in section.figures if figure.name):
            (partial / f"{figure.name}.svg").write_bytes(figure.svg)
            (partial / f"{figure.name}.png").write_bytes(figure.png)
        content = json_text(report_values(report))
        (partial / VALUES).write_text(content, encoding="utf-8")
        (partial / PAGE).write_text(study_page(report), encoding="utf-8")

    return write_report_files(folder, write, ())


def study_page(report: StudyReport) -> str:
    """Return the page as HTML: no script, nothing from elsewhere, names as text and never as markup."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"bold_parts": bold_parts, "data_uri": _data_uri, "minutes": minutes}
    done = [step for step in report.study.steps if step.seconds is not None and step.name != "report"]
    missing = [step.name for step in report.study.steps if step.seconds is None and step.name != "report"]
    return environment.get_template("study_page.html").render(
        title=_title(report.study),
        facts=_facts(report.study),
        sections=report.sections,
        steps=done,
        missing=missing,
        total=sum(step.seconds for step in done),
        style=(TEMPLATES / "study_page.css").read_text(encoding="utf-8"),
    )


def report_values(report: StudyReport) -> dict[str, Any]:
    """Return claims and gains as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "study_report",
        "claims": [claim.values() for claim in report.claims],
        "gains_over_base": [
            {"corpus": one.corpus, "label": one.label, "evaluation": one.group, **asdict(found)}
            for one in report.evaluations
            for found in gains_over_base(one)
        ],
    }


def _title(study: StudyResults) -> str:
    return f"Study {Path(study.recipe).stem.removeprefix('study_')}" if study.recipe else "Study"


def _facts(study: StudyResults) -> str:
    """Return what was studied in a few sentences."""
    corpora = ", ".join(
        f"{name} ({report.get('documents_kept', 0):,} documents)" for name, report in study.corpora.items()
    )
    base = f"Base: {study.base}." if study.base else "Base: trained from scratch by the study."
    parts = [f"Corpora: {corpora}." if corpora else "", base if study.recipe else ""]
    return " ".join([*filter(None, parts), f"Seed {study.seed}." if study.seed is not None else ""]).strip()


def _claim_sections(claims: Sequence[ClaimResult]) -> list[Section]:
    sections = []
    for number, title in CLAIMS_OF.items():
        chosen = [claim for claim in claims if claim.study == number]
        caption = f"Claims of {STUDIES[number]} on this study's tasks"
        tables = [claims_table(chosen, caption, f"claims-{number}"), findings_table(chosen, f"findings-{number}")]
        sections += [Section(title, tables)] if chosen else []
    return sections


def _classification_sections(study: StudyResults, evaluations: Sequence[Evaluation]) -> list[Section]:
    sections = []
    folders = {step.name: step.folder for step in study.steps}
    for task in dict.fromkeys(one.task for one in evaluations):
        members = [one for one in evaluations if one.task == task]
        tables = [table for one in members for table in (evaluation_table(one), gains_table(one)) if table is not None]
        figures = [
            Figure(file.read_bytes(), f"{task}, {one.group.replace('_', ' ')}: {caption}")
            for one in members
            for name, caption in (("few_shot_curves", "few labels to all"), ("frozen_depth", "frozen depth"))
            if (file := folders[f"classify/{one.corpus}/{one.label}/{one.group}"] / f"{name}.svg").is_file()
        ]
        sections.append(Section(f"Classification of {task}", tables, figures))
    return sections


def _space_sections(study: StudyResults, spaces: Sequence[tuple[str, Path, SpaceResults]]) -> list[Section]:
    sections = []
    for corpus, folder, space in spaces:
        figures = [
            Figure(file.read_bytes(), caption)
            for name, caption in (
                ("uniformity_category_alignment", "uniformity and alignment within categories"),
                ("map_tsne", "t-SNE maps"),
            )
            if (file := folder / "figures" / f"{name}.svg").is_file()
        ]
        title = f"Embedding spaces: {corpus}, {space.label_column}"
        page = (folder / "page.html").relative_to(study.folder).as_posix()
        # Named as well, for who has this page alone.
        link = (f"All measures and maps: {page} in the folder of the study", f"../{page}")
        sections.append(Section(title, [spaces_table(corpus, space)], figures, [link]))
    return sections


def _correlation_section(study: StudyResults) -> list[Section]:
    (step,) = study.finished("correlate") or [None]
    if step is None:
        return []
    caption = "Rank correlation of measures of the space with macro-F1"
    table = file_table("correlations", caption, step.folder / "table.md")
    figures = [Figure(file.read_bytes(), caption) for file in sorted(step.folder.glob("*.svg"))]
    return [Section("Which measures tell how well a model classifies", [table] if table else [], figures)]


def _tagging_sections(study: StudyResults) -> list[Section]:
    steps = study.finished("tag")
    tables = []
    for task in dict.fromkeys(step.name.split("/")[1] for step in steps):
        members = {step.name.split("/")[2]: step for step in steps if step.name.split("/")[1] == task}
        step = members.get("compared") or next(iter(members.values()))
        table = file_table(f"entities-{task}", f"{task}: entities, strict spans", step.folder / "table.md")
        tables += [table] if table is not None else []
    return [Section("Entities", tables)] if tables else []


def _sweep_sections(study: StudyResults, evaluations: Sequence[Evaluation]) -> list[Section]:
    sweeps = find_sweeps(study, evaluations)
    if not sweeps:
        return []
    tables, figures = [], []
    for sweep in sweeps:
        table = sweep_table(sweep)
        tables += [found for found in (effects_table(sweep), table) if found is not None]
        drawn = sweep_figure(sweep)
        if drawn is not None:
            with tempfile.TemporaryDirectory() as folder:
                png, svg = (file.read_bytes() for file in save_figure(drawn, Path(folder) / "figure"))
            figures.append(Figure(svg, table.caption, table.name, png))
    return [Section("Sweeps", tables, figures)]


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
