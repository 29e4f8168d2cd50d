"""What the tests that run inside MicroPython stand on: a runner, a hub of one function, and a flash that can be cut."""

import asyncio
import json
import os
import sys

from waystation.answer import Answer
from waystation.errors import problem


def run(tests):
    """Every `test_…`, plain or async, in an empty folder of its own; says `passed` or `failed` of each."""
    home = os.getcwd()
    for name in sorted(tests):
        if name.startswith("test_"):
            os.mkdir(name)
            os.chdir(name)
            try:
                ran = tests[name]()
                if hasattr(ran, "send"):
                    asyncio.run(asyncio.wait_for(ran, 200))
                print("passed", name)
            except BaseException as fault:
                sys.print_exception(fault)
                print("failed", name)
            os.chdir(home)


class Hub:
    """A client whose hub is `answer(method, path, body)`: a value, (status, value) or an error. `heard` has them."""

    timeout_seconds = 5

    def __init__(self, answer):
        self._answer = answer
        self.heard = []

    async def request(self, method, path, body=None, **options):
        if hasattr(body, "read"):
            body = body.read(options["size"])
        self.heard.append((method, path, body if isinstance(body, str) else bytes(body or b"").decode()))
        value = self._answer(method, path, self.heard[-1][2])
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        status = 200
        if isinstance(value, tuple):
            status, value = value
        if status >= 300:
            raise problem(status, str(value), 0)
        answer = Answer(status, value if isinstance(value, dict) and "-" in "".join(value) else {})
        self._give(answer, value, options.get("take"))
        return answer

    async def call(self, method, path, value=None, **options):
        answer = await self.request(method, path, None if value is None else json.dumps(value), **options)
        return answer.json()

    def _give(self, answer, value, take):
        if take is None:
            answer.body = json.dumps(value)
        else:
            for at in range(0, len(value), 100):
                take(answer, value[at : at + 100])


class Lines:
    """A hub that takes readings or messages: `taken` has every line, by its time once."""

    def __init__(self):
        self.taken = {}
        self.lose_answer = 0

    def __call__(self, method, path, body):
        for line in body.split("\n"):
            if line:
                reading = json.loads(line)
                self.taken.setdefault(reading["at"], reading)
        if self.lose_answer:
            self.lose_answer -= 1
            return OSError(104)
        return {"stored": 1}


class Flash:
    """A block device whose power is cut after `left` written bytes; what came before is there, torn in the middle."""

    BLOCK_BYTES = 512

    def __init__(self, blocks, image=None):
        self.image = bytearray(blocks * self.BLOCK_BYTES) if image is None else bytearray(image)
        self.written = 0
        self.left = None

    def readblocks(self, block, buffer, offset=0):
        if self.left == 0:  # before anything that takes memory: files are closed while memory is collected
            return -5
        at = block * self.BLOCK_BYTES + offset
        buffer[:] = memoryview(self.image)[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        if self.left == 0:
            return -5
        at = block * self.BLOCK_BYTES + offset
        count = len(buffer)
        if self.left is not None:
            count = min(count, self.left)
            self.left -= count
        self.image[at : at + count] = memoryview(buffer)[:count]
        self.written += count
        return 0 if count == len(buffer) else -5

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.image) // self.BLOCK_BYTES
        if operation == 5:
            return self.BLOCK_BYTES
        return -5 if operation == 6 and self.left == 0 else 0
