"""What waits in flash until the hub has it.

A spool is a folder of numbered segments, each a file of sealed lines `<ms> <JSON>`. Only the newest grows; the
oldest goes when the hub has all of it, or when the spool is full, which is counted. After a restart the oldest
segment is sent from its beginning: that is harmless, because every line keeps its time, and the hub keeps what has
the same time once.

A line noted before anybody told the time counts from power-on, and its segment is called `.up` instead of `.at`.
When the time is known, such segments are dated: those of this run exactly, older ones as if the power had been away
for no time. The date is saved before the first line is sent, so that the same line has the same time however often
it goes out.
"""

from . import storage
from .errors import Refused

_UNREADABLE = (400, 413, 422)  # statuses that blame the body; a 404 blames the way to the hub
_MOST_SEGMENTS = 64  # a device that restarts again and again makes small ones


class Spool:
    """`most_bytes` of flash at the most. `dropped`: lines that gave way; `refused`: lines that the hub did not want."""

    def __init__(self, folder, clock, *, most_bytes=32768, segment_bytes=4096, batch_bytes=1024):
        self.dropped = 0
        self.refused = 0
        self.last_refusal = ""
        self._folder = folder
        self._clock = clock
        self._most_bytes = most_bytes
        self._segment_bytes = segment_bytes
        self._batch_bytes = batch_bytes
        self._last_ms = 0
        self._last_kind = ""
        self._offset = 0  # of the oldest segment: what the hub has
        self._open = None  # the segment that this run appends to
        self._open_bytes = 0
        storage.make_folders(folder)
        self._segments = self._found()
        self._bytes = sum(storage.size(self._path(name)) for name in self._segments)

    def is_empty(self):
        return not self._segments

    def append(self, payload):
        """Notes JSON members (`"a": 1, "b": 2`, without braces), with the time. When it returns they are in flash."""
        now = self._clock.now_ms()
        kind = ".at" if now is not None else ".up"
        ms = now if now is not None else self._clock.uptime_ms()
        if self._open is None or not self._open.endswith(kind) or self._open_bytes >= self._segment_bytes:
            self._begin(kind)
        if self._last_kind == ".up" and kind == ".at":
            self._last_ms += self._clock.started_at()
        self._last_ms, self._last_kind = max(ms, self._last_ms + 1), kind  # no two lines have the same time
        ms = self._last_ms
        line = storage.seal("%d %s" % (ms, payload))
        if kind == ".up" and not self._open_bytes:
            line = storage.seal("boot " + self._clock.boot) + line
        storage.append(self._path(self._open), line)
        self._open_bytes += len(line) + 1
        self._bytes += len(line) + 1
        self._drop_oldest()

    async def deliver(self, client, path):
        """Sends all there is to `path`, oldest first; returns how many the hub took. After an error the rest waits."""
        sent = 0
        while self._segments:
            name = self._segments[0]
            start = self._start_of(name)
            if start is None:
                break
            body, count, offset = self._batch(name, start, self._batch_bytes)
            if count:
                sent += await self._send(client, path, body, count)
            if self._segments[0] == name:  # else it gave way meanwhile
                self._offset = offset
                if offset >= storage.size(self._path(name)):
                    self._forget(name)
        return sent

    async def _send(self, client, path, body, count):
        """Lines taken. A body that is refused goes again line by line, so that one bad line stops nothing."""
        try:
            await client.request("POST", path, body, headers="Content-Type: application/x-ndjson\r\n")
        except Refused as fault:
            if fault.status not in _UNREADABLE:
                raise
            if count == 1:
                self.refused += 1
                self.last_refusal = fault.detail
                return 0
            count = 0
            for line in bytes(body).split(b"\n"):
                if line:
                    count += await self._send(client, path, line, 1)
        return count

    def _batch(self, name, start, most_bytes):
        """Body, number of lines in it, and the offset behind them."""
        body, count = bytearray(), 0
        with open(self._path(name), "rb") as file:
            file.seek(self._offset)
            offset = self._offset
            for line in file:
                text = storage.unseal(line)
                if text is not None and not text.startswith("boot "):
                    ms, _, payload = text.partition(" ")
                    item = '{"at":%d,%s}\n' % (int(ms) + start, payload)
                    if count and len(body) + len(item) > most_bytes:
                        break
                    body.extend(item.encode())
                    count += 1
                offset += len(line)
        return body, count, offset

    def _start_of(self, name):
        """What is added to a segment's times to get those of the calendar; None while that is not known."""
        if name.endswith(".at"):
            return 0
        kept = storage.load(self._path(name[:8] + ".day"))
        if kept is None and self._clock.started_at() is not None:
            self._date_all()
            kept = storage.load(self._path(name[:8] + ".day"))
        return kept

    def _date_all(self):
        """Fixes the day of what counts from power-on: newest first, each run ends where the next began."""
        run, start = self._clock.boot, self._clock.started_at()
        later = start
        for name in reversed(self._segments):
            its_run, first, last = self._edges(name)
            if name.endswith(".at"):
                later = first or later
                continue
            day = self._path(name[:8] + ".day")
            kept = storage.load(day)
            if kept is not None:
                start = kept
            elif its_run != run:
                start = later - last - 1
            if kept is None:
                storage.save(day, start)
            run, later = its_run, start

    def _edges(self, name):
        """The run that wrote a segment, and the times of its first and last line."""
        boot, first, last = "", 0, 0
        for text in storage.lines(self._path(name)):
            ms, _, payload = text.partition(" ")
            if ms == "boot":
                boot = payload
            else:
                last = int(ms)
                first = first or last
        return boot, first, last

    def _begin(self, kind):
        if kind == ".at" and self._segments and self._segments[-1].endswith(".up"):
            self._date_all()
        name = "%08d%s" % (self._next_number(), kind)
        self._segments.append(name)
        self._open = name
        self._open_bytes = 0

    def _next_number(self):
        return int(self._segments[-1][:8]) + 1 if self._segments else 1

    def _found(self):
        """The segments of earlier runs. A day without its segment is what a cut left of a forgetting."""
        names = storage.names(self._folder)
        segments = [name for name in names if name[8:] in (".at", ".up")]
        for name in names:
            if name not in segments and name[:8] + ".up" not in segments:
                storage.remove(self._path(name))
        return segments

    def _drop_oldest(self):
        while len(self._segments) > 1 and (self._bytes > self._most_bytes or len(self._segments) > _MOST_SEGMENTS):
            name = self._segments[0]
            self.dropped += self._batch(name, 0, 1 << 30)[1]
            self._forget(name)

    def _forget(self, name):
        self._bytes -= storage.size(self._path(name)) or 0
        storage.remove(self._path(name))
        storage.remove(self._path(name[:8] + ".day"))
        self._segments.remove(name)
        self._offset = 0
        if name == self._open:
            self._open = None

    def _path(self, name):
        return self._folder + "/" + name
