"""What time it is, as far as the hub has told.

Most boards start in the year 2000 and have no battery. So time is counted from power-on, and every answer of the
hub carries a `Date`: from the first on, the device knows what time it is, and what time it was at everything it
noted before. Times are whole milliseconds since 1970 (a 32-bit float has no room for them).
"""

import binascii
import os
import time

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_HALF_SECOND = 500  # a Date is cut to the second
_DRIFT_MS = 3000  # less is a slow answer or the cut second, not a wrong clock


class Clock:
    """`boot` is the name of this run, different after every start."""

    def __init__(self):
        self.boot = binascii.hexlify(os.urandom(4)).decode()
        self._ticks = time.ticks_ms()
        self._uptime = 0
        self._started_at = None

    def uptime_ms(self):
        """Since power-on. A board's ticks wrap round after days: whoever asks more often than weekly never sees it."""
        ticks = time.ticks_ms()
        self._uptime += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._uptime

    def started_at(self):
        """When this run began; None while nobody has told the time."""
        return self._started_at

    def now_ms(self):
        """None while nobody has told the time."""
        return None if self._started_at is None else self._started_at + self.uptime_ms()

    def learn(self, now_ms):
        """Believes it at first, and again when its own is wrong by seconds."""
        started_at = now_ms - self.uptime_ms()
        if self._started_at is None or abs(started_at - self._started_at) > _DRIFT_MS:
            self._started_at = started_at

    def learn_date(self, date):
        """From the `Date` of an answer, as in `Sun, 29 Nov 2026 12:00:00 GMT`; anything else is passed over."""
        try:
            _, day, month, year, hms, _ = date.split()
            hour, minute, second = hms.split(":")
            days = _days(int(year), _MONTHS.index(month) // 3 + 1, int(day))
            seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
        except ValueError:
            return
        self.learn((days * 86400 + seconds) * 1000 + _HALF_SECOND)


def _days(year, month, day):
    """Since 1970-01-01, by the Gregorian calendar; years begin in March here, so that the leap day is the last."""
    year -= month <= 2
    month = (month + 9) % 12
    return year * 365 + year // 4 - year // 100 + year // 400 + (month * 153 + 2) // 5 + day - 719469
