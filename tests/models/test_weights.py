"""Weight files give the same model back; anything else is refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from glassgraph.errors import WeightsError
from glassgraph.models import GAT, GCN, GIN, RGCN, Body, load_model, save_model

MODELS = [
    GCN(5, 7, 3, normalize=False, body=Body(l2_normalize=True)),
    GIN(5, 7, 3, "graph", Body(num_layers=2, concat=False, pool=("add",))),
    GAT(5, 6, 3, heads=2).double(),
    RGCN(5, 7, 3, num_relations=4, level="graph", num_bases=2),
    RGCN(5, 7, 3, num_relations=4, aggr="add"),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.kind)
def test_round_trip(tmp_path, model):
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert type(loaded) is type(model)
    assert loaded.architecture == model.architecture
    assert not loaded.training
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(before[k].dtype == after[k].dtype for k in before)


def test_a_file_from_before_relations_could_be_summed_averages_them(tmp_path):
    model = MODELS[3]
    older = {key: value for key, value in model.architecture.items() if key != "aggr"}
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path, metadata={"glassgraph_model": json.dumps(older)})
    assert load_model(path).architecture["aggr"] == "mean"


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no weights file"):
        load_model(tmp_path / "absent.safetensors")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(WeightsError, match="no readable safetensors"):
        load_model(path)
    torch.save(MODELS[0].state_dict(), path)
    with pytest.raises(WeightsError, match="no readable safetensors"):
        load_model(path)


def test_foreign_safetensors_are_refused(tmp_path):
    save_file({"weight": torch.ones(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(WeightsError, match="not written by"):
        load_model(tmp_path / "foreign.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_channels": 11},
        {"kind": "gin"},
        {"kind": "unheard of"},
        {"num_relations": 2},
        {"body": {"num_layers": 2}},
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change):
    path = save_model(MODELS[0], tmp_path / "model.safetensors")
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    architecture = {**MODELS[0].architecture, **change}
    save_file(tensors, path, metadata={"glassgraph_model": json.dumps(architecture)})
    with pytest.raises(WeightsError, match="do not fit"):
        load_model(path)


def test_damaged_description_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    for text in ("{", "[1]", "null"):
        save_file({"w": torch.ones(2)}, path, metadata={"glassgraph_model": text})
        with pytest.raises(WeightsError, match="do not fit"):
            load_model(path)


def test_a_folder_that_does_not_exist_is_reported(tmp_path):
    with pytest.raises(WeightsError, match="cannot write"):
        save_model(MODELS[0], tmp_path / "no" / "model.safetensors")
