"""``make gpu-check``: does everything run on a GPU, and say there what it says on the processor?

Runs the checks of `tests.gpu.checks` in several processes on one device, goes on where one fails,
stops at its time limit, prints failures first and writes a JSON file::

    python -m tests.gpu.check --device cuda --limit 300 --json out/gpu-check.json

Without a GPU it says so and runs on the processor, where most of it is true at once: what remains
is whether the checks themselves run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch

from tests.gpu.checks import checks

#: Characters of a failure that are printed.
_SHOWN = 700


def ask(number: int, device: str) -> dict[str, Any]:
    """One check, by its number."""
    torch.set_num_threads(1)
    name, check = list(checks())[number]
    start = time.perf_counter()
    found: dict[str, Any] = {"name": name, "ok": True}
    try:
        found |= check(torch.device(device))
    except Exception as error:  # noqa: BLE001 - the other checks go on
        lines = traceback.format_exc().strip().splitlines()
        found |= {
            "ok": False,
            "error": f"{type(error).__name__}: {error}",
            "where": "\n".join(lines[-9:-1]) if not isinstance(error, AssertionError) else "",
        }
    return found | {"seconds": round(time.perf_counter() - start, 2)}


def run(device: str, limit: float, workers: int, only: str = "") -> list[dict[str, Any]]:
    """All checks whose names hold a word, as far as the time goes."""
    names = [name for name, _ in checks()]
    chosen = [number for number, name in enumerate(names) if only in name]
    start, found = time.perf_counter(), []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: dict[Future[dict[str, Any]], int] = {
            pool.submit(ask, number, device): number for number in chosen
        }
        while waiting and time.perf_counter() - start < limit:
            left = limit - (time.perf_counter() - start)
            done, _ = wait(waiting, timeout=min(5.0, left), return_when=FIRST_COMPLETED)
            for future in done:
                number = waiting.pop(future)
                error = future.exception()  # a worker that was killed
                if error is None:
                    found.append(future.result())
                else:
                    found.append({"name": names[number], "ok": False, "error": repr(error)})
        for number in waiting.values():
            found.append({"name": names[number], "ok": None, "error": "not run: out of time"})
        if waiting:
            for process in (pool._processes or {}).values():
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
    return found


def report(found: list[dict[str, Any]]) -> str:
    """Failures first, then what was not run, then the rest in a line each."""
    failed = [each for each in found if each["ok"] is False]
    missing = [each for each in found if each["ok"] is None]
    good = [each for each in found if each["ok"]]
    lines = [f"{len(good)} hold, {len(failed)} fail, {len(missing)} were not run"]
    for each in failed:
        text = f"{each['error']}\n{each.get('where', '')}".strip()
        lines += ["", f"FAILS  {each['name']} ({each.get('seconds', 0)} s)", text[:_SHOWN]]
    lines += ["", *(f"not run  {each['name']}" for each in missing)]
    for each in good:
        rest = {k: v for k, v in each.items() if k not in ("name", "ok", "seconds")}
        lines.append(f"holds  {each['name']}: {each['seconds']} s {rest or ''}")
    return "\n".join(lines)


def main() -> int:
    """Run what the command line says; 1 if something fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--limit", type=float, default=420, help="seconds, in all")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--only", default="", help="checks whose names hold this word")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device = given.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU is at hand: the checks run on the processor, and say little")
        device = "cpu"
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "processor"
    found = run(device, given.limit, given.workers, given.only)
    text = report(found)
    print(f"{name}, torch {torch.__version__}: {text}")
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        versions = {"device": name, "torch": torch.__version__}
        given.json.write_text(json.dumps({**versions, "checks": found}, indent=1))
    return int(any(each["ok"] is False for each in found))


if __name__ == "__main__":
    sys.exit(main())
