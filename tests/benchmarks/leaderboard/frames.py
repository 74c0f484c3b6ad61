"""A made-up benchmark: as many rows, gaps and ties as a real one has."""

from __future__ import annotations

import numpy as np
import pandas as pd

METHODS = (
    *("saliency", "occlusion", "edge_gradients", "gnn_explainer", "pg_explainer", "subgraphx"),
    *("random", "grad_cam", "graphmask", "zorro"),
)
BOARDS = (
    *(("fidelity_plus", level, "higher") for level in ("0.5", "0.6", "0.7", "0.8", "0.9")),
    *(("fidelity_minus", level, "lower") for level in ("0.5", "0.6", "0.7", "0.8", "0.9")),
    *(("robust_fidelity_delta", level, "higher") for level in ("0.5", "0.7", "0.9")),
    *(("sufficiency", level, "higher") for level in ("top5", "top10", "top25")),
    ("sparsity", "", "higher"),
    ("auc", "", "higher"),
    ("stability_seeds_rank", "", "higher"),
    ("stability_edges_overlap", "", "higher"),
)


def row(**own: object) -> dict[str, object]:
    base: dict[str, object] = dict.fromkeys(
        (
            "low",
            "high",
            "floor",
            "floor_low",
            "floor_high",
            "ceiling",
            "ceiling_low",
            "ceiling_high",
        )
    )
    base |= dict.fromkeys(("normalized", "fit_seconds", "seconds", "value", "n"))
    base |= {"suite": "survey", "dataset": "mutag", "seed": 0, "method": "saliency"}
    base |= {"settings": "{}", "metric": "auc", "level": "", "better": "higher"}
    base |= {"status": "measured", "reason": "", "seconds_per_instance": 0.01}
    base |= {"model_accuracy": 0.9, "command": "glassgraph benchmark --only mutag"}
    return base | own


def survey(num_methods: int = 25, num_datasets: int = 10, num_seeds: int = 3) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    names = [*METHODS, *(f"method_{at}" for at in range(num_methods))][:num_methods]
    sets = ["ba_shapes", "ba_community", "tree_cycles", "tree_grid", "ba_2motifs", "mutag"]
    sets = [*sets, "mutagenicity", "reddit_binary", "sst", "cora"][:num_datasets]
    found = []
    for d, dataset in enumerate(sets):
        for m, method in enumerate(names):
            skill = 0.0 if method == "random" else draw.uniform(0, 0.9)
            for seed in range(num_seeds):
                own = {"dataset": dataset, "method": method, "seed": seed}
                own["command"] = (
                    f"glassgraph benchmark --suite survey --only {dataset} --methods {method}"
                    f" --seed {seed} --out runs/survey"
                )
                own["seconds_per_instance"] = float(np.exp(m / 3 - 7 + draw.normal() / 5))
                if (m + d) % 17 == 4:
                    status = ("timeout", "failed", "not_applicable")[d % 3]
                    why = "took longer than 600 s"
                    found.append(row(**own, metric="", better="", status=status, reason=why))
                    continue
                for metric, level, better in BOARDS:
                    here = own | {"metric": metric, "level": level, "better": better}
                    if metric == "auc" and dataset in ("sst", "cora", "reddit_binary"):
                        found.append(row(**here, status="no_truth", reason="no known truth"))
                        continue
                    floor, top = (0.5, 0.1) if better == "lower" else (0.3, 0.95)
                    value = floor + (top - floor) * (skill + draw.normal() / 40)
                    found.append(
                        row(
                            **here,
                            value=value, low=value - 0.05, high=value + 0.05, n=100,
                            floor=floor, floor_low=floor - 0.03, floor_high=floor + 0.03,
                            ceiling=top, ceiling_low=top - 0.02, ceiling_high=top + 0.02,
                        )
                    )  # fmt: skip
    return pd.DataFrame(found)
