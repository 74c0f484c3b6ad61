"""What a suite's file may say, and how it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glassgraph.benchmarks import built_in_suites, parse_suite, read_suite
from glassgraph.benchmarks.suite import Suite
from glassgraph.errors import SuiteError

GOOD: dict[str, Any] = {
    "name": "mine",
    "seeds": [0, 1],
    "datasets": ["tree-cycles", {"name": "BA_Shapes", "instances": 7}],
    "methods": ["saliency", "gnn_explainer"],
    "metrics": ["auc", {"name": "fidelity", "sparsity": [0.7]}],
    "settings": {"gnn_explainer": {"epochs": 5}},
    "search": {
        "seeds": [100],
        "criterion": "fidelity_plus",
        "candidates": {"gnn_explainer": [{"learning_rate": 0.1}]},
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    table = {**GOOD, **changes}
    return {key: value for key, value in table.items() if value is not None}


def test_what_a_file_says() -> None:
    suite = parse_suite(GOOD, "mine.toml")
    assert [(spec.name, spec.instances) for spec in suite.datasets] == [
        ("tree-cycles", 20),
        ("ba-shapes", 7),
    ]
    assert suite.methods[1].settings == {"epochs": 5}
    assert suite.methods[1].candidates == ({"learning_rate": 0.1},)
    assert suite.metrics[0].names == ("auc",)
    assert suite.metrics[1].names[:2] == ("fidelity_plus", "fidelity_minus")
    assert suite.search is not None
    assert suite.search.seeds == (100,)


@pytest.mark.parametrize("name", built_in_suites())
def test_built_in_suites_are_read(name: str) -> None:
    suite = read_suite(name)
    assert suite.name == name
    assert suite.methods
    assert "random" in [spec.name for spec in suite.methods]


REFUSED = {
    "unknown key": (changed(sedes=[0]), ["'sedes'", "'seeds'"]),
    "misspelled list": (
        {"datasets": ["mutag"], "methods": ["saliency"], "metrcs": ["fidelity"]},
        ["'metrcs'", "'metrics'"],
    ),
    "misspelled name": (changed(datasets=[{"nmae": "mutag"}]), ["'nmae'", "'name'"]),
    "key within": (
        changed(datasets=[{"name": "mutag", "instance": 3}]),
        ["datasets[0]", "'instance'", "'instances'"],
    ),
    "method": (changed(methods=["salency"]), ["methods[0]", "'salency'", "'saliency'"]),
    "metric": (changed(metrics=["fidelity_pls"]), ["metrics[0]", "'fidelity_plus'"]),
    "data set": (changed(datasets=["tree_cicles"]), ["datasets[0]", "'tree-cycles'"]),
    "setting": (
        changed(settings={"gnn_explainer": {"epoch": 5}}),
        ["settings.gnn_explainer", "'epoch'", "'epochs'"],
    ),
    "value of a setting": (
        changed(settings={"gnn_explainer": {"epochs": "five"}}),
        ["settings.gnn_explainer.epochs", "'five'"],
    ),
    "setting of the benchmark's own": (
        changed(settings={"gnn_explainer": {"seed": 5}}),
        ["settings.gnn_explainer.seed"],
    ),
    "settings of another method": (
        changed(settings={"occlusion": {}}),
        ["settings.occlusion"],
    ),
    "type": (changed(seeds="three"), ["seeds", "'three'"]),
    "flag for a number": (changed(instances=True), ["instances", "True"]),
    "negative seed": (changed(seeds=[-1]), ["seeds", "-1"]),
    "sparsity": (
        changed(metrics=[{"name": "fidelity", "sparsity": [1.5]}]),
        ["metrics[0]", "1.5"],
    ),
    "levels of what has none": (changed(metrics=[{"name": "auc", "top_k": 5}]), ["auc", "levels"]),
    "time": (changed(time_limit="soon"), ["time_limit", "'soon'"]),
    "search on what is measured": (changed(seeds=[0, 100]), ["[100]", "search"]),
    "search by truth": (
        changed(search={"seeds": [100], "criterion": "auc"}),
        ["search: criterion", "truth"],
    ),
    "search without seeds": (changed(search={"criterion": "fidelity_plus"}), ["search", "seeds"]),
    "twice": (changed(datasets=["mutag", "MUTAG"]), ["datasets[1]", "twice"]),
    "nothing to measure": (changed(metrics=[]), ["metrics"]),
    "nothing to explain": (changed(datasets=[]), ["datasets"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_names_file_and_key(case: str) -> None:
    table, words = REFUSED[case]
    with pytest.raises(SuiteError) as error:
        parse_suite(table, "mine.toml")
    for word in ["mine.toml", *words]:
        assert word in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no suite file .*gone\.toml"):
        read_suite(tmp_path / "gone.toml")
    with pytest.raises(SuiteError, match=r"no suite 'quik'; did you mean 'quick'"):
        read_suite("quik")
    (tmp_path / "broken.toml").write_text("seeds = [0", encoding="utf-8")
    with pytest.raises(SuiteError, match=r"broken\.toml is no TOML file"):
        read_suite(tmp_path / "broken.toml")


def fingerprint(**changes: Any) -> str:
    return parse_suite(changed(**changes), "mine.toml").fingerprint


def test_the_fingerprint_follows_what_is_measured() -> None:
    assert fingerprint() == fingerprint(about="other words")
    assert fingerprint() != fingerprint(instances=21)
    assert fingerprint() != fingerprint(settings={})
    assert fingerprint() != fingerprint(metrics=["auc"])
    moved = changed(datasets=[{"name": "mutag", "root": "here"}])
    other = changed(datasets=[{"name": "mutag", "root": "there"}])
    assert parse_suite(moved, "a").fingerprint == parse_suite(other, "b").fingerprint


def suite() -> Suite:
    return parse_suite(GOOD, "mine.toml")


def test_a_part_keeps_settings_and_takes_what_is_new_with_defaults() -> None:
    part = suite().chosen(methods=["gnn_explainer", "occlusion"], datasets=["ba_shapes"], seeds=[3])
    assert [dict(spec.settings) for spec in part.methods] == [{"epochs": 5}, {}]
    assert [spec.instances for spec in part.datasets] == [7]
    assert part.seeds == (3,)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"methods": ["oclusion"]}, "'occlusion'"),
        ({"datasets": ["cora-sized"]}, "--datasets"),
        ({"seeds": [100]}, "--seeds"),
    ],
)
def test_parts_that_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SuiteError) as error:
        suite().chosen(**changes)
    assert word in str(error.value)
