"""Benchmarks: every method on every data set by every metric, and what a number is worth.

`benchmark` holds methods against each other on a model of one's own; `read_suite` and `Run` run a
suite of data sets, which is what ``glassgraph benchmark`` does; `read_rows` reads what it wrote, in
the schema that `glassgraph.benchmarks.rows` documents, and `score_table` makes tables of it.
"""

from glassgraph.benchmarks.cases import Asked, Case, Group
from glassgraph.benchmarks.metrics import metric_names, register_metric
from glassgraph.benchmarks.own_model import benchmark
from glassgraph.benchmarks.result import BenchmarkResult
from glassgraph.benchmarks.rows import SCHEMA, STATUSES, read_rows
from glassgraph.benchmarks.runner import Progress, Run
from glassgraph.benchmarks.score_table import Score, ScoreTable, score_table
from glassgraph.benchmarks.subjects import Subject, register_subject, unregister_subject
from glassgraph.benchmarks.suite import Suite, built_in_suites, parse_suite, read_suite

__all__ = [
    "SCHEMA",
    "STATUSES",
    "Asked",
    "BenchmarkResult",
    "Case",
    "Group",
    "Progress",
    "Run",
    "Score",
    "ScoreTable",
    "Subject",
    "Suite",
    "benchmark",
    "built_in_suites",
    "metric_names",
    "parse_suite",
    "read_rows",
    "read_suite",
    "register_metric",
    "register_subject",
    "score_table",
    "unregister_subject",
]
