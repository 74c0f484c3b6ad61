"""Which tests are quick: `make quick` runs one case per method and law.

The rule is plain. A test function with parameters is asked once for every value of those that name
what is under test (`KEYS`), with the first value of all others; a function without them is asked
once. Tests that are marked ``slow`` or ``browser`` are left out, and those of `SLOW`: rooms around
the methods, and files that take long and whose subjects the laws touch as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

#: Parameters that name what is under test: a law for a method, a check of any layer.
KEYS = ("method", "law", "check")
#: Folders, files and beginnings of names of tests that `make test` alone runs.
SLOW: tuple[str, ...] = (
    "src/glassgraph/benchmarks/",
    "src/glassgraph/engine/",
    "src/glassgraph/explainers/generation/",
    "src/glassgraph/explainers/perturbation/cf2.py",
    "src/glassgraph/temporal/",
    "src/glassgraph/testing/",
    "src/glassgraph/words.py",
    "studies/",
    "tests/benchmarks/",
    "tests/cli/",
    "tests/core/test_adjacency_tap.py",
    "tests/core/test_faults.py",
    "tests/core/test_trust.py",
    "tests/coverage/",
    "tests/data/",
    "tests/datasets/",
    "tests/diagnose/",
    "tests/docs/",
    "tests/engine/",
    "tests/explainers/generation/",
    "tests/explainers/test_causal_screening.py",
    "tests/explainers/test_cf2.py",
    "tests/explainers/test_counterfactual_changes.py",
    "tests/explainers/test_counterfactual_learning.py",
    "tests/explainers/test_counterfactuals.py",
    "tests/explainers/test_erasure_search.py",
    "tests/explainers/test_evidence.py",
    "tests/explainers/test_gnn_explainer.py",
    "tests/explainers/test_gnn_lrp.py",
    "tests/explainers/test_grad_cam.py",
    "tests/explainers/test_graphmask.py",
    "tests/explainers/test_information_bottleneck.py",
    "tests/explainers/test_integrated_gradients.py",
    "tests/explainers/test_occlusion.py",
    "tests/explainers/test_page_link.py",
    "tests/explainers/test_pg_explainer.py",
    "tests/explainers/test_pgm_explainer.py",
    "tests/explainers/test_plugins.py",
    "tests/explainers/test_registry.py",
    "tests/explainers/test_relex.py",
    "tests/explainers/test_shapley.py",
    "tests/explainers/test_subgraphx.py",
    "tests/explainers/test_unseen_relations.py",
    "tests/explainers/test_zorro.py",
    "tests/fuzz/",
    "tests/gpu/",
    "tests/hetero/",
    "tests/laws/test_check_explainer.py",
    "tests/laws/test_laws.py::test_together_is_alone_in_every_mode",
    "tests/masking/test_predict.py",
    "tests/metrics/test_against_pyg.py",
    "tests/metrics/test_agreement.py",
    "tests/metrics/test_compare.py",
    "tests/metrics/test_faithfulness.py",
    "tests/metrics/test_fidelity.py",
    "tests/metrics/test_floor_and_ceiling.py",
    "tests/metrics/test_rdt.py",
    "tests/metrics/test_removal_metrics.py",
    "tests/metrics/test_truth.py",
    "tests/metrics/test_truth_metrics.py",
    "tests/models/test_cache.py",
    "tests/models/test_reference.py",
    "tests/models/test_star_gnn.py",
    "tests/models/test_training.py",
    "tests/pyg/",
    "tests/report/",
    "tests/situations/",
    "tests/snapshot/",
    "tests/temporal/",
    "tests/test_declared.py",
    "tests/test_rooms.py",
    "tests/test_what_works.py",
    "tests/test_wheel.py",
)


def quick(items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """The quick ones among collected tests: of each question the first."""
    asked = set()
    for item in items:
        key = question(item)
        if key not in asked and not is_slow(item):
            asked.add(key)
            yield item


def question(item: pytest.Item) -> tuple[object, ...]:
    """What a test asks: its function, and the method, law or check that it asks of."""
    callspec = getattr(item, "callspec", None)  # of a test with parameters
    values = {} if callspec is None else callspec.params
    return (item.nodeid.split("[")[0], *(named(values[key]) for key in KEYS if key in values))


def named(value: object) -> str:
    """The name of a method, law or check."""
    return getattr(value, "__name__", None) or str(value)


def is_slow(item: pytest.Item) -> bool:
    """Whether a test is left to `make test`."""
    marked = any(item.get_closest_marker(name) for name in ("slow", "browser"))
    return marked or is_left_out(item.nodeid)


def is_left_out(path: str) -> bool:
    """Whether a file or folder is among those that take long."""
    return f"{path}/".startswith(SLOW)
