"""The part of the store through which a run goes: claimed, started, done.

Many in as many statements as one, and statements of the driver's own: a dispatcher comes here with every run, and to
build a statement of SQLAlchemy's each time costs four times what the database takes to execute it. `?` stands for a
value, as SQLite has it; where a statement names each run, there are at most as many as `parts` gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy.engine import Connection

from ablate.records import Json
from ablate.store import examples
from ablate.store.opened import parts
from ablate.store.planner import Planner
from ablate.store.stored import Begun, Claim, Result
from ablate.training.examples import Examples


class Attempts(Planner):
    """An open database, told what is claimed, what has started, and what came out."""

    # --------------------------------------------------------------------------------------------------------- claims

    def claim(
        self,
        run: str,
        token: str,
        *,
        host: str,
        boot: str,
        owner: str,
        device: str,
        slot: int,
        lease_s: float,
        log: str,
    ) -> bool:
        """Lease a run that is to do, and its slot, to `owner`; False where another was first with either."""
        one = Claim(run, token, device, slot, log)
        return bool(self.claim_all([one], host=host, boot=boot, owner=owner, lease_s=lease_s))

    def claim_all(self, claims: Sequence[Claim], *, host: str, boot: str, owner: str, lease_s: float) -> set[str]:
        """The same for many; the tokens that hold."""
        with self.transaction() as connection:
            runs = [claim.run for claim in claims]
            todo = {key for (key,) in self._of(connection, "SELECT key FROM run WHERE state = 'todo' AND key", runs)}
            asked = [claim for claim in claims if claim.run in todo]
            if not asked:
                return set()
            columns = "run, token, host, boot, owner, device, slot, log, started_at, lease_until"
            values = f"?, ?, ?, ?, ?, ?, ?, ?, {self._clock}, {self._clock} + ?"
            insert = f"INSERT INTO attempt ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING"
            rows = [(c.run, c.token, host, boot, owner, c.device, c.slot, c.log, lease_s) for c in asked]
            self._each(connection, insert, rows)
            # Asked, for not every driver tells which rows it inserted.
            held = set(self._held(connection, [claim.token for claim in asked]))
            running = [(claim.run,) for claim in asked if claim.token in held]
            self._each(connection, "UPDATE run SET state = 'running', reason = NULL WHERE key = ?", running)
            return held

    # --------------------------------------------------------------------------------------------------------- starts

    def started(self, token: str, pid: int, pid_started: int, where: Mapping[str, Json] = MappingProxyType({})) -> None:
        """An attempt's process exists. Its time begins, and not again where who adopted it hears the same."""
        self.started_all([Begun(token, pid, pid_started, where)])

    def started_all(self, begun: Sequence[Begun]) -> None:
        """The same of many."""
        first = f"started_at = CASE WHEN pid IS NULL THEN {self._clock} - ? ELSE started_at END"
        told = "provenance = coalesce(?, provenance)"
        update = f"UPDATE attempt SET {first}, pid = ?, pid_started = ?, {told} WHERE token = ? AND outcome IS NULL"
        rows = [(b.ago_s, b.pid, b.pid_started, json.dumps(dict(b.where)) if b.where else None, b.token) for b in begun]
        with self.transaction() as connection:
            self._each(connection, update, rows)

    def place(self, placed: Sequence[tuple[str, str, int]]) -> None:
        """Runs that were handed over ahead have slots now: (token, device, slot), each after whose it was has ended in
        this transaction. Where another has it after all, for this process slept past its lease, it stays as it is."""
        theirs = "SELECT 1 FROM attempt AS o WHERE o.host = attempt.host AND o.device = ? AND o.slot = ?"
        free = f"NOT EXISTS ({theirs} AND o.outcome IS NULL)"
        rows = [(device, slot, token, device, slot) for token, device, slot in placed]
        if rows:
            with self.transaction() as connection:
                self._each(connection, f"UPDATE attempt SET device = ?, slot = ? WHERE token = ? AND {free}", rows)

    def renew(self, tokens: Sequence[str], lease_s: float, owner: str | None = None) -> set[str]:
        """Extend leases; returns the tokens still held. A missing one was taken over: its worker must be stopped.
        owner: whose they must be; None: whoever's."""
        mine, of = ("", ()) if owner is None else ("owner = ? AND", (owner,))
        update = f"UPDATE attempt SET lease_until = {self._clock} + ? WHERE outcome IS NULL AND {mine} token"
        select = f"SELECT token FROM attempt WHERE outcome IS NULL AND {mine} token"
        with self.transaction() as connection:
            for part in parts(tokens):
                marks = ", ".join("?" * len(part))
                self._rows(connection, f"{update} IN ({marks})", (lease_s, *of, *part))
            return {token for (token,) in self._of(connection, select, tokens, of)}

    # ----------------------------------------------------------------------------------------------------------- ends

    def finish(
        self,
        token: str,
        values: Mapping[str, float],
        outputs: Mapping[str, str],
        provenance: Mapping[str, Json],
        per_example: Examples | None = None,
        *,
        seconds: float | None = None,
    ) -> bool:
        """Count a result: attempt, metrics, examples and run in one commit. False, and a note, where the token is
        fenced off. seconds: what it took, by a clock that never jumps; None: by the database's."""
        return token in self.finish_all([Result(token, values, outputs, provenance, per_example, seconds)])

    def finish_all(self, results: Sequence[Result]) -> set[str]:
        """The same of many; the tokens whose results count."""
        with self.transaction() as connection:
            held = self._held(connection, [result.token for result in results])
            counted = [(*held[result.token], result) for result in results if result.token in held]
            if counted:
                self._count(connection, counted)
            late = [result for result in results if result.token not in held]
            return held.keys() | {result.token for result in late if self._had_counted(connection, result)}

    def _count(self, connection: Connection, counted: Sequence[tuple[int, str, Result]]) -> None:
        """Results of these attempts (numbers and runs), whose tokens hold."""
        # Never before it began, for clocks are set back.
        ended = (
            f"started_at + coalesce(?, CASE WHEN {self._clock} > started_at THEN {self._clock} - started_at ELSE 0 END)"
        )
        done = f"UPDATE attempt SET outcome = 'done', message = NULL, ended_at = {ended}, outputs = ?, provenance = ?"
        rows = [
            (result.seconds, json.dumps(dict(result.outputs)), json.dumps(dict(result.provenance)), number)
            for number, _, result in counted
        ]
        self._each(connection, f"{done} WHERE id = ?", rows)
        values = [(number, *value) for number, _, result in counted for value in result.values.items()]
        self._each(connection, "INSERT INTO metric (attempt, name, value) VALUES (?, ?, ?)", values)
        for number, _, result in counted:
            if result.per_example is not None:
                examples.keep(self, connection, number, result.per_example)
        over = "UPDATE run SET state = 'done', reason = NULL, counted_attempt = ? WHERE key = ?"
        self._each(connection, over, [(number, run) for number, run, _ in counted])

    def _had_counted(self, connection: Connection, result: Result) -> bool:
        """Of a token that does not hold. It may have been written, and only the answer lost, when the database went
        away; else what came late is noted."""
        asked = "SELECT 1 FROM attempt WHERE outcome = 'done' AND reason IS NULL AND message IS NULL AND token"
        if list(self._of(connection, asked, [result.token])):
            return True
        late = f"a result that came late: {json.dumps(dict(result.values))}"
        self._each(connection, "UPDATE attempt SET late = ? WHERE token = ?", [(late, result.token)])
        return False

    # ------------------------------------------------------------------------------------------------------- progress

    def progress(self, steps: Sequence[tuple[str, int, Mapping[str, float]]]) -> None:
        """Values of steps: (token, step, values), many in one statement. A step reported again (a resumed run) replaces
        the earlier one; what a fenced token says is passed over."""
        if not any(values for _, _, values in steps):
            return
        with self.transaction() as connection:
            held = self._held(connection, {token for token, _, _ in steps})
            rows = [
                (held[token][0], name, step, value)
                for token, step, values in steps
                if token in held
                for name, value in values.items()
            ]
            replaced = "ON CONFLICT (attempt, name, step) DO UPDATE SET value = excluded.value"
            self._each(
                connection, f"INSERT INTO curve (attempt, name, step, value) VALUES (?, ?, ?, ?) {replaced}", rows
            )

    # ----------------------------------------------------------------------------------------------------- statements

    def _held(self, connection: Connection, tokens: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Number and run of those attempts whose tokens hold."""
        rows = self._of(connection, "SELECT token, id, run FROM attempt WHERE outcome IS NULL AND token", tokens)
        return {token: (number, run) for token, number, run in rows}
