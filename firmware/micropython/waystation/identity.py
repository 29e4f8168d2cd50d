"""Who this device is, and how it claimed its place.

The device makes its own API key and stores it *before* it asks, so that no answer that was lost on the way can strand
it: the same code with the same key may be asked again for a day. What the hub then says (key and serial) is stored the
same way, whole or not at all. A device that is claimed asks again only with another code: a person wants it to have a
new credential, and until it has that it keeps the old one.
"""

import binascii
import os

from . import storage


class Identity:
    """`key` and `serial` are None until the device is claimed."""

    def __init__(self, path="identity"):
        self._path = path
        kept = storage.load(path) or {}
        self.api_key = kept.get("api_key")
        self.key = kept.get("key")
        self.serial = kept.get("serial")
        self._code = kept.get("code")
        self._coming = kept.get("coming")  # code and API key of a claim of which nothing has been heard yet

    def is_claimed(self):
        return self.key is not None

    def is_other(self, code):
        """Whether it was not this code that made it who it is."""
        return code is not None and code != self._code

    def authorization(self):
        """The header's value; None before the claim."""
        return "Device %s:%s" % (self.key, self.api_key) if self.key else None

    async def claim(self, client, code, name="", model="", external_ids=None):
        """Exchanges a claim code for a credential. May be tried again with the same code, also after a cut."""
        if self._coming is None or self._coming["code"] != code:
            self._coming = {"code": code, "api_key": binascii.hexlify(os.urandom(32)).decode()}
            self._save()
        wanted = {"name": name, "model": model, "external_ids": external_ids or {}}
        wanted.update(self._coming)
        made = await client.call("POST", "/api/claim", wanted)
        self.key, self.serial, self.api_key = made["key"], made["serial"], self._coming["api_key"]
        self._code, self._coming = code, None
        self._save()

    def adopt(self, key, api_key, serial=None):
        """Takes a credential that a person registered by hand."""
        self.key, self.api_key, self.serial = key, api_key, serial
        self._code = self._coming = None
        self._save()

    def forget(self):
        """Back to before the claim, with a new key next time."""
        storage.remove(self._path)
        storage.remove(self._path + ".new")
        self.__init__(self._path)

    def _save(self):
        kept = {"api_key": self.api_key, "key": self.key, "serial": self.serial}
        kept["code"] = self._code
        kept["coming"] = self._coming
        storage.save(self._path, kept)
