"""Two hosts on one machine: each has its own network, name and folder of Ray; disks are shared.

A pair of virtual interfaces joins the two. It takes root and Linux (``ip``, ``unshare``).
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PORT = 6379
#: Where every Ray node of a machine keeps its sockets.
RAYS_FOLDER = Path(tempfile.gettempdir()) / "ray"


@dataclass(frozen=True)
class Host:
    """One of them.

    Attributes:
        name: of its network, which is its own name, too.
        ip: its address.
        device: its end of the wire.
        temporary: what it has in the place of `RAYS_FOLDER`.
        environment: variables with the token of the cluster, which Ray asks for.
    """

    name: str
    ip: str
    device: str
    temporary: Path
    environment: Mapping[str, str]

    def words(self) -> list[str]:
        """What a command on this host begins with."""
        enter = f'mount --bind {self.temporary} {RAYS_FOLDER} && hostname {self.name} && exec "$@"'
        own = ["unshare", "--mount", "--uts", "sh", "-c", enter, "sh"]
        return ["ip", "netns", "exec", self.name, *own]

    def ray(self, *options: str) -> None:
        """Start its Ray node, with one processor."""
        ray = str(Path(sys.executable).with_name("ray"))
        _run(
            *self.words(),
            *(ray, "start", "--num-cpus=1", "--disable-usage-stats"),
            *(f"--node-ip-address={self.ip}", "--object-store-memory=200000000", *options),
            environment=self.environment,
        )

    def processes(self) -> list[int]:
        """Of all that run on it."""
        found = _run("ip", "netns", "pids", self.name)
        return [int(word) for word in found.split()]

    def explains(self) -> bool:
        """Whether one of its processes is a worker of a job."""
        return any(b"ray::Actor" in _command(process) for process in self.processes())

    def cut_off(self) -> None:
        """Pull its wire: nobody is told that it is gone."""
        _run("ip", "-n", self.name, "link", "set", self.device, "down")

    def kill(self) -> None:
        """End all that runs on it."""
        while found := self.processes():
            for process in found:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host, str]]:
    """A cluster of two hosts with a processor each, and its address."""
    mark = secrets.token_hex(2)
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    RAYS_FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gg-", ignore_cleanup_errors=True) as name:
        hosts = []
        for number, letter in enumerate("ab", start=1):
            temporary = Path(name) / letter
            temporary.mkdir()
            host = f"gg-{letter}-{mark}"
            hosts.append(Host(host, f"10.77.0.{number}", f"gg{letter}{mark}", temporary, own))
        one, other = hosts
        try:
            for host in hosts:
                _run("ip", "netns", "add", host.name)
            ends = [one.device, "netns", one.name], [other.device, "netns", other.name]
            _run("ip", "link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1])
            for host, beside in ((one, other), (other, one)):
                inside = ("ip", "-n", host.name)
                _run(*inside, "addr", "add", f"{host.ip}/24", "dev", host.device)
                for device in ("lo", host.device):
                    _run(*inside, "link", "set", device, "up")
                _run(*inside, "route", "add", "default", "via", beside.ip)
            address = f"{one.ip}:{_PORT}"
            one.ray("--head", f"--port={_PORT}", "--include-dashboard=false")
            other.ray(f"--address={address}")
            yield one, other, address
        finally:
            for host in hosts:
                host.kill()
                _run("ip", "netns", "del", host.name)


def _run(*words: str, environment: Mapping[str, str] | None = None) -> str:
    whole = {**os.environ, **(environment or {})}
    done = subprocess.run(words, env=whole, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr or done.stdout}")
    return done.stdout


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
