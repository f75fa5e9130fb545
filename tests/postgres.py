"""A PostgreSQL server of a test's own: in a temporary folder, reached by a password, stopped at the end.

It needs the programs initdb and postgres and no running server. Root on Debian gets them installed where they are
missing; everybody else is told. PostgreSQL refuses to run as root, so root runs it as the system's user `postgres`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "hunter2:/@%"
SHOWN = "hunter2%3A%2F%40%25"
"""The password as an address has it."""


def missing() -> str:
    """Why no server can be started here, whatever was tried; empty where one can."""
    if _absent():
        _install()
    return _absent()


def _install() -> None:
    """Debian's package, where this user may install it and its mirror answers."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "postgresql"]
    with suppress(subprocess.TimeoutExpired):
        if subprocess.run(install, timeout=300, **quiet).returncode:  # lists of packages that are old or none
            subprocess.run(["apt-get", "update"], timeout=120, **quiet)
            subprocess.run(install, timeout=300, **quiet)


def _absent() -> str:
    absent = [name for name in ("initdb", "postgres") if _program(name) is None]
    if absent:
        return f"PostgreSQL is not installed: there is no {' and no '.join(absent)} (apt-get install postgresql)"
    if os.getuid() == 0 and subprocess.run(["id", "postgres"], capture_output=True).returncode:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


def _program(name: str) -> str | None:
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)]
    return shutil.which(name) or (found[0] if found else None)


@dataclass
class Server:
    """A server, and its address with its password, up to the name of a database: postgresql://...:port."""

    address: str
    _folder: Path
    _command: list[str]
    _as_user: dict[str, Any]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder, **self._as_user)
        _wait(self.address, self._process, self._folder / "log")

    def stop(self) -> None:
        """At once: it waits for nobody."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()
            self._process.wait()


@contextmanager
def server() -> Iterator[str]:
    """The address of a new server."""
    with running() as one:
        yield one.address


@contextmanager
def running() -> Iterator[Server]:
    """A new server, to be stopped and started."""
    folder = Path(tempfile.mkdtemp(prefix="ablate-pg-"))
    as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if as_user:
        shutil.chown(secret, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(folder / "data")
    made = ["-D", data, "-U", "me", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync"]
    subprocess.run([str(_program("initdb")), *made], check=True, capture_output=True, cwd=folder, **as_user)
    settings = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
    command = [str(_program("postgres")), "-D", data, *settings]
    one = Server(f"postgresql://me:{SHOWN}@127.0.0.1:{port}", folder, command, as_user)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    while process.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"{address}/postgres", connect_timeout=5).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start: {log.read_text()}")


def new_database(address: str, name: str) -> str:
    """The address of a new, empty database of the server."""
    import psycopg

    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return f"{address}/{name}"
