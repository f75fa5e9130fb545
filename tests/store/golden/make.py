"""Makes a golden database: what a release wrote, for every later one to open. `python make.py VERSION.db`, once a form.

Finished, failed, tuned and imported runs. Names of this machine are taken out of it. A file that was released is never
made again: it is what users have.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FILES = ("task.py", "ablation.yaml", "search.yaml", "elsewhere.csv")
COMMANDS = (
    "run ablation.yaml",
    "tune search.yaml",
    "import elsewhere.csv --study elsewhere --metric accuracy --better higher --variant model --seed seed",
)


def make(target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            shutil.copy(HERE / file, folder)
        for words in COMMANDS:
            command = [sys.executable, "-m", "ablate", "--db", "a.db", "--quiet", *words.split()]
            if subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL).returncode not in (
                0,
                1,
            ):  # 1: some failed
                raise SystemExit(f"{words} did not end well")
        anonymous(folder / "a.db", folder)
        shutil.copy(folder / "a.db", target)


def anonymous(database: Path, folder: Path) -> None:
    """As if made by somebody in /home/me/project, which is nowhere when it is opened."""
    raw = sqlite3.connect(database)
    raw.execute("UPDATE attempt SET host = 'desk', boot = 'boot', owner = '1:1', pid = 1, pid_started = 1")
    places = {
        str(folder.resolve()): "/home/me/project",
        str(HERE.parents[2]): "/home/me/ablate",
        sys.prefix: "/home/me/venv",
    }
    for table, column in (("study", "resolved"), ("run", "config"), ("attempt", "detail"), ("attempt", "log")):
        for place, other in places.items():
            raw.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (place, other))
    for number, text in raw.execute("SELECT id, provenance FROM attempt WHERE provenance IS NOT NULL").fetchall():
        kept = {key: value for key, value in json.loads(text).items() if key not in ("commit", "system", "processor")}
        raw.execute("UPDATE attempt SET provenance = ? WHERE id = ?", (json.dumps(kept), number))
    raw.commit()
    raw.execute("VACUUM")
    raw.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
