"""Mounts a ROMFS image and runs one module of it: `in_rom.py IMAGE MODULE WORDS…`.

The module finds the image's path in `sys.argv[0]`.
"""

import os
import sys

import vfs


def mount(path):
    image = bytearray(os.stat(path)[6])
    with open(path, "rb") as file:
        file.readinto(image)
    vfs.mount(vfs.VfsRom(image), "/rom")


sys.argv.pop(0)
mount(sys.argv[0])
sys.path[:] = ["/rom", ".frozen"]
__import__(sys.argv.pop(1))
