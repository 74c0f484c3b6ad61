"""Whether what a folder says can be true: types, counts and ranges, before anything is built on it.

`check_header` looks at the header, `check_part` at the columns of one part. What they let pass
cannot lead out of a tensor, nor to memory that no graph can have taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glassgraph.results.records import ROWS, Part, Table

#: More nodes, edges or graphs than this fit no memory.
_MOST = 1 << 40
#: What reading a damaged file can end in.
READ_ERRORS = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
    OverflowError,
)
_LEVELS = ("node", "graph", "edge")


class Damage(ValueError):
    """What cannot be true."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of things in the explained graph, None where a header does not say.

    Attributes:
        num_nodes: N.
        num_edges: E.
        num_graphs: of a list.
        num_layers: L.
        node_offset: first flat number of each node type, and N.
        level: of the task.
        first_node: flat number of the explained type's first node, None if it is not known.
    """

    num_nodes: int | None
    num_edges: int | None
    num_graphs: int | None
    num_layers: int
    node_offset: Sequence[int] | None
    level: str
    first_node: int | None

    @staticmethod
    def of(header: Mapping[str, Any]) -> Sizes:
        """What a checked header says."""
        summary = header["provenance"].get("graph", {})
        task = header["provenance"].get("task")
        offset, names = summary.get("node_offset"), header["node_types"]
        explained = task.get("node_type") if isinstance(task, dict) else None
        is_known = offset is not None and explained in names
        return Sizes(
            num_nodes=summary.get("num_nodes"),
            num_edges=summary.get("num_edges"),
            num_graphs=summary.get("num_graphs"),
            num_layers=header["num_layers"],
            node_offset=offset,
            level=header["level"],
            first_node=offset[names.index(explained)] if is_known else None,
        )


def check_number(name: str, value: Any, most: int = _MOST) -> int:
    """An integer from 0 to ``most``.

    Raises:
        Damage: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Damage(f"{name} is {value!r}")
    return value


def check_header(header: Mapping[str, Any]) -> None:
    """Check types and ranges of everything that is read of a header.

    Raises:
        Damage: naming the first entry that cannot be.
    """
    checks: dict[str, Callable[[Any], bool]] = {
        "method": lambda value: isinstance(value, str),
        "level": lambda value: value in _LEVELS,
        "is_complete": lambda value: isinstance(value, bool),
        "has_graph": lambda value: isinstance(value, bool),
        "provenance": lambda value: isinstance(value, dict),
        "node_types": _are_node_types,
        "edge_types": _are_edge_types,
    }
    for name, is_right in checks.items():
        if name not in header:
            raise Damage(f"its header lacks {name}")
        if not is_right(header[name]):
            raise Damage(f"{name} is {header[name]!r}")
    for name in ("num_parts", "num_layers"):
        if name not in header:
            raise Damage(f"its header lacks {name}")
        check_number(name, header[name])
    _check_summary(header["provenance"].get("graph", {}), header)


def _are_node_types(value: Any) -> bool:
    if value == [None]:
        return True
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return is_list and bool(value) and len(set(value)) == len(value)


def _are_edge_types(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    return all(name is None or _is_edge_type(name) for name in value)


def _is_edge_type(name: Any) -> bool:
    is_triple = isinstance(name, list) and len(name) == 3
    return is_triple and all(isinstance(each, str) for each in name)


def _check_summary(summary: Any, header: Mapping[str, Any]) -> None:
    """The sizes of the graph."""
    if not isinstance(summary, dict):
        raise Damage(f"provenance.graph is {summary!r}")
    for name in ("num_nodes", "num_edges", "num_graphs"):
        if name in summary:
            check_number(name, summary[name])
    if not _are_edge_types(summary.get("link_types", [])):
        raise Damage(f"provenance.graph.link_types is {summary['link_types']!r}")
    ends = {
        "node_offset": ("num_nodes", len(header["node_types"])),
        "edge_offset": ("num_edges", len(header["edge_types"])),
        "node_start": ("num_nodes", summary.get("num_graphs")),
        "edge_start": ("num_edges", summary.get("num_graphs")),
    }
    for name, (total, count) in ends.items():
        if name in summary:
            _check_starts(name, summary[name], summary.get(total), count)


def _check_starts(name: str, value: Any, total: int | None, count: int | None) -> None:
    if not isinstance(value, list) or len(value) != (count if count is None else count + 1):
        raise Damage(f"{name} has the wrong form")
    for each in value:
        check_number(name, each)
    if value[0] != 0 or value[-1] != total or sorted(value) != value:
        raise Damage(f"{name} does not rise from 0 to {total}")


# Parts


def check_part(part: Part, sizes: Sizes) -> None:
    """Check the columns of a part.

    Raises:
        Damage: naming the first column that holds what cannot be.
    """
    instances = int(part.position.numel())
    _check_instances(part, sizes, instances)
    _check_members("node_instance", part.node_instance, instances)
    _check_members("edge_instance", part.edge_instance, instances)
    _check_range("node", part.node, 0, sizes.num_nodes)
    _check_range("edge", part.edge, 0, sizes.num_edges)
    _check_range("seed", part.seed, 0, sizes.num_nodes)
    own = _Owned.of(part)
    for name, ends in (("source", part.source), ("destination", part.destination)):
        own.check(name, part.edge_instance, ends)
    for name in ("edge_score", "layer_edge_score", "node_score", "total", "walk_score"):
        _check_finite(name, getattr(part, name))
    _check_finite("prediction", part.prediction, is_infinite_right=True)
    _check_features(part, sizes)
    layers = part.layer_edge_score
    if layers is not None and layers.size(0) != sizes.num_layers:
        raise Damage(f"there are scores of {layers.size(0)} layers, not of {sizes.num_layers}")
    _check_walks(part, own, sizes, instances)
    for name, table in part.tables.items():
        _check_table(name, table, own, instances)


def check_parts(parts: Sequence[Part], *, is_complete: bool) -> None:
    """Check that parts fit each other, and that all instances are there, each once.

    Raises:
        Damage: otherwise.
    """
    for name in ("edge_score", "layer_edge_score", "node_score", "feature_score", "total"):
        if len({getattr(part, name) is None for part in parts}) > 1:
            raise Damage(f"{name} is missing from some parts")
    if len({part.prediction.size(1) for part in parts if part.position.numel()}) > 1:
        raise Damage("prediction has different widths")
    found = torch.cat([torch.empty(0).long(), *(part.position for part in parts)])
    if found.unique().numel() < found.numel():
        raise Damage("position names an instance twice")
    if is_complete and found.numel() and int(found.max()) >= found.numel():
        raise Damage("position leaves out an instance")


@dataclass(frozen=True)
class _Owned:
    """The nodes of each instance.

    Attributes:
        key: ``instance * width + node`` of each, ascending.
        width: more than any node.
    """

    key: Tensor
    width: int

    @staticmethod
    def of(part: Part) -> _Owned:
        width = int(part.node.max()) + 1 if part.node.numel() else 1
        if width * max(1, part.position.numel()) >= 1 << 63:
            raise Damage("node holds numbers that are too large")
        return _Owned((part.node_instance * width + part.node).sort().values, width)

    def check(self, name: str, instance: Tensor, node: Tensor) -> None:
        """Whether nodes, one or several for each of ``instance``, belong to it."""
        _check_range(name, node, 0, self.width)
        if not node.numel():
            return
        wanted = instance.view(-1, *[1] * (node.dim() - 1)) * self.width + node
        place = torch.searchsorted(self.key, wanted.contiguous())
        is_beyond = int(place.max()) >= self.key.numel()
        if is_beyond or not torch.equal(self.key[place], wanted):
            raise Damage(f"{name} names a node that is not among those of its instance")


def _check_instances(part: Part, sizes: Sizes, instances: int) -> None:
    rows = {"prediction": part.prediction, "seed": part.seed}
    for name, column in rows.items():
        if column.size(0) != instances:
            raise Damage(f"{name} has {column.size(0)} rows for {instances} instances")
    for name in ("position", "index", "graph"):
        _check_range(name, getattr(part, name), 0, None)
    _check_range("graph", part.graph, 0, sizes.num_graphs)
    if sizes.level == "graph" and not torch.equal(part.index, part.graph):
        raise Damage("index names other graphs than graph")
    if sizes.level == "node" and sizes.first_node is not None and instances:
        _check_seeds(part, sizes.first_node)
    several = part.tables.get(ROWS)
    shown = part.prediction if several is None else _answers(several)
    classes = max(2, shown.size(1))
    _check_range("target", part.target, 0 if several is None else -1, classes)
    _check_range("contrast", part.contrast, -1, classes)
    if bool((part.position.diff() <= 0).any()):
        raise Damage("position does not rise")


def _answers(rows: Table) -> Tensor:
    """The predictions ``[r, C]`` of rows, whose targets are classes."""
    names = ("row", "target", "contrast", "label", "prediction")
    lost = [name for name in names if name not in rows.values]
    if lost or "node" not in rows.nodes:
        raise Damage(f"the rows of instances lack {', '.join(lost) or 'their nodes'}")
    shown = rows.values["prediction"]
    if shown.dim() != 2:
        raise Damage(f"predictions of rows have shape {tuple(shown.shape)}")
    _check_finite("prediction", shown, is_infinite_right=True)
    for name, least in (("target", 0), ("contrast", -1)):
        _check_range(name, rows.values[name], least, max(2, shown.size(1)))
    return shown


def _check_seeds(part: Part, first_node: int) -> None:
    """An explained node is its own seed."""
    if part.seed.size(1) != 1 or not torch.equal(part.index + first_node, part.seed[:, 0]):
        raise Damage("index names other nodes than seed")


def _check_range(name: str, value: Tensor, least: int, size: int | None) -> None:
    if value.is_floating_point() or value.dtype == torch.bool:
        raise Damage(f"{name} holds {value.dtype}, not integers")
    if not value.numel():
        return
    low, high = int(value.min()), int(value.max())
    if low < least or high >= (_MOST if size is None else size):
        bad = low if low < least else high
        raise Damage(f"{name} holds {bad}, which is out of range")


def _check_members(name: str, instance: Tensor, instances: int) -> None:
    _check_range(name, instance, 0, instances)
    if bool((instance.diff() < 0).any()):
        raise Damage(f"{name} does not rise")


def _check_finite(name: str, value: Tensor | None, *, is_infinite_right: bool = False) -> None:
    if value is None or not value.numel():
        return
    if not value.is_floating_point():
        raise Damage(f"{name} holds {value.dtype}, not floating-point numbers")
    is_wrong = value.isnan() if is_infinite_right else ~value.isfinite()
    if bool(is_wrong.any()):
        raise Damage(f"{name} holds {int(is_wrong.sum())} numbers that are not finite")


def _check_features(part: Part, sizes: Sizes) -> None:
    """Scores of features are finite but for columns that a node type lacks, the last ones."""
    score = part.feature_score
    if score is None or not score.numel():
        return
    _check_finite("feature_score", score.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf))
    if sizes.node_offset is None:
        return  # which nodes are of a type is not known
    offset = torch.tensor(sizes.node_offset)
    kind = torch.searchsorted(offset[1:], part.node, right=True)
    for number in kind.unique().tolist():
        is_padding = score[kind == number].isnan()
        columns = is_padding[0]
        is_last = not bool((columns.long().diff() < 0).any())
        is_typed = offset.numel() > 2
        if not is_last or bool((is_padding != columns).any()) or (bool(columns.any()) > is_typed):
            raise Damage("feature_score holds numbers that are not finite")


def _check_walks(part: Part, own: _Owned, sizes: Sizes, instances: int) -> None:
    if part.walk is None or part.walk_instance is None:
        return
    _check_members("walk_instance", part.walk_instance, instances)
    if part.walk.size(1) != sizes.num_layers + 1:
        raise Damage(f"walks have {part.walk.size(1)} nodes for {sizes.num_layers} layers")
    own.check("walk", part.walk_instance, part.walk)


def _check_table(name: str, table: Table, own: _Owned, instances: int) -> None:
    _check_members(f"instance of table {name}", table.instance, instances)
    for key, node in table.nodes.items():
        _check_range(f"{key} of table {name}", node, -1, None)
        is_node = node >= 0
        own.check(f"{key} of table {name}", table.instance[is_node], node[is_node])
