"""``glassgraph reproduce``: experiments of papers, published beside measured numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassgraph.cli.console import (
    check_file_writable,
    friendly,
    say,
    told_warnings,
)
from glassgraph.cli.measured import CoraRoot, Json, Kept, MutagRoot, Quiet, Seed, Threads
from glassgraph.cli.study_tables import (
    area,
    benzene_table,
    faithfulness_table,
    graph_lime_table,
    infection_table,
    invariance_table,
    motif_nodes_table,
    motifs_tables,
    star_table,
    subgraphs_table,
    trust_table,
    zorro_table,
)
from glassgraph.errors import OutputError

if TYPE_CHECKING:
    from glassgraph.studies import benzene as benzene_study
    from glassgraph.studies import infection as infection_study
    from glassgraph.studies.star_graphs import Outcome, Scene

reproduce = typer.Typer(help="Repeat experiments of papers.", no_args_is_help=True)

#: Graphs for training, and how many times fewer there are for validation and for test.
_GRAPHS, _FEWER = 10_000, 20
#: Nodes of an infection graph.
_NODES = 1000
#: Formats that matplotlib writes without more packages.
_FORMATS = (".pdf", ".png", ".svg")


@reproduce.callback()
def about() -> None:
    """Repeat experiments of papers, published beside measured numbers."""


@reproduce.command()
@friendly
def star_graphs(
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own graphs and network.")
    ] = 10,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    graphs: Annotated[
        int,
        typer.Option(min=_FEWER, help="Training graphs; a twentieth each for validation and test."),
    ] = _GRAPHS,
    threads: Threads = 1,
    json: Json = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw what each method keeps of one graph (.png, .svg or .pdf)."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Table 1 of the GraphMask paper: who finds the edges that a network must look at?"""
    kept = Kept(json, quiet=quiet)
    _check_figure(figure)
    from glassgraph.studies.star_figure import save_figure
    from glassgraph.studies.star_graphs import run_star_graphs

    def note(scene: Scene, outcomes: list[Outcome]) -> None:
        if figure is not None and not kept.rows:
            save_figure(scene, outcomes, figure)
        kept.add([outcome.row for outcome in outcomes], *_seed_lines(scene, outcomes))

    with told_warnings():
        run_star_graphs(
            seeds=range(seeds),
            methods=method or None,
            sizes=(graphs, graphs // _FEWER, graphs // _FEWER),
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(star_table(kept.rows))
    if figure is not None and not quiet:
        say(f"figure: {figure}")


@reproduce.command()
@friendly
def graphmask_faithfulness(
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own halves and model.")
    ] = 3,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of GraphMask. [default: the study's own]")
    ] = None,
    threads: Threads = 1,
    root: MutagRoot = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """GraphMask on held-out predictions: faithful, sparse, and needed what it kept?"""
    from glassgraph.studies.graphmask_faithfulness import DATASETS, run_faithfulness

    if root is None and not dataset:
        say("mutag is left out: give --root, the folder of its raw files")
    kept = Kept(json, quiet=quiet)

    with told_warnings():
        run_faithfulness(
            dataset or [name for name in DATASETS if root is not None or name != "mutag"],
            range(seeds),
            root=root,
            steps=steps,
            threads=threads,
            progress=not quiet,
            report=lambda row: kept.add([row], _faithfulness_line(row)),
        )
    kept.show(faithfulness_table(kept.rows))


@reproduce.command()
@friendly
def infection(
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own graphs and network.")
    ] = 5,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    nodes: Annotated[int, typer.Option(min=50, help="Nodes of each graph.")] = 1000,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Infection paths of the edge gradients paper: who finds how an infection came?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.infection import run_infection

    def note(scene: infection_study.Scene, own: list[dict[str, Any]]) -> None:
        accuracy = scene.trained.accuracy["test"]
        kept.add(
            own,
            f"seed {scene.seed}: test accuracy {accuracy:.3f}, {len(scene.nodes)} nodes",
            *(
                f"  {each['row']}: {each['found']:.2f} % found  "
                f"({1000 * each['seconds_per_node']:.0f} ms each)"
                for each in own
            ),
        )

    # As many edges and infected nodes for each node as in graphs of 1,000.
    sizes = {} if nodes == _NODES else _infection_sizes(nodes)
    with told_warnings():
        run_infection(
            range(seeds), row or None, threads=threads, progress=not quiet, report=note, **sizes
        )
    kept.show(infection_table(kept.rows))


@reproduce.command()
@friendly
def benzene(
    root: Annotated[Path, typer.Option(help="Folder of benzene_graphs.npz.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own network and sample.")
    ] = 3,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method of 'glassgraph methods'; repeat for several. [default: nine]"),
    ] = None,
    molecules: Annotated[int, typer.Option(min=1, help="Molecules explained for each seed.")] = 300,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Molecules with benzene rings: who finds the atoms of the ring?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.benzene import run_benzene

    def note(scene: benzene_study.Scene, own: list[dict[str, Any]]) -> None:
        kept.add(
            own,
            f"seed {scene.seed}: test accuracy {scene.trained.accuracy['test']:.4f}, "
            f"{len(scene.sample)} molecules",
            *(f"  {each['method']}: AUC {area(each['auc'])}" for each in own),
        )

    with told_warnings():
        run_benzene(
            root,
            range(seeds),
            method or None,
            molecules,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(benzene_table(kept.rows))


@reproduce.command()
@friendly
def pgm(
    root: Annotated[
        Path | None,
        typer.Option(help="Folder of bitcoinalpha.csv and bitcoinotc.csv; without it, motifs."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repetitions, each with its own split and network.")
    ] = 3,
    network: Annotated[
        list[str] | None,
        typer.Option(help="bitcoin-alpha or bitcoin-otc; repeat for both. [default: both]"),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    nodes: Annotated[int, typer.Option(min=2, help="Nodes explained for each seed.")] = 100,
    samples: Annotated[int, typer.Option(min=2, help="Samples of PGM-Explainer.")] = 400,
    motifs: Annotated[bool, typer.Option(help="Look for motif nodes, too.")] = True,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """PGM-Explainer's experiments: whose ratings decide, and which nodes are the motif?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.trust import NETWORKS, run_motifs, run_trust

    def note(own: list[dict[str, Any]]) -> None:
        first = own[0]
        kept.add(
            own,
            f"{first['dataset']}, seed {first['seed']}: test accuracy {first['accuracy']:.3f} "
            f"(worse class {first['least_class_accuracy']:.3f}), {first['nodes']} nodes",
        )

    tables = []
    with told_warnings():
        if root is not None:
            run_trust(
                root,
                network or NETWORKS,
                range(seeds),
                row or None,
                nodes,
                samples,
                threads=threads,
                progress=not quiet,
                report=note,
            )
            tables.append(trust_table(kept.rows))
        if motifs:
            found = run_motifs(threads=threads, progress=not quiet, report=kept.add_one)
            tables.append(motif_nodes_table(found))
    kept.show(*tables)


@reproduce.command()
@friendly
def invariance(
    a: Annotated[float, typer.Option(min=0.0, help="Message of the first neighbor.")] = 1.0,
    b: Annotated[float, typer.Option(min=0.0, help="Message of the second neighbor.")] = 1.0,
    json: Json = None,
) -> None:
    """Two networks that compute one function: who scores them alike?"""
    kept = Kept(json)
    from glassgraph.studies.invariance import run_invariance

    with told_warnings():
        kept.add(run_invariance(a, b))
    kept.show(invariance_table(kept.rows))


@reproduce.command()
@friendly
def subgraphs(
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with its own network.")] = 5,
    graphs: Annotated[int, typer.Option(min=2, help="Graphs explained for each seed.")] = 200,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of training. [default: the study's own]")
    ] = None,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Relevant subgraphs of BA-2Motifs by GNN-LRP: do they grow from the motif?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.subgraphs import EPOCHS, run_subgraphs

    def note(own: list[dict[str, Any]]) -> None:
        first, best = own[0], max(each["auc"] for each in own)
        kept.add(
            own,
            f"seed {first['seed']}, {first['training']}: network after {first['start']} starts, "
            f"best {best:.1f}",
        )

    with told_warnings():
        run_subgraphs(
            range(seeds),
            graphs=graphs,
            epochs=epochs or EPOCHS,
            threads=threads,
            progress=not quiet,
            report=note,
        )
    kept.show(subgraphs_table(kept.rows))


@reproduce.command()
@friendly
def motifs(
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method of 'glassgraph methods'; repeat for several. [default: five]"),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set; repeat for several. [default: all]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the explainer.")] = 10,
    data_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the data, the model and the halves.")
    ] = 0,
    instances: Annotated[
        int | None,
        typer.Option(min=1, help="Most predictions to explain. [default: half, fewer if slow]"),
    ] = None,
    target: Annotated[
        int | None,
        typer.Option(min=0, help="Fit and explain graphs of this predicted class alone."),
    ] = None,
    published_settings: Annotated[
        bool, typer.Option("--published-settings", help="Settings of the authors' notebooks.")
    ] = False,
    threads: Threads = 1,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the molecules' raw files, or above; without it they are left out."
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Planted motifs: who finds the edges that the label depends on?"""
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.motifs import DATASETS, GENERATED, METHODS, run_motifs

    if root is None and not dataset:
        say("mutagenicity and mutag are left out: give --root, the folder of their raw files")
    with told_warnings():
        run_motifs(
            dataset or (GENERATED if root is None else DATASETS),
            method or METHODS,
            range(seeds),
            data_seed=data_seed,
            instances=instances,
            target=target,
            published_settings=published_settings,
            root=root,
            threads=threads,
            progress=not quiet,
            report=lambda row: kept.add([row], _motifs_line(row)),
        )
    kept.show(*motifs_tables(kept.rows))


def _motifs_line(row: Mapping[str, Any]) -> str:
    each = 1000 * row["explain_seconds"] / row["explained"]
    return (
        f"{row['dataset']}, {row['method']}, seed {row['seed']}: AUC {row['auc']:.4f}"
        f"{' (inverted)' if row['is_inverted'] else ''}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {each:.1f} ms each)"
    )


@reproduce.command()
@friendly
def zorro(
    root: CoraRoot,
    nodes: Annotated[int, typer.Option(min=1, help="Test nodes that are explained.")] = 20,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    seed: Seed = 0,
    threads: Threads = 1,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """RDT-fidelity and sparsity of explanations on Cora, as in ZORRO's paper."""
    kept = Kept(json, quiet=quiet)
    from glassgraph.studies.zorro import run_zorro

    def note(own: dict[str, Any]) -> None:
        lines = []
        if own["is_met"] is not None:
            verdict = "is reached" if own["is_met"] else "is NOT reached"
            lines = [f"{own['row']}: tau {own['tau']} {verdict} at every node"]
        kept.add([own], *lines)

    with told_warnings():
        run_zorro(root, nodes, row or None, seed, threads=threads, progress=not quiet, report=note)
    kept.show(zorro_table(kept.rows))


@reproduce.command()
@friendly
def graph_lime(
    root: CoraRoot,
    nodes: Annotated[int, typer.Option(min=1, help="Test nodes that are explained.")] = 200,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Row of the table, as in the JSON; repeat for several. [default: all]"),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of training.")] = 300,
    seed: Seed = 0,
    threads: Threads = 1,
    json: Json = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw histograms of what is picked (.png, .svg or .pdf).")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Features of noise that explanations pick on Cora, as in GraphLIME's paper."""
    kept = Kept(json, quiet=quiet)
    _check_figure(figure)
    from glassgraph.studies.graph_lime import missed, run_graph_lime, save_figure

    with told_warnings():
        run_graph_lime(
            root,
            nodes,
            row or None,
            seed,
            epochs,
            threads=threads,
            progress=not quiet,
            report=lambda own: kept.add([own]),
        )
    kept.show(graph_lime_table(kept.rows))
    for line in missed(kept.rows):
        say(f"missed: {line}")
    if figure is not None:
        save_figure(kept.rows, figure)
        if not quiet:
            say(f"figure: {figure}")


def _check_figure(figure: Path | None) -> None:
    """Refuse a file for a figure that cannot be written, before anything is measured."""
    check_file_writable(figure)
    if figure is not None and figure.suffix.lower() not in _FORMATS:
        raise OutputError(f"cannot write {figure}: the file must end in {', '.join(_FORMATS)}")


def _infection_sizes(nodes: int) -> dict[str, Any]:
    return {
        "num_nodes": nodes,
        "edge_probability": 4 / nodes,
        "num_infected": max(1, nodes // 20),
    }


def _faithfulness_line(row: Mapping[str, Any]) -> str:
    verdict = "every bar is met" if row["is_met"] else f"not met: {', '.join(row['missed'])}"
    return (
        f"{row['dataset']}, seed {row['seed']}: {verdict}  "
        f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s, "
        f"test accuracy {row['test_accuracy']:.3f})"
    )


def _seed_lines(scene: Scene, outcomes: Sequence[Outcome]) -> list[str]:
    shares = scene.trained.accuracy
    return [
        f"seed {scene.seed}: accuracy of the network {shares['val']:.3f} validation, "
        f"{shares['test']:.3f} test",
        *(
            f"  {row['method']}: F1 {row['f1']:.1f}  "
            f"(fit {row['fit_seconds']:.1f} s, explain {row['explain_seconds']:.1f} s)"
            for row in (outcome.row for outcome in outcomes)
        ),
    ]
