"""Which commands were begun and how they ended, so that each is done once.

A file of sealed lines: `{"id", "begun": name}` before a command is carried out, `{"id", "state", "result"}` before
its outcome is sent, `{"id", "told": true}` when the hub has it. Looking something up reads the file; nothing of it
stays in memory. When it has grown, it is written anew, with all that the hub must still hear and the last ids and
outcomes.
"""

import json

from . import storage

_MOST_BYTES = 4096
_KEPT_IDS = 8


class Journal:
    """An entry is a dict of all lines of one command."""

    def __init__(self, path="commands"):
        self._path = path
        self._bytes = storage.size(path) or 0

    def begin(self, id, name):
        self._note({"id": id, "begun": name})

    def end(self, id, state, result):
        self._note({"id": id, "state": state, "result": result})

    def told(self, id):
        self._note({"id": id, "told": True})

    def find(self, id):
        """The entry, or None."""
        found = None
        for line in self._lines():
            if line["id"] == id:
                found = found or {}
                found.update(line)
        return found

    def first_untold(self):
        """The oldest entry with an outcome that the hub must still hear of, or None."""
        waiting = self._ids("state", "told")
        return self.find(waiting[0]) if waiting else None

    def cut(self):
        """Entries that were begun, and then nothing was heard of them."""
        ended = self._ids("state")
        return [self.find(one) for one in self._ids("begun", "told") if one not in ended]

    def _ids(self, having, without=None):
        """Of the commands that have the one kind of line and not the other, oldest first."""
        found = []
        for line in self._lines():
            if having in line and line["id"] not in found:
                found.append(line["id"])
            elif without in line and line["id"] in found:
                found.remove(line["id"])
        return found

    def _note(self, line):
        sealed = storage.seal(json.dumps(line))
        if self._bytes > _MOST_BYTES:
            self._shorten()
        storage.append(self._path, sealed)
        self._bytes += len(sealed) + 1

    def _lines(self):
        for text in storage.lines(self._path):
            yield json.loads(text)

    def _shorten(self):
        told = self._ids("told")
        gone = told[:-_KEPT_IDS]
        with open(self._path + ".new", "wb") as file:
            for line in self._lines():
                if line["id"] not in gone:
                    file.write(storage.seal(json.dumps(line)))
            file.flush()
        storage.replace(self._path + ".new", self._path)
        self._bytes = storage.size(self._path)
