"""Words of the command line, each by hand."""

from __future__ import annotations

import pytest

from glassgraph.cli import parse
from glassgraph.errors import CommandError


def test_index() -> None:
    assert parse.parse_index("300,301") == [300, 301]
    assert parse.parse_index("300:303") == [300, 301, 302]
    assert parse.parse_index(" 7, 1:8:3 ") == [7, 1, 4, 7]
    for wrong in ("", "a", "1,,2", "1:2:3:4", "5:5", "9:1", "1.5", "1:9:0", "1:9:-1", ":4"):
        with pytest.raises(CommandError, match="--index"):
            parse.parse_index(wrong)


def test_target() -> None:
    assert parse.parse_target("predicted") == "predicted"
    assert parse.parse_target("label") == "label"
    assert parse.parse_target("2") == 2
    assert parse.parse_target("2:0") == (2, 0)
    for wrong in ("", "-1", "a:b", "1:2:3", "1.0", "none"):
        with pytest.raises(CommandError, match="--target"):
            parse.parse_target(wrong)


def test_memory() -> None:
    assert parse.parse_memory("1GB") == 10**9
    assert parse.parse_memory("512MiB") == 512 * 2**20
    assert parse.parse_memory("0.5 gb") == 5 * 10**8
    assert parse.parse_memory("4096") == 4096
    for wrong in ("", "GB", "1PB", "-1GB", "0", "0MB", "1 G B"):
        with pytest.raises(CommandError, match="--memory"):
            parse.parse_memory(wrong)


def test_names_and_shares() -> None:
    assert parse.parse_names("a, b,a") == ["a", "b"]
    assert parse.parse_shares("0.5,1") == [0.5, 1.0]
    with pytest.raises(CommandError, match="names no method"):
        parse.parse_names(" , ")
    with pytest.raises(CommandError, match="--sparsity"):
        parse.parse_shares("half")


OWN = {"walk": ["epochs", "size"], "mask": ["epochs", "rate", "kind"], "plain": []}


def test_settings_go_to_the_methods_that_take_them() -> None:
    found = parse.parse_settings(
        ["epochs=7", "mask.rate=0.5", "kind=a=b", "walk.size=[3, 5]", "mask.epochs=9"], OWN
    )
    assert found == {
        "walk": {"epochs": 7, "size": [3, 5]},
        "mask": {"epochs": 9, "rate": 0.5, "kind": "a=b"},
        "plain": {},
    }


def test_words_of_settings() -> None:
    found = parse.parse_settings(["kind=True", "rate=none", "epochs=false"], OWN)
    assert found["mask"] == {"kind": True, "rate": None, "epochs": False}


def test_settings_nobody_takes() -> None:
    for wrong, message in (
        ("epochs", "key=value"),
        ("=3", "key=value"),
        ("other.epochs=3", "'other' is not among the chosen methods"),
        ("size_of=3", "walk takes epochs, size; mask takes epochs, rate, kind; plain takes none"),
        ("plain.epochs=3", "no such hyper-parameter; plain takes none"),
    ):
        with pytest.raises(CommandError, match=message):
            parse.parse_settings([wrong], OWN)
