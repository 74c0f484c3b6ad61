"""A user's mistake raises an error that names the argument, what it got, and what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, GINConv, global_add_pool
from torch_geometric.utils import to_torch_coo_tensor

import glassgraph as gg
from glassgraph import errors

FEATURES, CLASSES = 3, 2


class Net(nn.Module):
    """Two layers; node rows, or graph rows where the task is of graphs."""

    def __init__(self, pools: bool = False, columns: int = CLASSES) -> None:
        super().__init__()
        self.conv1 = GCNConv(FEATURES, 5)
        self.conv2 = GCNConv(5, columns)
        self.pools = pools

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor | None = None) -> Tensor:
        out = self.conv2(self.conv1(x, edge_index).tanh(), edge_index)
        return global_add_pool(out, batch) if self.pools else out


class LinkNet(Net):
    """A score for each pair of nodes."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
        out = super().forward(x, edge_index)
        return out[edge_label_index[0]] * out[edge_label_index[1]]


def make_data(num_nodes: int = 5) -> Data:
    ends = torch.tensor([[0, 1, 2, 3, 0, 2, 1], [1, 2, 3, 0, 2, 0, 3]])
    return Data(x=torch.randn(num_nodes, FEATURES), edge_index=ends)


def explain(
    data: Any, index: Any = None, target: Any = None, model: Any = None, **settings: Any
) -> gg.Explanations:
    """Saliency of a node task, unless told otherwise."""
    settings = {"task": "node", "progress": False, **settings}
    model = Net() if model is None else model
    return gg.Saliency(model, **settings).explain(data, index=index, target=target)


def rejected(error: type[Exception], *words: str) -> Any:
    """Expect an error whose message holds all words, in order."""
    return pytest.raises(error, match="(?s)" + ".*".join(words))


def test_every_error_is_one_of_ours_and_says_what_kind() -> None:
    found = [
        each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__
    ]
    assert all(issubclass(each, errors.GlassgraphError) for each in found)
    wrong_values = (
        errors.GraphError,
        errors.TaskError,
        errors.TargetError,
        errors.ModelOutputError,
    )
    assert all(issubclass(each, ValueError) for each in wrong_values)
    assert issubclass(errors.InstanceError, IndexError)
    assert issubclass(errors.OutputError, OSError)
    assert issubclass(errors.Interrupted, KeyboardInterrupt)


# The graph


@pytest.mark.parametrize(("end", "row"), [("source", 0), ("destination", 1)])
@pytest.mark.parametrize("node", [5, -1])
def test_edge_index_out_of_range(end: str, row: int, node: int) -> None:
    data = make_data()
    data.edge_index[row, 3] = node
    with rejected(errors.GraphError, "edge_index", f"{end} node {node}", "5 nodes", "0 to 4"):
        explain(data)


def test_edge_index_out_of_range_in_a_list_names_the_graph() -> None:
    graphs = [make_data(), make_data(4), make_data()]
    graphs[1].edge_index[0, 2] = 4
    with rejected(errors.GraphError, "graph 1", "edge_index", "node 4", "4 nodes"):
        explain(graphs, task="graph", model=Net(pools=True))


@pytest.mark.parametrize("shape", [(7, 2), (7,), (3, 7), (2, 7, 1)])
def test_edge_index_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    data = make_data()
    data.edge_index = torch.zeros(shape, dtype=torch.long)
    with rejected(errors.GraphError, "edge_index", str(shape[0]), r"expected \[2, E\]"):
        explain(data)


def test_edge_index_of_floats() -> None:
    data = make_data()
    data.edge_index = data.edge_index.float()
    with rejected(errors.GraphError, "edge_index", "torch.float32", "expected torch.long"):
        explain(data)


def test_edge_index_missing() -> None:
    with rejected(errors.GraphError, "edge_index", "missing", r"\[2, E\]"):
        explain(Data(x=torch.randn(5, FEATURES)))


def test_edge_index_of_32_bits_is_fine() -> None:
    data = make_data()
    wide = explain(data, [1], model=(model := Net()))
    narrow = data.clone()
    narrow.edge_index = data.edge_index.int()
    assert torch.equal(explain(narrow, [1], model=model)[0].edge_mask, wide[0].edge_mask)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["x", "edge_attr"])
def test_features_that_are_not_finite(name: str, value: float) -> None:
    data = make_data()
    data.edge_attr = torch.ones(7, 1)
    data[name][2, 0] = value
    with rejected(errors.GraphError, name, "1 values", "NaN or infinite", "replace"):
        explain(data)


def test_large_features_are_finite() -> None:
    data = make_data()
    data.x = torch.full_like(data.x, 3e38)  # their sum overflows
    model = Net()
    with torch.no_grad():
        model.conv1.lin.weight.mul_(1e-38)
    assert torch.isfinite(explain(data, [0], model=model)[0].edge_mask).all()


@pytest.mark.parametrize(
    "data", [Data(x=torch.zeros(0, FEATURES), edge_index=torch.zeros(2, 0).long()), []]
)
def test_an_empty_graph(data: Any) -> None:
    with rejected(errors.GraphError, "no nodes|empty", "nothing to explain|at least one"):
        explain(data)


def test_an_empty_graph_in_a_list_names_the_graph() -> None:
    empty = Data(x=torch.zeros(0, FEATURES), edge_index=torch.zeros(2, 0).long())
    with rejected(errors.GraphError, "graph 1", "no nodes"):
        explain([make_data(), empty, make_data()], task="graph", model=Net(pools=True))


def test_not_a_graph() -> None:
    with rejected(errors.GraphError, "data is a dict", "Data"):
        explain({"x": torch.zeros(5, 3)})
    with rejected(errors.GraphError, "graph 1 is a Tensor", "Data"):
        explain([make_data(), torch.zeros(2, 3)], task="graph", model=Net(pools=True))


@pytest.mark.parametrize("method", [gg.Random, gg.Saliency, gg.EdgeGradients, gg.Occlusion])
def test_no_edges_is_valid_and_nothing_mattered(method: type[gg.Explainer]) -> None:
    data = Data(x=torch.randn(5, FEATURES), edge_index=torch.zeros(2, 0, dtype=torch.long))
    (found,) = method(Net(), "node", progress=False).explain(data, [3])
    assert found.edge_mask.shape == (0,)
    assert found.local.node_id.tolist() == [3]
    (found,) = method(Net(pools=True), "graph", progress=False).explain(data)
    assert found.edge_mask.shape == (0,)


def test_an_isolated_node_is_valid_and_no_edge_mattered() -> None:
    (found,) = explain(make_data(), [4])
    assert not found.edge_mask.any()
    assert found.local.node_id.tolist() == [4]
    assert found.node_score.nonzero().view(-1).tolist() == [4]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_a_sparse_edge_index(layout: str) -> None:
    data = make_data()
    adjacency = to_torch_coo_tensor(data.edge_index, size=5)
    data.edge_index = adjacency if layout == "coo" else adjacency.to_sparse_csr()
    with rejected(errors.SparseAdjacencyError, "edge_index", "sparse", "to_edge_index"):
        explain(data)


def test_a_sparse_adjacency_beside_the_features() -> None:
    data = make_data()
    adjacency = to_torch_coo_tensor(data.edge_index, size=5)
    with rejected(errors.SparseAdjacencyError, "sparse adjacency", "to_edge_index", "adj_t"):
        explain(Data(x=data.x, adj_t=adjacency.t()))


def test_a_sparse_adjacency_made_on_the_way() -> None:
    """The message hook would never be called, and every score would silently be zero."""

    def call(model: nn.Module, data: Data) -> Tensor:
        adjacency = to_torch_coo_tensor(data.edge_index, size=data.num_nodes)
        return model(data.x, adjacency.t())

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GINConv(nn.Linear(FEATURES, CLASSES))

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.conv(x, edge_index)

    with rejected(errors.SparseAdjacencyError, "conv", "sparse", "edge_index"):
        explain(make_data(), [1], model=Sum(), call=call)


# The instances


@pytest.mark.parametrize("bad", [5, -1, 70])
@pytest.mark.parametrize("form", [int, lambda bad: [0, bad], lambda bad: torch.tensor([bad])])
def test_node_index_out_of_range(form: Any, bad: int) -> None:
    with rejected(errors.InstanceError, f"node {bad} is out of range", "there are 5", "from 0"):
        explain(make_data(), form(bad))


def test_graph_index_out_of_range() -> None:
    with rejected(errors.InstanceError, "graph 3 is out of range", "there are 3"):
        explain([make_data()] * 3, 3, task="graph", model=Net(pools=True))


@pytest.mark.parametrize("index", [1.5, [0.0, 1.0], torch.tensor([2.0])])
def test_index_of_floats(index: Any) -> None:
    with rejected(errors.InstanceError, "index must hold integers", "torch.float"):
        explain(make_data(), index)


@pytest.mark.parametrize("index", ["all", [[0], [1, 2]], object()])
def test_index_that_is_none(index: Any) -> None:
    with rejected(errors.InstanceError, "index must be", "got"):
        explain(make_data(), index)


def test_index_mask_of_the_wrong_length() -> None:
    with rejected(errors.InstanceError, "mask has 3 entries", "5 nodes"):
        explain(make_data(), torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize("index", [[], torch.tensor([], dtype=torch.long), torch.zeros(5).bool()])
def test_an_empty_index_gives_no_explanations(index: Any, tmp_path: Path) -> None:
    found = explain(make_data(), index)
    assert len(found) == 0
    assert list(found) == []
    assert found.is_complete
    assert len(found.to_frame()) == 0
    assert "0 node predictions" in found._repr_html_()
    assert len(gg.Explanations.load(found.save(tmp_path))) == 0


@pytest.mark.parametrize(
    "index", [3, [3], np.array([3]), torch.tensor(3), torch.tensor([3], dtype=torch.int32)]
)
def test_forms_of_one_index(index: Any) -> None:
    assert [each.local.index for each in explain(make_data(), index)] == [3]


def test_links_missing() -> None:
    with rejected(errors.InstanceError, "edge_label_index", r"\[2, links\]", "pairs to predict"):
        explain(make_data(), task="edge", model=LinkNet())


@pytest.mark.parametrize("node", [5, -1])
def test_links_out_of_range(node: int) -> None:
    data = make_data()
    data.edge_label_index = torch.tensor([[0, node], [1, 2]])
    with rejected(errors.InstanceError, "edge_label_index", f"node {node}", "5 nodes"):
        explain(data, task="edge", model=LinkNet())


def test_links_of_the_wrong_shape() -> None:
    data = make_data()
    data.edge_label_index = torch.zeros(3, 2).long()
    with rejected(errors.InstanceError, "edge_label_index", r"\(3, 2\)", r"\[2, links\]"):
        explain(data, task="edge", model=LinkNet())


# The target


@pytest.mark.parametrize("target", [2, -1, (0, 2), torch.tensor([0, 2])])
def test_target_out_of_range(target: Any) -> None:
    with rejected(errors.TargetError, "target (2|-1) is out of range", "2 classes"):
        explain(make_data(), [0, 1], target)


def test_target_of_one_column_has_two_classes() -> None:
    settings = {"model": Net(columns=1), "mode": "binary_classification"}
    assert len(explain(make_data(), [0], 1, **settings)) == 1
    with rejected(errors.TargetError, "target 2 is out of range", "2 classes"):
        explain(make_data(), [0], 2, **settings)


@pytest.mark.parametrize(
    "target", ["best", True, 1.0, [0, 1], (0,), (0, 1, 1), (0.5, 1), (True, 0)]
)
def test_target_that_is_not_understood(target: Any) -> None:
    with rejected(errors.TargetError, "target", "a class|a pair"):
        explain(make_data(), [0, 1], target)


@pytest.mark.parametrize("target", [1, np.int64(1), torch.tensor(1), torch.tensor([1, 1])])
def test_forms_of_one_target(target: Any) -> None:
    found = explain(make_data(), [0, 3], target)
    assert [each.local.target for each in found] == [1, 1]


@pytest.mark.parametrize("target", [torch.tensor([0.0, 1.0]), torch.tensor([0, 1, 1])])
def test_target_tensor_of_the_wrong_form(target: Tensor) -> None:
    with rejected(errors.TargetError, "one integer class for each of 2 instances", "got"):
        explain(make_data(), [0, 1], target)


def test_regression_with_many_outputs_needs_a_target() -> None:
    with rejected(errors.TargetError, "2 outputs", "target=0..1"):
        explain(make_data(), [0], mode="regression")
    with rejected(errors.TargetError, "label", "regression"):
        explain(make_data(), [0], "label", mode="regression")
    with rejected(errors.TargetError, "contrastive", r"\(0, 1\)"):
        explain(make_data(), [0], (0, 1), mode="regression")


@pytest.mark.parametrize("y", [None, torch.zeros(3).long(), torch.zeros(5)])
def test_labels_asked_for_where_there_are_none(y: Tensor | None) -> None:
    data = make_data()
    data.y = y
    with rejected(errors.LabelsMissingError, "target='label'", "data.y", "node"):
        explain(data, [0], "label")


def test_labels_of_graphs_and_links_asked_for_where_there_are_none() -> None:
    with rejected(errors.LabelsMissingError, "data.y", "graph"):
        explain([make_data()] * 3, [0], "label", task="graph", model=Net(pools=True))
    data = make_data()
    data.edge_label_index = torch.tensor([[0], [1]])
    with rejected(errors.LabelsMissingError, "data.edge_label", "edge"):
        explain(data, [0], "label", task="edge", model=LinkNet())


def test_a_label_beyond_the_classes() -> None:
    data = make_data()
    data.y = torch.tensor([0, 1, 7, 0, 1])
    with rejected(errors.TargetError, "target 7 is out of range", "2 classes"):
        explain(data, [2], "label")


# The task and the settings


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"task": "nodes"}, "level must be one of 'node', 'graph', 'edge'; got 'nodes'"),
        ({"task": 3}, "task must be .* got 3"),
        ({"mode": "binary"}, "mode must be one of .* got 'binary'"),
        ({"return_type": "logits"}, "return_type must be one of .* got 'logits'"),
        ({"mode": "regression", "return_type": "probs"}, "regression .* 'raw' .* got 'probs'"),
        ({"task": gg.Task("node", node_type="paper")}, "node_type is for heterogeneous graphs"),
    ],
)
def test_task_that_is_not_understood(words: dict[str, Any], named: str) -> None:
    with rejected(errors.TaskError, named):
        explain(make_data(), [0], **words)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"memory_budget": 0}, "memory_budget must be an integer of at least 1; got 0"),
        (
            {"seed": 2**63},
            "seed must be an integer of 64 bits; got 9223372036854775808",
        ),
        ({"check": "never"}, "check must be 'auto', 'full' or 'local'; got 'never'"),
        ({"model": "gcn"}, "model must be a torch.nn.Module; got str"),
    ],
)
def test_setting_out_of_range(settings: dict[str, Any], named: str) -> None:
    with rejected(errors.HyperParameterError, named):
        explain(make_data(), [0], **settings)


# The model


class NoMessages(nn.Module):
    """A perceptron: the graph does not enter."""

    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.lin(x)


class Unused(NoMessages):
    """Has a layer and never calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = GCNConv(FEATURES, CLASSES)


class Returns(Net):
    """Returns what a function makes of the logits."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor, edge_index: Tensor) -> Any:
        return self.make(super().forward(x, edge_index))


def test_a_model_without_message_passing() -> None:
    with rejected(errors.NoMessagePassingError, "NoMessages", "MessagePassing", "MessageTap"):
        explain(make_data(), model=NoMessages())


def test_a_model_that_never_calls_its_layer() -> None:
    with rejected(errors.NoMessagePassingError, "no message was seen from conv", "edge_index"):
        explain(make_data(), model=Unused())


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda out: (out, out), "tuple"),
        (lambda out: [out], "list"),
        (lambda out: {"logits": out}, "dict"),
        (lambda out: None, "NoneType"),
    ],
)
def test_a_model_that_returns_no_tensor(make: Any, kind: str) -> None:
    with rejected(errors.ModelOutputError, f"returned a {kind}", "call=lambda model, data"):
        explain(make_data(), [0], model=Returns(make))


def test_the_remedy_for_a_tuple_works() -> None:
    model = Returns(lambda out: (out, None))
    call = lambda model, data: model(data.x, data.edge_index)[0]  # noqa: E731
    assert len(explain(make_data(), [0], model=model, call=call)) == 1


def test_a_model_that_returns_integers() -> None:
    with rejected(errors.ModelOutputError, "torch.int64", "floating-point"):
        explain(make_data(), [0], model=Returns(lambda out: out.argmax(-1)))


def test_a_model_that_returns_too_many_dimensions() -> None:
    with rejected(errors.ModelOutputError, r"\(5, 2, 1\)", "level 'node'", r"\[rows, classes\]"):
        explain(make_data(), [0], model=Returns(lambda out: out.unsqueeze(-1)))


def test_a_model_whose_output_is_not_finite() -> None:
    with rejected(errors.ModelOutputError, "output is NaN for 1 of 1", "check"):
        explain(make_data(), [0], model=Returns(lambda out: out / 0 * 0))


@pytest.mark.filterwarnings("ignore::glassgraph.core.told.FallbackWarning")
@pytest.mark.parametrize("check", ["full", "local"])
def test_an_output_that_is_not_finite_for_some_nodes_only(check: str) -> None:
    """The others are explained; whatever the check, no NaN passes for a score."""

    def call(model: nn.Module, data: Data) -> Tensor:
        out = model(data.x, data.edge_index)
        return torch.where(data.x[:, :1] > 50, torch.nan, out)

    data = make_data()
    data.x[3, 0] = 100.0
    (found,) = explain(data, [4], call=call, check=check)
    assert torch.isfinite(found.edge_mask).all()
    with rejected(errors.ModelOutputError, "output is NaN for 1 of"):
        explain(data, [3, 4], call=call, check=check)


def test_a_graph_task_whose_model_returns_node_rows() -> None:
    with rejected(errors.ModelOutputError, r"\(5, 2\)", "level 'graph'", "1 row", "pool", "batch"):
        explain(make_data(), task="graph")
    with rejected(errors.ModelOutputError, r"\(5, 2\)", "level 'graph'", "1 row", "pool", "batch"):
        explain([make_data()] * 3, task="graph")


def test_a_node_task_whose_model_returns_one_row() -> None:
    with rejected(errors.ModelOutputError, r"\(1, 2\)", "level 'node'", "5 rows", "task='graph'"):
        explain(make_data(), [3], model=Net(pools=True))


def test_a_link_task_whose_model_returns_node_rows() -> None:
    data = make_data()
    data.edge_label_index = torch.tensor([[0, 1], [1, 2]])
    with rejected(
        errors.ModelOutputError, r"\(5, 2\)", "level 'edge'", "2 rows", "edge_label_index"
    ):
        explain(data, task="edge")


def test_a_model_that_needs_what_the_data_lack() -> None:
    with rejected(
        errors.ModelCallError, "forward needs 'edge_label_index'", "edge_index, x", "call="
    ):
        explain(make_data(), [0], model=LinkNet())


def test_a_model_that_fails_on_the_data() -> None:
    data = make_data()
    data.x = torch.randn(5, 7)
    with rejected(errors.ModelCallError, "failed on the data", "RuntimeError", "shapes"):
        explain(data, [0])


def test_a_model_whose_signature_names_nothing() -> None:
    class Anything(Net):
        def forward(self, *args: Any) -> Any:  # type: ignore[override]
            return super().forward(*args)

    with rejected(errors.ModelCallError, "names no arguments", "call=lambda model, data"):
        explain(make_data(), [0], model=Anything())


# Files


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return explain(make_data(), [0, 2]).save(tmp_path / "saved")


def damage(folder: Path, name: str, content: bytes | None) -> None:
    path = folder / name
    assert path.is_file()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and then nothing"])
@pytest.mark.parametrize(
    "name",
    [
        "part-00000.edges.parquet",
        "part-00000.nodes.parquet",
        "part-00000.instances.parquet",
        "graph.safetensors",
    ],
)
def test_a_damaged_folder(saved: Path, name: str, content: bytes | None) -> None:
    damage(saved, name, content)
    with rejected(errors.ExplanationFileError, "saved is damaged", "explain again, or restore"):
        gg.Explanations.load(saved)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"null"])
def test_a_damaged_header(saved: Path, content: bytes) -> None:
    damage(saved, "explanations.json", content)
    with rejected(errors.ExplanationFileError, "explanations.json", "damaged|not written by"):
        gg.Explanations.load(saved)


@pytest.mark.parametrize(
    "key", ["num_parts", "method", "level", "has_graph", "node_types", "provenance"]
)
def test_a_header_that_lacks_a_key(saved: Path, key: str) -> None:
    path = saved / "explanations.json"
    header = json.loads(path.read_text())
    del header[key]
    path.write_text(json.dumps(header))
    with rejected(errors.ExplanationFileError, "saved is damaged", key):
        gg.Explanations.load(saved)


def test_a_header_of_another_version(saved: Path) -> None:
    path = saved / "explanations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 97}))
    with rejected(errors.ExplanationFileError, "format version 97", "reads 1"):
        gg.Explanations.load(saved)


@pytest.mark.parametrize("column", ["instance", "edge", "source", "destination"])
def test_a_table_that_lacks_a_column(saved: Path, column: str) -> None:
    path = saved / "part-00000.edges.parquet"
    pd.read_parquet(path).drop(columns=column).to_parquet(path, index=False)
    with rejected(errors.ExplanationFileError, "saved is damaged", column):
        gg.Explanations.load(saved)


def test_a_foreign_folder(tmp_path: Path) -> None:
    with rejected(errors.ExplanationFileError, "holds no explanations.json", "Explanations.save"):
        gg.Explanations.load(tmp_path)
    with rejected(errors.ExplanationFileError, "holds no explanations.json"):
        gg.Explanations.load(tmp_path / "absent")
    (tmp_path / "explanations.json").write_text('{"format": "something else"}')
    with rejected(errors.ExplanationFileError, "not written by Glassgraph"):
        gg.Explanations.load(tmp_path)


def test_a_folder_of_other_data(saved: Path) -> None:
    with rejected(
        errors.ExplanationFileError, "5 nodes", "given have 6", "data that were explained"
    ):
        gg.Explanations.load(saved, data=make_data(6))
    other = make_data()
    other.edge_index = other.edge_index[:, :3]
    with rejected(errors.ExplanationFileError, "7 edges", "given have 3"):
        gg.Explanations.load(saved, data=other)
    with rejected(errors.ExplanationFileError, "5 nodes", "given have 10"):
        gg.Explanations.load(saved, data=Batch.from_data_list([make_data()] * 2))


def test_a_folder_without_its_graph_asks_for_the_data(tmp_path: Path) -> None:
    explain(make_data(), [0]).save(tmp_path, include_graph=False)
    loaded = gg.Explanations.load(tmp_path)
    assert loaded.local(0).index == 0
    with rejected(errors.ExplanationFileError, "no graph", r"load\(folder, data=data\)"):
        loaded[0]


@pytest.mark.parametrize("inside", ["", "deeper", "deeper/still"])
def test_an_output_folder_that_cannot_be_written(tmp_path: Path, inside: str) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    folder = tmp_path / "taken" / inside
    found = explain(make_data(), [0])
    with rejected(errors.OutputError, "taken", "cannot be written", "choose another"):
        found.save(folder)
    with rejected(errors.OutputError, "taken", "cannot be written", "choose another"):
        gg.Saliency(Net(), progress=False).explain(make_data(), [0], save_to=folder)
    assert (tmp_path / "taken").read_text() == "a file, not a folder"


def test_an_output_folder_that_vanishes_on_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "gone"

    class Vanishes(gg.Saliency):
        def attribute(self, batch: Any) -> gg.Attribution:
            shutil.rmtree(folder)
            return super().attribute(batch)

    with rejected(errors.OutputError, "gone", "cannot be written"):
        Vanishes(Net(), progress=False).explain(make_data(), [0], save_to=folder)


def test_an_output_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    class Works(gg.Saliency):
        def attribute(self, batch: Any) -> gg.Attribution:
            raise AssertionError("the folder should have been tried first")

    with rejected(errors.OutputError, "taken"):
        Works(Net(), progress=False).explain(make_data(), [0], save_to=tmp_path / "taken")
