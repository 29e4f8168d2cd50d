"""The running agent: one thread samples, one delivers, the main thread waits for the signal to end."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

from waystation_agent import __version__, journal, pairing, spool
from waystation_agent.backoff import chance, jittered
from waystation_agent.commands.errands import Errands
from waystation_agent.delivery import Delivery, Pause
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.heartbeat import Heartbeats
from waystation_agent.hub_work import Host, HubWork, Wanted
from waystation_agent.identity import IdentityFile
from waystation_agent.invitations import Invitations
from waystation_agent.junctionrelay.account import Account
from waystation_agent.junctionrelay.relay import Relay
from waystation_agent.junctionrelay.report import check
from waystation_agent.live import told
from waystation_agent.logs import LOG, facts, log_also_to
from waystation_agent.messages import outbox, own
from waystation_agent.notify import Notifier
from waystation_agent.options import Plan
from waystation_agent.sampler import Sampler
from waystation_agent.sensors.board import Board
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import MachineTicks, Timekeeper

SIGNALS = {signal.SIGTERM, signal.SIGINT}
HUB_PERIOD_SECONDS = 10.0
RELAY_PERIOD_SECONDS = 60.0
FIRST_SAMPLE_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""How often a waiting thread looks whether this device has been paired anew."""
LONGEST_LOOK_SECONDS = 60.0
DISK_PAUSE_SECONDS = 10.0
END_SECONDS = 5.0


class Stepping(Protocol):
    """Work done in steps, each of which says how long to rest after it."""

    def step(self) -> Pause: ...
    def close(self) -> None: ...


class Agent:
    def __init__(self, folder: Folder, plan: Plan, board: Board, wanted: Wanted | None = None) -> None:
        self._folder = folder
        self._plan = plan
        self._board = board
        self.wants_restart = False
        self._timekeeper = Timekeeper(MachineTicks())
        self._ending = threading.Event()
        self._sampled = threading.Event()
        self._failed = False
        self._heartbeats = Heartbeats()
        self._notifier = Notifier(os.environ)
        self._started_at = time.monotonic()
        host = Host(self._restart, self._set_period, self._told_to_hub, self._is_ending)
        self._wanted = wanted or Wanted()
        self._hub_work = HubWork(folder, self._wanted, self._timekeeper, host)
        self._errand: Errands | None = None
        self._hubs_period_seconds: float | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises Fault if the agent could not go on, BadInput if it was told nonsense."""
        self._folder.make()
        with self._folder.held_alone():
            self._open_files()
            log_also_to(self._folder.log)
            own.tell(self._folder.messages, self._wanted.telling)
            LOG.info("started %s", facts(version=__version__, pid=os.getpid()))
            self._settle_who_this_is()
            # Blocked here and inherited by all threads, so that the signal comes to `sigtimedwait` and nowhere else.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            with told(self._folder.live, self._now):
                self._work_until_signal()
        if self._failed:
            raise Fault("the agent ended after an error, see the lines above; everything sampled is saved")

    def _open_files(self) -> None:
        folder = self._folder
        files = ((folder.spool, spool), (folder.journal, journal), (folder.messages, outbox))
        for file, kind in files:
            try:
                kind.make_sound(file)
            except sqlite3.OperationalError as error:
                raise Fault(f"{file} cannot be used: {error}") from error
        self._hubs_period_seconds = self._hub_work.period_seconds()

    def _settle_who_this_is(self) -> None:
        """What is wrong with identity, options or environment is better known now than in a thread."""
        plan, path = self._plan, self._folder.identity
        pairing.take_over(path, plan.config_folders, plan.python_clients_server, prefix=plan.destination.prefix)
        device = IdentityFile(path).current()
        if isinstance(device, Account):
            check(plan.manner.form, device)
        if plan.invitation:
            spool = Spool(self._folder.spool)
            Invitations(self._folder, spool, self._timekeeper, plan.destination).take(plan.invitation, "environment")
            spool.close()

    def _work_until_signal(self) -> None:
        works = (self._sample, self._deliver, self._carry_out, self._deploy, self._upload, self._tell)
        threads = {
            work: threading.Thread(target=self._watched, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in works
        }
        for thread in threads.values():
            thread.start()
        self._notifier.ready()
        received = self._await_signal()
        LOG.info("ending %s", facts(signal=signal.Signals(received).name))
        self._notifier.stopping()
        self._ending.set()
        self._sampled.set()
        # A request under way may be cut off: what it carried is still on disk, and the hub knows it again.
        for work, thread in threads.items():
            is_idle = work == self._carry_out and self._errand is not None and self._errand.is_waiting
            thread.join(0 if is_idle else END_SECONDS)

    def _await_signal(self) -> int:
        """Wait for the end, and tell systemd's watchdog meanwhile that both threads live, as long as they do."""
        watchdog_seconds = self._notifier.watchdog_seconds
        look_seconds = watchdog_seconds / 3 if watchdog_seconds else LONGEST_LOOK_SECONDS
        while (received := signal.sigtimedwait(SIGNALS, look_seconds)) is None:
            stuck = self._heartbeats.stuck()
            if stuck:
                LOG.error("threads are stuck %s", facts(threads=",".join(stuck)))
            else:
                self._notifier.alive()
        return received.si_signo

    def _now(self) -> dict[str, object]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "running_seconds": round(time.monotonic() - self._started_at),
            "stuck": self._heartbeats.stuck(),
            "sensors": [asdict(report) for report in self._board.report()],
        }

    def _watched(self, work: Callable[[], None]) -> None:
        """A thread that fails ends the whole agent, loudly: a service that looks alive and does nothing is worse."""
        try:
            work()
        except Exception:  # noqa: BLE001 whatever it is, it is logged and ends the agent
            LOG.exception("agent failed")
            self._failed = True
            os.kill(os.getpid(), signal.SIGTERM)

    # Sampling

    def _sample(self) -> None:
        spool = Spool(self._folder.spool)
        identities = IdentityFile(self._folder.identity)
        self._await_pairing(identities)
        sampler = Sampler(self._board, spool, self._timekeeper)
        # The first sample comes soon, yet late enough for rates to have a span to cover.
        self._ending.wait(min(FIRST_SAMPLE_SECONDS, self._period_seconds(identities)))
        while not self._ending.is_set():
            next_at = time.monotonic() + jittered(self._period_seconds(identities), chance())
            if identities.current():
                self._sample_once(sampler)
            pause_seconds = max(0.0, next_at - time.monotonic())
            self._heartbeats.beat("sampling", pause_seconds=pause_seconds)
            self._ending.wait(pause_seconds)
        spool.close()

    def _period_seconds(self, identities: IdentityFile) -> float:
        usual = RELAY_PERIOD_SECONDS if isinstance(identities.current(), Account) else HUB_PERIOD_SECONDS
        return self._hubs_period_seconds or self._plan.period_seconds or usual

    def _sample_once(self, sampler: Sampler) -> None:
        try:
            sampler.take()
        except sqlite3.OperationalError as error:
            LOG.error("sample could not be saved %s", facts(reason=error))
        else:
            self._sampled.set()

    def _await_pairing(self, identities: IdentityFile) -> None:
        if identities.current() is None:
            LOG.info("not paired yet, waiting; pair with `waystation-agent pair CODE`")
        while identities.current() is None and not self._ending.wait(LOOK_SECONDS):
            self._heartbeats.beat("sampling", pause_seconds=LOOK_SECONDS)

    # Delivery

    def _deliver(self) -> None:
        spool = Spool(self._folder.spool)
        identities = IdentityFile(self._folder.identity)
        delivery = Delivery(spool, identities, self._timekeeper)
        relay = Relay(spool, identities, self._timekeeper, self._plan.manner)
        invitations = Invitations(self._folder, spool, self._timekeeper, self._plan.destination)
        while not self._ending.is_set():
            # Cleared before the step looks: a sample that comes during the step is seen by the next one.
            self._sampled.clear()
            try:
                invitations.look()
                pause = (relay if isinstance(identities.current(), Account) else delivery).step()
            except sqlite3.OperationalError as error:
                LOG.error("spool cannot be used %s", facts(reason=error))
                pause = Pause(DISK_PAUSE_SECONDS)
            self._heartbeats.beat("delivery", pause_seconds=pause.seconds)
            self._rest(pause, identities, invitations)
        relay.close()
        delivery.close()
        spool.close()

    def _rest(self, pause: Pause, identities: IdentityFile, invitations: Invitations) -> None:
        woken = self._sampled if pause.until_sample else self._ending
        paired_as = identities.current()
        rested_at = time.monotonic() + pause.seconds
        while (left := rested_at - time.monotonic()) > 0 and not woken.wait(min(left, LOOK_SECONDS)):
            invitations.look()
            if identities.current() != paired_as:
                return

    # What the hub asks for

    def _carry_out(self) -> None:
        self._errand = self._hub_work.commands()
        self._step_on("commands", self._errand, lambda: False)

    def _deploy(self) -> None:
        self._step_on("packages", self._hub_work.packages(), self._hub_work.packages_wanted)

    def _upload(self) -> None:
        self._step_on("files", self._hub_work.uploads(), self._hub_work.files_wanted)

    def _tell(self) -> None:
        self._step_on("messages", self._hub_work.messages(), lambda: False)

    def _step_on(self, who: str, work: Stepping, is_wanted: Callable[[], bool]) -> None:
        while not self._ending.is_set():
            try:
                pause = work.step()
            except sqlite3.OperationalError as error:
                LOG.error("file cannot be used %s", facts(about=who, reason=error))
                pause = Pause(DISK_PAUSE_SECONDS)
            self._heartbeats.beat(who, pause_seconds=pause.seconds)
            rested_at = time.monotonic() + pause.seconds
            while (left := rested_at - time.monotonic()) > 0 and not is_wanted():
                if self._ending.wait(min(left, LOOK_SECONDS)):
                    break
        work.close()

    def _is_ending(self, who: str) -> bool:
        self._heartbeats.beat(who, pause_seconds=0)
        return self._ending.is_set()

    def _restart(self) -> None:
        self.wants_restart = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _set_period(self, seconds: float | None) -> float:
        """Take over the hub's period, or none, and return the one before. It counts from the next sample on."""
        identities = IdentityFile(self._folder.identity)
        was = self._period_seconds(identities)
        self._hubs_period_seconds = seconds
        return was

    def _told_to_hub(self) -> dict[str, object]:
        sensors = {report.name: report.fault or "ok" for report in self._board.report()}
        return {"running_seconds": round(time.monotonic() - self._started_at), "sensors": sensors}
