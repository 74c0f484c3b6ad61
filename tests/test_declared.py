"""Every third-party package that a distribution imports is declared by it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
#: Distributions: their project file, their sources, what they may import without a word.
DISTRIBUTIONS = {
    "glassgraph": (ROOT / "pyproject.toml", ROOT / "src"),
    "glassgraph-studies": (ROOT / "studies" / "pyproject.toml", ROOT / "studies" / "src"),
}


def imported(source: str) -> Iterator[str]:
    """Top-level names of everything that a source imports, also within functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(project: dict) -> set[str]:
    """Names of all requirements, those of extras included."""
    about = project["project"]
    extras = (each for group in about.get("optional-dependencies", {}).values() for each in group)
    names = (re.match(r"[\w.-]+", each) for each in (*about["dependencies"], *extras))
    return {normalized(name[0]) for name in names if name} | {normalized(about["name"])}


def undeclared(project: Path, sources: Path) -> dict[str, str]:
    """Imported packages whose distribution is not declared, with a file that imports each."""
    known = declared(tomllib.loads(project.read_text(encoding="utf-8")))
    homes = packages_distributions()
    found = {}
    for path in sorted(sources.rglob("*.py")):
        for name in imported(path.read_text(encoding="utf-8")):
            owners = {normalized(each) for each in homes.get(name, [name])}
            if name not in sys.stdlib_module_names and not owners & known:
                found[name] = str(path.relative_to(ROOT))
    return found


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_import_is_declared(name: str) -> None:
    assert undeclared(*DISTRIBUTIONS[name]) == {}


def test_the_check_sees_an_import(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "x"\ndependencies = ["numpy>=1"]\n')
    source = tmp_path / "x.py"
    lines = ["import numpy", "def f():", "    from scipy.linalg import norm", "    import json"]
    source.write_text("\n".join(lines))
    found = {}
    known = declared(tomllib.loads(project.read_text()))
    for each in imported(source.read_text()):
        if each not in sys.stdlib_module_names and normalized(each) not in known:
            found[each] = True
    assert found == {"scipy": True}
