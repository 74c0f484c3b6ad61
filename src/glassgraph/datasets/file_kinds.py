"""What a file is that was expected to hold graphs: for errors, from its first bytes alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

#: First bytes and what they say.
_MAGIC = (
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "a picture"),
    (b"PAR1", "a Parquet table"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF", "a PDF"),
    (b"version https://git-lfs", "a Git LFS pointer, whose content was not fetched (git lfs pull)"),
)
_READ = 4096
_SHOWN_KEYS = 3


def kind_of_file(path: Path) -> str:
    r"""What a file is, in words, with its size.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.pt"
        >>> _ = file.write_text("a,b\n1,2\n")
        >>> kind_of_file(file)
        "text, beginning with 'a,b' (8 bytes)"
    """
    size = path.stat().st_size
    if size == 0:
        return "an empty file (0 bytes)"
    with path.open("rb") as file:
        head = file.read(_READ)
    return f"{_kind(path, head)} ({size:,} byte{'' if size == 1 else 's'})"


def _kind(path: Path, head: bytes) -> str:
    for magic, words in _MAGIC:
        if head.startswith(magic):
            return words
    if head.startswith(b"PK"):
        return _archive(path)
    if head[:1] == b"\x80":
        return "a pickle"
    if head[8:9] == b"{":
        return "a .safetensors file"
    try:
        first = head.decode("utf-8").lstrip("\ufeff").splitlines()[0]
    except (UnicodeDecodeError, IndexError):
        return "binary data that torch.save did not write"
    if not first.isprintable():
        return "binary data that torch.save did not write"
    return f"text, beginning with {first[:30]!r}"


def _archive(path: Path) -> str:
    """What kind of zip: torch's own files are zips, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "a torch file or another zip archive that is cut off"
    if any(name.endswith("constants.pkl") for name in names):
        return "a scripted model (torch.jit.save); give models as --model"
    if any(name.endswith("data.pkl") for name in names):
        return "a torch file with pickled objects, or a damaged one"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz)"
    return "a zip archive that torch.save did not write"


def kind_of_content(value: Any) -> str:
    """What `torch.load` gave, in words."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}"
    if not isinstance(value, Mapping):
        return f"a value of type {type(value).__name__}"
    keys = [str(key) for key in value]
    shown = ", ".join(keys[:_SHOWN_KEYS]) + (", ..." if len(keys) > _SHOWN_KEYS else "")
    is_weights = keys and all(isinstance(each, Tensor) for each in value.values())
    if is_weights and any(key.rpartition(".")[2] in ("weight", "bias") for key in keys):
        return f"the weights of a model (keys {shown}); give them as --weights"
    return f"a dict with keys {shown}" if keys else "an empty dict"
