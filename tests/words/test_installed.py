"""Plug-ins of installed packages: found without an import, listed with their distribution, hashed by their file."""

import json
import os
import subprocess
import sys

import pytest

from ablate.errors import PluginError
from ablate.installed import packages
from ablate.registry import Registry
from ablate.terminal import cli

TRICK = '''"""shine: a little more light."""

from dataclasses import dataclass
from typing import ClassVar

from ablate.plugins import NonNegative, Step, Trick

from ...light import BRIGHT


@dataclass(frozen=True)
class Shine(Trick):
    label: ClassVar[str] = "shine"
    category: ClassVar[str] = "augmentation"
    by: NonNegative = BRIGHT

    def batch(self, x, y, step: Step):
        return x + self.by, y
'''


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages; gives a function that puts one into it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()

    def install(name, version="1.0"):
        package, told = folder / f"shelves_{name}", folder / f"ablate_{name}-{version}.dist-info"
        for path, text in {
            package / "__init__.py": "raise RuntimeError('imported')\n" if name == "closed" else "",
            package / "light.py": "BRIGHT = 0.1\n",
            package / "own/tricks/shine.py": TRICK,
            told / "METADATA": f"Metadata-Version: 2.1\nName: ablate-{name}\nVersion: {version}\n",
            told / "entry_points.txt": f"[ablate.plugins]\n{name} = shelves_{name}.own\n",
        }.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        packages.cache_clear()

    monkeypatch.syspath_prepend(folder)
    packages.cache_clear()
    yield install
    packages.cache_clear()


def test_a_plug_in_of_a_package_is_found_without_an_import_and_told_with_its_distribution(site):
    site("closed")
    entry = Registry().entry("tricks", "shine")
    assert ("ablate-closed 1.0", "shelves_closed.own", True) == (entry.distribution, entry.package, entry.private)


def test_it_is_imported_as_a_module_of_its_package_and_its_file_is_its_code(site, capsys):
    site("open")
    registry = Registry()
    assert 0.1 == registry.make("tricks", "shine", {}).by
    assert 64 == len(registry.code("tricks", "shine"))
    with pytest.raises(SystemExit):
        cli.main(["list", "tricks"])
    assert "shine (augmentation), of ablate-open 1.0\n    a little more light." in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["list", "tricks", "--format", "json"])
    of = {one["name"]: one.get("distribution") for one in json.loads(capsys.readouterr().out)}
    assert ("ablate-open 1.0", None) == (of["shine"], of["mixup"])


def test_two_of_one_name_are_an_error_that_names_both(site, tmp_path):
    site("one")
    site("two")
    with pytest.raises(PluginError, match=r"shine.py of ablate-two 1.0: there is already a trick called 'shine' \(.*shelves_one.*shine.py of ablate-one 1.0\); uninstall ablate-two"):  # fmt: skip
        Registry().names("tricks")
    Registry().names("models")


def test_a_file_of_ones_own_may_not_take_its_name(site, tmp_path):
    site("one")
    (tmp_path / "mine/tricks").mkdir(parents=True)
    (tmp_path / "mine/tricks/shine.py").write_text(TRICK)
    with pytest.raises(PluginError, match=r"mine/tricks/shine.py: there is already a trick called 'shine' \(.* of ablate-one 1.0\); rename the file"):  # fmt: skip
        Registry([tmp_path / "mine"]).names("tricks")


STUDY = """
base: {model: {name: vgg, width: 2}, data: {name: synthetic, train_size: 64, dev_size: 32, image_size: 8}, epochs: 1}
tricks: {shine: }
seeds: 1
"""


@pytest.mark.slow
def test_a_wheel_is_used_and_upgraded_its_runs_are_asked_anew(tmp_path):
    site, source = tmp_path / "site-packages", tmp_path / "source"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}  # fmt: skip

    def install(version, trick):
        (source / "ablate_shine/own/tricks").mkdir(parents=True, exist_ok=True)
        (source / "ablate_shine/__init__.py").write_text("")
        (source / "ablate_shine/light.py").write_text("BRIGHT = 0.1\n")
        (source / "ablate_shine/own/tricks/shine.py").write_text(trick)
        (source / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "ablate-shine"\nversion = "{version}"\n'
            '[project.entry-points."ablate.plugins"]\nshine = "ablate_shine.own"\n'
            '[tool.setuptools]\npackages = ["ablate_shine", "ablate_shine.own", "ablate_shine.own.tricks"]\n'
        )
        pip = [sys.executable, "-m", "pip", "-q"]
        subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
        wheel = tmp_path / f"ablate_shine-{version}-py3-none-any.whl"
        subprocess.run([*pip, "install", "--no-deps", "--upgrade", "--target", site, wheel], check=True)

    def ablate(*words):
        done = subprocess.run(
            [sys.executable, "-m", "ablate", *words], cwd=tmp_path, capture_output=True, text=True, env=environment,
            check=False,
        )  # fmt: skip
        assert 0 == done.returncode, done.stderr
        return done.stdout

    (tmp_path / "s.yaml").write_text(STUDY)
    install("1.0", TRICK)
    assert "shine (augmentation), of ablate-shine 1.0" in ablate("list", "tricks")
    ablate("run", "s.yaml")
    assert "2 done, 0 to do" in ablate("plan", "s.yaml")
    install("2.0", TRICK.replace("x + self.by", "x + 2 * self.by"))
    plan = ablate("plan", "s.yaml")
    assert "1 done, 1 to do" in plan
    assert "1 finished run is not reused: the code of trick shine was edited." in plan
