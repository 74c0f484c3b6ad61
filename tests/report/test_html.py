"""The file: complete, inert where it holds the user's text, the same bytes for the same input."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from glassgraph.errors import OutputError
from glassgraph.report import render_report, write_report
from glassgraph.report.html import embed_json
from tests.report.fakes import Run, star, two_methods

NASTY = "</script><script>window.hacked=1</script><!--<img src=x onerror=window.hacked=1>&\u2028"


def payload_of(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', text, re.S)
    assert found is not None
    loaded: dict[str, object] = json.loads(found[1])
    return loaded


def test_the_embedded_data_is_what_went_in() -> None:
    value = {"name": NASTY, "scores": [0.1, -2, None]}
    text = embed_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_the_users_text_cannot_leave_its_place() -> None:
    run = Run(NASTY, [star(edge_type=[NASTY] * 5)], {NASTY: NASTY})
    text = render_report([run], [{NASTY: NASTY}], NASTY)
    own_scripts = render_report([Run("a", [star()])]).count("<script")
    assert text.count("<script") == own_scripts
    assert "<img" not in text
    assert "<title>&lt;/script&gt;&lt;script&gt;" in text
    methods = payload_of(text)["methods"]
    assert isinstance(methods, list)
    assert methods[0]["name"] == NASTY


def test_a_title_with_the_templates_own_marks_is_left_alone() -> None:
    assert "<title>@@DATA@@</title>" in render_report([Run("a", [star()])], title="@@DATA@@")


def test_the_same_explanations_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_report(tmp_path / "a.html", two_methods(), [{"method": "plain"}], "T")
    second = write_report(tmp_path / "b.html", two_methods(), [{"method": "plain"}], "T")
    assert first.read_bytes() == second.read_bytes()


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = render_report(two_methods())
    assert not re.findall(r"<(?:link|iframe|object|embed|img|base)\b", text)
    assert not re.findall(r"<script[^>]*\bsrc=", text)
    assert not re.findall(r"@import|url\(", text)
    assert "default-src 'none'" in text


def test_the_policy_names_exactly_the_scripts_of_the_file() -> None:
    text = render_report(two_methods())
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    policy = re.search(r"script-src ([^;]*);", text)
    assert policy is not None
    assert policy[1].split() == [f"'sha256-{base64.b64encode(d).decode()}'" for d in digests]


def test_the_shipped_library_is_the_one_that_the_footer_names() -> None:
    assets = files("glassgraph.report") / "assets"
    vendor = json.loads((assets / "vendor.json").read_text(encoding="utf-8"))
    code = (assets / vendor["file"]).read_bytes()
    assert hashlib.sha256(code).hexdigest() == vendor["sha256"]
    assert f'"{vendor["version"]}"' in code.decode()
    notice = (assets / vendor["license_file"]).read_text(encoding="utf-8")
    assert "Permission is hereby granted" in notice
    assert payload_of(render_report(two_methods()))["vendor"] == vendor


@pytest.mark.parametrize(
    ("path", "expected"),
    [("r.html", "r.html"), ("new/deep", "new/deep/report.html"), ("v2.1", "v2.1/report.html")],
)
def test_a_folder_gets_report_html(tmp_path: Path, path: str, expected: str) -> None:
    written = write_report(tmp_path / path, two_methods())
    assert written == tmp_path / expected
    assert written.is_file()
    assert [p.name for p in written.parent.iterdir()] == [written.name]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_report(tmp_path / "file" / "report.html", two_methods())
    assert isinstance(caught.value, OSError)
    (tmp_path / "taken.html").mkdir()
    (tmp_path / "taken.html" / "report.html").mkdir()
    with pytest.raises(OutputError):
        write_report(tmp_path / "taken.html", two_methods())
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "report.html", "taken.html"]


def test_an_old_report_survives_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(tmp_path / "r.html", two_methods())
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(path, two_methods(), title="new")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
