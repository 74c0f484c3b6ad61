"""Laws about what is kept: explanations in files, and the settings they were made with."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from glassgraph.results.explanation import Explanations
from glassgraph.testing.cases import CASES, AnyCase
from glassgraph.testing.compare import equal, expect, expect_same_bits, scores
from glassgraph.testing.law import law
from glassgraph.testing.subject import Subject, masks


@law(
    catches="explanations that lose something on disk",
    usually="a result holds what the columns of a file cannot, or saves it with fewer digits",
    cases=CASES[::2],
)
def save_and_load(subject: Subject, case: AnyCase) -> None:
    """What is loaded equals what was saved, bit for bit, with and without the graph."""
    before = subject.first(case)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before.save(folder / "with")
        before.save(folder / "without", include_graph=False)
        _expect_loaded(before, Explanations.load(folder / "with"), "with its graph")
        other = Explanations.load(folder / "without", data=case.data())
        _expect_loaded(before, other, "without its graph")


def _expect_loaded(before: Explanations, after: Explanations, how: str) -> None:
    for name in ("method", "level", "num_layers", "provenance", "is_complete"):
        one, other = getattr(before, name), getattr(after, name)
        expect(one == other, f"saved {how}: {name} was {one!r} and comes back as {other!r}")
    expect(len(after) == len(before), f"{len(after)} of {len(before)} explanations come back")
    for position, (one, other) in enumerate(zip(before, after, strict=True)):
        where = f"saved {how}, instance {position}"
        expect_same_bits(scores(other), scores(one), where)
        expect(equal(vars(one.local), vars(other.local)), f"{where}: scores of the field differ")
        for name in ("x", "edge_index"):
            expect(equal(one[name], other[name]), f"{where}: {name} differs")


@law(
    catches="hyper-parameters that do not say how an explanation was made",
    usually="an attribute is changed after construction, is called otherwise than the argument, or "
    "holds what JSON cannot; declare it with glassgraph.setting and leave it as it was given",
    cases=CASES[::3],
    applies=lambda subject, _: not subject.scope.settings_in_words,
)
def settings_make_it_again(subject: Subject, case: AnyCase) -> None:
    """The settings that a result keeps build a method that says the same."""
    told = subject.first(case).provenance["hyper_parameters"]
    kept = json.loads(json.dumps(told))
    fresh = Subject(subject.method).build(case.model(), case, **kept)
    again = fresh.hyper_parameters
    changed = [name for name in told if json.dumps(again.get(name)) != json.dumps(told[name])]
    expect(
        not changed,
        f"built again with {told}, it says {', '.join(f'{n}={again.get(n)!r}' for n in changed)}",
    )
    found = masks(subject.explain(fresh, case))
    for position, (got, own) in enumerate(zip(found, masks(subject.first(case)), strict=True)):
        expect_same_bits(got, own, f"built again with its settings, instance {position}")
