"""Whatever is changed in a file that Glassgraph wrote, reading it ends in ``DamagedFileError``.

Or in the right result, where nothing that counts was changed; never in a number that is wrong, in
another library's error, or in memory that fills.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.nn import GCN, GCNConv, HeteroConv, SAGEConv

import glassgraph as gg
from glassgraph import errors
from glassgraph.datasets import load_graphs, save_graphs
from glassgraph.explainers.registry import find_method
from tests.explainers.generation.models import ringed
from tests.results.test_model_explanation import explanation as generated

HEADER = "explanations.json"


def model() -> GCN:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return GCN(3, 5, 2, 2).eval()


def graph() -> Data:
    generator = torch.Generator().manual_seed(1)
    ends = torch.randint(12, (2, 31), generator=generator)
    return Data(x=torch.randn(12, 3, generator=generator), edge_index=ends)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders: of walks, in two parts; of a method's table; of features on two node types."""
    root = tmp_path_factory.mktemp("written")
    settings: dict[str, Any] = {"memory_budget": 1, "progress": False}
    gg.GNNLRP(model(), walks=3, **settings).explain(graph(), [4, 7], target=0).save(root / "walks")
    gg.CausalScreening(model(), **settings).explain(graph(), [4, 7]).save(root / "table")
    data = HeteroData(a={"x": torch.randn(4, 3)}, b={"x": torch.randn(5, 2)})
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 2, 3, 1], [0, 0, 1, 2, 4]])
    data["b", "to", "a"].edge_index = torch.tensor([[0, 3, 4], [0, 1, 1]])

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = HeteroConv(
                {("a", "to", "b"): SAGEConv((3, 2), 2), ("b", "to", "a"): SAGEConv((2, 3), 2)}
            )

        def forward(self, x_dict: Any, edge_index_dict: Any) -> Any:
            return self.conv(x_dict, edge_index_dict)

    task = gg.Task("node", node_type="b")
    gg.Saliency(Net(), task, progress=False).explain(data, [0, 2]).save(root / "features")
    generated().save(root / "generated")
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def folder(written: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a folder, to be damaged."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(written[name], tmp_path / name))

    return copy


def expect_damage(path: Path) -> str:
    """Reading a folder says that it is damaged; what it says."""
    kind = gg.ModelExplanation if path.name == "generated" else gg.Explanations
    with pytest.raises(
        errors.DamagedFileError, match=r"is damaged.*(explain again|restore)"
    ) as told:
        kind.load(path)
    assert isinstance(told.value, errors.ExplanationFileError)
    assert isinstance(told.value, ValueError)
    return str(told.value)


# Headers


def set_in(header: Any, where: str, value: Any) -> None:
    *path, last = where.split(".")
    for name in path:
        header = header[name]
    header[last] = value


HEADERS: list[tuple[str, Any]] = [
    *(("num_parts", value) for value in (-1, 0, 1, 3, 10**9, 1.5, "2", True, None, [2])),
    *(("num_layers", value) for value in (-1, 0, 3, 10**13, 2.0, None)),
    *(("level", value) for value in ("nodes", 1, None, ["node"])),
    *(("method", value) for value in (3, None, ["a"])),
    *(("is_complete", value) for value in ("yes", 1, None)),
    *(("has_graph", value) for value in ("no", 1, None)),
    *(("node_types", value) for value in ([], "ab", ["a", "a"], [None, None], [1], {}, None)),
    *(("edge_types", value) for value in ("ab", [["a", "b"]], [["a", 1, "b"]], 7, None)),
    *(("provenance", value) for value in ([], "x", None)),
    *(("provenance.graph", value) for value in ([], "x", 5)),
    *(("provenance.graph.num_nodes", value) for value in (10**13, -1, 11, 13, 12.0, "12", True)),
    *(("provenance.graph.num_edges", value) for value in (10**13, -1, 30, 32)),
    *(("provenance.graph.num_graphs", value) for value in (0, 2, 10**13)),
    *(("provenance.graph.node_offset", value) for value in ([], [0], [12, 0], [0, 5], [0, -1], 7)),
    *(("provenance.graph.edge_offset", value) for value in ([0, 30], [1, 31], [0, 31, 31], None)),
    *(("provenance.graph.node_start", value) for value in ([0], [0, 13], "x")),
    *(("run", value) for value in ("../other", "0123456", 5, None, "0123456/")),
]


@pytest.mark.parametrize(("name", "value"), HEADERS)
def test_a_header_that_cannot_be(folder: Callable[[str], Path], name: str, value: Any) -> None:
    path = folder("walks") / HEADER
    header = json.loads(path.read_text())
    set_in(header, name, value)
    path.write_text(json.dumps(header))
    expect_damage(path.parent)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '{"format": ' + "[" * 5_000 + "]" * 5_000, "", "\x00", "{"],
)
@pytest.mark.parametrize("kind", ["walks", "generated"])
def test_text_that_is_no_header(folder: Callable[[str], Path], kind: str, text: str) -> None:
    path = folder(kind)
    name = HEADER if kind == "walks" else "explanation.json"
    (path / name).write_text(text)
    expect_damage(path)


def test_a_deep_value_in_a_header_is_no_crash(folder: Callable[[str], Path]) -> None:
    path = folder("walks") / HEADER
    header = json.loads(path.read_text())
    header["provenance"]["graph"] = 0
    text = json.dumps(header).replace('"graph": 0', '"graph": ' + "[" * 50_000 + "]" * 50_000)
    path.write_text(text)
    expect_damage(path.parent)


# Parts


def edit(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        change(pd.read_parquet(path)).to_parquet(path, index=False)

    return apply


def put(column: str, value: Any, row: int = 0) -> Callable[[Path], None]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        cells = frame[column].tolist()
        cells[row] = value
        frame[column] = cells
        return frame

    return edit(change)


def cut(count: int) -> Callable[[Path], None]:
    return edit(lambda frame: frame.iloc[:count])


def as_type(column: str, kind: str) -> Callable[[Path], None]:
    return edit(lambda frame: frame.astype({column: kind}))


TABLES: list[tuple[str, str, Callable[[Path], None]]] = [
    *(("walks", "edges", put("edge", value)) for value in (-5, 31, 10**9, 2**62)),
    *(("walks", "edges", put("instance", value)) for value in (77, -1, 10**9)),
    *(
        ("walks", "edges", put(end, value))
        for end in ("source", "destination")
        for value in (-1, 12)
    ),
    ("walks", "edges", put("source", 10**9)),
    ("walks", "edges", put("layer_0", float("nan"))),
    ("walks", "edges", put("layer_1", float("inf"))),
    ("walks", "edges", edit(lambda frame: frame.drop(columns="layer_1"))),
    ("walks", "edges", edit(lambda frame: frame.assign(layer_2=frame["layer_0"]))),
    ("walks", "edges", as_type("edge", "float64")),
    ("walks", "edges", as_type("edge", "str")),
    ("walks", "edges", as_type("layer_0", "int64")),
    *(("walks", "nodes", put("node", value)) for value in (-1, 12, 10**9)),
    *(("walks", "nodes", put("instance", value)) for value in (77, 1, -1)),
    *(("walks", "instances", put("index", value)) for value in (77, -1, 5, 10**13)),
    *(("walks", "instances", put("position", value)) for value in (1, 77, -1)),
    *(("walks", "instances", put("graph", value)) for value in (1, -1)),
    *(("walks", "instances", put("target", value)) for value in (2, -1)),
    *(("walks", "instances", put("contrast", value)) for value in (2, -2)),
    ("walks", "instances", put("prediction", np.array([0.5, np.nan], np.float32))),
    ("walks", "instances", put("prediction", np.array([0.5], np.float32))),
    ("walks", "instances", put("prediction", None)),
    *(("walks", "instances", put("seed", np.array([value]))) for value in (-1, 12, 5)),
    ("walks", "instances", put("seed", np.array([4, 7]))),
    ("walks", "instances", put("total", float("nan"))),
    *(("walks", "walks", put("instance", value)) for value in (77, -1)),
    *(("walks", "walks", put("node_0", value)) for value in (-1, 12, 10**9)),
    ("walks", "walks", put("score", float("-inf"))),
    ("walks", "walks", edit(lambda frame: frame.drop(columns="node_2"))),
    *(("walks", name, cut(0)) for name in ("instances", "edges", "nodes", "walks")),
    *(("walks", name, cut(-1)) for name in ("instances", "edges", "nodes", "walks")),
    *(("table", "table-steps", put("instance", value)) for value in (77, -1)),
    ("table", "table-steps", cut(-1)),
    ("table", "table-steps", lambda path: path.unlink()),
    ("table", "edges", put("score", float("nan"))),
    ("features", "nodes", put("features", np.array([np.nan, 0.5, 0.5], np.float32))),
    ("features", "nodes", put("features", np.array([0.5, np.nan, 0.5], np.float32))),
    ("features", "nodes", put("features", np.array([np.inf, 0.5, 0.5], np.float32))),
    ("features", "nodes", put("features", np.array([0.5, 0.5], np.float32))),
    ("features", "instances", put("index", 3)),
]


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_tables_that_cannot_be(folder: Callable[[str], Path], number: int) -> None:
    kind, table, change = TABLES[number]
    path = folder(kind)
    change(path / f"part-00000.{table}.parquet")
    expect_damage(path)


@pytest.mark.parametrize("table", ["instances", "edges", "nodes", "walks"])
@pytest.mark.parametrize("rows", [0, -1])
def test_rows_are_counted_even_where_no_reader_would_miss_them(
    folder: Callable[[str], Path], table: str, rows: int
) -> None:
    """The table's own word is gone, too; those beside it know."""
    path = folder("walks")
    file = path / f"part-00001.{table}.parquet"
    frame = pd.read_parquet(file).iloc[:rows]
    frame.attrs = {}
    frame.to_parquet(file, index=False)
    assert "rows" in expect_damage(path)


def test_parts_of_another_run_are_found(folder: Callable[[str], Path]) -> None:
    path = folder("walks")
    for name in ("instances", "edges", "nodes", "walks"):
        shutil.copy(path / f"part-00000.{name}.parquet", path / f"part-00001.{name}.parquet")
    assert "position" in expect_damage(path)


# Graphs


def tensors_of(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        tensors = {name: value.clone() for name, value in load_file(path).items()}
        change(tensors)
        save_file(tensors, path)

    return apply


def put_tensor(name: str, value: Tensor) -> Callable[[Path], None]:
    return tensors_of(lambda tensors: tensors.update({name: value}))


GRAPHS: list[Callable[[Path], None]] = [
    *(put_tensor("0||num_nodes", torch.tensor(value)) for value in (10**13, -3, 0, 11, 13, 2**40)),
    put_tensor("0||num_nodes", torch.tensor(12.5)),
    put_tensor("0||num_nodes", torch.tensor([12, 12])),
    put_tensor("0||edge_index", torch.zeros(2, 31).long() - 1),
    put_tensor("0||edge_index", torch.zeros(2, 31).long() + 12),
    put_tensor("0||edge_index", torch.zeros(2, 31).long() + 10**9),
    put_tensor("0||edge_index", torch.zeros(2, 31).long()),
    put_tensor("0||edge_index", torch.zeros(2, 30).long()),
    put_tensor("0||edge_index", torch.zeros(31, 2).long()),
    put_tensor("0||edge_index", torch.zeros(2, 31)),
    put_tensor("0||x", torch.full((12, 3), torch.nan)),
    put_tensor("1||x", torch.zeros(12, 3)),
    put_tensor("7||num_nodes", torch.tensor(10**12)),
    put_tensor("0|author|x", torch.zeros(12, 3)),
    put_tensor("x", torch.zeros(1)),
    put_tensor("zero||x", torch.zeros(1)),
    tensors_of(lambda tensors: tensors.pop("0||edge_index")),
    tensors_of(dict.clear),
    lambda path: path.write_bytes(path.read_bytes()[:-8]),
    lambda path: path.write_bytes((2**60).to_bytes(8, "little") + path.read_bytes()[8:]),
]


@pytest.mark.parametrize("number", range(len(GRAPHS)))
def test_graphs_that_cannot_be(folder: Callable[[str], Path], number: int) -> None:
    path = folder("walks")
    GRAPHS[number](path / "graph.safetensors")
    expect_damage(path)


def test_the_users_own_data_are_not_called_damaged(folder: Callable[[str], Path]) -> None:
    path = folder("walks")
    wrong = graph()
    wrong.edge_index[0, 0] = 99
    with pytest.raises(errors.GraphError, match="names source node 99"):
        gg.Explanations.load(path, wrong)
    other = graph()
    other.edge_index = other.edge_index.flip(1)
    with pytest.raises(errors.ExplanationFileError, match="pass the data that were expl") as told:
        gg.Explanations.load(path, other)
    assert not isinstance(told.value, errors.DamagedFileError)
    assert len(gg.Explanations.load(path, graph())) == 2


def test_any_byte_may_change(written: dict[str, Path], tmp_path: Path) -> None:
    """Files cut at random, and bytes exchanged: a right result or a named error."""
    chance, refused = random.Random(1), 0
    for number in range(120):
        path = Path(shutil.copytree(written["walks"], tmp_path / f"{number}"))
        file = chance.choice(sorted(path.iterdir()))
        content = bytearray(file.read_bytes())
        if number % 2:
            content[chance.randrange(len(content))] = chance.randrange(256)
        else:
            content = content[: chance.randrange(len(content))]
        file.write_bytes(bytes(content))
        try:
            found = gg.Explanations.load(path)
            for each in found:
                assert each.local.edge_index.numel() <= 62
            found.to_frame()
        except errors.ExplanationFileError:
            refused += 1
        shutil.rmtree(path)
    assert refused > 60


# Fitted explainers


FITTED: dict[str, dict[str, Any]] = {
    "pg_explainer": {"epochs": 1},
    "graphmask": {"steps": 4, "tolerance": 1e9},
    "information_bottleneck": {"steps": 4, "tolerance": 1e9},
}


#: One that was interrupted early has none.
HISTORIES = [("history", [], name) for name in FITTED]


def size(x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
    """The more nodes, the surer is class 1."""
    count = torch.bincount(batch).float()
    return torch.stack([3 - count, count - 3], dim=1)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    root, found = tmp_path_factory.mktemp("fitted"), {}
    for name, settings in FITTED.items():
        explainer: Any = find_method(name)(model(), progress=False, **settings)
        path = explainer.fit(graph(), index=list(range(8))).save(root / name)
        found[name] = (path, explainer.model)
    xgnn = gg.XGNN(size, node_types=["A"], max_nodes=4, iterations=1, progress=False)
    found["xgnn"] = (xgnn.fit(target_class=1).save(root / "xgnn"), size)
    own = ringed()
    interpreter = gg.GNNInterpreter(own, ["A", "B"], 3, iterations=1, steps=1, progress=False)
    path = interpreter.fit(target_class=1).save(root / "gnn_interpreter")
    found["gnn_interpreter"] = (path, own)
    return found


def load_fitted(name: str, path: Path, own: Any) -> Any:
    generators = {"xgnn": gg.XGNN, "gnn_interpreter": gg.GNNInterpreter}
    method = generators[name] if name in generators else find_method(name)
    return method.load(path, own, progress=False)  # type: ignore[attr-defined]


def expect_damaged_fit(name: str, path: Path, own: Any) -> None:
    with pytest.raises(errors.DamagedFileError, match=r"is damaged.*fit again") as told:
        load_fitted(name, path, own)
    assert isinstance(told.value, errors.ExplainerFileError)


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["glassgraph_explainer"])
        return header, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def write_parts(path: Path, header: Any, tensors: dict[str, Tensor]) -> Path:
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(tensors, path, metadata={"glassgraph_explainer": text})
    return path


def damaged_tensors(value: Tensor) -> Iterator[Tensor | None]:
    yield None  # missing
    yield torch.cat([value.view(-1), value.view(-1)[:1]]) if value.numel() else torch.zeros(1)
    if value.is_floating_point() and value.numel():
        for bad in (float("nan"), float("inf")):
            broken = value.clone()
            broken.view(-1)[-1] = bad
            yield broken


@pytest.mark.parametrize("name", [*FITTED, "xgnn", "gnn_interpreter"])
def test_fitted_files_whose_tensors_are_damaged(
    fitted: dict[str, tuple[Path, Any]], name: str, tmp_path: Path
) -> None:
    path, own = fitted[name]
    header, tensors = parts_of(path)
    assert tensors
    for key in sorted(tensors)[:: max(1, len(tensors) // 12)]:
        for bad in damaged_tensors(tensors[key]):
            changed = {**tensors, key: bad} if bad is not None else {**tensors}
            if bad is None:
                del changed[key]
            file = write_parts(tmp_path / "bad", header, changed)
            expect_damaged_fit(name, file, own)
    load_fitted(name, path, own)


@pytest.mark.parametrize("name", [*FITTED, "xgnn", "gnn_interpreter"])
def test_fitted_files_whose_headers_are_damaged(
    fitted: dict[str, tuple[Path, Any]], name: str, tmp_path: Path
) -> None:
    path, own = fitted[name]
    header, tensors = parts_of(path)
    for key in sorted(set(header) - {"format", "method", "model_fingerprint", "glassgraph"}):
        for value in (None, [], "x", -1, {"x": 1}, [1]):
            if value == header[key] or (key == "functions" and value in ([], [1], "x")):
                continue
            if (key, value) in (("model", "x"), ("seed", -1)) or (key, value, name) in HISTORIES:
                continue  # nothing wrong with it
            file = write_parts(tmp_path / "bad", {**header, key: value}, tensors)
            expect_damaged_fit(name, file, own)
        less = {each: value for each, value in header.items() if each != key}
        expect_damaged_fit(name, write_parts(tmp_path / "bad", less, tensors), own)
    for text in ("[" * 100_000, "{", "[1]", "null", '"x"'):
        expect_damaged_fit(name, write_parts(tmp_path / "bad", text, tensors), own)


def test_files_of_graphs_whose_keys_hold_the_signs_that_join_them(tmp_path: Path) -> None:
    """And JSON that is nested too deeply is the file's fault here, too."""
    data = HeteroData(a={"x": torch.randn(3, 2)}, **{"a-b": {"x": torch.randn(2, 2)}})
    for count, name in enumerate([("a-b", "c", "a"), ("a", "b-c", "a")], start=1):
        data[name].edge_index = torch.ones(2, count).long()
    path = save_graphs(data, tmp_path / "graphs.safetensors")
    (found,) = load_graphs(path)
    for name in data.edge_types:
        assert torch.equal(found[name].edge_index, data[name].edge_index)
    path.with_suffix(".json").write_text("[" * 100_000)
    with pytest.raises(errors.DatasetError, match="nested too deeply"):
        load_graphs(path)


def test_a_mistake_in_an_argument_is_not_the_files(fitted: dict[str, tuple[Path, Any]]) -> None:
    path, own = fitted["pg_explainer"]
    for wrong in ({"memory_budget": -1}, {"no_such": 1}, {"progress": "perhaps"}):
        with pytest.raises(errors.HyperParameterError, match=next(iter(wrong))):
            gg.PGExplainer.load(path, own, **wrong)
    with pytest.raises(errors.ExplainerFileError, match="fingerprint") as told:
        gg.PGExplainer.load(path, GCNConv(3, 2))
    assert not isinstance(told.value, errors.DamagedFileError)


# Generated graphs


GENERATED: list[tuple[str, Any]] = [
    *(("target", value) for value in (-1, 2, 10**13, "1", None, True)),
    *(("node_types", value) for value in ([], ["C"], "COF", [1, 2, 3], None)),
    *(("graphs", value) for value in ([], {}, None, [1, 2], [{}, {}])),
    *(("method", value) for value in (None, 3)),
    *(("provenance", value) for value in (None, [])),
    *(("graphs.0.taken", value) for value in (-1, 6, 10**13, 1.0, None)),
    *(("graphs.0.keeps_rules", value) for value in (1, None, "yes")),
    *(("graphs.0.origin_probability", value) for value in (None, "x")),
    *(("graphs.0.more", value) for value in (None, 1)),
]


@pytest.mark.parametrize(("name", "value"), GENERATED)
def test_generated_graphs_with_a_header_that_cannot_be(
    folder: Callable[[str], Path], name: str, value: Any
) -> None:
    path = folder("generated") / "explanation.json"
    header = json.loads(path.read_text())
    if name.startswith("graphs."):
        header["graphs"][0][name.rsplit(".", 1)[1]] = value
    else:
        header[name] = value
    path.write_text(json.dumps(header))
    expect_damage(path.parent)


GENERATED_FILES: list[tuple[str, Callable[[Path], None]]] = [
    *(("steps.parquet", put("end", value)) for value in (-1, 10**9)),
    *(("steps.parquet", put("added", value)) for value in (-2, 3)),
    *(("steps.parquet", put("step", value)) for value in (0, 7)),
    *(("steps.parquet", put("graph", value)) for value in (1, 7)),
    ("steps.parquet", cut(-1)),
    ("steps.parquet", cut(0)),
    ("steps.parquet", as_type("is_valid", "int64")),
    ("steps.parquet", as_type("reward", "str")),
    ("steps.parquet", edit(lambda frame: frame.drop(columns="added"))),
    ("graphs.safetensors", put_tensor("0|data|node_type", torch.tensor([0, 1, 3]))),
    ("graphs.safetensors", put_tensor("0|data|node_type", torch.tensor([0.0, 1.0, 2.0]))),
    ("graphs.safetensors", put_tensor("0|data|edge_index", torch.tensor([[0, 3], [3, 0]]))),
    ("graphs.safetensors", put_tensor("0|data|edge_index", torch.tensor([0, 1]))),
    ("graphs.safetensors", put_tensor("0|origin|node_type", torch.tensor([-1]))),
    ("graphs.safetensors", put_tensor("0|probabilities|", torch.tensor([0.5, torch.nan]))),
    ("graphs.safetensors", put_tensor("0|probabilities|", torch.tensor([0.5]))),
    ("graphs.safetensors", put_tensor("2|probabilities|", torch.tensor([0.5, 0.5]))),
    ("graphs.safetensors", put_tensor("bad", torch.tensor([0.5, 0.5]))),
    ("graphs.safetensors", tensors_of(lambda tensors: tensors.pop("1|data|node_type"))),
]


@pytest.mark.parametrize("number", range(len(GENERATED_FILES)))
def test_generated_graphs_that_cannot_be(folder: Callable[[str], Path], number: int) -> None:
    file, change = GENERATED_FILES[number]
    path = folder("generated")
    change(path / file)
    expect_damage(path)
