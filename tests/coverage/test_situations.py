"""What models do beside layers: every method explains it, or refuses it by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import coverage_matrix
from tests.coverage import situations
from tests.coverage.situation_outcomes import OUTCOMES
from tests.coverage.situation_page import beside_layers, pyg_tests
from tests.coverage.situations import (
    KINDS,
    Kind,
    Plain,
    compact,
    measured,
    methods,
    spelled_out,
)
from tests.turns import by_turns

#: Every how many-th method is asked in one test.
PARTS = 8
#: Takes a minute; `make test` asks less of it, in tests/situations/test_wrapped_models.py.
COMPILED = [kind for kind in KINDS if "torch.compile" in kind.name]
OTHERS = [kind for kind in KINDS if kind not in COMPILED]


@pytest.mark.parametrize(
    ("kind", "first"),
    [*by_turns(OTHERS, range(PARTS)), *by_turns(COMPILED, range(PARTS), each=0)],
)
def test_outcomes(kind: Kind, first: int) -> None:
    asked = tuple(methods(kind)[first::PARTS])
    expected = spelled_out(kind, OUTCOMES[kind.name])
    changed = {
        method: (expected[method], word)
        for method, word in measured(kind, asked).items()
        if word != expected[method]
    }
    assert not changed, "python -m tests.coverage.situations prints what is found"


def test_every_kind_has_outcomes() -> None:
    assert list(OUTCOMES) == [kind.name for kind in KINDS]


def test_compact_is_undone() -> None:
    kind = Kind("plain", Plain)
    words = dict.fromkeys(methods(kind), "right") | {
        "lrp": "other",
        "zorro": "other",
    }
    assert compact(words) == {"right": ["*"], "other": ["lrp", "zorro"]}
    assert spelled_out(kind, compact(words)) == words


class Doubled(Plain):
    def forward(self, x, edge_index):  # type: ignore[no-untyped-def]
        return 2 * super().forward(x, edge_index)


def test_other_scores_are_seen() -> None:
    kind = Kind("doubled", Doubled, Plain)
    assert situations._word(kind, "occlusion") == "other"
    assert situations._word(Kind("plain", Plain, Plain), "occlusion") == "right"


def test_errors_of_torch_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise IndexError

    monkeypatch.setattr(situations, "make_explainer", fails)
    assert situations._word(Kind("plain", Plain), "saliency") == "raw IndexError"


def test_the_page_shows_them() -> None:
    page = Path(coverage_matrix.__file__).parents[1] / "docs" / "coverage.md"
    text = page.read_text(encoding="utf-8")
    assert beside_layers() in text, "run: python -m tests.coverage_matrix"
    assert pyg_tests() in text, "run: python -m tests.coverage_matrix"
