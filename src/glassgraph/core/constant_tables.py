"""What layers derive from a graph on disk alone: computed once for all edges, kept beside it.

Fields of a graph in memory get such arguments (GCN's normalized weights) from a run on what lies
around them, which has many more nodes and edges than the fields. For many nodes of a large graph it
is cheaper to compute them once for every edge. They stand in the store's folder, under a name that
says for which model; nothing else there changes.

Nodes are taken in pieces. The edges that enter a piece have their arguments right in a run on all
edges of both their ends, at every layer; messages themselves are left out of this run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassgraph.calling.call import ModelCall
from glassgraph.calling.protect import fingerprint
from glassgraph.core.context import constants_of
from glassgraph.core.hooks import Replacement, SiteActions, attached
from glassgraph.core.plan import Constants
from glassgraph.core.sites import Record, Wiring
from glassgraph.data.arrays import ArrayWriter, map_tensor
from glassgraph.errors import ExistingResultError
from glassgraph.files import new_folder, writing
from glassgraph.inputs.graph import TypedGraph
from glassgraph.inputs.pack import pack
from glassgraph.inputs.receptive import Fields, receptive_fields
from glassgraph.inputs.task import Task

_NAME = "constants.json"
#: Nodes of the first piece, and how many times larger the next one may be.
_FIRST, _GROWTH = 256, 4
#: Bytes that an edge takes in a run without messages, roughly.
_BYTES_OF_EDGE = 1000


#: Stands beside the arguments of a site: which rows it has.
_KNOWN = ""


def read_tables(
    graph: TypedGraph, model_call: ModelCall, wiring: Wiring
) -> Mapping[int, Constants] | None:
    """What was computed for this model, None if it was not.

    For each site its arguments ``[E + N]``: by edge, then by node for self-loops that a layer adds.
    """
    folder = _folder(graph, model_call, wiring)
    try:
        names: dict[str, str] = json.loads((folder / _NAME).read_text(encoding="utf-8"))
        sites: dict[int, dict[str, Tensor]] = {}
        for key, file in names.items():
            position, name = key.split(" ", 1)
            sites.setdefault(int(position), {})[name] = map_tensor(folder / file)
        return {
            position: Constants(None, values, known=values.pop(_KNOWN))
            for position, values in sites.items()
        }
    except (OSError, ValueError, KeyError):
        return None


def write_tables(
    graph: TypedGraph,
    model_call: ModelCall,
    wiring: Wiring,
    budget: int,
) -> None:
    """Compute and keep them, unless that was done.

    Raises:
        OutputError: if the store's folder cannot be written to.
    """
    if read_tables(graph, model_call, wiring) is not None:
        return
    tables: dict[tuple[int, str], Tensor] = {}
    with torch.no_grad():
        for piece in _pieces(graph, model_call, wiring, budget) if _has_any(wiring) else ():
            for position, constants in piece.items():
                assert constants.key is not None
                known = torch.ones_like(constants.key, dtype=torch.bool)
                for name, value in {**constants.values, _KNOWN: known}.items():
                    if (position, name) not in tables:
                        size = (graph.num_edges + graph.num_nodes, *value.shape[1:])
                        tables[position, name] = torch.zeros(size, dtype=value.dtype)
                    tables[position, name][constants.key] = value
    target = _folder(graph, model_call, wiring)
    try:
        with writing(target), new_folder(target, _NAME, replace=False) as folder:
            _write(tables, folder)
    except ExistingResultError:  # another process was faster
        return


def _write(tables: Mapping[tuple[int, str], Tensor], folder: Path) -> None:
    names: dict[str, str] = {}
    written: list[tuple[Tensor, str]] = []
    for (position, name), value in tables.items():
        same = [file for other, file in written if torch.equal(other, value)]
        if not same:
            file = f"{len(written)}.npy"
            with ArrayWriter(folder / file, value.numpy().dtype, tuple(value.shape[1:])) as writer:
                writer.append(value.numpy())
            written.append((value, file))
        names[f"{position} {name}"] = same[0] if same else file
    (folder / _NAME).write_text(json.dumps(names), encoding="utf-8")


def _folder(graph: TypedGraph, model_call: ModelCall, wiring: Wiring) -> Path:
    assert graph.store is not None
    sites = [(site.name, sorted(site.constant_arguments)) for site in wiring.sites]
    key = sha256(repr((fingerprint(model_call.model), sites)).encode()).hexdigest()[:16]
    return graph.store.path / f"constants-{key}"


def _has_any(wiring: Wiring) -> bool:
    return any(site.constant_arguments and site.is_mapped for site in wiring.sites)


def _pieces(
    graph: TypedGraph, model_call: ModelCall, wiring: Wiring, budget: int
) -> Iterator[dict[int, Constants]]:
    """Arguments of the edges that enter one piece of nodes after the other."""
    most = max(1, budget // _BYTES_OF_EDGE)
    first, count = 0, graph.num_nodes if graph.num_edges <= most else _FIRST
    while first < graph.num_nodes:
        stop = min(first + count, graph.num_nodes)
        nodes = torch.arange(first, stop, device=graph.device)
        fields = receptive_fields(
            graph, nodes.view(1, -1), 1, wiring.needs_both_directions, with_surroundings=True
        )
        yield _of_piece(graph, model_call, wiring, fields, (first, stop))
        first, size = stop, max(1, fields.edge.numel())
        count = max(1, min(_GROWTH * count, int(count * most / size)))


def _of_piece(
    graph: TypedGraph,
    model_call: ModelCall,
    wiring: Wiring,
    fields: Fields,
    nodes: tuple[int, int],
) -> dict[int, Constants]:
    """Those of edges into a range of nodes, and of these nodes' own self-loops."""
    packed = pack(graph, fields, model_call, Task("node"), fields.node[:1])
    recorder = _WithoutMessages(wiring)
    with attached(wiring.channels, SiteActions(recorder.before, recorder.change, recorder.after)):
        model_call(packed.data)
    found = {}
    for position, constants in constants_of(
        graph, wiring, model_call, packed, recorder.records, fields
    ).items():
        key = constants.key
        assert key is not None
        place = torch.searchsorted(fields.edge, key).clamp_max(fields.edge.numel() - 1)
        receiver = fields.node[fields.destination[place]]
        receiver = torch.where(key < graph.num_edges, receiver, key - graph.num_edges)
        kept = (key >= 0) & (receiver >= nodes[0]) & (receiver < nodes[1])
        values = {name: value[kept] for name, value in constants.values.items()}
        found[position] = Constants(key[kept], values)
    return found


class _WithoutMessages:
    """Records what each site is given, and lets it send a single message."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._calls = [0] * len(wiring.channels)
        self._last: dict[int, Record] = {}
        self.records: list[Record] = []

    def before(
        self, channel: int, edge_index: Tensor, size: Any, arguments: Mapping[str, Any]
    ) -> Replacement | None:
        record = Record(channel, self._calls[channel], edge_index, dict(arguments))
        self._calls[channel] += 1
        self._last[channel] = record
        self.records.append(record)
        number = self._wiring.site_of_call.get((channel, record.call))
        site = None if number is None else self._wiring.sites[number]
        if site is None or not site.can_trim or edge_index.size(1) < 2:
            return None
        changed = dict(arguments)
        for name in site.edge_arguments:
            value = arguments.get(name)
            if isinstance(value, Tensor):
                if value.dim() == 0 or value.size(0) != edge_index.size(1):
                    return None
                changed[name] = value[:1]
        return edge_index[:, :1], size, changed

    def change(self, channel: int, messages: Tensor) -> Tensor:
        self._last[channel].message = messages.shape
        return messages

    def after(self, channel: int, size: Any) -> None:
        self._last[channel].size = (size[0], size[1])
