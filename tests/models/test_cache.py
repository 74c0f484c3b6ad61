"""Trained models in a folder: read where nothing changed, and never another model's."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from glassgraph.datasets import load_dataset
from glassgraph.errors import HyperParameterError, OutputError
from glassgraph.models import (
    ModelCacheWarning,
    TrainedModel,
    cache,
    default_cache,
    load_model,
    reference_model,
)
from glassgraph.models import reference as recipes

TREES = load_dataset("tree-cycles")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One attempt of few epochs, counted."""
    monkeypatch.setattr(recipes, "ATTEMPTS", 1)
    seeds: list[int] = []
    train = recipes.train

    def counted(*words: Any, **options: Any) -> Any:
        seeds.append(options["seed"])
        return train(*words, **options)

    monkeypatch.setattr(recipes, "train", counted)
    return seeds


def make(folder: Path | None, dataset: Any = TREES, seed: int = 0, **options: Any) -> TrainedModel:
    options = {"epochs": 2, **options}
    return reference_model(dataset, seed, progress=False, cache=folder, **options)


def same(one: TrainedModel, other: TrainedModel) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_was_trained_is_read(tmp_path: Path, hasty: list[int]) -> None:
    folder = tmp_path / "new" / "cache"
    first, again = make(folder), make(folder)
    assert hasty == [0]
    assert first.file is None
    assert again.file == the_file(folder)
    assert same(first, again)
    assert not again.model.training
    assert (again.accuracy, again.training) == (first.accuracy, first.training)
    assert (again.required, again.reached, again.seconds) == (0.95, False, first.seconds)
    assert same(first, make(None))


def test_files_say_what_they_are_and_can_be_moved(tmp_path: Path, hasty: list[int]) -> None:
    first = make(tmp_path / "here")
    file = the_file(tmp_path / "here")
    assert file.name.startswith("tree-cycles-gcn-seed0-")
    assert load_model(file).architecture == first.model.architecture
    with safe_open(file, framework="pt") as opened:
        record = json.loads(opened.metadata()[cache.RECORD])
    assert record["recipe"]["training"]["epochs"] == 2
    assert record["torch"] == torch.__version__
    os.rename(tmp_path / "here", tmp_path / "there")
    assert make(tmp_path / "there").file is not None
    assert len(hasty) == 1


def test_whatever_decides_about_weights_is_in_the_key(
    tmp_path: Path, hasty: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    graph = TREES.graphs[0]
    other_x, other_edges, other_y = (graph.clone() for _ in range(3))
    other_x.x = graph.x + 1
    other_edges.edge_index = graph.edge_index.flip(0)
    other_y.y = 1 - graph.y
    split = {**TREES.split, "train": TREES.split["train"][1:]}
    for change in (
        {"graphs": [other_x]},
        {"graphs": [other_edges]},
        {"graphs": [other_y]},
        {"split": split},
        {"name": "mine"},
    ):
        assert make(tmp_path, replace(TREES, **change)).file is None, change
    for options in ({"seed": 1}, {"epochs": 3}, {"architecture": "gin"}):
        assert make(tmp_path, **options).file is None, options
    recipe = recipes._RECIPES["tree-cycles"]
    with monkeypatch.context() as changed:
        changed.setitem(recipes._RECIPES, "tree-cycles", replace(recipe, required=0.9))
        assert make(tmp_path).file is None
        changed.setattr(cache, "TRAINER", cache.TRAINER + 1)
        assert make(tmp_path).file is None
    assert len(hasty) == len(list(tmp_path.iterdir())) == 11
    truth = graph.clone()
    truth.ground_truth_edge_mask = ~graph.ground_truth_edge_mask
    assert make(tmp_path, replace(TREES, graphs=[truth])).file is not None, "no model reads it"


def tampered(file: Path, **changes: Any) -> None:
    """The file with another record or other weights, well-formed."""
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = load_file(file)
    if "weights" in changes:
        tensors["head.bias"] = tensors["head.bias"] + 1
    record = json.loads(metadata[cache.RECORD])
    metadata[cache.RECORD] = json.dumps({**record, **changes.get("record", {})})
    if "nothing" in changes:
        del metadata[cache.RECORD]
    save_file(tensors, file, metadata)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": True},
        {"record": {"accuracy": {"train": 1.0, "val": 1.0, "test": 1.0}}},
        {"record": {"key": "0" * 64}},
        {"record": {"training": 3}},
        {"nothing": True},
    ],
)
def test_a_changed_file_is_not_believed(
    tmp_path: Path, hasty: list[int], changes: dict[str, Any]
) -> None:
    first = make(tmp_path)
    tampered(the_file(tmp_path), **changes)
    with pytest.warns(ModelCacheWarning, match="the model is trained again"):
        again = make(tmp_path)
    assert again.file is None
    assert same(first, again)
    assert make(tmp_path).file is not None, "it is whole again"
    assert len(hasty) == 2


@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 100])
def test_a_damaged_file_is_trained_again(tmp_path: Path, content: bytes) -> None:
    make(tmp_path)
    the_file(tmp_path).write_bytes(content)
    with pytest.warns(ModelCacheWarning, match="trained again"):
        make(tmp_path)
    whole = the_file(tmp_path).read_bytes()
    the_file(tmp_path).write_bytes(whole[:-8])
    with pytest.warns(ModelCacheWarning, match="trained again"):
        make(tmp_path)


def test_another_models_file_under_this_name_is_not_used(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two", seed=1)
    the_file(tmp_path / "two").replace(the_file(tmp_path / "one"))
    with pytest.warns(ModelCacheWarning, match="holds another model than its name says"):
        assert make(tmp_path / "one").file is None


def test_folders_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OutputError, match="is a file; trained models are kept in a folder"):
        make(file)

    def refuse(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(cache, "save_model", refuse)
    with pytest.warns(ModelCacheWarning, match="was not kept: no space left"):
        assert make(tmp_path / "full").file is None


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLASSGRAPH_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("GLASSGRAPH_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/glassgraph")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_cache() == Path("/home/me/.cache/glassgraph")


@pytest.mark.parametrize("kind", ["gcn", "gin", "gat", "sage"])
def test_other_layers(kind: str) -> None:
    model = make(None, architecture=kind).model
    assert model.kind == kind
    assert model.body == reference_model(TREES, progress=False, epochs=1).model.body
    assert model.architecture.get("aggr", "add") == "add", "cycles are counted, not averaged"


def test_layers_that_are_not_there() -> None:
    with pytest.raises(HyperParameterError, match=r"architecture must be one of .*got 'mlp'"):
        make(None, architecture="mlp")
    with pytest.raises(HyperParameterError, match="rgcn needs edge types, which tree-cycles lacks"):
        make(None, architecture="rgcn")
