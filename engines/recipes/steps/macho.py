"""Which libraries the programs and libraries of a tree for macOS load that it does not have.

Those of the system are under /usr/lib and /System; any other has to be in the tree, named from
where it is loaded. Follows loader.h of Darwin.
"""

import pathlib
import struct
import sys

MAGIC_64 = b"\xcf\xfa\xed\xfe"
LOADS = {0xC, 0x80000018, 0x8000001F}  # LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_REEXPORT_DYLIB


def loaded(image):
    (count,) = struct.unpack_from("<I", image, 16)
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", image, at)
        if command in LOADS:
            (name,) = struct.unpack_from("<I", image, at + 8)
            yield image[at + name : at + size].split(b"\0")[0].decode()
        at += size


def is_there(name, file):
    if name.startswith("@loader_path/"):
        return (file.parent / name.removeprefix("@loader_path/")).exists()
    return name.startswith(("/usr/lib/", "/System/"))


tree = pathlib.Path(sys.argv[1])
missing = [
    f"{name} => not found, needed by {file.relative_to(tree)}"
    for file in sorted(tree.rglob("*"))
    if file.is_file() and (image := file.read_bytes()).startswith(MAGIC_64)
    for name in loaded(image)
    if not is_there(name, file)
]
sys.exit("\n".join(missing) or None)
