"""Every command in the documentation exists, with the options and names that it is given."""

from __future__ import annotations

import functools
import itertools
import re

import pytest

import glassgraph as gg
from tests.cli.helpers import run
from tests.docs.pages import ROOT, Block, all_blocks, blocks_of, commands_of

SHELL = [block for language in ("sh", "bash", "console") for block in all_blocks(language)]
#: One for each command and page: the same words twice are asked once.
COMMANDS = sorted(
    {(block.page, *words) for block in SHELL for words in commands_of(block, "glassgraph")}
)
#: Names that stand for the reader's own.
PLACEHOLDERS = {"NAME"}


@functools.cache
def help_of(*command: str) -> str:
    result = run(*command, "--help")
    assert result.exit_code == 0, f"glassgraph {' '.join(command)}: {result.output}"
    return result.output


def mistakes(words: list[str]) -> list[str]:
    """What a command has that the program lacks."""
    number = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    arity = 2 if words[0] in ("reproduce", "bench", "jobs") else 1
    text = help_of(*words[: min(number, arity)])
    options = [word.partition("=")[0] for word in words[number:] if re.match(r"--?[a-z]", word)]
    wrong = [option for option in options if not re.search(rf"{option}(?![\w-])", text)]
    for option, value in itertools.pairwise(words):
        if option == "--method":
            known = set(gg.methods().index) | PLACEHOLDERS | set(re.findall(r"\w+", text))
            wrong += sorted(set(value.split(",")) - known)
    return wrong


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_exists(command: tuple[str, ...]) -> None:
    _, *words = command
    assert not mistakes(words)


def test_the_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    asked = {
        word
        for block in SHELL
        for words in commands_of(block, "make")
        for word in words
        if "=" not in word
    }
    assert asked
    assert asked <= targets


def test_a_wrong_option_and_a_wrong_method_are_found() -> None:
    text = "```sh\nglassgraph explain --datas x --method \\\n  salience,random  # so\n```\n"
    (block,) = blocks_of(text, "page.md", "sh")
    assert isinstance(block, Block)
    (words,) = commands_of(block, "glassgraph")
    assert mistakes(words) == ["--datas", "salience"]
