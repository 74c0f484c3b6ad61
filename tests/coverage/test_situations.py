"""What models do beside layers: every method explains it, or refuses it by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import coverage_matrix
from tests.coverage import situations
from tests.coverage.situation_outcomes import OUTCOMES
from tests.coverage.situation_page import beside_layers, pyg_tests
from tests.coverage.situations import KINDS, Kind, Plain, compact, measured, spelled_out


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_outcomes(kind: Kind) -> None:
    expected = spelled_out(kind, OUTCOMES[kind.name])
    found = measured(kind)
    changed = {
        each: (expected[each], found[each]) for each in found if found[each] != expected[each]
    }
    assert not changed, "python -m tests.coverage.situations prints what is found"


def test_every_kind_has_outcomes() -> None:
    assert list(OUTCOMES) == [kind.name for kind in KINDS]


def test_compact_is_undone() -> None:
    kind = Kind("plain", Plain)
    words = dict.fromkeys(situations.methods(kind), "right") | {
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
