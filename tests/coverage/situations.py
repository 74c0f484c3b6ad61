"""What models do beside layers, asked of every method: ``python -m tests.coverage.situations``.

Each kind of model is explained by every method. The outcome is a word, and what warned:

* ``right``: the scores are those of another model, which gives the same predictions without doing
  what this kind does;
* ``explained``: finite scores; there is no such other model;
* ``other``: finite scores, but not those of the other model;
* the name of the error that refuses; ``raw`` before it says that it is none of the library's.

`tests.coverage.situation_outcomes` says what is expected; called as a program, this prints what is
found, in the same form.
"""

from __future__ import annotations

import pprint
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GraphConv, SimpleConv, TopKPooling, global_add_pool
from torch_geometric.utils import to_dense_batch

import glassgraph as gg
from glassgraph.errors import GlassgraphError
from glassgraph.explainers.amortized import HindsightWarning
from glassgraph.explainers.registry import METHODS, make_explainer

WIDTH, NODES, EDGES, CATEGORIES = 4, 7, 13, 5
INDEX = [2, 5]
#: Settings that keep a method short, beside its ``test_settings``.
SHORT: dict[str, dict[str, Any]] = {"integrated_gradients": {"steps": 2, "tolerance": 1e9}}


def graph(level: str = "node") -> Any:
    """A graph of floating features; for graph tasks two of them."""
    if level == "graph":
        return [_graph(seed) for seed in (1, 2)]
    return _graph(1)


def _graph(seed: int) -> Data:
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randperm(NODES * NODES, generator=generator)
    ends = torch.stack([pairs // NODES, pairs % NODES])
    ends = ends[:, ends[0] != ends[1]][:, :EDGES]
    x = torch.randn(NODES, WIDTH, generator=generator).double()
    return Data(x=x, edge_index=ends, y=torch.arange(NODES) % 2)


# Models


class Plain(nn.Module):
    """Two layers that show their attention, as wide as the features."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.one, self.two = self._layer(), self._layer()
        self.double()

    def _layer(self) -> nn.Module:
        return GATConv(WIDTH, WIDTH)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out: Tensor = self.two(self.one(x, edge_index).relu(), edge_index)
        return out


class TakesData(Plain):
    def forward(self, batch: Any) -> Tensor:  # type: ignore[override]
        return super().forward(batch.x, batch.edge_index)


class Replaces(Plain):
    def forward(self, data: Any) -> Tensor:  # type: ignore[override]
        data.x = self.one(data.x, data.edge_index).relu()
        data.x = self.two(data.x, data.edge_index)
        out: Tensor = data.x
        return out


class Halved(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(x * 0.5, edge_index)


class WritesInPlace(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x *= 0.5
        return super().forward(x, edge_index)


class ReplacesBuffer(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(2))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.memory = self.memory + 0.5
        return super().forward(x, edge_index)


class Stateful(Plain):
    calls = 0

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x, edge_index) * (1 + 0.1 * self.calls)


class Random(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = nn.functional.dropout(self.one(x, edge_index), 0.5)  # in evaluation mode as well
        out: Tensor = self.two(h, edge_index)
        return out


class SumsNeighbors(Plain):
    """A third layer, which adds up what neighbors have."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = SimpleConv(aggr="sum", combine_root="sum")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        out: Tensor = self.sum(super().forward(x, edge_index), edge_index)
        return out


class ScattersByHand(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = super().forward(x, edge_index)
        return h.index_add(0, edge_index[1], h[edge_index[0]])


class Checkpointed(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h = checkpoint(self.one, x, edge_index, use_reentrant=False)
        out: Tensor = self.two(h.relu(), edge_index)
        return out


class UnderAutocast(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.float()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x.float(), edge_index)


class Detached(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(x, edge_index).detach()


class Tuple(Plain):
    def forward(self, x: Tensor, edge_index: Tensor) -> Any:
        h = self.one(x, edge_index).relu()
        return self.two(h, edge_index), h


class Embeds(Plain):
    """Features are the numbers of categories."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CATEGORIES, WIDTH).double()
        nn.init.uniform_(self.embedding.weight)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return super().forward(self.embedding(x[:, 0]), edge_index)


class BuildsEdges(Plain):
    """Each node hears from the two nearest others, whatever edges the data have."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        distance = torch.cdist(x, x).fill_diagonal_(torch.inf)
        nearest = distance.topk(2, largest=False).indices
        here = torch.arange(len(x)).repeat_interleave(2)
        return super().forward(x, torch.stack([nearest.flatten(), here]))


class Pools(Plain):
    """Half of the nodes stay, by a score that messages decide."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.pool = TopKPooling(WIDTH, ratio=0.5).double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:  # type: ignore[override]
        h = self.one(x, edge_index).relu()
        h, edge_index, _, batch, *_ = self.pool(h, edge_index, batch=batch)
        return global_add_pool(self.two(h, edge_index), batch)


class PoolsAll(Plain):
    """What the others are held against: no node is dropped."""

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:  # type: ignore[override]
        return global_add_pool(super().forward(x, edge_index), batch)


class ReadsFirst(Plain):
    """A recurrent network reads the nodes of each graph in their order."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(6)
            self.read = nn.GRU(WIDTH, WIDTH, batch_first=True).double()

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:  # type: ignore[override]
        words, is_word = to_dense_batch(x, batch)
        return super().forward(self.read(words)[0][is_word], edge_index)


# Kinds


@dataclass(frozen=True)
class Kind:
    """What a model does.

    Attributes:
        name: in words.
        build: makes one.
        plain: makes one with the same predictions that does not do it, if there can be one.
        level: of the task.
        is_integer: whether features are numbers of categories.
        rows: which rows a graph's prediction has, see `glassgraph.Task`.
    """

    name: str
    build: Callable[[], Any]
    plain: Callable[[], Any] | None = None
    level: str = "node"
    is_integer: bool = False
    rows: str | None = None

    @property
    def task(self) -> gg.Task:
        return gg.Task(self.level, rows=self.rows)  # type: ignore[arg-type]

    def data(self) -> Any:
        found = graph(self.level)
        if self.is_integer:
            found.x = torch.arange(NODES).view(-1, 1) % CATEGORIES
        return found


def compiled() -> Any:
    torch.compiler.reset()
    return torch.compile(Plain(), backend="eager", dynamic=True)


class Scriptable(Plain):
    """Of layers that `torch.jit.script` takes; they show no attention."""

    def _layer(self) -> nn.Module:
        return GraphConv(WIDTH, WIDTH)


def scripted() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(Scriptable().eval())


def traced() -> Any:
    data = graph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(Plain().eval(), (data.x, data.edge_index))


KINDS = [
    Kind("takes the data object, as `batch`", TakesData, Plain),
    Kind("replaces `data.x`", Replaces, Plain),
    Kind("writes into its features in place", WritesInPlace, Halved),
    Kind("replaces a buffer", ReplacesBuffer, Plain),
    Kind("counts its calls, and answers by them", Stateful),
    Kind("is random: dropout is always on", Random),
    Kind("scatters by hand, beside layers", ScattersByHand, SumsNeighbors),
    Kind("checkpoints a layer", Checkpointed, Plain),
    Kind("runs under `torch.autocast`", UnderAutocast),
    Kind("is compiled (`torch.compile`)", compiled, Plain),
    Kind("is scripted (`torch.jit.script`)", scripted, Scriptable),
    Kind("is traced (`torch.jit.trace`)", traced, Plain),
    Kind("detaches its output", Detached, Plain),
    Kind("returns a tuple", Tuple),
    Kind("embeds integer features", Embeds, is_integer=True),
    Kind("builds edges of its own", BuildsEdges),
    Kind("pools nodes by what messages say", Pools, level="graph"),
    Kind("pools all nodes", PoolsAll, level="graph"),
    Kind("returns a row for each node of a graph", Plain, level="graph", rows="nodes"),
    Kind("the same behind a recurrent network", ReadsFirst, level="graph", rows="nodes"),
]


# Outcomes


def methods(kind: Kind) -> list[str]:
    """The methods that explain tasks of the kind's level."""
    return [name for name, method in METHODS.items() if kind.level in method.scope.levels]


@dataclass(frozen=True)
class Outcome:
    """What came of one method: scores, or the name of an error; and what warned."""

    scores: tuple[Tensor, ...] | None
    error: str
    warned: str


def outcome(build: Callable[[], Any], kind: Kind, method: str) -> Outcome:
    """Explain a model of the kind."""
    settings = {**METHODS[method].test_settings, **SHORT.get(method, {})}
    index = INDEX if kind.level == "node" else None
    with warnings.catch_warnings(record=True) as told, torch.random.fork_rng():
        torch.manual_seed(0)
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", HindsightWarning)
        model = build()
        try:
            explainer = make_explainer(method, model, kind.task, progress=False, **settings)
            if explainer.needs_fit:
                explainer.fit(kind.data(), index=index)  # type: ignore[attr-defined]
            found = explainer.explain(kind.data(), index=index)
        except GlassgraphError as error:
            return Outcome(None, type(error).__name__, "")
        except Exception as error:  # noqa: BLE001 - a defect, which the table shows
            return Outcome(None, f"raw {type(error).__name__}", "")
    scores = tuple(_scores(found, number) for number in range(len(found)))
    own = {each.category.__name__ for each in told if _is_ours(each.category)}
    return Outcome(scores, "", ", ".join(sorted(own)))


def _is_ours(category: type[Warning]) -> bool:
    return category.__module__.startswith("glassgraph.")


def _scores(found: gg.Explanations, number: int) -> Tensor:
    local = found.local(number)
    every = (local.edge_score, local.node_score, local.feature_score)
    return torch.cat([each.flatten().double() for each in every if each is not None])


@cache
def _plain_outcome(build: Callable[[], Any], kind: Kind, method: str) -> Outcome:
    return outcome(build, kind, method)


@cache
def measured(kind: Kind, asked: tuple[str, ...] | None = None) -> dict[str, str]:
    """For each method, or those that are asked, the word and what warned."""
    names = methods(kind) if asked is None else asked
    return {method: _word(kind, method) for method in names}


def _word(kind: Kind, method: str) -> str:
    found = outcome(kind.build, kind, method)
    if found.scores is None:
        return found.error
    assert all(bool(torch.isfinite(each).all()) for each in found.scores), (kind.name, method)
    word = "explained"
    if kind.plain is not None:
        expected = _plain_outcome(kind.plain, _LIKE_PLAIN, method)
        word = "right" if _are_alike(found.scores, expected.scores) else "other"
    return f"{word}, {found.warned}" if found.warned else word


_LIKE_PLAIN = Kind("plain", Plain)


def _are_alike(found: tuple[Tensor, ...], expected: tuple[Tensor, ...] | None) -> bool:
    return expected is not None and all(
        one.shape == other.shape and torch.allclose(one, other, rtol=1e-6, atol=1e-8)
        for one, other in zip(found, expected, strict=True)
    )


def compact(words: dict[str, str]) -> dict[str, list[str]]:
    """For each outcome its methods; ``*`` for the most frequent one."""
    common = Counter(words.values()).most_common(1)[0][0]
    found = {common: ["*"]}
    for method, word in sorted(words.items()):
        if word != common:
            found.setdefault(word, []).append(method)
    return found


def spelled_out(kind: Kind, outcomes: dict[str, list[str]]) -> dict[str, str]:
    """What `compact` was given."""
    (common,) = [word for word, names in outcomes.items() if names == ["*"]]
    named = {name: word for word, names in outcomes.items() for name in names}
    return {method: named.get(method, common) for method in methods(kind)}


def main() -> None:
    """Print what is found, as `tests.coverage.situation_outcomes` has it."""
    torch.set_num_threads(1)
    pprint.pp({kind.name: compact(measured(kind)) for kind in KINDS}, width=96, compact=True)


if __name__ == "__main__":
    main()
