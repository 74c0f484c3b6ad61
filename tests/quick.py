"""Which tests are quick: `make quick` runs one case per method and law.

The rule is plain. A test function with parameters is asked once for every value of those that name
what is under test (`KEYS`), with the first value of all others; a function without them is asked
once. Tests that are marked ``slow`` or ``browser`` are left out, and those of `SLOW`: files that
take long and whose subjects the laws, the snapshot and the coverage of layers touch as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

#: Parameters that name what is under test: a law for a method, a check of any layer.
KEYS = ("method", "law", "check")
#: Files, and folders of tests, that `make test` alone runs.
SLOW: tuple[str, ...] = (
    "studies/",
    "tests/cli/",
    "tests/coverage/",
    "tests/datasets/",
    "tests/engine/test_ray.py",
    "tests/explainers/test_causal_screening.py",
    "tests/explainers/test_occlusion.py",
    "tests/explainers/test_plugins.py",
    "tests/explainers/generation/test_xgnn.py",
    "tests/explainers/test_gnn_lrp.py",
    "tests/explainers/test_graphmask.py",
    "tests/explainers/test_information_bottleneck.py",
    "tests/explainers/test_pg_explainer.py",
    "tests/explainers/test_pgm_explainer.py",
    "tests/explainers/test_registry.py",
    "tests/explainers/test_relex.py",
    "tests/explainers/test_shapley.py",
    "tests/explainers/test_subgraphx.py",
    "tests/explainers/test_zorro.py",
    "tests/diagnose/test_drop_retained.py",
    "tests/diagnose/test_every_method.py",
    "tests/fuzz/",
    "tests/hetero/",
    "tests/laws/test_check_explainer.py",
    "tests/models/test_reference.py",
    "tests/models/test_training.py",
    "tests/models/test_star_gnn.py",
    "tests/situations/test_injected_faults.py",
    "tests/snapshot/",
    "tests/test_declared.py",
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
