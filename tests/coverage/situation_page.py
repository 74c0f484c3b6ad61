"""The parts of ``docs/coverage.md`` on what models do beside layers, and on PyG's own tests."""

from __future__ import annotations

from collections import Counter

from tests.coverage.situation_outcomes import OUTCOMES
from tests.situations.pyg_further_cases import every_case

_BESIDE = """\
## Beside layers

What else a model does, asked of every method on a tiny graph (`tests/coverage/test_situations.py`).
*As without it* are scores equal to those of another model, which gives the same predictions without
doing this; *explained* are finite scores where there is no such model. Warnings stand in brackets.
"""

#: PyG's graphs have edges between them, and these have not.
_APART = "CaptumExplainer, HGT and HAN"

_PYG = """\
## PyG's own tests of explainers

PyG's tests of its explainers (those of 2.8, and the wider grids of earlier versions: models with
several outputs, GraphMask), as calls on Glassgraph with the same models, tasks and parameters
(`tests/situations/pyg_cases.py`; `make pyg-cases` asks all of them): **{held} of {all}** hold,
{share:.1%}. Beside PyG's own assertions they ask for the right index and prediction, for an
unchanged model, and of gradients for the values.

PyG's tests join graphs by edges that run between them, and so do these ({graphs} cases), but for
{apart} graph tasks on HGT and HAN, whose edges stay inside of graphs: a `Batch` of heterogeneous
graphs with edges between them is refused by a `GraphError`. Several indices are one mask in PyG,
and one explanation for each here. Links of heterogeneous graphs are asked as graphs whose model
returns one row. Deconvolution is asked as the gradient, which it is in PyG's tests.
"""


def beside_layers() -> str:
    """The table of situations."""
    names = ("what the model does", "as without it", "explained", "refused", "defects")
    rows = [f"| {' | '.join(names)} |", f"{'|---' * len(names)}|"]
    for kind, outcomes in OUTCOMES.items():
        cells: dict[str, list[str]] = {name: [] for name in names[1:]}
        for outcome, methods in outcomes.items():
            word, _, warned = outcome.partition(", ")
            others = "all others" if len(outcomes) > 1 else "all"
            listed = others if methods == ["*"] else ", ".join(f"`{each}`" for each in methods)
            listed += f" [`{warned.replace(', ', '`, `')}`]" if warned else ""
            column, shown = _cell(word)
            cells[column].append(f"{shown}{listed}")
        rows.append(f"| {kind} | {' | '.join('; '.join(each) for each in cells.values())} |")
    return _BESIDE + "\n" + "\n".join(rows) + "\n"


def _cell(word: str) -> tuple[str, str]:
    """In which column an outcome stands, and what stands before its methods."""
    if word in ("right", "explained"):
        return ("as without it" if word == "right" else word), ""
    if word == "other":
        return "defects", "other scores: "
    if word.startswith("raw "):
        return "defects", f"`{word[4:]}`: "
    return "refused", f"`{word}`: "


def pyg_tests() -> str:
    """The table of PyG's tests by kind."""
    cases = every_case()
    size = Counter(case.kind for case in cases)
    lacking = Counter((case.kind, case.lacks) for case in cases if case.lacks)
    rows = ["| PyG's tests of | cases | hold | what is missing |", "|---|---|---|---|"]
    for kind, number in size.items():
        missing = {word: count for (name, word), count in lacking.items() if name == kind}
        words = ", ".join(f"{word} ({count})" for word, count in missing.items())
        rows.append(f"| {kind} | {number:,} | {number - sum(missing.values()):,} | {words} |")
    held = len(cases) - sum(lacking.values())
    graphs = Counter(case.kind == _APART for case in cases if "-graph-" in f"{case.name}-")
    head = _PYG.format(
        held=f"{held:,}",
        all=f"{len(cases):,}",
        share=held / len(cases),
        graphs=graphs[False],
        apart=graphs[True],
    )
    return head + "\n" + "\n".join(rows) + "\n"
