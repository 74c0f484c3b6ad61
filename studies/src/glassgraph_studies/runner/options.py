"""Options of studies, as values: what each is called, takes and means, and where it goes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from glassgraph.errors import CommandError


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        name: with underscores; ``max_nodes`` is ``--max-nodes``.
        kind: ``int``, ``float``, ``str``, ``bool`` or ``Path``.
        help: one line.
        default: value without the option; None leaves it to the experiment.
        least: smallest number.
        choices: words that are allowed, which `--help` names; none for all.
        is_many: whether it may be repeated, for a list.
        is_required: whether there is no default.
        to: the experiment's name for it, if that is another.
        convert: makes of it what the experiment takes.
        spellings: on the command line, where the name alone is not enough.
        otherwise: in words, what the experiment's own default is.
        missed: what is said where neither this nor ``--dataset`` is given.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    least: float | None = None
    choices: Sequence[str] = ()
    is_many: bool = False
    is_required: bool = False
    to: str = ""
    convert: Callable[[Any], Any] | None = None
    spellings: Sequence[str] = ()
    otherwise: str = ""
    missed: str = ""

    def parameter(self) -> inspect.Parameter:
        """As a parameter of a function, from which typer makes the option."""
        kind: Any = list[self.kind] if self.is_many else self.kind  # type: ignore[name-defined]
        if not self.is_required and self.default is None:
            kind = kind | None
        about = typer.Option(
            *self.spellings,
            min=self.least,
            help=self._help_with_choices(),
            show_default=self.otherwise or True,
        )
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if self.is_required else self.default,
            annotation=Annotated[kind, about],
        )

    def _help_with_choices(self) -> str:
        """The help, with the words that are allowed where it does not name them."""
        if all(word in self.help for word in self.choices):
            return self.help
        return f"{self.help} One of {', '.join(self.choices)}."

    def argument(self, value: Any) -> dict[str, Any]:
        """What the experiment is called with: nothing where its own default counts.

        Raises:
            CommandError: if a word is none of the choices.
        """
        for word in value or () if self.is_many else [value]:
            if self.choices and word is not None and word not in self.choices:
                flag, words = self.name.replace("_", "-"), ", ".join(self.choices)
                raise CommandError(f"--{flag} must be one of {words}; got {word!r}")
        if value is None or value == []:
            return {}
        return {self.to or self.name: value if self.convert is None else self.convert(value)}


def count(
    name: str,
    default: int | None,
    text: str,
    *,
    least: int = 1,
    to: str = "",
    otherwise: str = "",
) -> Option:
    """A number of things."""
    return Option(name, int, text, default, least, to=to, otherwise=otherwise)


def seeds(default: int, text: str) -> Option:
    """``--seeds 3`` for the seeds 0, 1 and 2."""
    return Option(
        "seeds", int, f"Repetitions, each with its own {text}.", default, 1, convert=range
    )


def repeats(default: int) -> Option:
    """How often a time is taken."""
    return count("repeats", default, "Timed repetitions.")


def several(
    name: str,
    text: str,
    otherwise: str = "all",
    *,
    to: str = "",
    kind: type = str,
    least: int | None = None,
    choices: Sequence[str] = (),
) -> Option:
    """An option that may be repeated."""
    text = f"{text}; repeat for several."
    return Option(name, kind, text, None, least, choices, is_many=True, to=to, otherwise=otherwise)


def folder(text: str, *, missed: str = "", is_required: bool = False) -> Option:
    """``--root``, where files of data sets are."""
    return Option("root", Path, text, is_required=is_required, missed=missed)


def flag(name: str, text: str, *, to: str = "") -> Option:
    """An option without a value, off without it."""
    return Option(name, bool, text, False, to=to, spellings=(f"--{name.replace('_', '-')}",))


def switch(name: str, text: str, *, to: str = "") -> Option:
    """On, unless ``--no-...`` turns it off."""
    return Option(name, bool, text, True, to=to)


SEED = count("seed", 0, "Seed of everything random.", least=0)
DEVICE = Option("device", str, "Where models and data are: cpu, cuda, cuda:1.", "cpu")
DATASETS = several("dataset", "Data set", to="datasets")
ROWS = several("row", "Row of the table, as in the JSON", to="rows")
CORA = folder("Folder of Cora's files, ind.cora.x and its kind.", is_required=True)
MUTAG = folder(
    "Folder of MUTAG's raw files; without it MUTAG is left out.",
    missed="mutag is left out: give --root, the folder of its raw files",
)
MOLECULES = folder(
    "Folder of the molecules' raw files, or above; without it they are left out.",
    missed="mutagenicity and mutag are left out: give --root, the folder of their raw files",
)


def arguments(options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """What an experiment is called with.

    Raises:
        CommandError: if a word is none of the choices.
    """
    found: dict[str, Any] = {}
    for option in options:
        found |= option.argument(given[option.name])
    return found
