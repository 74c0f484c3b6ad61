"""Workers that are actors of a Ray cluster.

Plain actors under the same driver as local workers, so that blocks, faults and files are the same;
Ray starts them, on whatever host has a free processor, and says when one is gone. The job's folder
and the data have to lie under the same paths on all hosts.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from glassgraph.engine.worker import Answer, Worker, describe
from glassgraph.errors import EngineError, MissingExtraError
from glassgraph.results.saved.blocks import Block

#: Seconds that a cluster has to answer.
_PATIENCE = 10.0


class Actor:
    """A worker in an actor; what it raises while it starts is an answer."""

    def __init__(self, folder: str, memory: int | None) -> None:
        self._folder, self._memory = Path(folder), memory

    def begin(self) -> Answer:
        """Open model and data."""
        try:
            self._worker = Worker(self._folder, self._memory)
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver says it
            return Answer("refused", type(error).__name__, describe(error))
        return Answer("ready")

    def explain(self, start: int, stop: int, token: str) -> Answer:
        """Explain a block, see `Worker.explain`."""
        return self._worker.explain(start, stop, token)


class RayWorkers:
    """Actors, each with the answer that is awaited of it.

    Args:
        folder: the job's.
        memory: bytes of its own that a worker may take.
        workers: how many there will be.
        address: of the cluster; one is started on this machine if None.

    Raises:
        MissingExtraError: if Ray is not installed.
        EngineError: if the cluster is not there, or has fewer processors than workers: actors
            would wait for them for ever.
    """

    def __init__(self, folder: Path, memory: int | None, workers: int, address: str | None) -> None:
        ray = require_ray()
        self._ray, self._folder, self._memory = ray, folder, memory
        address = address or os.environ.get("RAY_ADDRESS")  # where Ray submits a job
        self._is_own = not ray.is_initialized()
        if self._is_own:
            _knock(address)
            own = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
            try:
                ray.init(address=address, log_to_driver=False, logging_level="error", **own)
            except Exception as error:  # it raises what it likes
                raise EngineError(f"no Ray cluster at {address or 'hand'}: {error}") from error
        elif address not in (None, "auto", here := ray.get_runtime_context().gcs_address):
            raise EngineError(
                f"this process is in the Ray cluster at {here}, and {address} is asked for; leave "
                "it with ray.shutdown(), or give no address"
            )
        processors = int(ray.cluster_resources().get("CPU", 0))
        if processors < workers:
            self.close()
            raise EngineError(
                f"the Ray cluster has {processors} processors, and {workers} workers need one "
                "each; ask for fewer workers, or add hosts"
            )
        self._kind = ray.remote(num_cpus=1, max_restarts=0)(Actor)
        self._actors: dict[int, Any] = {}
        self._awaited: dict[int, Any] = {}

    def start(self, worker: int) -> None:
        """Start a worker; it says when it is ready."""
        self._actors[worker] = self._kind.remote(str(self._folder), self._memory)
        self._awaited[worker] = self._actors[worker].begin.remote()

    def give(self, worker: int, block: Block, token: str) -> None:
        """Have a block explained."""
        explain = self._actors[worker].explain
        self._awaited[worker] = explain.remote(block.start, block.stop, token)

    def wait(self, timeout: float | None) -> list[tuple[int, Answer]]:
        """What workers have to say."""
        owner = {reference: worker for worker, reference in self._awaited.items()}
        ready, _ = self._ray.wait(list(owner), num_returns=1, timeout=timeout)
        found = []
        for reference in ready:
            worker = owner[reference]
            del self._awaited[worker]
            try:
                found.append((worker, self._ray.get(reference)))
            except self._ray.exceptions.RayError as error:
                words = str(error).split("\n", 1)[0]
                found.append((worker, Answer("died", text=f"its actor died ({words})")))
        return found

    def seconds_in_line(self, worker: int) -> float:
        """Nothing: its host may be another one, which is not asked."""
        return 0.0

    def kill(self, worker: int) -> None:
        """End a worker, whatever it does."""
        self._awaited.pop(worker, None)
        self._ray.kill(self._actors.pop(worker))

    def close(self) -> None:
        """End all, and the cluster if it was started here."""
        for worker in list(getattr(self, "_actors", ())):
            self.kill(worker)
        if self._is_own:
            self._ray.shutdown()


def _knock(address: str | None) -> None:
    """See that somebody is there; Ray itself would try for minutes.

    Raises:
        EngineError: if an address with a port cannot be reached.
    """
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return  # none, or a word of Ray's such as "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise EngineError(f"no Ray cluster at {address}: {error}") from error


def require_ray() -> Any:
    """Ray itself.

    Raises:
        MissingExtraError: if it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "engine='ray' needs the package ray: pip install 'glassgraph[ray]'"
        ) from error
    return ray
