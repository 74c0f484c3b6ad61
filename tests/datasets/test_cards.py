"""The records of data sets against the data, and against the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from glassgraph.datasets import CARDS, DATASETS, DatasetCard, dataset_card, load_dataset
from glassgraph.errors import DatasetError
from glassgraph.models.recipes import RECIPES
from tests.datasets.card import check_card

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"
ALL = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


def test_there_is_one_for_every_name() -> None:
    assert [card.name for card in CARDS] == list(DATASETS)
    assert dataset_card("BA_Shapes").name == "ba-shapes"
    with pytest.raises(DatasetError, match="unknown data set 'pubmed'; known are ba-shapes, "):
        dataset_card("pubmed")
    assert set(RECIPES) == set(DATASETS), "each has a reference model of its own"


@pytest.mark.parametrize("name", [card.name for card in CARDS if card.is_generated])
def test_a_card_says_what_is_generated(name: str) -> None:
    check_card(load_dataset(name))


@ALL
def test_the_files_lie_where_the_card_says(card: DatasetCard, shared: Path) -> None:
    folders = [shared / "data" / part for part in card.folder.split("/ and ")]
    for file in card.files:
        assert any((folder / file).is_file() for folder in folders), file


@ALL
def test_the_page_says_it_too(card: DatasetCard) -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    (sizes,) = [row for row in rows if row.startswith(f"| `{card.name}` | {card.level} |")]
    for size in (card.graphs, card.nodes, card.edges, card.classes, card.features):
        assert f" {size:,} |" in sizes
    assert f"| {card.truth}: {card.truth_about} |" in sizes
    (models,) = [row for row in rows if row.startswith(f"| `{card.name}` | `")]
    recipe = RECIPES[card.name]
    assert f"| `{recipe.architecture['kind']}` |" in models
    bar = "–" if recipe.required is None else f"{recipe.required:g}"
    assert models.split(" | ")[2] == bar
