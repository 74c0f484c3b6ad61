"""What the tests of the documentation read: pages, and the fenced blocks in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "studies" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
FENCE = re.compile(r"^(?:<!-- not run: (.+?) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, what is in it, and why it is not run, if so."""

    page: str
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str, language: str) -> list[Block]:
    return [
        Block(page, text.count("\n", 0, match.start(3)), match[2], match[3], match[1])
        for match in FENCE.finditer(text)
        if match[2] == language
    ]


def all_blocks(language: str) -> list[Block]:
    return [
        block
        for page in PAGES
        for block in blocks_of(
            page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix(), language
        )
    ]


def commands_of(block: Block, program: str) -> list[list[str]]:
    """The words of each command of a shell block, without the program's name."""
    lines = block.code.replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in found if words[:1] == [program]]
