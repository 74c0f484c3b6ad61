"""``glassgraph bench speed``: time and accuracy beside peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glassgraph.cli.parse import parse_names
from glassgraph.errors import CommandError
from glassgraph_studies.runner.options import DATASETS, DEVICE, MUTAG, SEED, Option, count, repeats
from glassgraph_studies.runner.study import Found, Row, Rows, Study, spelled
from glassgraph_studies.runner.tables import Column, Table, name, number, shown

_TITLES = {"pyg": "PyG", "literal": "literal"}
_PEER = Option(
    "peer",
    str,
    "'pyg' for the methods that PyG has, 'literal' for those held against a "
    "literal version of their paper.",
    choices=tuple(_TITLES),
    otherwise="both",
)
_CLOCK = Option(
    "clock",
    str,
    "'wall', or 'processor' where other programs run beside this one.",
    choices=("wall", "processor"),
    otherwise="wall",
)
_METHODS = Option(
    "method",
    str,
    "Method, or several with commas; may be repeated. One without a peer is measured alone.",
    is_many=True,
    otherwise="all with a peer",
    spellings=("--method", "--methods"),
)


def run(peer: str | None = None, method: Sequence[str] = (), **options: Any) -> Iterator[Found]:
    """Each data set and method."""
    from glassgraph_studies.bench.speed.experiment import run_speed_bench
    from glassgraph_studies.reference.peers import PEERS

    methods = _with_peer(parse_names(",".join(method)) if method else None, peer, PEERS)
    for row in run_speed_bench(methods=methods, **options):
        yield spelled(row)


def _with_peer(methods: list[str] | None, peer: str | None, peers: Mapping[str, str]) -> list[str]:
    """The methods that are measured beside a peer; all of them if none is named.

    Raises:
        CommandError: if a named method has another peer.
    """
    for each in methods or ():
        if peer is not None and peers.get(each) != peer:
            own = repr(peers[each]) if each in peers else "nothing"
            raise CommandError(f"{each} is measured beside {own}, not {peer!r}")
    return methods or [each for each in peers if peer in (None, peers[each])]


def tables(rows: Rows) -> Iterator[Table]:
    """A table for each peer that has rows."""
    for peer in (*_TITLES, "none"):
        own = [row for row in rows if row["peer"] == peer]
        if own:
            beside = f"beside {_TITLES[peer]}" if peer in _TITLES else "without a peer"
            size = f"{own[0]['repeats']} repeats, {own[0]['threads']} threads"
            if own[0].get("clock") == "processor":
                size += ", seconds of the processor"
            yield Table(f"glassgraph {beside} ({size})", _columns(peer), own)


def _columns(peer: str) -> tuple[Column, ...]:
    own = (
        name("dataset", "dataset"),
        name("method", "method"),
        number("n", "instances"),
        number("ours ms", "ours_s_per_instance", "{:.2f}", 1000),
    )
    if peer == "none":
        return (
            *own,
            number("AUC", "ours_auc", "{:.3f}"),
            number("saliency", "saliency_auc", "{:.3f}"),
        )
    is_pyg = peer == "pyg"
    return (
        *own,
        number("PyG ms" if is_pyg else "peer ms", "peer_s_per_instance", "{:.2f}", 1000),
        number("ratio", "ratio", "{:.1f}x"),
        Column("AUC ours/PyG/saliency", _areas)
        if is_pyg
        else number("difference", "max_difference", "{:.0e}"),
    )


def _areas(row: Row) -> str:
    sides = ("ours", "peer", "saliency")
    return " / ".join(shown(row.get(f"{side}_auc"), "{:.3f}") for side in sides)


SPEED = Study(
    name="speed",
    help="Time per explanation and accuracy beside a peer, in this process.\n\nThe peer is "
    "torch_geometric.explain where it has the method. Otherwise it is a literal version of the "
    "paper: one prediction at a time on the whole graph.",
    run=run,
    options=(
        _PEER,
        DATASETS,
        _METHODS,
        count("instances", 100, "Most predictions to explain."),
        repeats(5),
        SEED,
        MUTAG,
        DEVICE,
        _CLOCK,
    ),
    tables=tables,
)
