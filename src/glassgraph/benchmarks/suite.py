"""A suite: what is measured on what, read from a TOML file.

::

    name = "mine"
    seeds = [0, 1, 2]            # of data, model and method
    instances = 20               # explained predictions of each data set
    fit_instances = 200          # predictions that learned methods learn from, never explained
    time_limit = "2m"            # of one cell: data set x seed x method
    ranking = "signed"           # or "absolute"
    datasets = ["tree-cycles", {name = "mutag", instances = 30, root = "data/mutag"}]
    methods = ["saliency", "gnn_explainer"]       # or "all"
    metrics = ["auc", {name = "fidelity", sparsity = [0.5, 0.7, 0.9]}]

    [settings.gnn_explainer]     # other than the defaults
    epochs = 50

    [search]                     # settings, chosen on other seeds of the data
    seeds = [100]
    criterion = "fidelity_plus"
    level = "0.7"
    budget = "10m"               # for each data set and method

    [search.candidates]
    gnn_explainer = [{entropy_weight = 0.0}, {learning_rate = 0.1}]

Names are looked up and settings checked when the file is read; whatever is unknown is refused with
the file, the key and the nearest name that is known.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glassgraph.benchmarks.cases import Asked
from glassgraph.benchmarks.keys import Keys
from glassgraph.benchmarks.metrics import ask, metric_names, needs_truth
from glassgraph.benchmarks.specs import DatasetSpec, MethodSpec
from glassgraph.benchmarks.subjects import subject_names
from glassgraph.errors import GlassgraphError, SuiteError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import METHODS
from glassgraph.explainers.settings import check_value, settings_of
from glassgraph.words import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).with_name("suites")
#: What the benchmark itself sets, or no file can hold.
_NOT_SETTINGS = ("mode", "return_type", "call", "seed", "memory_budget", "progress")


@dataclass(frozen=True)
class Search:
    """How settings are chosen: on other seeds of the data, by one number.

    Attributes:
        seeds: of data and models; none of them is measured.
        criterion: the metric.
        level: at which level.
        budget: seconds for each data set and method; what is done by then decides.
    """

    seeds: tuple[int, ...]
    criterion: Asked
    level: str
    budget: float


@dataclass(frozen=True)
class Suite:
    """What a benchmark measures; see the module."""

    name: str
    datasets: tuple[DatasetSpec, ...]
    methods: tuple[MethodSpec, ...]
    metrics: tuple[Asked, ...]
    seeds: tuple[int, ...] = (0,)
    time_limit: float = 120.0
    ranking: str = "signed"
    search: Search | None = None
    about: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same question; where data lie on the disk is no part of it."""
        said = asdict(self)
        said.pop("about")
        for dataset in said["datasets"]:
            dataset.pop("root")
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def chosen(
        self,
        *,
        methods: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Suite:
        """A part of the suite; a known method or data set that is not in it comes with defaults.

        Raises:
            SuiteError: for a name that is not known, or seeds that settings are searched on.
        """
        own_methods = {spec.name: spec for spec in self.methods}
        own_datasets = {spec.name: spec for spec in self.datasets}
        found = self
        if methods is not None:
            names = [_method(name, "--methods") for name in dict.fromkeys(methods)]
            specs = tuple(own_methods.get(name, MethodSpec(name)) for name in names)
            found = replace(found, methods=specs)
        if datasets is not None:
            usual = self.datasets[0] if self.datasets else DatasetSpec("")
            keys = [_dataset(name, "--datasets") for name in dict.fromkeys(datasets)]
            new = replace(usual, root=None, options={})
            specs_ = tuple(own_datasets.get(key, replace(new, name=key)) for key in keys)
            found = replace(found, datasets=specs_)
        if seeds is not None:
            found = replace(found, seeds=tuple(dict.fromkeys(seeds)))
            _check_search_seeds(found, "--seeds")
        return found


def built_in_suites() -> tuple[str, ...]:
    """Names of the suites that come with the library."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def read_suite(source: str | Path) -> Suite:
    """A suite by name, or from a file.

    Args:
        source: ``"quick"``, ``"survey"``, ``"molecules"``, or a file that ends in ``.toml``.

    Raises:
        SuiteError: if there is none, or the file says what is not understood; the message names the
            file, the key, and the nearest that is known.

    Example:
        >>> suite = read_suite("quick")
        >>> suite.name, [dataset.name for dataset in suite.datasets]
        ('quick', ['ba-shapes', 'tree-cycles', 'ba-2motifs'])
    """
    name = str(source)
    path = Path(source) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise SuiteError(f"there is no suite file {path}")
        raise SuiteError(
            f"there is no suite {name!r}{nearest(name, built_in_suites())}; a suite of your own is "
            "a file that ends in .toml"
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SuiteError(f"{path} is no TOML file: {error}") from error
    except OSError as error:
        raise SuiteError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_suite(table, str(path) if name.endswith(".toml") else name)


_KEYS = (
    "name",
    "about",
    "seeds",
    "instances",
    "fit_instances",
    "time_limit",
    "ranking",
    "datasets",
    "methods",
    "metrics",
    "settings",
    "search",
)
_SEARCH_KEYS = ("seeds", "criterion", "level", "budget", "candidates")
_DATASET_KEYS = ("name", "instances", "fit_instances", "root", "options")


def parse_suite(table: Mapping[str, Any], where: str) -> Suite:
    """What a table says.

    Raises:
        SuiteError: see `read_suite`.
    """
    keys = Keys(table, where, _KEYS)
    usual = DatasetSpec(
        "", instances=keys.count("instances", 20), fit_instances=keys.count("fit_instances", 200)
    )
    seeds = keys.numbers("seeds", int, (0,), "a list of integers from 0")
    if any(seed < 0 for seed in seeds):
        raise SuiteError(f"{where}: seeds must be a list of integers from 0; got {list(seeds)}")
    name = keys.text("name", Path(where).stem)
    about = keys.text("about")
    time_limit = keys.seconds("time_limit", 120.0)
    ranking = keys.choice("ranking", ("signed", "absolute"), "signed")
    metrics = _read_metrics(keys, where)
    datasets = _read_datasets(keys, where, usual)
    settings, search_table = keys.table("settings"), keys.table("search")
    searched = Keys(search_table, f"{where}: search", _SEARCH_KEYS)
    candidates = searched.table("candidates")
    methods = _read_methods(keys, where, settings, candidates)
    search = _read_search(searched, bool(search_table))
    if search is None and candidates:
        raise SuiteError(f"{where}: search.candidates are there, and no search.seeds to try them")
    suite = Suite(
        name=name,
        datasets=datasets,
        methods=methods,
        metrics=metrics,
        seeds=tuple(dict.fromkeys(seeds)),
        time_limit=time_limit,
        ranking=ranking,
        search=search,
        about=about,
    )
    _check_search_seeds(suite, f"{where}: seeds")
    return suite


def _check_search_seeds(suite: Suite, what: str) -> None:
    """Settings that were chosen on what is measured would know the answer."""
    shared = set(suite.seeds) & set(suite.search.seeds if suite.search else ())
    if shared:
        raise SuiteError(
            f"{what}: {sorted(shared)} are seeds that settings are searched on (search.seeds); "
            "measure on others"
        )


# Data sets


def _read_datasets(keys: Keys, where: str, usual: DatasetSpec) -> tuple[DatasetSpec, ...]:
    found: dict[str, DatasetSpec] = {}
    entries = keys.take("datasets", list, [], "a list of names or tables")
    for number, entry in enumerate(entries):
        at = f"{where}: datasets[{number}]"
        if isinstance(entry, str):
            spec = replace(usual, name=_dataset(entry, at))
        else:
            own = Keys(entry, at, _DATASET_KEYS)
            spec = DatasetSpec(
                name=_dataset(own.text("name"), f"{at}: name"),
                instances=own.count("instances", usual.instances),
                fit_instances=own.count("fit_instances", usual.fit_instances),
                root=own.text("root", None),
                options=own.table("options"),
            )
        if spec.name in found:
            raise SuiteError(f"{at}: {spec.name} is there twice")
        found[spec.name] = spec
    if not found:
        raise SuiteError(f"{where}: datasets: name at least one{nearest('', subject_names())}")
    return tuple(found.values())


def _dataset(name: str, where: str) -> str:
    known = subject_names()
    if name in known:
        return name
    key = name.lower().replace("_", "-")
    if key not in known:
        raise SuiteError(f"{where}: there is no data set {name!r}{nearest(name, known)}")
    return key


# Methods


def _read_methods(
    keys: Keys, where: str, settings: Mapping[str, Any], candidates: Mapping[str, Any]
) -> tuple[MethodSpec, ...]:
    entries = keys.take("methods", (list, str), [], '"all" or a list of names')
    if isinstance(entries, str):
        if entries != "all":
            raise SuiteError(f'{where}: methods must be "all" or a list of names; got {entries!r}')
        entries = list(METHODS)
    names = []
    for number, entry in enumerate(entries):
        if not isinstance(entry, str):
            raise SuiteError(
                f"{where}: methods[{number}] must be a name; got {entry!r}; settings stand in a "
                "table [settings.NAME]"
            )
        names.append(_method(entry, f"{where}: methods[{number}]"))
    if not names:
        raise SuiteError(f"{where}: methods: name at least one{nearest('', METHODS)}")
    for table, key in ((settings, "settings"), (candidates, "search.candidates")):
        for name in table:
            if name not in names:
                raise SuiteError(
                    f"{where}: {key}.{name}: no such method in this suite{nearest(name, names)}"
                )
    return tuple(
        MethodSpec(
            name,
            _settings(name, settings.get(name, {}), f"{where}: settings.{name}"),
            _candidates(name, candidates.get(name, []), f"{where}: search.candidates.{name}"),
        )
        for name in dict.fromkeys(names)
    )


def _method(name: str, where: str) -> str:
    known = list(METHODS)
    if name not in known:
        raise SuiteError(f"{where}: there is no method {name!r}{nearest(name, known)}")
    return name


def _candidates(name: str, given: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(given, list):
        raise SuiteError(f"{where} must be a list of tables; got {given!r}")
    return tuple(_settings(name, each, f"{where}[{i}]") for i, each in enumerate(given))


def _settings(name: str, given: Any, where: str) -> Mapping[str, Any]:
    """Settings as a method takes them, each checked by itself."""
    return check_settings(METHODS[name], given, where)


def check_settings(method: type[Explainer], given: Any, where: str) -> dict[str, Any]:
    """Hold settings against what a method takes.

    Raises:
        SuiteError: for one that is unknown, of another type or out of range.
    """
    if not isinstance(given, Mapping):
        raise SuiteError(f"{where} must be a table of settings; got {given!r}")
    known = {each.name: each for each in settings_of(method) if each.name not in _NOT_SETTINGS}
    for key, value in given.items():
        if key in _NOT_SETTINGS:
            raise SuiteError(f"{where}.{key}: the benchmark sets {key} itself; leave it out")
        if key not in known:
            raise SuiteError(f"{where}: {method.name} has no setting {key!r}{nearest(key, known)}")
        try:
            check_value(method, known[key], value)
        except GlassgraphError as error:
            raise SuiteError(f"{where}.{key}: {error}") from error
    return dict(given)


# Metrics and search


def _read_metrics(keys: Keys, where: str) -> tuple[Asked, ...]:
    entries = keys.take("metrics", list, [], "a list of names or tables")
    found = []
    for number, entry in enumerate(entries):
        at = f"{where}: metrics[{number}]"
        if isinstance(entry, str):
            found.append(ask(entry, where=at))
            continue
        own = Keys(entry, at, ("name", "sparsity", "top_k", "options"))
        share = own.numbers("sparsity", (int, float), None, "shares in [0, 1]")
        top_k = own.numbers("top_k", int, None, "numbers of edges")
        name, options = own.text("name"), own.table("options")
        found.append(ask(name, sparsity=share, top_k=top_k, options=options, where=at))
    if not found:
        raise SuiteError(f"{where}: metrics: name at least one{nearest('', metric_names())}")
    return tuple(found)


def _read_search(keys: Keys, is_there: bool) -> Search | None:
    if not is_there:
        return None
    seeds = keys.numbers("seeds", int, None, "a list of integers from 0")
    if seeds is None:
        raise SuiteError(f"{keys.where}: seeds is missing: the other seeds to search on")
    criterion, level = keys.text("criterion", "robust_fidelity_delta"), keys.text("level", "0.7")
    budget = keys.seconds("budget", 600.0)
    at = f"{keys.where}: criterion"
    levels: dict[str, Any] = {"sparsity": (0.7,)}
    if level.startswith("top") and level[3:].isdigit():
        levels = {"top_k": (int(level[3:]),)}
    elif level:
        try:
            levels = {"sparsity": (float(level),)}
        except ValueError as error:
            raise SuiteError(
                f'{keys.where}: level must be a sparsity such as "0.7" or "top5"; got {level!r}'
            ) from error
    if needs_truth(ask(criterion, where=at)):
        raise SuiteError(
            f"{at}: {criterion} reads the truth that the benchmark measures by; search by what asks"
            " the model alone, such as robust_fidelity_delta or fidelity_plus"
        )
    return Search(seeds, ask(criterion, **levels, where=at), level, budget)
