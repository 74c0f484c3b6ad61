"""What all studies share: options, tables that cut no digit, rows that survive an interrupt."""

from __future__ import annotations

import importlib
import inspect
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from glassgraph.errors import CommandError
from glassgraph_studies import bench, reproduce
from glassgraph_studies.runner.command import make_command, make_group
from glassgraph_studies.runner.options import (
    Option,
    arguments,
    count,
    flag,
    seeds,
    several,
    switch,
)
from glassgraph_studies.runner.study import Figure, Found, Pages, Study, one_table
from glassgraph_studies.runner.tables import Column, Table, name, number, print_table, shown

OPTIONS = (
    seeds(2, "data"),
    several("layer", "Layers", kind=int, to="layers", least=1),
    several("part", "Parts", choices=("one", "two")),
    count("nodes", None, "Nodes.", to="num_nodes"),
    flag("fast_mode", "Fast.", to="fast"),
    switch("peer", "With the peer."),
    Option("root", Path, "Folder.", missed="something is left out"),
)


def made(run: Any, **more: Any) -> typer.Typer:
    other = Study("other", "Another.", run, ())
    return make_group("Studies.", (Study("study", "A study.", run, OPTIONS, **more), other))


def call(app: typer.Typer, *words: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, words)])


def test_options_become_arguments_and_what_is_not_given_is_left_to_the_experiment() -> None:
    seen: list[dict[str, Any]] = []

    def run(**given: Any) -> Iterator[Found]:
        seen.append({**given, "threads": torch.get_num_threads()})
        yield Found([])

    before = torch.get_num_threads()
    assert call(made(run)).exit_code == 0
    words = "--seeds 3 --layer 2 --layer 5 --part two --nodes 7 --fast-mode --no-peer --threads 2"
    result = call(made(run), *words.split(), "--root", "here", "--quiet")
    assert result.exit_code == 0, result.output
    assert torch.get_num_threads() == before
    assert seen[0] == {
        "seeds": range(2), "fast": False, "peer": True, "progress": True, "threads": 1,
    }  # fmt: skip
    assert seen[1] == {
        "seeds": range(3), "layers": [2, 5], "part": ["two"], "num_nodes": 7, "fast": True,
        "peer": False, "root": Path("here"), "progress": False, "threads": 2,
    }  # fmt: skip


def test_help_names_the_words_that_an_option_takes() -> None:
    def shown_help(option: Option) -> str:
        annotation = option.parameter().annotation
        return str(annotation.__metadata__[0].help)

    assert shown_help(several("part", "Parts", choices=("one", "two"))) == (
        "Parts; repeat for several. One of one, two."
    )
    named = several("part", "Part, one or two", choices=("one", "two"))
    assert shown_help(named) == "Part, one or two; repeat for several."
    assert shown_help(count("nodes", None, "Nodes.")) == "Nodes."


def test_mistakes_in_options_are_told_before_anything_runs(tmp_path: Path) -> None:
    def run(**_: Any) -> Iterator[Found]:
        raise AssertionError
        yield

    for words, message in (
        (["--part", "three"], "--part must be one of one, two; got 'three'"),
        (["--json", tmp_path], "it is a folder"),
        (["--seeds", 0], "1"),
        (["--layer", 0], "1"),
    ):
        result = call(made(run), *words)
        assert result.exit_code == 2
        assert message in result.stderr


def test_rows_are_kept_and_shown_and_a_mistake_of_the_study_is_one_line(tmp_path: Path) -> None:
    def run(**_: Any) -> Iterator[Found]:
        yield Found([{"a": 1}, {"a": 2}], ["two rows"])
        raise CommandError("no\nmore")

    path = tmp_path / "new" / "rows.json"
    result = call(made(run), "--json", path)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["something is left out", "two rows", "Error: no more"]
    assert json.loads(path.read_text()) == [{"a": 1}, {"a": 2}]


def test_an_interrupt_ends_with_130_and_keeps_rows(tmp_path: Path) -> None:
    def run(**_: Any) -> Iterator[Found]:
        yield Found([{"a": float("nan")}])
        raise KeyboardInterrupt

    result = call(made(run), "--json", tmp_path / "rows.json", "--root", "here")
    assert result.exit_code == 130
    assert result.stderr == "Interrupted.\n"
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"a": None}]


def test_tables_verdicts_figure_and_pages(tmp_path: Path) -> None:
    drawn: list[Any] = []
    pages: list[Any] = []

    def run(**_: Any) -> Iterator[Found]:
        for each in (1, 2, 3):
            first = [Table("first", [name("x", "a")], [{"a": each}])] if each == 2 else []
            yield Found([{"a": each}], tables=first, subject=each)

    app = made(
        run,
        tables=one_table("all", [name("what", "a"), number("half", "a", "{:.1f}", 0.5)]),
        verdicts=lambda rows: [f"{len(rows)} rows"],
        figure=Figure("Draw.", lambda subjects, path: drawn.append((list(subjects), path)), most=2),
        pages=Pages("Folder.", lambda subject, folder: pages.append((subject, folder))),
    )
    png, html = tmp_path / "figure.png", tmp_path / "pages"
    result = call(app, "--figure", png, "--html", html, "--root", "here")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.strip(" ─")]
    assert lines[0] == ["first"]
    assert lines[3:] == [["all"], ["what", "half"], ["1", "0.5"], ["2", "1.0"], ["3", "1.5"]]
    assert drawn == [([1, 2], png)]
    assert pages == [(1, html), (2, html), (3, html)]
    assert result.stderr.splitlines() == ["3 rows", f"figure: {png}", f"pages: {html}"]
    assert call(app, "--quiet", "--root", "here").stderr == "3 rows\n"
    assert call(app, "--figure", tmp_path / "figure.gif").exit_code == 2
    assert "--figure" not in CliRunner().invoke(app, ["other", "--help"]).stdout


def printed(table: Table, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    print_table(table, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [20, 37, 53, 80, 200])
def test_no_digit_is_ever_cut(width: int) -> None:
    numbers = [[f"{row}{column}.{row * column + 1:05d}" for column in range(9)] for row in (3, 7)]

    def column(position: int) -> Column:
        return Column(f"c{position}", lambda row: row[1][position])

    each = Column("each seed", lambda row: " ".join(row[1]), wraps=True)
    columns = [Column("name", lambda row: row[0], is_name=True), *map(column, range(9)), each]
    rows = list(zip(["first", "second one"], numbers, strict=True))
    lines = printed(Table("title", columns, rows), width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for row in numbers:
        for text in row:
            assert words.count(text) == 2  # in its own column, and among those of each seed
    assert "…" not in " ".join(lines)
    parts = sum(line.strip().startswith("second") for line in lines)
    assert parts == 1 if width == 200 else parts > 1


def test_a_name_wider_than_the_terminal_is_broken_and_the_number_is_whole() -> None:
    table = Table("t", [name("name", "name"), number("n", "n")], [{"name": "x" * 50, "n": 123456}])
    lines = printed(table, 30)
    assert max(map(len, lines)) <= 30
    assert "123456" in " ".join(lines).split()
    assert "".join(lines).count("x") == 50


def test_a_dash_where_there_is_no_number() -> None:
    assert shown(None, "{:.2f}") == "-"
    assert shown(0.0, "{:.2f}", 1000) == "0.00"
    assert number("n", "n", "{:.0%}").cell({}) == "-"


EVERY = [*reproduce.STUDIES, *bench.STUDIES]


@pytest.mark.parametrize("study", EVERY, ids=lambda study: study.name)
def test_every_option_is_one_that_the_experiment_takes(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = "bench" if study in bench.STUDIES else "reproduce"
    folder = f"glassgraph_studies.{group}.{study.name.replace('-', '_')}"
    assert study.run.__module__ == f"{folder}.study"
    experiment = importlib.import_module(f"{folder}.experiment")
    called: list[str] = []

    def bound(function: Any) -> Any:
        def takes(*row: Any, **given: Any) -> list[Any]:
            inspect.signature(function).bind(*row, **given)
            called.append(function.__name__)
            return []

        return takes

    for each in [each for each in vars(experiment) if each.startswith("run_")]:
        monkeypatch.setattr(experiment, each, bound(getattr(experiment, each)))
    given = {option.name: _example(option, tmp_path) for option in study.options}
    arguments_given = arguments(study.options, given)
    progress = {"progress": False} if study.has_progress else {}
    assert list(study.run(**arguments_given, **progress)) in ([], [Found([])])
    assert called


def _example(option: Option, folder: Path) -> Any:
    values = {int: 60, float: 0.5, bool: True, Path: folder, str: "saliency"}
    value = option.choices[0] if option.choices else values[option.kind]
    return [value] if option.is_many else value


def _shown() -> Iterator[tuple[str, str, str]]:
    """Commands in pages and in the Makefile: group, study, the words behind."""
    root = Path(__file__).resolve().parents[2]
    for page in [root / "Makefile", root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for found in re.finditer(r"glassgraph (reproduce|bench) ([\w-]+)([^\n`#;]*)", text):
            yield found[1], found[2], found[3]


def test_the_commands_that_pages_show_exist() -> None:
    commands: dict[str, dict[str, set[str]]] = {"reproduce": {}, "bench": {}}
    for group, studies in (("reproduce", reproduce.STUDIES), ("bench", bench.STUDIES)):
        for study in studies:
            parameters = inspect.signature(make_command(study)).parameters
            commands[group][study.name] = set(parameters)
    shown_commands = list(_shown())
    assert len(shown_commands) > 40
    for group, study_name, words in shown_commands:
        assert study_name in commands[group]
        for option in re.findall(r"--([\w-]+)", words):
            name_of_it = option.removeprefix("no-").replace("-", "_")
            assert name_of_it in commands[group][study_name] | {"methods"}, (study_name, option)
