"""PyG's own tests of explainers hold through PyG's interface: see `tests.pyg.interface_cases`.

`make test` asks every small kind and each 31st of the rest, ``make pyg-cases`` all of them. The
scores are those of `gg.explain`, of which `tests.situations.test_pyg_explain_cases` asks more.
"""

from __future__ import annotations

import re

import pytest

from tests.pyg.interface_cases import every_case
from tests.situations.pyg_cases import Case, refused, share

CASES = every_case()
#: Of kinds with more than 13 cases each 29th, which divides no list of parameters.
ASKED = share(CASES)


@pytest.mark.filterwarnings(
    "ignore::glassgraph.core.told.FallbackWarning",
    "ignore::glassgraph.core.told.PooledMessagesWarning",  # of what AttentiveFP reads out
    "ignore::glassgraph.explainers.amortized.HindsightWarning",  # PyG's fit on what they explain
)
@pytest.mark.parametrize("case", [each for each in ASKED if not each.lacks], ids=str)
def test_holds(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("case", [each for each in ASKED if each.lacks], ids=str)
def test_what_cannot_be_is_named(case: Case) -> None:
    assert re.search(r"[a-z]", str(refused(case)))


def test_the_names_are_different() -> None:
    assert len({str(case) for case in CASES}) == len(CASES) > 1200
