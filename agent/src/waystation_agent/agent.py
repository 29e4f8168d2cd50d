"""The running agent: one thread samples, one delivers, the main thread waits for the signal to end."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable

from waystation_agent.backoff import chance, jittered
from waystation_agent.delivery import Delivery, Pause
from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.identity import IdentityFile
from waystation_agent.logs import LOG, facts
from waystation_agent.sampler import Sampler
from waystation_agent.sensors import Sensor
from waystation_agent.sensors.system import SystemSensor
from waystation_agent.spool import Spool, make_sound
from waystation_agent.timekeeper import MachineTicks, Timekeeper

SIGNALS = {signal.SIGTERM, signal.SIGINT}
FIRST_SAMPLE_SECONDS = 1.0
LOOK_SECONDS = 1.0
"""How often a waiting thread looks whether this device has been paired anew."""
DISK_PAUSE_SECONDS = 10.0
END_SECONDS = 5.0


class Agent:
    def __init__(self, folder: Folder, period_seconds: float, sensor: Callable[[], Sensor] = SystemSensor) -> None:
        self._folder = folder
        self._period_seconds = period_seconds
        self._sensor = sensor
        self._timekeeper = Timekeeper(MachineTicks())
        self._ending = threading.Event()
        self._sampled = threading.Event()
        self._failed = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises Fault if the agent could not go on."""
        self._folder.make()
        with self._folder.held_alone():
            IdentityFile(self._folder.identity).current()  # a broken file is better known now than in a thread
            self._open_spool()
            self._work_until_signal()
        if self._failed:
            raise Fault("the agent ended after an error, see the lines above; everything sampled is saved")

    def _open_spool(self) -> None:
        try:
            make_sound(self._folder.spool)
        except sqlite3.OperationalError as error:
            raise Fault(f"{self._folder.spool} cannot be used: {error}") from error

    def _work_until_signal(self) -> None:
        # Blocked here and inherited by the threads, so that the signal comes to `sigwait` and nowhere else.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threads = [
            threading.Thread(target=self._watched, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in (self._sample, self._deliver)
        ]
        for thread in threads:
            thread.start()
        received = signal.sigwait(SIGNALS)
        LOG.info("ending %s", facts(signal=signal.Signals(received).name))
        self._ending.set()
        self._sampled.set()
        # A request under way may be cut off: what it carried is still spooled, and the hub knows it again.
        for thread in threads:
            thread.join(END_SECONDS)

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
        sampler = Sampler(self._sensor(), spool, self._timekeeper)
        # The first sample comes soon, yet late enough for rates to have a span to cover.
        self._ending.wait(min(FIRST_SAMPLE_SECONDS, self._period_seconds))
        while not self._ending.is_set():
            next_at = time.monotonic() + jittered(self._period_seconds, chance())
            if identities.current():
                self._sample_once(sampler)
            self._ending.wait(max(0.0, next_at - time.monotonic()))
        spool.close()

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
            pass

    # Delivery

    def _deliver(self) -> None:
        spool = Spool(self._folder.spool)
        identities = IdentityFile(self._folder.identity)
        delivery = Delivery(spool, identities, self._timekeeper)
        while not self._ending.is_set():
            # Cleared before the step looks: a sample that comes during the step is seen by the next one.
            self._sampled.clear()
            try:
                pause = delivery.step()
            except sqlite3.OperationalError as error:
                LOG.error("spool cannot be used %s", facts(reason=error))
                pause = Pause(DISK_PAUSE_SECONDS)
            self._rest(pause, identities)
        delivery.close()
        spool.close()

    def _rest(self, pause: Pause, identities: IdentityFile) -> None:
        if pause.until_sample:
            self._sampled.wait(pause.seconds)
            return
        paired_as = identities.current()
        rested_at = time.monotonic() + pause.seconds
        while (left := rested_at - time.monotonic()) > 0 and identities.current() == paired_as:
            if self._ending.wait(min(left, LOOK_SECONDS)):
                return
