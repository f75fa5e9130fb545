"""A path means the study of that file: another one of its name is a conflict, and an edit is told."""

import shutil

import pytest

from ablate.terminal import cli

STUDY = """
task: train:main
base: {lr: 0.1}
tricks: {fast: {set: {lr: 0.2}}}
seeds: 3
metric: {name: acc, better: higher}
"""
TASK = "def main(config, run):\n    return {'acc': config['lr'] + 0.01 * run.seed, 'loss': 1 - config['lr']}\n"


@pytest.fixture
def ablate(tmp_path, monkeypatch, capsys):
    """Run a command beside two projects a and b; gives its exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    for project in "ab":
        (tmp_path / project).mkdir()
        (tmp_path / project / "ablation.yaml").write_text(STUDY.replace("fast", f"fast{project}"))
        (tmp_path / project / "train.py").write_text(TASK)

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(["--db", "r.db", *words])
        return (ended.value.code, *capsys.readouterr())

    assert 0 == run("run", "a/ablation.yaml", "--workers", "1")[0]
    return run


@pytest.mark.parametrize("command", ["run", "plan", "table", "status", "report"])
def test_another_file_of_a_study_s_name_is_refused_with_the_way_out(ablate, tmp_path, command):
    code, out, err = ablate(command, "b/ablation.yaml")
    assert (2, "") == (code, out)
    assert f"the study 'ablation' of this database is that of {tmp_path / 'a/ablation.yaml'}" in err
    assert "`study: b-ablation`" in err
    assert "fasta" in ablate("table", "a/ablation.yaml")[1]


def test_a_name_of_its_own_makes_it_another_study(ablate, tmp_path):
    with (tmp_path / "b/ablation.yaml").open("a") as file:
        file.write("study: b-ablation\n")
    assert "no study is called 'b/ablation.yaml'" in ablate("table", "b/ablation.yaml")[2]
    assert 0 == ablate("run", "b/ablation.yaml", "--workers", "1")[0]
    assert "no study is called 'b/none.yaml', and there is no such file;" in ablate("table", "b/none.yaml")[2]
    assert "VARIANT:SEED of b-ablation, the study last run." in ablate("why", "none:0")[2]
    assert "fastb" in ablate("table", "b/ablation.yaml")[1]
    assert "fasta" in ablate("table", "a/ablation.yaml")[1]


def test_a_second_clone_of_a_project_asks_the_same(ablate, tmp_path):
    shutil.copy(tmp_path / "a/ablation.yaml", tmp_path / "b/ablation.yaml")
    assert 0 == ablate("table", "b/ablation.yaml")[0]


def test_a_project_that_was_moved_is_the_same_study(ablate, tmp_path):
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "b")
    code, out, err = ablate("table", "b/ablation.yaml")
    assert (0, "") == (code, err)
    assert "fasta" in out
    assert "6 done, 0 to do" in ablate("plan", "b/ablation.yaml")[1]


@pytest.mark.parametrize("command", [("table",), ("status",), ("report", "--methods")])
def test_what_was_edited_since_the_last_run_is_told(ablate, tmp_path, command):
    file = tmp_path / "a/ablation.yaml"
    file.write_text("# a word more\n" + STUDY.replace("fast", "fasta"))
    assert "" == ablate(*command, "a/ablation.yaml")[2], "a comment changes nothing"
    file.write_text(
        file.read_text().replace("acc, better: higher", "loss, better: lower").replace("seeds: 3", "seeds: 2")
    )
    for study in ("a/ablation.yaml", "ablation"):
        err = ablate(*command, study)[2]
        assert "the file has changed since its last run: " in err
        assert 'metric.name was "acc", is "loss"' in err
        assert "seeds was 3, is 2" in err


def test_a_plan_of_fewer_than_three_seeds_says_that_no_verdict_will_come(ablate):
    assert "2 seeds: differences will have no interval" in ablate("plan", "a/ablation.yaml", "--set", "seeds=2")[1]
    assert "no verdict" not in ablate("plan", "a/ablation.yaml")[1]
    words = ("--set", "seeds=1", "--set", "designs=[]", "--set", "variants={plain: []}")
    alone = ablate("plan", "a/ablation.yaml", *words)[1]
    assert "1 variant x 1 seed" in alone
    assert "no verdict" not in alone
