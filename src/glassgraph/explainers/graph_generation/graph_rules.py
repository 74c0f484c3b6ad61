"""Rules that generated graphs have to keep: degrees, valences, connectedness, one's own functions.

All graphs are simple whatever the rules say. ::

    rules = [
        gg.graph_rules.Valence(),
        lambda node_type, edge_index: bool((node_type == 1).sum() < 2),
    ]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from glassgraph.errors import HyperParameterError, MissingExtraError
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.rule import Rule

__all__ = ["VALENCES", "Connected", "MaxDegree", "Rule", "Sanitizable", "Valence", "as_rule"]

#: The most neighbors of an atom in XGNN's experiment on MUTAG. Bond types do not count there: a
#: double bond is one edge.
VALENCES = {"C": 4, "N": 5, "O": 2, "F": 1, "I": 7, "Cl": 7, "Br": 5}

Judge = Callable[[Tensor, Tensor], bool]


class MaxDegree(Rule):
    """How many neighbors may a node have?

    Moves that break it are known in advance, so that none is tried.

    Args:
        limit: for all nodes, or for each node type by name (types left out have none).

    Raises:
        HyperParameterError: if a limit is no positive integer, or a type does not exist.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> def size(x, edge_index, batch):
        ...     return torch.bincount(batch)[:, None] * torch.tensor([-1.0, 1.0])
        >>> rules = [gg.graph_rules.MaxDegree({"A": 2})]
        >>> xgnn = gg.XGNN(size, ["A"], max_nodes=5, rules=rules)
        >>> graph = xgnn.random(n=1, target_class=1)[0]
        >>> int(torch.bincount(graph.edge_index[0]).max())
        2
    """

    masks_moves = True

    def __init__(self, limit: int | Mapping[str, int]) -> None:
        values = list(limit.values()) if isinstance(limit, Mapping) else [limit]
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise HyperParameterError(
                    f"{type(self).__name__}: a limit is an integer of at least 1; got {value!r}"
                )
        self.limit = dict(limit) if isinstance(limit, Mapping) else limit
        self._of_type: list[int] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.limit})"

    def bind(self, node_types: Sequence[str]) -> Self:
        """See `Rule.bind`."""
        if isinstance(self.limit, dict):
            self._check_names(self.limit, node_types)
            unlimited = 1 << 30
            limits = [self.limit.get(name, unlimited) for name in node_types]
        else:
            limits = [self.limit] * len(node_types)
        bound = type(self)(self.limit)
        bound._of_type = limits
        return bound

    def _check_names(self, limit: Mapping[str, int], node_types: Sequence[str]) -> None:
        unknown = sorted(set(limit) - set(node_types))
        if unknown:
            raise HyperParameterError(
                f"{self.name} limits node types that do not exist: {', '.join(unknown)}; there "
                f"are {', '.join(node_types)}"
            )

    def _limits(self, graphs: DenseGraphs) -> Tensor:
        """``[K]``."""
        assert self._of_type is not None, "a rule is bound before it is asked"
        return torch.tensor(self._of_type, device=graphs.node_type.device)

    def _free(self, graphs: DenseGraphs) -> Tensor:
        """How many more neighbors each node may have, ``[B, V]``."""
        return self._limits(graphs)[graphs.node_type.clamp_min(0)] - graphs.degree

    def holds(self, graphs: DenseGraphs) -> Tensor:
        """See `Rule.holds`."""
        return ((self._free(graphs) >= 0) | ~graphs.is_node).all(dim=1)

    def allowed_moves(self, graphs: DenseGraphs) -> Tensor:
        """See `Rule.allowed_moves`."""
        is_free = self._free(graphs) > 0
        added = is_free.new_ones(len(graphs), graphs.num_types)  # one neighbor is always allowed
        return is_free[:, :, None] & torch.cat([is_free, added], dim=1)[:, None, :]

    def to_json(self) -> dict[str, Any]:
        """See `Rule.to_json`."""
        return {"rule": type(self).__name__, "limit": self.limit}


class Valence(MaxDegree):
    """How many neighbors may an atom have?

    A `MaxDegree` by the symbols of elements, which every node type has to be. Neighbors are
    counted, not bonds: a double bond is one edge.

    Args:
        limit: by symbol; those of XGNN's experiment on MUTAG, `VALENCES`, if None.

    Raises:
        HyperParameterError: if a node type has no limit.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> def size(x, edge_index, batch):
        ...     return torch.bincount(batch)[:, None] * torch.tensor([-1.0, 1.0])
        >>> xgnn = gg.XGNN(size, ["O"], max_nodes=5, rules=[gg.graph_rules.Valence()])
        >>> graph = xgnn.random(n=1, target_class=1)[0]
        >>> int(torch.bincount(graph.edge_index[0]).max())  # oxygen has two neighbors at most
        2
    """

    def __init__(self, limit: Mapping[str, int] | None = None) -> None:
        super().__init__(VALENCES if limit is None else limit)

    def _check_names(self, limit: Mapping[str, int], node_types: Sequence[str]) -> None:
        unknown = [name for name in node_types if name not in limit]
        if unknown:
            raise HyperParameterError(
                f"Valence knows no valence of {', '.join(map(repr, unknown))}; name the node types "
                'by their symbols, node_types=["C", "N", ...], or give Valence({"C": 4, ...})'
            )


class Connected(Rule):
    """Can every node be reached from every other?

    Graphs that grow from one node are connected anyway; the rule matters where a graph in several
    pieces is given to start with.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> def size(x, edge_index, batch):
        ...     return torch.bincount(batch)[:, None] * torch.tensor([-1.0, 1.0])
        >>> pieces = ([0, 0, 0], [[0], [1]])  # nodes 0 and 1 are joined, node 2 stands apart
        >>> rules = [gg.graph_rules.Connected()]
        >>> xgnn = gg.XGNN(size, 1, max_nodes=4, start=pieces, rules=rules)
        >>> xgnn.random(n=5, target_class=1).validity  # the first move joins it
        1.0
    """

    def __repr__(self) -> str:
        return "Connected()"

    def holds(self, graphs: DenseGraphs) -> Tensor:
        """See `Rule.holds`."""
        is_node = graphs.is_node
        reached = torch.zeros_like(is_node)
        reached[:, 0] = True
        adjacency = graphs.adjacency.to(torch.float32)
        for _ in range(graphs.max_nodes - 1):
            step = (reached[:, None].to(torch.float32) @ adjacency)[:, 0] > 0
            reached = reached | step
        return (reached | ~is_node).all(dim=1)

    def to_json(self) -> dict[str, Any]:
        """See `Rule.to_json`."""
        return {"rule": "Connected"}


class Judged(Rule):
    """Does a function say that a graph keeps the rule?

    It is asked about one graph at a time, and what it has said is remembered.

    Args:
        judge: ``judge(node_type [n], edge_index [2, e]) -> bool``, edges both ways.

    Raises:
        HyperParameterError: when it is asked, if it returns something else than True or False.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> def size(x, edge_index, batch):
        ...     return torch.bincount(batch)[:, None] * torch.tensor([-1.0, 1.0])
        >>> def no_cycle(node_type, edge_index):
        ...     return edge_index.size(1) // 2 < len(node_type)
        >>> xgnn = gg.XGNN(size, 1, max_nodes=5, rules=[no_cycle])
        >>> xgnn.random(n=1, target_class=1)[0].num_edges
        4
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self._known: dict[bytes, bool] = {}

    def __repr__(self) -> str:
        return f"the function {getattr(self.judge, '__name__', type(self.judge).__name__)!r}"

    def holds(self, graphs: DenseGraphs) -> Tensor:
        """See `Rule.holds`."""
        verdicts = []
        for row, key in enumerate(graphs.keys()):
            if key not in self._known:
                self._known[key] = self._ask(*graphs.single(row))
            verdicts.append(self._known[key])
        return torch.tensor(verdicts, dtype=torch.bool, device=graphs.node_type.device)

    def _ask(self, node_type: Tensor, edge_index: Tensor) -> bool:
        verdict = self.judge(node_type, edge_index)
        if isinstance(verdict, Tensor) and verdict.numel() == 1:
            return bool(verdict)
        if not isinstance(verdict, (bool, int)) and type(verdict).__name__ not in ("bool", "bool_"):
            raise HyperParameterError(
                f"{self.name} was asked whether a graph keeps the rule and returned "
                f"{type(verdict).__name__}; a rule (node_type, edge_index) returns True or False"
            )
        return bool(verdict)


class Sanitizable(Judged):
    """Does RDKit accept the graph as a molecule of single bonds?

    Needs ``pip install glassgraph[rdkit]``. Stricter than `Valence`: nitrogen has three neighbors
    at most, halogens one.

    Raises:
        MissingExtraError: if RDKit is not installed.
        HyperParameterError: if a node type is no symbol of an element.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> def size(x, edge_index, batch):
        ...     return torch.bincount(batch)[:, None] * torch.tensor([-1.0, 1.0])
        >>> xgnn = gg.XGNN(size, ["C"], max_nodes=5, rules=[gg.graph_rules.Sanitizable()])
        >>> xgnn.random(n=1, target_class=1).formula(0)
        'C5'
    """

    def __init__(self) -> None:
        try:
            import rdkit  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                "Sanitizable asks RDKit: pip install glassgraph[rdkit]"
            ) from error
        super().__init__(self._sanitizes)
        self._symbols: Sequence[str] = ()

    def __repr__(self) -> str:
        return "Sanitizable()"

    def bind(self, node_types: Sequence[str]) -> Self:
        """See `Rule.bind`."""
        from rdkit import Chem

        table = Chem.GetPeriodicTable()
        for name in node_types:
            try:
                table.GetAtomicNumber(name)
            except RuntimeError as error:
                raise HyperParameterError(
                    f"Sanitizable needs symbols of elements as node types; got {name!r}"
                ) from error
        bound = type(self)()
        bound._symbols = tuple(node_types)
        return bound

    def _sanitizes(self, node_type: Tensor, edge_index: Tensor) -> bool:
        from rdkit import Chem, rdBase

        molecule = Chem.RWMol()
        for kind in node_type.tolist():
            molecule.AddAtom(Chem.Atom(self._symbols[kind]))
        for source, destination in edge_index.t().tolist():
            if source < destination:
                molecule.AddBond(source, destination, Chem.BondType.SINGLE)
        with rdBase.BlockLogs():
            verdict = Chem.SanitizeMol(molecule, catchErrors=True)
        return bool(verdict == Chem.SanitizeFlags.SANITIZE_NONE)

    def to_json(self) -> dict[str, Any]:
        """See `Rule.to_json`."""
        return {"rule": "Sanitizable"}


def as_rule(rule: Rule | Judge) -> Rule:
    """A rule as it is, a function as a rule.

    Raises:
        HyperParameterError: if it is neither.
    """
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, type) or not callable(rule):
        raise HyperParameterError(
            "rules holds rules such as gg.graph_rules.MaxDegree(3), or functions "
            f"(node_type, edge_index) -> bool; got {rule!r}"
        )
    return Judged(rule)


def from_json(stored: Mapping[str, Any]) -> Rule:
    """The rule that `Rule.to_json` described."""
    known: dict[str, type[Any]] = {
        each.__name__: each for each in (MaxDegree, Valence, Connected, Sanitizable)
    }
    settings = {name: value for name, value in stored.items() if name != "rule"}
    rule: Rule = known[stored["rule"]](**settings)
    return rule
