"""Faults of disks and databases, for `make reliability`: writes that are refused, a full disk, endless output, a server
that is stopped and started. What the other faults of the world are, and how they are judged: outside.py."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import outside
import postgres
from outside import Driver, Outcome, executing, judged

from ablate.store.store import Store

PRELOAD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static int inside(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && !strncmp(path, folder, strlen(folder)) && !strstr(path, "/reported");
}

static int refused(void) {
    const char *from = getenv("FAULT_FROM"), *count = getenv("FAULT_COUNT"), *number = getenv("FAULT_ERRNO");
    long call = __sync_add_and_fetch(&calls, 1);
    if (!from || call < atol(from) || call >= atol(from) + atol(count)) return 0;
    errno = atoi(number);
    return 1;
}

static int bad_file(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    return inside(path) && refused();
}

#define REAL(type, name) type (*real)() = (type (*)()) dlsym(RTLD_NEXT, name)

ssize_t write(int f, const void *b, size_t n) { REAL(ssize_t, "write"); return bad_file(f) ? -1 : real(f, b, n); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) { REAL(ssize_t, "pwrite"); return bad_file(f) ? -1 : real(f, b, n, o); }
ssize_t pwrite64(int f, const void *b, size_t n, off_t o) { REAL(ssize_t, "pwrite64"); return bad_file(f) ? -1 : real(f, b, n, o); }
int fsync(int f) { REAL(int, "fsync"); return bad_file(f) ? -1 : real(f); }
int fdatasync(int f) { REAL(int, "fdatasync"); return bad_file(f) ? -1 : real(f); }
int mkdir(const char *p, mode_t m) { REAL(int, "mkdir"); return inside(p) && refused() ? -1 : real(p, m); }
int rename(const char *a, const char *b) { REAL(int, "rename"); return inside(a) && refused() ? -1 : real(a, b); }
"""


def preload(folder: Path) -> Path:
    """The library that refuses, compiled into this folder once."""
    made = folder / "refuses.so"
    if not made.exists():
        if shutil.which("cc") is None:
            raise SystemExit("refused_writes: not tried, for there is no C compiler")
        command = ["cc", "-shared", "-fPIC", "-w", "-O1", "-x", "c", "-", "-o", str(made), "-ldl"]
        subprocess.run(command, input=PRELOAD.encode(), check=True)
    return made


def refused_writes(folder: Path, draw: random.Random) -> Outcome:
    """ENOSPC or EIO in some of the writes to the database, its journal, logs and run folders, wherever they come."""
    fault = {
        "LD_PRELOAD": preload(folder.parent), "FAULT_FOLDER": folder, "FAULT_ERRNO": draw.choice([5, 28]),
        "FAULT_FROM": draw.randrange(1, 260), "FAULT_COUNT": draw.randrange(1, 12),
    }  # fmt: skip
    driver = Driver.start(folder, inside=("env", *(f"{name}={value}" for name, value in fault.items())))
    driver.end()  # before its dispatcher was there it may have been told at once
    outside.execute(folder)
    return judged(folder, 1)


@contextmanager
def small_disk(folder: Path):
    """A file system of 3 MiB; what the harness itself notes lies elsewhere."""
    place = folder / "small"
    place.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)]).returncode:
        raise SystemExit("full_disk: not tried, for nothing may be mounted here")
    try:
        shutil.copy(folder / "outside_task.py", place)
        (place / "reported").symlink_to(folder / "reported")
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def full_disk(folder: Path, draw: random.Random) -> Outcome:
    """Somebody fills the disk while runs are under way, and removes that a while later."""
    with small_disk(folder) as place:
        driver = Driver.start(place).ready()
        executing(place)
        time.sleep(draw.uniform(0, 0.5))
        try:
            with (place / "others").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError:
            time.sleep(draw.uniform(0.2, 1.0))
        (place / "others").unlink()
        driver.end()
        outside.execute(place)
        return judged(place, 1)


LOUD = """
def loud(config, run):
    line = "x" * 1023
    for _ in range(300 * 1024):
        print(line)
    return {"score": config["x"] + run.seed}
"""


def loud(folder: Path, draw: random.Random) -> Outcome:
    """300 MiB of output. `wrong`: a log that is longer than 64 MiB and a little."""
    with (folder / "outside_task.py").open("a") as file:
        file.write(LOUD)
    driver = Driver.start(folder, count=1, function="loud").ready()
    driver.end()
    with Store.open(outside.database(folder)) as store:
        log = Path(store.attempts("k0")[-1].log, "log.txt")
    made = judged(folder, 1, count=1, files=False)
    return replace(made, wrong=int(not 2**20 < log.stat().st_size <= 65 * 2**20))


def restarted(folder: Path, draw: random.Random) -> Outcome:
    """PostgreSQL is stopped while runs are under way, and started again."""
    if postgres.missing():
        raise SystemExit(f"restarted: not tried, for {postgres.missing()}")
    with postgres.running() as server:
        (folder / "address").write_text(postgres.new_database(server.address, "study"))
        driver = Driver.start(folder).ready()
        executing(folder)
        time.sleep(draw.uniform(0, 0.5))
        server.stop()
        time.sleep(draw.uniform(0.2, 2.0))
        server.start()
        driver.end()
        outside.execute(folder)
        return judged(folder, 1)


outside.FAULTS.update({fault.__name__: fault for fault in (refused_writes, full_disk, loud, restarted)})
