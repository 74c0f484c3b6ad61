"""``glassgraph explain``: train or load a model, explain it with each method, measure, report."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from glassgraph.cli.console import friendly
from glassgraph.cli.engine_job import engine_options, run_engine
from glassgraph.cli.inputs import Source
from glassgraph.cli.job import Job, run_job
from glassgraph.cli.parse import parse_cache, parse_memory, parse_names, parse_shares, parse_target

#: Over the options of jobs, in the help.
_JOBS = "Jobs"


class Level(str, Enum):
    """What one prediction is about."""

    node = "node"
    graph = "graph"
    edge = "edge"


class Mode(str, Enum):
    """What the model predicts."""

    multiclass = "multiclass_classification"
    binary = "binary_classification"
    regression = "regression"


class Returns(str, Enum):
    """What the model returns."""

    raw = "raw"
    probs = "probs"
    log_probs = "log_probs"


class Removal(str, Enum):
    """What removing an edge means."""

    shut = "shut"
    delete = "delete"


class Ranking(str, Enum):
    """How signed scores are ranked."""

    signed = "signed"
    absolute = "absolute"


class EngineName(str, Enum):
    """What runs the processes of a job."""

    local = "local"
    ray = "ray"


@friendly
def explain(
    context: typer.Context,
    method: Annotated[
        str, typer.Option(help="Method, or several with commas; see 'glassgraph methods'.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for everything that is written.")],
    dataset: Annotated[str | None, typer.Option(help="Built-in data set.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="File of graphs, .pt or .safetensors (plain tensors).")
    ] = None,
    smiles: Annotated[
        Path | None,
        typer.Option(
            help="Molecules: a CSV file with a column 'smiles', or a file .smi (needs RDKit)."
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Folder of a graph on disk, see GraphStore.build; a job explains it."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the raw files of a built-in data set.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="gcn, gin, gat, rgcn, sage, or FILE.py:factory (the file is run, the function "
            "called without arguments; default: the data set's reference model)."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights (.safetensors or .pt) instead of training.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of trained models, where one that was trained before is read. "
            "By default $GLASSGRAPH_CACHE, or glassgraph in the user's folder for caches."
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Train, whatever was trained before, and keep none.")
    ] = False,
    task: Annotated[
        Level | None,
        typer.Option(
            metavar="LEVEL",
            help="Level of a prediction: node, graph or edge (default: the data set's, or what "
            "the labels of --data tell).",
        ),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            metavar="MODE",
            help="What the model predicts: multiclass_classification (default), "
            "binary_classification or regression.",
        ),
    ] = None,
    return_type: Annotated[
        Returns | None,
        typer.Option(
            metavar="TYPE", help="What the model returns: raw (default), probs or log_probs."
        ),
    ] = None,
    node_type: Annotated[
        str | None, typer.Option(help="Explained node type of a heterogeneous graph.")
    ] = None,
    edge_type: Annotated[
        str | None,
        typer.Option(
            help="Type of the explained links or edges of a heterogeneous graph: "
            "user__likes__item, or likes where one type alone is called so."
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            help="With --task graph, rows of the output that are a graph's prediction: nodes, or "
            "the attribute that lists nodes (default: one row for each graph)."
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            help="What to explain: 300,301 or 300:320 or a file with a number on each line (also "
            ".npy, .pt) or motif (the data set's default instances) or all (default: motif; all "
            "for --data and --store)."
        ),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            help="What amortized methods are fitted on, as --index (default: the predictions "
            "they explain, in hindsight)."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option(help="predicted, label, a class, or A:B for 'why A rather than B'.")
    ] = "predicted",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Hyper-parameter, key=value or method.key=value; repeat for several."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, training and explanations.")] = 0,
    removal: Annotated[
        Removal,
        typer.Option(
            metavar="HOW",
            help="Fidelity without an edge: its messages shut ('shut'), or the edge deleted "
            "('delete').",
        ),
    ] = Removal.shut,
    ranking: Annotated[
        Ranking, typer.Option(metavar="HOW", help="Rank edges by signed or absolute score.")
    ] = Ranking.signed,
    sparsity: Annotated[
        str, typer.Option(help="Shares of edges left out when fidelity is measured.")
    ] = "0.5,0.7,0.9",
    memory: Annotated[str, typer.Option(help="Memory that one batch may take.")] = "1GB",
    names: Annotated[
        Path | None,
        typer.Option(
            help="What things are called, in report and tables: a JSON object with any of "
            "node_names, edge_names, feature_names, class_names and graph_names, each a list of "
            "words (default: what the data say)."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the metrics to this file too.")] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with what an earlier run with the same options left in OUT. A model that "
            "was trained is read from the cache or trained again, a method that was fitted is "
            "fitted again; other numbers than before are refused.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace results in OUT, each once the new one is complete."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, just results.")] = False,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            help="Explain as a job of many processes: of this machine, or of a Ray cluster, which "
            "needs the package ray (default: local for --store, else none).",
            rich_help_panel=_JOBS,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes (default: all processors).", rich_help_panel=_JOBS),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Of a Ray cluster (default: one is started here).", rich_help_panel=_JOBS
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option(
            min=1, help="Instances handed out at once (default: 8 to 256).", rich_help_panel=_JOBS
        ),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds that one instance may take; 0 for no limit (default: 300).",
            rich_help_panel=_JOBS,
        ),
    ] = None,
    worker_memory: Annotated[
        str | None,
        typer.Option(
            help="Memory of its own that a worker may take (default: its share of the machine).",
            rich_help_panel=_JOBS,
        ),
    ] = None,
    fitted: Annotated[
        Path | None,
        typer.Option(
            help="What an amortized method learned before, in place of --fit.",
            rich_help_panel=_JOBS,
        ),
    ] = None,
) -> None:
    """Explain predictions, measure the explanations and write a report.

    Writes OUT/<method>/ for each method as it goes, OUT/metrics.json and OUT/report.html,
    OUT/model.safetensors where a model was trained, and OUT/<method>.safetensors of a method that
    was fitted. A method whose result is there already is refused, unless --resume or --overwrite
    says what is wanted; one command at a time writes into OUT.

    With --store or --engine the explanations of one method are a job of many processes, and OUT is
    its folder: the same command goes on where it ended, 'glassgraph jobs OUT' says how it stands,
    'glassgraph report OUT' shows a sample.
    """
    job_options = engine_options(
        context,
        engine=None if engine is None else engine.value,
        has_store=store is not None,
        workers=workers,
        address=address,
        block=block,
        time_limit=time_limit,
        worker_memory=worker_memory,
        fitted=fitted,
    )
    run = run_job if job_options is None else run_engine
    run(
        Job(
            methods=parse_names(method),
            out=out,
            source=Source(dataset, data, smiles, store, root),
            model=model,
            weights=weights,
            cache=parse_cache(cache, no_cache=no_cache),
            level=None if task is None else task.value,
            mode=None if mode is None else mode.value,
            return_type=None if return_type is None else return_type.value,
            node_type=node_type,
            edge_type=edge_type,
            rows=rows,
            index=index,
            fit=fit,
            target=parse_target(target),
            settings=tuple(setting or ()),
            seed=seed,
            removal=removal.value,
            ranking=ranking.value,
            sparsity=tuple(parse_shares(sparsity)),
            memory=parse_memory(memory),
            names=names,
            json=json,
            resume=resume,
            overwrite=overwrite,
            quiet=quiet,
            engine=job_options,
        )
    )
