"""Tables of studies: one line for each method, mean and each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

#: What scores reach that know nothing.
_CHANCE = 0.5


def star_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Published beside measured; see `glassgraph.studies.star_graphs`."""
    from glassgraph.studies.star_graphs import FURTHER, TABLE, summarize

    entries = TABLE | FURTHER

    found = summarize(rows)
    num_seeds = len({row["seed"] for row in rows})
    table = Table(
        title=f"GraphMask, Table 1, percent: published P/R/F1, and mean ± std of {num_seeds} "
        f"seed{'' if num_seeds == 1 else 's'}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 0, 0, 1),
    )
    table.add_column("method", no_wrap=True)
    for name in ("published", "precision", "recall", "F1", "least"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, spread in found.items():
        published = "/".join(f"{value:.1f}" for value in entries[name].published)
        measured = [f"{each.mean:.1f}±{each.std:.1f}" for each in spread.values()]
        table.add_row(entries[name].title, published, *measured, f"{spread['f1'].least:.1f}")
    return table


def faithfulness_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What held-out predictions say; see `glassgraph.studies.graphmask_faithfulness`."""
    title = (
        "GraphMask on held-out predictions, in percent; own, union: AUC of edges\n"
        "drop: predictions changed without half of the kept / as many shut messages"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("dataset, seed", no_wrap=True)
    for name in ("same", "kept", "by layer", "drop", "own", "union", "fit s", "met"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        layers = ["-" if share is None else f"{100 * share:.0f}" for share in row["kept_by_layer"]]
        table.add_row(
            f"{row['dataset']} {row['seed']}",
            f"{100 * row['unchanged']:.1f}",
            f"{100 * row['kept']:.1f}",
            "/".join(layers),
            f"{100 * row['drop_kept']:.1f}/{100 * row['drop_shut']:.1f}",
            *(
                "-" if row[key] is None else f"{100 * row[key]:.1f}"
                for key in ("auc_own", "auc_union")
            ),
            f"{row['fit_seconds']:.0f}",
            "yes" if row["is_met"] else "no",
        )
    return table


def infection_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each search found; see `glassgraph.studies.infection`."""
    from glassgraph.studies.infection import TABLE, summarize

    title = (
        "Infection: percent of paths found; true: the shortest path itself\n"
        "asked: why the distance is y, or why it is y and not y + 1"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("walk by", no_wrap=True)
    table.add_column("asked", no_wrap=True)
    for name in ("publ.", "mean"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("each seed", justify="right")
    for name in ("true", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, summary in summarize(rows).items():
        entry = TABLE[name]
        table.add_row(
            entry.title,
            "y/y+1" if entry.question == "step" else "y",
            "-" if entry.published is None else f"{entry.published:.1f}",
            f"{summary.mean:.1f}",
            " ".join(f"{each:.1f}" for each in summary.found),
            "-" if summary.true is None else f"{summary.true:.1f}",
            f"{1000 * summary.seconds_per_node:.0f}",
        )
    return table


def invariance_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Scores of both networks; see `glassgraph.studies.invariance`."""
    title = "Two edges' scores on two networks that compute the same function"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("method", no_wrap=True)
    for name in ("plain", "roundabout"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        scores = [" ".join(f"{each:.3f}" for each in row[key]) for key in ("plain", "roundabout")]
        table.add_row(row["method"], *scores, "equal" if row["is_equal"] else "differ")
    return table


def subgraphs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Areas of each seed; see `glassgraph.studies.subgraphs`."""
    from glassgraph.studies.subgraphs import summarize

    title = (
        "BA-2Motifs: ROC-AUC of the motif's nodes, percent; asked: why this class, or why not the\n"
        "other; with evidence: classes that rest on their motif, see docs/relevance.md"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in ("network", "asked", "alpha", "publ.", "mean", "with evidence"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("each seed, by class", justify="right")
    for each in summarize(rows):
        table.add_row(
            each["training"],
            "a/b" if each["question"] == "contrast" else "a",
            f"{each['alpha']:.2f}",
            "-" if each["published"] is None else f"{each['published']:.1f}",
            f"{each['mean']:.1f}",
            "-" if each["supported"] is None else f"{each['supported']:.1f}",
            " ".join("/".join(f"{area:.0f}" for area in areas) for areas in each["by_class"]),
        )
    return table


def benzene_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The areas of each method; see `glassgraph.studies.benzene`."""
    title = "Benzene rings: ROC-AUC of atoms, mean over molecules"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("method", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    table.add_column("each seed", justify="right")
    for name in ("molecules", "ms each"):
        table.add_column(name, justify="right", no_wrap=True)
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        areas = [row["auc"] for row in own if row["auc"] is not None]
        seconds = sum(row["seconds_per_molecule"] for row in own) / len(own)
        table.add_row(
            method,
            area(sum(areas) / len(areas) if areas else None),
            " ".join(area(row["auc"]) for row in own),
            str(sum(row["scored"] for row in own)),
            f"{1000 * seconds:.2f}",
        )
    return table


def motifs_tables(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Published beside measured, and what the models need; see `glassgraph.studies.motifs`."""
    from glassgraph.studies.motifs import summarize

    title = (
        "Planted motifs: ROC-AUC of edges, mean ± std over seeds\n"
        "own: of the own motif alone; by class: of the predicted classes of graphs"
    )
    targets = {row["target"] for row in rows} - {None}
    if targets:
        title += f"\nfitted on and explained: class {', '.join(map(str, sorted(targets)))} alone"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    seeds = Table(
        title="Each seed; * inverted: the motif comes last",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    for each in (table, seeds):
        each.add_column("dataset", no_wrap=True)
        each.add_column("method", no_wrap=True)
    for name in ("publ.", "AUC", "aim", "own", "by class"):
        table.add_column(name, justify="right", no_wrap=True)
    seeds.add_column("AUC")
    for (dataset, method), found in summarize(rows).items():
        aim = "-"
        if found.aim is not None:
            aim = f"{found.aim:.2f} {'reached' if found.mean >= found.aim else 'missed'}"
        table.add_row(
            dataset,
            method,
            "-" if found.published is None else f"{found.published:.3f}",
            f"{found.mean:.3f}±{found.std:.3f}",
            aim,
            f"{found.own:.3f}",
            "/".join("-" if each is None else f"{each:.2f}" for each in found.by_class) or "-",
        )
        marks = [f"{each:.3f}{'*' if each < _CHANCE else ''}" for each in found.aucs]
        seeds.add_row(dataset, method, " ".join(marks))
    title = "Does the model need the motif? P: mean probability of the predicted class"
    models = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    models.add_column("dataset", no_wrap=True)
    for name in ("accuracy", "class", "n", "P all edges", "P motifs alone", "P without"):
        models.add_column(name, justify="right", no_wrap=True)
    for row in {row["dataset"]: row for row in rows}.values():
        for each in row["evidence"]:
            models.add_row(
                row["dataset"],
                f"{row['test_accuracy']:.3f}",
                "-" if each["target"] is None else str(each["target"]),
                str(each["count"]),
                *(f"{each[key]:.3f}" for key in ("p_whole", "p_motif", "p_rest")),
            )
    return [table, seeds, models]


def zorro_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Fidelity and sparsity of masks; see `glassgraph.studies.zorro`."""
    from glassgraph.studies.zorro import TABLE

    title = (
        "ZORRO on Cora: RDT-fidelity by the search's own noise (mean, least) and by other noise\n"
        "valid: the same with zeros; entropies of masks over nodes and features; p: published\n"
        "s: seconds for a node; literal: those of the search written out"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("method", no_wrap=True)
    for name in (
        "own",
        "least",
        "fresh",
        "p",
        "valid",
        "nodes",
        "p",
        "features",
        "p",
        "s",
        "literal",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        fidelity, of_nodes, of_features = row["published"]
        table.add_row(
            TABLE[row["row"]].title,
            _two(row["search_fidelity"]),
            _two(row["least_search_fidelity"]),
            _two(row["fidelity"]),
            _two(fidelity),
            _two(row["validity"]),
            _two(row["node_entropy"]),
            _two(of_nodes),
            _two(row["feature_entropy"]),
            _two(of_features),
            _two(row["seconds_per_node"]),
            _two(row["literal_seconds_per_node"]),
        )
    return table


def graph_lime_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Noise that was picked; see `glassgraph.studies.graph_lime`."""
    from glassgraph.studies.graph_lime import TABLE

    title = "Cora with ten features of noise: how many a method picks; none: nodes without any"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("method", no_wrap=True)
    for name in ("noise", "none %", "picked", "nodes", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            TABLE[row["row"]].title,
            f"{row['mean_noise']:.2f}",
            f"{100 * row['none']:.1f}",
            f"{row['picked']:.1f}",
            str(row["nodes"]),
            f"{1000 * row['seconds_per_node']:.1f}",
        )
    return table


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def area(value: float | None) -> str:
    """An area under a curve, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def trust_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Precision of the nodes named on trust networks; see `glassgraph.studies.trust`."""
    from glassgraph.studies.trust import summarize

    title = (
        "trust networks: precision of the top 3/4/5 nodes, percent\n"
        "published: with a ground truth that is not available"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in ("dataset", "method"):
        table.add_column(name, no_wrap=True)
    for name in ("published", "measured", "n", "s each"):
        table.add_column(name, justify="right", no_wrap=True)
    for (dataset, name), precision in summarize(rows).items():
        own = [row for row in rows if (row["dataset"], row["row"]) == (dataset, name)]
        seconds = sum(row["seconds_per_node"] for row in own) / len(own)
        table.add_row(
            dataset,
            name,
            _percentages(own[0]["published"]),
            _percentages(precision),
            str(sum(row["nodes"] for row in own)),
            f"{seconds:.2f}",
        )
    return table


def motif_nodes_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Motif nodes found; see `glassgraph.studies.trust.run_motifs`."""
    title = "motif nodes found among as many as the motif has, percent"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("dataset", no_wrap=True)
    for name in ("published", "measured", "random", "n", "ms each"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            "-" if row["published"] is None else f"{row['published']:.1f}",
            f"{row['recall']:.1f}",
            f"{row['random']:.1f}",
            str(row["nodes"]),
            f"{1000 * row['seconds_per_node']:.0f}",
        )
    return table


def _percentages(values: Sequence[float] | None) -> str:
    return "-" if values is None else "/".join(f"{value:.1f}" for value in values)
