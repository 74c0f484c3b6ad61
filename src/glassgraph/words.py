"""Words that a user may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def same_word(name: str, known: Iterable[str]) -> str | None:
    """The known word that differs in capitals, hyphens and underscores alone.

    Example:
        >>> same_word("GradCAM", ["grad_cam", "saliency"])
        'grad_cam'
    """
    return next((each for each in known if _plain(each) == _plain(name)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'saliency'?`` and all that is known.

    Example:
        >>> nearest("sailency", ["saliency", "occlusion"])
        "; did you mean 'saliency'? There are saliency, occlusion"
    """
    names = list(known)
    meant = guess(name, names)
    hint = "." if meant is None else f"; did you mean {meant!r}?"
    return f"{hint} There are {', '.join(names) or 'none'}"


def guess(name: str, known: Iterable[str]) -> str | None:
    """The known word that is most like a name; None if none is."""
    plain = {_plain(each): each for each in known}
    near = difflib.get_close_matches(_plain(name), plain, n=1)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.lower())
