"""A study's evidence: derived again from itself alone, a changed byte named, and nobody's name in the anonymous one."""

import io
import json
import sqlite3
import zipfile
from contextlib import closing, suppress

import pytest
from reported import VALUES, fill, resolved

from ablate.errors import AblateError
from ablate.figures import files
from ablate.reports import evidence
from ablate.reports.anonymous import Anonymous
from ablate.store.store import Store

SECRETS = (
    "wintermute", "case.gibson", "/home/case", "gibson@chiba.example", "deadbeef" * 5, "Armitage", "neuromancer",
    "molly", "straylight", "finn",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def drawn_fast():
    """What a scene says instead of its drawing, which takes matplotlib half a second a figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "drawn", lambda scene, kind, columns: files.Drawing(f"{kind} {scene}".encode()))
        yield


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A study whose rows name a host, a user, folders, an address and a commit wherever there is room for it."""
    path = tmp_path_factory.mktemp("evidence") / "a.db"
    plan = resolved(question="", file="/home/case.gibson/studies/demo.yaml", overrides=["data.root=/home/case/data"])
    fill(path, plan, VALUES, "wintermute.chiba.example")
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.execute("UPDATE attempt SET detail = 'File /home/case.gibson/train.py by gibson@chiba.example, Armitage'")
        rows.execute("UPDATE attempt SET owner = 'case.gibson', log = '/home/case.gibson/demo/runs/x'")
        told = json.dumps({"torch": "2.9.0", "git": "deadbeef" * 5, "executed": {"/home/case.gibson/a.py": "1"}})
        rows.execute("UPDATE attempt SET provenance = ?", (told,))
        rows.execute("UPDATE study SET text = text || '# by Armitage <gibson@chiba.example>, data in /home/case/data'")
    return path


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The same, executed by several people on several machines, whose names also stand where no path is."""
    path = tmp_path_factory.mktemp("elsewhere") / "a.db"
    fill(path, resolved(question=""), VALUES, "neuromancer/ray/500")
    node = json.dumps(
        {"node": "straylight.chiba.example", "executed": {"/home/molly/a.py": "1"}, "energy": {"cpu_kwh": 1}}
    )
    with closing(sqlite3.connect(path)) as rows, rows:
        rows.execute("UPDATE attempt SET host = 'slurm:demo', provenance = ? WHERE id % 2 = 0", (node,))
        said = r"finn's run on straylight: molly@neuromancer: C:\Users\finn\x.py, cwd=/home/molly, /home/500"
        rows.execute("UPDATE attempt SET message = ?, detail = ?", (said, said))
        rows.execute("UPDATE run SET config = json_set(config, '$.train_size', 500)")
        ids = json.dumps(["/home/molly/a/1.png", "/home/molly/b/1.png"])
        rows.execute("INSERT INTO example_set VALUES ('f', ?, '[0, 1]', '[]', '[]')", (ids,))
        rows.execute("INSERT INTO example VALUES (1, 'other', 'last', 'f', 'number', 1.0, x'00')")
    return path


def packed(database, **more):
    with Store.open(database) as store:
        return evidence.packed(store, "demo", **more)


@pytest.fixture(scope="module")
def bundle(database):
    return packed(database)


def written(tmp_path, content):
    (tmp_path / "e.zip").write_bytes(content)
    return evidence.verify(tmp_path / "e.zip")


def changed(content, name, to):
    """The same archive with another content of one file; None: without it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry, old.read(entry))
            elif to is not None:
                new.writestr(entry, to(old.read(entry)))
    return out.getvalue()


def test_evidence_is_derived_again_from_itself_alone_and_is_the_same_bytes_when_packed_again(
    database, bundle, tmp_path
):
    assert bundle == packed(database)
    told = written(tmp_path, bundle)
    assert () == told.wrong
    assert told.same > 10
    assert "the runs themselves" in told.text


def test_one_changed_byte_is_named_with_its_file_and_so_is_one_that_is_gone(bundle, tmp_path):
    names = ("tables/variants.md", "study.yaml", "runs.csv")
    content = bundle
    for name in names:
        content = changed(content, name, lambda old: old[:-2] + b"x" + old[-1:])
    told = written(tmp_path, changed(content, "tables/matrix.md", None))
    for name in names:
        assert f"{name}: its SHA-256 is not the manifest's, so it was changed." in told.wrong
    assert "tables/matrix.md: is missing." in told.wrong
    assert {*names, "tables/matrix.md"} == {sentence.partition(":")[0] for sentence in told.wrong}


def test_a_number_that_was_changed_in_the_database_shows_in_the_tables_whatever_the_manifest_says(bundle, tmp_path):
    def other(content):
        (tmp_path / "e.db").write_bytes(content)
        with closing(sqlite3.connect(tmp_path / "e.db")) as rows, rows:
            rows.execute("UPDATE metric SET value = value + 5 WHERE name = 'dev_accuracy' AND attempt = 1")
        return (tmp_path / "e.db").read_bytes()

    told = written(tmp_path, changed(bundle, "evidence.db", other))
    assert "evidence.db: its SHA-256 is not the manifest's, so it was changed." in told.wrong
    assert "tables/variants.md: the stored runs give another one." in told.wrong


def test_a_byte_changed_in_the_zip_itself_names_its_file_or_the_zip_and_never_ends_in_a_traceback(bundle, tmp_path):
    unseen = 0
    for place in range(40, len(bundle), len(bundle) // 60):
        content = bytearray(bundle)
        content[place] ^= 0x55
        with suppress(AblateError):  # where the .zip has no list of files any more
            wrong = written(tmp_path, bytes(content)).wrong
            assert all(": " in sentence for sentence in wrong)
            unseen += not wrong
    assert unseen < 6, "only where a file's date stands, say, a byte is nobody's"
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        entry = archive.getinfo("runs.csv")
    content = bytearray(bundle)
    content[entry.header_offset + 30 + len("runs.csv") + entry.compress_size // 2] ^= 0xFF
    assert any(one.startswith("runs.csv: its bytes are damaged") for one in written(tmp_path, bytes(content)).wrong)
    with pytest.raises(AblateError, match="cut short"):
        written(tmp_path, bundle[:-40])


def test_what_a_consistent_forgery_would_pass_is_said_with_the_hash_that_would_tell(bundle, tmp_path):
    told = written(tmp_path, bundle)
    assert told.text.endswith(f"against the SHA-256 of this manifest: {evidence.fingerprint(bundle)}")
    assert "changed runs, tables and manifest alike would not be found out" in told.text


@pytest.mark.parametrize("manifest", [b"[]", b'{"study": "demo"}', b'{"study": 1, "ablate": 2, "files": []}'])
def test_a_manifest_of_another_form_is_refused(bundle, tmp_path, manifest):
    with pytest.raises(AblateError, match=r"so it is not what `ablate export` wrote|has no MANIFEST"):
        written(tmp_path, changed(bundle, "MANIFEST.json", lambda _: manifest))


def test_a_database_that_gives_no_tables_is_named_by_its_place_in_the_bundle(bundle, tmp_path):
    told = written(tmp_path, changed(bundle, "evidence.db", lambda _: b"no database"))
    assert "evidence.db: nothing can be derived from it: this file is no SQLite database" in told.wrong[-1]
    assert "no table and no figure could be derived again" in told.text
    other = changed(bundle, "MANIFEST.json", lambda old: old.replace(b'"study": "demo"', b'"study": "else"'))
    assert "it has no study 'else', which the manifest names, but demo" in written(tmp_path, other).wrong[-1]


def test_a_bundle_that_was_packed_anew_with_its_folder_is_the_same_evidence(bundle, tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(f"evidence/{name}", old.read(name))
    assert () == written(tmp_path, out.getvalue()).wrong


def unpacked_and_named_by_none(content, tmp_path):
    assert () == written(tmp_path, content).wrong
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path / "x")
    for path in (path for path in (tmp_path / "x").rglob("*") if path.is_file()):
        for secret in SECRETS:
            assert secret.lower().encode() not in path.read_bytes().lower(), (path.name, secret)


def test_an_anonymous_bundle_names_nobody_in_any_file_and_is_derived_again_all_the_same(database, tmp_path):
    unpacked_and_named_by_none(packed(database, anonymous=True, more=("Armitage", "case.gibson")), tmp_path)
    with closing(sqlite3.connect(tmp_path / "x/evidence.db")) as rows:
        assert {("host-1", "", "")} == set(rows.execute("SELECT host, owner, log FROM attempt"))
        assert "train.py" in rows.execute("SELECT detail FROM attempt").fetchone()[0]


def test_names_of_other_hosts_nodes_and_users_are_taken_out_wherever_they_stand_again(elsewhere, tmp_path):
    unpacked_and_named_by_none(packed(elsewhere, anonymous=True), tmp_path)
    with closing(sqlite3.connect(tmp_path / "x/evidence.db")) as rows:
        (text,) = rows.execute("SELECT resolved FROM study").fetchone()
        assert "demo" == json.loads(text)["study"], "of a place that is called slurm:demo neither word is a name"
        assert all(500 == json.loads(config)["train_size"] for (config,) in rows.execute("SELECT config FROM run"))
        assert {"host-1", "host-2"} == {host for (host,) in rows.execute("SELECT host FROM attempt")}
        assert ['["example-1", "example-2"]'] == [ids for (ids,) in rows.execute("SELECT ids FROM example_set")]
        assert any("cpu_kwh" in made for (made,) in rows.execute("SELECT provenance FROM attempt"))


def test_places_on_the_net_serials_and_times_are_gone_and_formulas_and_papers_stay():
    of = Anonymous({"ashpool"})
    of._persons(["Ada Page"])
    assert "see URL and https://arxiv.org/abs/1512.03385" == of.text(
        "see https://github.com/x/y and https://arxiv.org/abs/1512.03385"
    )
    assert r"$\mathcal{L} = -\sum_k y_k \log p_k$" == of.text(r"$\mathcal{L} = -\sum_k y_k \log p_k$")
    assert "FOLDER, FOLDER, x.py by NAME on page 3" == of.text(
        r"/scratch/ashpool, /data/w, \\nas\me\x.py by Page on page 3"
    )
    assert "on GPU and MIG" == of.text("on GPU-3f9c0000-12ab and MIG-11aa22bb/1/0")
    changed = of.change("study", STUDY | {"text": "a: 1\nengines:\n  slurm: {sbatch: [--account=x]}\nb: 2\n"})
    assert "a: 1\nb: 2\n" == changed["text"]
    of.look("attempt", ATTEMPT)
    assert (0.0, 60.0) == tuple(of.change("attempt", ATTEMPT)[of_end] for of_end in ("started_at", "ended_at"))


STUDY = {"name": "demo", "resolved": "{}", "planned_at": 1e9}
ATTEMPT = {
    "id": 1, "host": "h", "device": "cpu", "provenance": "{}", "log": "", "message": None, "detail": None, "late": None,
    "outputs": None, "started_at": 1e9, "ended_at": 1e9 + 60, "lease_until": None,
}  # fmt: skip


def test_the_parts_of_a_plan_keep_their_names_whoever_is_called_so(database, tmp_path):
    content = packed(database, anonymous=True, more=("variants", "metric", "digits"))
    assert () == written(tmp_path, content).wrong
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (tmp_path / "e.db").write_bytes(archive.read("evidence.db"))
    with closing(sqlite3.connect(tmp_path / "e.db")) as rows:
        plan = json.loads(rows.execute("SELECT resolved FROM study").fetchone()[0])
    assert {"variants", "metric"} <= plan.keys()
    assert "NAME" == plan["variants"][0]["config"]["data"]["name"]
    of = Anonymous()
    of.look("attempt", ATTEMPT | {"host": "imported"})
    assert set() == of.names


def test_a_name_that_is_a_variants_is_taken_out_of_it_everywhere_and_two_never_become_one(database, tmp_path):
    said = []
    content = packed(database, anonymous=True, more=("full", "demo"), say=said.append)
    told = written(tmp_path, content)
    assert () == told.wrong
    assert told.text.startswith("NAME: ")
    assert "full" in said[0]
    with pytest.raises(AblateError, match="would both be 'NAME'"):
        packed(database, anonymous=True, more=("full", "base"))


def test_what_is_no_evidence_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", "b")
    for content in (b"no zip", out.getvalue()):
        with pytest.raises(AblateError, match=r"no \.zip|has no MANIFEST\.json"):
            written(tmp_path, content)
