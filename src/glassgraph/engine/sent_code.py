"""Classes and functions that a worker cannot import by name: run again from a script, or sent."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from glassgraph.errors import EngineError, MissingExtraError


def importable(name: str) -> bool:
    """Whether a new process finds a module by its name."""
    if name == "__main__":
        return False
    try:
        return importlib.util.find_spec(name) is not None and name[:1] != "_"
    except (ImportError, ValueError):
        return False


def script_of(name: str) -> Path | None:
    """The file of a module that has no name for others; None if there is none, as in a notebook."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None or not Path(file).is_file() else Path(file).resolve()


def provide(name: str, script: Path) -> None:
    """Run a script under another name, so that what it defines is found where it was."""
    if name == "__main__" and getattr(sys.modules.get("__mp_main__"), "__file__", None):
        return  # a spawned process has run it already
    spec = importlib.util.spec_from_file_location(f"_glassgraph_script_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(script.parent))  # for files beside it
    spec.loader.exec_module(module)
    own = sys.modules.setdefault(name, ModuleType(name))
    for key, value in vars(module).items():
        if not hasattr(own, key):
            setattr(own, key, value)


def pickled_with_code(value: Any, modules: Iterable[str]) -> bytes:
    """Pickled, with the code of what no other process can import.

    Args:
        value: what is sent.
        modules: names that mean nothing to another process; what they define goes as code.

    Raises:
        MissingExtraError: if cloudpickle is not installed.
        EngineError: if something cannot be sent even so.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise MissingExtraError(
            "the model (or a setting) is defined where no worker can import it, as in a notebook "
            "or inside a function. Put its class into a file beside it and import it from there, "
            "give a glassgraph.ModelFile, or let its code be sent: pip install "
            "'glassgraph[notebook]'"
        ) from error
    registered = [sys.modules[name] for name in modules if name in sys.modules]
    for module in registered:
        cloudpickle.register_pickle_by_value(module)
    try:
        found: bytes = cloudpickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise EngineError(
            f"the workers cannot be given the model or a setting ({error}): it holds "
            "something that cannot be sent, such as a lock, an open file, a generator, or layers "
            "that to_hetero has rewritten; give a glassgraph.ModelFile, which every worker loads"
        ) from error
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)
    return found
