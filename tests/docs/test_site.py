"""The site builds without a warning, has every public name, and needs no network."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

import glassgraph as gg
from glassgraph import errors
from glassgraph.explainers.registry import METHODS, MODEL_METHODS
from tests.docs.pages import ROOT

ROOMS = (
    "benchmarks", "datasets", "diagnose", "graph_rules", "messages", "metrics", "models",
    "temporal",
)  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore")  # of mkdocs' own libraries


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, with notebooks as they stand: test_notebooks.py runs them."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSGRAPH_RUN_NOTEBOOKS", "0")
        patch.chdir(ROOT)
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


def public_names() -> set[str]:
    named = {
        f"glassgraph.{name}"
        for name in gg.__all__
        if not isinstance(getattr(gg, name), ModuleType) and name != "__version__"
    }
    for room in (*ROOMS, "rules", "testing"):
        module = import_module(f"glassgraph.{room}")
        named |= {f"glassgraph.{room}.{name}" for name in module.__all__}
    return named | {
        f"glassgraph.errors.{name}"
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }


@pytest.mark.slow("builds the site; what its sources list: test_every_public_name_is_listed")
def test_every_public_name_is_in_the_reference(site: Path) -> None:
    ids = {
        found
        for page in (site / "api").glob("*.html")
        for found in re.findall(r'id="(glassgraph[\w.]+)"', page.read_text(encoding="utf-8"))
    }
    in_rooms = {name.rpartition(".")[2] for name in ids}  # gg.compare stands under metrics
    missing = public_names() - ids
    assert not sorted(name for name in missing if name.count(".") > 1 or name[11:] not in in_rooms)


@pytest.mark.slow("builds the site; what its sources list: test_every_public_name_is_listed")
def test_every_method_shows_its_formula_and_paper(site: Path) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    for method in (*METHODS.values(), *MODEL_METHODS.values()):
        assert f'id="glassgraph.{method.__name__}"' in text or method.name == "random"


def test_every_public_name_is_listed() -> None:
    pages = (ROOT / "docs" / "api").glob("*.md")
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    listed = set(re.findall(r"^::: ([\w.]+)", text, flags=re.MULTILINE))
    assert "glassgraph" not in listed  # which would list everything
    in_rooms = {name.rpartition(".")[2] for name in listed}
    missing = {name for name in public_names() if not {name, name.rpartition(".")[0]} & listed}
    assert not sorted(name for name in missing if name.count(".") > 1 or name[11:] not in in_rooms)


def test_the_page_on_choosing_knows_every_method() -> None:
    page = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| \[`(\w+)`\]", page, flags=re.MULTILINE))
    own = {m for m, c in METHODS.items() if c.__module__.startswith("glassgraph.")}
    assert rows == own | set(MODEL_METHODS)


@pytest.mark.slow("builds the site; what its sources list: test_every_public_name_is_listed")
def test_nothing_is_fetched(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loads = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"?(https?:[^\" >]+)", text)
        loads += re.findall(r'<link[^>]+rel="?(?:stylesheet|preconnect|icon)[^>]+href="?http', text)
        assert not loads, page


def test_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs" / "gallery").glob("*.*"))
    assert len(pictures) >= 6
    assert not [path.name for path in pictures if path.stat().st_size > 80_000]


def test_a_lost_anchor_stops_the_build(tmp_path: Path) -> None:
    """The same configuration refuses what it must refuse."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Title\n\n[lost](#nowhere)\n")
    config = load_config(
        str(ROOT / "mkdocs.yml"), docs_dir=str(tmp_path / "docs"), site_dir=str(tmp_path / "site"),
        nav=[{"Home": "index.md"}], hooks=[], plugins=[], strict=True,
    )  # fmt: skip
    with pytest.raises(Abort):
        build(config)
