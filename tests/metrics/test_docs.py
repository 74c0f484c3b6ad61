"""The snippets of docs/metrics.md run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow("other pages: tests/docs/test_snippets.py")
def test_the_snippets_run(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert "robust_fidelity_delta" in capsys.readouterr().out
