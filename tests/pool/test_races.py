"""Any interleaving of dispatchers, hosts, clocks and crashes keeps the promises: the real store, the real dispatcher and
scheduler, over workers, clocks and processes that are made up.

A crash is an exception out of any statement, commit or call of the executor: as after a SIGKILL, what was not committed
is gone, and nothing more of that dispatcher is heard.
"""

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from plans import bare

from ablate.pool import claims, dispatcher, host, known, leases, scheduler
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Failed, Finished, Placed, Progressed, Slot, Started
from ablate.records import Limits, RunSpec, TaskUse
from ablate.store.store import Store

KEYS = [f"k{i}" for i in range(6)]
LIMITS = Limits(attempts=3)
LEASE_S = 30.0
UNDER_TEST = ((dispatcher, "time"), (known, "time"), (known, "ending"), (claims, "time"), (leases, "os"))


class Crash(BaseException):
    """The dispatcher is killed here."""


class World:
    """Time, hosts, and which processes live. It stands in for the dispatcher's `time` and `os`, and for the processes of `host`."""

    def __init__(self):
        self.now = 1e6
        self.boots = {"a": 0, "b": 0}
        self.alive = {}  # pid -> host
        self.pids = iter(range(2**40, 2**41))  # larger than any real one
        self.me = None  # the dispatcher that acts
        world = self

        class Process(SimpleNamespace):
            lives = property(lambda self: world.alive.get(self.pid) == world.me.host)
            stopped = False

            def __str__(self):
                return f"{self.pid}:{self.started}"

        self.of_host = {
            "Process": lambda pid, started: Process(pid=pid, started=started),
            "this_process": lambda: Process(pid=world.me.pid, started=1),
            "host": lambda: world.me.host,
            "place": lambda: world.me.host,  # the real one would keep the first host's name for every test after this
            "boot": lambda: f"boot{world.boots[world.me.host]}",
        }
        self.time = SimpleNamespace(monotonic=lambda: world.now, sleep=self.sleep)
        self.os = SimpleNamespace(environ={"ABLATE_LEASE_S": str(LEASE_S)}, readlink=os.readlink)
        self.workers = {}  # token -> pid
        self.ending = SimpleNamespace(end_attempts=self.end_attempts)

    def sleep(self, seconds):
        self.now += seconds

    def end_attempts(self, tokens, _):
        for token in tokens:
            self.alive.pop(self.workers.get(token), None)

    def spawn(self, host):
        pid = next(self.pids)
        self.alive[pid] = host
        return pid


class WorldStore(Store):
    """The store, on the world's clock."""

    world = None

    @property
    def _clock(self):
        return repr(self.world.now)


class TwoAhead:
    """A pace at which two runs always wait ahead."""

    def ended(self, seconds):
        pass

    def ahead(self, waits, slots):
        return 2 - waits if slots else 0


class Workers:
    """An executor whose workers do what the rules say. It takes runs ahead: each has the slot of the next that ends."""

    place, keeps, engine, queues = "", False, False, True

    def __init__(self, world, actor):
        self.world, self.actor = world, actor
        self.pids, self.slot_of, self.events = {}, {}, []
        self.queue, self.vacated = [], []

    def slots(self, here, wanted):
        return here

    def start(self, token, spec, slot, *, canary=False, alone=False):
        self.actor.tick()
        if not slot.is_ahead:
            self.begin(token, slot)
        elif self.vacated:
            self.follow(token, self.vacated.pop(0))
        elif self.pids:
            self.queue.append(token)
        else:
            self.events.append(Failed(token, "cancelled", "its turn did not come"))
        self.actor.tick()

    def begin(self, token, slot):
        self.pids[token], self.slot_of[token] = self.world.spawn(self.actor.host), slot
        self.world.workers[token] = self.pids[token]
        self.events.append(Started(token, self.pids[token], 1))

    def follow(self, token, slot):
        self.events.append(Placed(token, slot, self.world.now))
        self.begin(token, slot)

    def poll(self, timeout_s):
        self.actor.tick()
        for token in [token for token, pid in self.pids.items() if pid not in self.world.alive]:
            self.end(token, Failed(token, "lost", "the worker was killed by SIGKILL"))
        events, self.events = self.events, []
        self.vacated.clear()
        if not events:
            self.world.now += timeout_s  # or a dispatcher that waits a moment for more would wait for ever
        return events

    def stop(self, token, reason, message):
        if token in self.pids:
            self.end(token, Failed(token, reason, message))
        elif token in self.queue:
            self.queue.remove(token)
            self.events.append(Failed(token, reason, message))

    def end(self, token, event):
        self.world.alive.pop(self.pids.pop(token), None)
        self.events.append(event)
        if self.queue:
            self.follow(self.queue.pop(0), self.slot_of[token])
        else:
            self.vacated.append(self.slot_of[token])


class Actor:
    """One `ablate run` on a host."""

    def __init__(self, world, file, host):
        self.world, self.host, self.pid = world, host, world.spawn(host)
        self.fuse = None
        world.me = self
        self.store = WorldStore.open(file, write=True)
        self.workers = Workers(world, self)
        self.reported = []
        engine = self.store._engine
        for event in ("before_cursor_execute", "commit"):
            sa.event.listen(engine, event, self.tick)
        sa.event.listen(engine.pool, "checkin", self.tick)
        for name in ("_rows", "_each"):  # statements of SQLite's own driver, which SQLAlchemy does not see
            setattr(self.store, name, self._ticking(getattr(self.store, name)))
        specs = {key: RunSpec(key, TaskUse.of("t:f"), {}, (), i, 1, f"/{key}", "") for i, key in enumerate(KEYS)}
        with self.store.transaction():
            cells = [("v", spec.seed, "ablation", key) for key, spec in specs.items()]
            self.store.save_plan(bare(), "", cells, dict.fromkeys(KEYS, "{}"))
            states = self.store.states(KEYS)
            failed = {key: (found.reason, found.attempts) for key, found in states.items() if found.state == "failed"}
            self.store.requeue(scheduler.to_requeue(failed, LIMITS))
        slots = [Slot("cpu", 0), Slot("cpu", 1)]
        self.dispatcher = Dispatcher(self.store, self.workers, slots, specs, LIMITS, listener=self)
        self.dispatcher.known.pace = TwoAhead()
        self.dispatcher.look_around()

    def _ticking(self, to):
        def ticking(*given):
            self.tick()
            return to(*given)

        return ticking

    def changed(self, dispatcher):
        self.tick()

    def warn(self, text):
        pass

    def ended(self, work, event, *, again):
        if isinstance(event, Finished):
            self.reported.append((work.key, work.token, event.values["score"]))
        self.tick()

    def tick(self, *_):
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Crash


class Races(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        shared = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None))
        self.world = WorldStore.world = World()
        self.patches = [
            *(mock.patch.object(module, name, getattr(self.world, name)) for module, name in UNDER_TEST),
            *(mock.patch.object(host, name, by) for name, by in {**self.world.of_host, "os": self.world.os}.items()),
        ]
        for patch in self.patches:
            patch.start()
        self.actors, self.reported = [], []
        self.scores = iter(range(10**6))
        for name in "ab":
            self.add(name)
        self.reader = sqlite3.connect(self.folder / "a.db")

    def actor(self, data):
        return data.draw(st.sampled_from(self.actors))

    def working(self):
        return [(actor, token) for actor in self.actors for token in actor.workers.pids]

    # ------------------------------------------------------------------------------------------------------- events

    @rule(host=st.sampled_from("ab"))
    def add(self, host):
        if len(self.actors) < 3:
            self.actors.append(Actor(self.world, self.folder / "a.db", host))

    @precondition(lambda self: self.actors)
    @rule(data=st.data())
    def turn(self, data):
        """One turn of a dispatcher's loop."""
        self.act(self.actor(data))

    @precondition(lambda self: self.actors)
    @rule(data=st.data(), tick=st.integers(0, 20), orphans=st.booleans())
    def crash(self, data, tick, orphans):
        """A dispatcher is killed in its next turn, at any statement, commit or start."""
        self.act(self.actor(data), tick, orphans)

    @precondition(lambda self: len(self.actors) > 1)
    @rule(data=st.data())
    def stop(self, data):
        """A dispatcher is stopped (SIGSTOP) past its lease while the others go on."""
        stopped = self.actor(data)
        self.act(stopped)
        self.world.now += LEASE_S + 1
        for actor in [actor for actor in self.actors if actor is not stopped]:
            self.act(actor)
            self.act(actor)
        if data.draw(st.booleans()):
            self.act(stopped)

    def act(self, actor, tick=None, orphans=False):
        if actor in self.actors:
            self.world.me, actor.fuse = actor, tick
            try:
                if actor.dispatcher.step(0):
                    self.leave(actor)
            except Crash:
                self.leave(actor, workers_too=not orphans)
            actor.fuse = None

    def leave(self, actor, workers_too=True):
        """The dispatcher ends, or is killed; its workers follow, at once or (orphans, for a moment) later."""
        actor.fuse = None
        self.actors.remove(actor)
        self.reported += actor.reported
        self.world.alive.pop(actor.pid, None)
        for pid in actor.workers.pids.values() if workers_too else ():
            self.world.alive.pop(pid, None)
        actor.store.close()

    @precondition(lambda self: self.working())
    @rule(data=st.data(), how=st.sampled_from(["done", "step", "error", "oom", "killed"]))
    def happen(self, data, how):
        """Something happens to a worker, and its dispatcher hears of it or is killed while it does."""
        actor, token = data.draw(st.sampled_from(self.working()))
        score = {"score": float(next(self.scores))}
        if how == "step":
            actor.workers.events.append(Progressed(token, 1, score))
        elif how == "killed":
            self.world.alive.pop(actor.workers.pids[token], None)
        else:
            actor.workers.end(token, Finished(token, score) if how == "done" else Failed(token, how, how))
        match data.draw(st.sampled_from(["later", "heard", "killed"])):
            case "heard":
                self.act(actor)
            case "killed":
                self.act(actor, data.draw(st.integers(0, 20)))

    @rule(seconds=st.sampled_from([3, 11]))
    def wait(self, seconds):
        """Time passes; who takes no turn for long loses its leases."""
        self.world.now += seconds

    @precondition(lambda self: self.actors)
    @rule(data=st.data())
    def interrupt(self, data):
        self.actor(data).dispatcher.known.stopped_by = 2

    @rule(host=st.sampled_from("ab"))
    def reboot(self, host):
        for actor in [actor for actor in self.actors if actor.host == host]:
            self.leave(actor)
        self.world.alive = {pid: where for pid, where in self.world.alive.items() if where != host}
        self.world.boots[host] += 1

    # ----------------------------------------------------------------------------------------------------- promises

    def query(self, text):
        return self.reader.execute(text).fetchall()

    @invariant()
    def what_was_reported_is_counted_and_stays_so(self):
        counted = self.query(
            "SELECT run.key, token, value FROM run JOIN attempt ON id = counted_attempt JOIN metric ON attempt = id"
        )
        told = self.reported + [report for actor in self.actors for report in actor.reported]
        assert set(told) <= set(counted)
        assert len(told) == len({key for key, *_ in told})

    @invariant()
    def a_run_is_counted_at_most_once_and_its_state_is_what_its_attempts_say(self):
        live, done = (
            [key for (key,) in self.query(f"SELECT run FROM attempt WHERE outcome {what}")]
            for what in ("IS NULL", "= 'done'")
        )
        states = dict(self.query("SELECT key, state FROM run"))
        assert len(live) == len(set(live))
        assert len(done) == len(set(done))
        assert set(live) == {key for key, state in states.items() if state == "running"}
        assert set(done) == {key for key, state in states.items() if state == "done"}

    @invariant()
    def no_two_runs_hold_one_slot(self):
        slots = self.query("SELECT host, device, slot FROM attempt WHERE outcome IS NULL")
        assert len(slots) == len(set(slots))

    @invariant()
    def nobody_is_given_more_attempts_than_allowed(self):
        counts = self.query("SELECT count(*) FROM attempt WHERE reason IS NOT 'cancelled' GROUP BY run")
        assert all(count <= LIMITS.attempts for (count,) in counts)

    def teardown(self):
        """Everybody is gone; one more dispatcher and nothing is left running or to do."""
        try:
            for actor in list(self.actors):
                self.leave(actor)
            last = Actor(self.world, self.folder / "a.db", "a")
            self.world.me = last
            for _ in range(3):
                last.dispatcher.step(0)
            here = self.query(
                f"SELECT token FROM attempt WHERE outcome IS NULL AND host = 'a' AND owner <> '{last.pid}:1'"
                f" AND boot = 'boot{self.world.boots['a']}'"  # another start may be another host of this name
            )
            assert [] == here, "what the dead left on this host is free at once"
            for _ in range(100):
                for token in list(last.workers.pids):
                    last.workers.end(token, Finished(token, {"score": float(next(self.scores))}))
                if last.dispatcher.step(0):
                    break
                self.world.now += 1
            else:
                raise AssertionError("the last dispatcher never ends")
            assert {"done", "failed"} >= {state for (state,) in self.query("SELECT state FROM run")}
            self.actors.append(last)
            self.what_was_reported_is_counted_and_stays_so()
            last.store.close()
        finally:
            self.reader.close()
            for patch in self.patches:
                patch.stop()
            shutil.rmtree(self.folder)


quiet = settings(suppress_health_check=list(HealthCheck), print_blob=True)


class TestRaces(Races.TestCase):
    settings = settings(quiet, max_examples=25, stateful_step_count=30)


@pytest.mark.slow
class TestManyRaces(Races.TestCase):
    settings = settings(quiet, max_examples=2000, stateful_step_count=50)
