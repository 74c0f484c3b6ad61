"""Pages of the site that are written from other files: mkdocs calls these hooks.

README, CONTRIBUTING, CHANGELOG and the page of the studies live where a reader of the repository
looks for them; the notebooks are Python files that are run here. Nothing is kept twice.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from notebook import read_cells, run_notebook, show_notebook, to_ipynb  # noqa: E402  (mkdocs loads files, no packages)

#: Pages of the site, and the files of the repository that they show.
FROM_REPOSITORY = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "studies.md": "studies/README.md",
}


def links_of_the_site(text: str, source: str) -> str:
    """Links between files of the repository as links between pages."""
    pages = {file: page for page, file in FROM_REPOSITORY.items()}
    folder = (ROOT / source).parent

    def moved(match: re.Match[str]) -> str:
        path, anchor = match[1], match[2] or ""
        file = (folder / path).resolve()
        if not file.is_relative_to(ROOT):
            return match[0]
        name = file.relative_to(ROOT).as_posix()
        if name.startswith("notebooks/"):
            name = f"docs/{name}".removesuffix(".py").removesuffix(".md")
            name += "/index.md" if name == "docs/notebooks" else ".md"
        return f"]({pages.get(name, name.removeprefix('docs/'))}{anchor})"

    text = re.sub(r"\[([^\]]*)\]\(LICENSE\)", r"\1", text)  # the site has no page of it
    return re.sub(r"\]\(((?!https?:|#|mailto:)[^)#\s]+)(#[^)]*)?\)", moved, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that have no file under ``docs/``."""
    for page, source in FROM_REPOSITORY.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=links_of_the_site(text, source)))
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        for name, content in notebook_page(path).items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def notebook_page(path: Path) -> dict[str, str | bytes]:
    """A notebook as a page with its outputs, its pictures, and a file for Jupyter.

    ``GLASSGRAPH_RUN_NOTEBOOKS=0`` leaves the outputs out, for a quick look at the words.
    """
    is_run = os.environ.get("GLASSGRAPH_RUN_NOTEBOOKS", "1") != "0"
    text, pictures = run_notebook(path) if is_run else (show_notebook(path), {})
    title, _, rest = text.partition("\n")
    note = f"[Download as a notebook]({path.stem}.ipynb){{ download }}"
    ipynb: dict[str, Any] = to_ipynb(read_cells(path.read_text(encoding="utf-8")))
    return {
        f"{path.stem}.md": f"{title}\n\n{note}\n{links_from_notebooks(rest)}",
        f"{path.stem}.ipynb": json.dumps(ipynb, indent=1),
        **pictures,
    }


def links_from_notebooks(text: str) -> str:
    """Links to pages, which notebooks write as seen from their own folder."""
    return text.replace("](../docs/", "](../")
