"""A later ablate than this one, for tests: it has one more revision than there is, in a folder of its own.

python later.py FOLDER DATABASE    opens the database to write, as that ablate
"""

import shutil
import sys
from pathlib import Path

from ablate.store import migrate, schema
from ablate.store.store import Store

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade():
    op.create_table("note", sa.Column("run", sa.Text, primary_key=True), sa.Column("text", sa.Text, nullable=False))
    op.execute("INSERT INTO note SELECT run, 'failed' FROM attempt WHERE outcome = 'failed'")
    op.add_column("study", sa.Column("author", sa.Text))
    with op.batch_alter_table("attempt", recreate="auto") as table:
        table.alter_column("log", nullable=True)
{more}
"""
NEXT = schema.SCHEMA_VERSION + 1


def shelf(folder: Path, more: str = "") -> Path:
    """The shelf of that ablate: today's revisions and the next one, which ends with the statement `more`."""
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = REVISION.format(revision=f"{NEXT:04d}", before=f"{NEXT - 1:04d}", more=f"    {more}")
    (folder / f"v{NEXT:04d}_notes.py").write_text(text)
    return folder


if __name__ == "__main__":
    migrate.FOLDER, schema.SCHEMA_VERSION = Path(sys.argv[1]), NEXT
    Store.open(sys.argv[2], write=True).close()
