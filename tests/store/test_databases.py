"""Databases that refuse: a full disk, a file that may not be written, another host's file system."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import reliability
from plans import bare

from ablate.errors import AblateError
from ablate.pool import host
from ablate.pool.executors.local import LocalExecutor
from ablate.runs import execute
from ablate.store import schema
from ablate.store.store import Store

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw 0 0
drive /content/drive fuse.drive rw 0 0
/dev/vdb /home/me/local\\040disk xfs rw 0 0
//box/share /mnt/share cifs rw 0 0
me@far: /mnt/far fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/a.db", None),
        ("/home/me/results/a.db", "nfs4"),
        ("/content/drive/MyDrive/a.db", "fuse.drive"),
        ("/home/me/local disk/a.db", None),
        ("/homes/a.db", None),
        ("/mnt/share/a.db", "cifs"),
        ("/mnt/far/a.db", "fuse.sshfs"),
    ],
)
def test_the_deepest_mount_decides_whether_a_file_lies_on_a_network(path, kind):
    assert kind == schema.network_kind(Path(path), MOUNTS)


def test_wal_is_not_used_on_a_network_whatever_the_sqlite(monkeypatch, tmp_path):
    monkeypatch.setattr(schema, "wal_is_safe", lambda version: True)
    assert "WAL" == schema.journal_mode(tmp_path / "a.db")
    monkeypatch.setattr(schema, "network_of", lambda path: "nfs4")
    assert "TRUNCATE" == schema.journal_mode(tmp_path / "a.db")


def mode_of(path):
    raw = sqlite3.connect(path)
    (mode,) = raw.execute("PRAGMA journal_mode").fetchone()
    raw.close()
    return mode


@pytest.mark.parametrize(("made_by_a_safe_one", "mode"), [(True, "wal"), (False, "delete")])
def test_a_python_with_another_sqlite_keeps_the_journal_that_a_database_has(
    monkeypatch, tmp_path, made_by_a_safe_one, mode
):
    monkeypatch.setattr(schema, "wal_is_safe", lambda version: made_by_a_safe_one)
    with Store.open(tmp_path / "a.db", write=True) as first:
        monkeypatch.setattr(schema, "wal_is_safe", lambda version: not made_by_a_safe_one)
        with Store.open(tmp_path / "a.db", write=True) as second:
            second.save_plan(bare("s"), "", [], {})
            first.save_plan(bare("t"), "", [], {})
            assert mode == mode_of(tmp_path / "a.db")
            assert {"s", "t"} == set(second.studies())
    assert mode == mode_of(tmp_path / "a.db")


def test_on_a_network_one_host_runs_and_is_warned_and_another_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(schema, "network_of", lambda path: "nfs4")
    said = []
    watcher = type("Watcher", (), {"warn": staticmethod(said.append)})
    with Store.open(tmp_path / "a.db", write=True) as store:
        execute.check_hosts(store, watcher)
        assert "lies on nfs4: run on this host only" in said[0]
        store.save_plan(bare(), "", [("v", 0, "ablation", "k")], {"k": "{}"})
        lease = {"boot": "b", "owner": "1:1", "device": "cpu", "slot": 0, "log": "", "lease_s": 600}
        store.claim("k", "t", host="elsewhere", **lease)
        with pytest.raises(AblateError, match="elsewhere is running on it"):
            execute.check_hosts(store, watcher)
        assert "elsewhere" != host.host()


def test_a_message_about_a_lock_names_the_process_that_holds_it(tmp_path):
    path = tmp_path / "a.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN IMMEDIATE")
    assert [os.getpid()] == schema.lock_holders(path, Path("/proc/locks").read_text())
    holder.execute("ROLLBACK")
    assert [] == schema.lock_holders(path, Path("/proc/locks").read_text())
    holder.close()


FULL = """
import resource, signal, sys
from pathlib import Path
import reliability
from ablate.errors import StoreError
from ablate.pool.executors.local import LocalExecutor
from ablate.store.store import Store

folder, database, room = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
executor = LocalExecutor().open(reliability.setup(folder))
Store.open(folder / database, write=True).close()
size = (folder / database).stat().st_size
if database == "a.db":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, size + room))
else:
    (folder / "disk/ballast").write_bytes(b"x" * (1_000_000 - size - room))
try:
    reliability.dispatch(folder, executor, runs=24, database=database, patience_s=0.5)
except StoreError as error:
    print(error)
finally:
    executor.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("room", [1, 5000])
def test_a_file_that_may_not_grow_is_a_message_and_what_was_reported_is_kept(tmp_path, room):
    check_full(tmp_path, "a.db", room)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk_is_a_message_and_what_was_reported_is_kept(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1000000", "tmpfs", str(disk)]).returncode:
        pytest.skip("this root may not mount")
    try:
        check_full(tmp_path, "disk/a.db", 24_000)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def check_full(folder, database, room):
    (folder / "tiny_task.py").write_text("def main(config, run):\n    return {'score': config['x'] + run.seed}\n")
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", FULL, str(folder), database, str(room)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})
    assert 0 == done.returncode, done.stderr
    assert "the disk refused a write; free some space and run the same command again" in done.stdout
    (folder / "disk/ballast").unlink(missing_ok=True)
    executor = LocalExecutor().open(reliability.setup(folder))
    reliability.dispatch(folder, executor, runs=24, database=database)
    executor.close()
    found = reliability.judged(folder, runs=24, database=database)
    assert (0, 0, 0) == (found.lost, found.twice, found.left)


READ_ONLY = """
import os, sys
import sqlalchemy.dialects.sqlite.pysqlite
from ablate.errors import StoreError
from ablate.store.store import Store
if os.getuid() == 0:  # no permission stops root
    os.setuid(65534)
with Store.open(sys.argv[1]) as store:
    print(store.studies())
try:
    Store.open(sys.argv[1], write=True).drop_todo("s", "v", "ablation")
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("wal", [False, True])
def test_a_database_that_may_not_be_written_can_be_read(monkeypatch, wal):
    monkeypatch.setattr(schema, "wal_is_safe", lambda version: wal)
    folder = Path(tempfile.mkdtemp())
    try:
        with Store.open(folder / "a.db", write=True) as store:
            store.save_plan(bare(), "", [], {})
        (folder / "a.db").chmod(0o444)
        folder.chmod(0o555)
        before = sorted(path.name for path in folder.iterdir())
        done = subprocess.run([sys.executable, "-c", READ_ONLY, str(folder / "a.db")], capture_output=True, text=True)
        assert "['s']" in done.stdout, done.stderr
        assert "the database may not be written" in done.stdout
        assert before == sorted(path.name for path in folder.iterdir())
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_what_only_the_log_of_a_read_only_folder_has_is_not_left_out(monkeypatch):
    """Copied while its dispatcher worked: the last commit is in the log alone."""
    monkeypatch.setattr(schema, "wal_is_safe", lambda version: True)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    copy = folder / "copy"
    try:
        with Store.open(folder / "a.db", write=True) as store:
            store.save_plan(bare(), "", [], {})
            copy.mkdir()
            for name in ("a.db", "a.db-wal"):
                shutil.copy(folder / name, copy / name)
        copy.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", READ_ONLY, str(copy / "a.db")], capture_output=True, text=True)
        assert "[]" not in done.stdout
        assert "-wal beside it, copy both into a folder that you may write" in done.stderr
    finally:
        copy.chmod(0o755)
        shutil.rmtree(folder)
