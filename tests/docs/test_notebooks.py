"""The notebooks run from top to bottom, and show what they speak of."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.docs.pages import NOTEBOOKS, ROOT

sys.path.insert(0, str(ROOT / "docs" / "tools"))
from notebook import read_cells, run_notebook, to_ipynb

#: What each must say, which only a right run says.
SAYS = {
    "black_box": r"chosen \(node, feature\)",
    "comparing": r"above random",
    "heterogeneous": r"author__writes__paper",
    "link_prediction": r"hidden links that are found: (0\.[6-9]|1)",
    "molecules": r"nitro bonds: (0\.9|1)",
    "node_classification": r"test accuracy (0\.9|1)",
    "own_method": r"(\d+) of \1 checks hold",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.slow("what notebooks call is run by tests/docs/test_snippets.py")
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, pictures = run_notebook(path)
    assert re.search(SAYS[path.stem], page), page
    assert all(name in page for name in pictures)


def test_there_are_seven() -> None:
    assert sorted(SAYS) == [path.stem for path in NOTEBOOKS]


def test_cells_are_read_and_written() -> None:
    text = "# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1  # %% no cell\nx\n"
    words, code = read_cells(text)
    assert (words.is_text, words.source) == (True, "# Title\n\nWords.")
    assert (code.source, code.line) == ("x = 1  # %% no cell\nx", 7)
    book = json.loads(json.dumps(to_ipynb([words, code])))
    assert [cell["cell_type"] for cell in book["cells"]] == ["markdown", "code"]


def test_outputs_are_shown_and_errors_raised(tmp_path: Path) -> None:
    path = tmp_path / "book.py"
    path.write_text("# %%\nprint('so')\n1 + 1\n")
    page, pictures = run_notebook(path)
    assert "so\n" in page
    assert "2\n" in page
    assert not pictures
    path.write_text("# %%\n1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        run_notebook(path)
