"""Electricity by the host's counters: a folder that looks like /sys/class/powercap is all that is made up here."""

import os

import pytest

from ablate.pool.energy import Meter

TICKS = os.sysconf("SC_CLK_TCK")


class Host:
    """Two processors, memory at the first, and a counter of all that stands in none of them."""

    def __init__(self, folder):
        self.powercap, self.stat = folder, folder / "stat"
        for zone, name in (("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "package-1"), ("2", "psys")):
            place = folder / f"intel-rapl:{zone}"
            place.mkdir()
            (place / "name").write_text(f"{name}\n")
            (place / "max_energy_range_uj").write_text("1000000000\n")
        self.at(dict.fromkeys(("0", "0:0", "0:1", "1", "2"), 0), 0)

    def at(self, joules, busy_s):
        for zone, j in joules.items():
            (self.powercap / f"intel-rapl:{zone}" / "energy_uj").write_text(f"{int(j * 1e6)}\n")
        self.stat.write_text(f"cpu  {busy_s * TICKS} 0 0 99999 99 0 0 5 0 0\ncpu0 0 0 0 0\n")


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def meter(host, gpu=None):
    return Meter(host.powercap, host.stat, gpu)


def test_a_run_has_the_share_of_its_cpu_time_in_what_processors_and_memory_took_and_nothing_counts_twice(host):
    of = meter(host)
    of.begin("a")
    of.begin("b")
    host.at({"0": 100, "0:0": 60, "0:1": 20, "1": 240, "2": 999}, 40)
    a, b = of.end("a", 10.0), of.end("b", 20.0)
    assert 90 == pytest.approx(a["cpu_kwh"] * 3.6e6)
    assert 180 == pytest.approx(b["cpu_kwh"] * 3.6e6)


def test_a_counter_that_starts_again_at_zero_goes_on(host):
    of = meter(host)
    host.at({"0": 990, "0:0": 0, "0:1": 0, "1": 0}, 0)
    of.begin("a")
    host.at({"0": 30}, 10)
    of.look()
    host.at({"0": 40}, 20)
    assert 50 == pytest.approx(of.end("a", 20.0)["cpu_kwh"] * 3.6e6)


def test_runs_on_a_gpu_have_equal_shares_of_what_it_took_while_they_were_there(host):
    took = {"GPU-1": 0.0}
    of = meter(host, took.__getitem__)
    of.begin("a", ["GPU-1"])
    took["GPU-1"] = 100.0
    of.begin("b", ["GPU-1"])
    took["GPU-1"] = 300.0
    a = of.end("a", None)
    took["GPU-1"] = 350.0
    b = of.end("b", None)
    assert (200, 150) == (pytest.approx(a["gpu_kwh"] * 3.6e6), pytest.approx(b["gpu_kwh"] * 3.6e6))
    assert "cpu_kwh" not in a, "nobody knows how much CPU time it took"


def test_what_cannot_be_read_is_not_made_up_and_it_is_said_why(host, tmp_path):
    def refused(gpu):
        raise OSError("a GPU tells no energy (Not Supported)")

    of = meter(host, refused)
    of.begin("a", ["GPU-1"])
    host.at({"0": 36}, 10)
    told = of.end("a", 10.0)
    assert {"cpu_kwh", "unread"} == told.keys()
    assert "a GPU tells no energy (Not Supported)" == told["unread"]

    nowhere = Meter(tmp_path / "none", host.stat)
    nowhere.begin("a")
    assert {"unread": f"this host has no counters of its processors in {tmp_path / 'none'}"} == nowhere.end("a", 1.0)

    (host.powercap / "intel-rapl:0" / "energy_uj").unlink()
    broken = meter(host)
    broken.begin("a")
    assert ["unread"] == [*broken.end("a", 1.0)]
