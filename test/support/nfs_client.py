"""An NFS client that stays mounted: libnfs by ctypes, one JSON line for each request and answer.

    nfs_client.py VERSION SERVER NFS_PORT MOUNT_PORT DIRECTORY

Owns the calls to libnfs; nfs-client.ts is its other side.
"""

import base64
import ctypes
import ctypes.util
import json
import os
import sys

PIECE = 64 * 1024
LONGEST_TARGET = 4096

libnfs = ctypes.CDLL(ctypes.util.find_library("nfs") or "libnfs.so.13")


class Entry(ctypes.Structure):
    """The head of libnfs's struct nfsdirent."""


Entry._fields_ = [("next", ctypes.POINTER(Entry)), ("name", ctypes.c_char_p)]

libnfs.nfs_init_context.restype = ctypes.c_void_p
libnfs.nfs_get_error.restype = ctypes.c_char_p
libnfs.nfs_parse_url_dir.restype = ctypes.c_void_p
libnfs.nfs_readdir.restype = ctypes.POINTER(Entry)
context = ctypes.c_void_p(libnfs.nfs_init_context())


def check(result):
    if result < 0:
        raise OSError(-result, libnfs.nfs_get_error(context).decode("latin1"))
    return result


def opened(path, flags):
    handle = ctypes.c_void_p()
    check(libnfs.nfs_open(context, path, flags, ctypes.byref(handle)))
    return handle


def read(path):
    handle = opened(path, os.O_RDONLY)
    parts = []
    buffer = ctypes.create_string_buffer(PIECE)
    while True:
        size = check(libnfs.nfs_read(context, handle, ctypes.c_uint64(PIECE), buffer))
        if size == 0:
            break
        parts.append(buffer.raw[:size])
    check(libnfs.nfs_close(context, handle))
    return [b"".join(parts)]


def open_only(path):
    check(libnfs.nfs_close(context, opened(path, os.O_RDONLY)))
    return []


def readdir(path):
    directory = ctypes.c_void_p()
    check(libnfs.nfs_opendir(context, path, ctypes.byref(directory)))
    names = []
    while entry := libnfs.nfs_readdir(context, directory):
        names.append(entry.contents.name)
    libnfs.nfs_closedir(context, directory)
    return [name for name in names if name not in (b".", b"..")]


def readlink(path):
    buffer = ctypes.create_string_buffer(LONGEST_TARGET)
    check(libnfs.nfs_readlink(context, path, buffer, LONGEST_TARGET))
    return [buffer.value]


def write(path, content):
    handle = ctypes.c_void_p()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    check(libnfs.nfs_open2(context, path, flags, 0o644, ctypes.byref(handle)))
    check(libnfs.nfs_write(context, handle, ctypes.c_uint64(len(content)), content))
    check(libnfs.nfs_close(context, handle))
    return []


def chown(path, owner):
    """Of the object itself, never of what a link leads to: a touch that leaves all as it was."""
    check(libnfs.nfs_lchown(context, path, int(owner), int(owner)))
    return []


def rename(path, to):
    check(libnfs.nfs_rename(context, path, to))
    return []


REQUESTS = {
    "read": read,
    "open": open_only,
    "readdir": readdir,
    "readlink": readlink,
    "write": write,
    "chown": chown,
    "rename": rename,
}


def answer(work):
    try:
        reply = {"ok": [base64.b64encode(part).decode() for part in work()]}
    except OSError as error:
        reply = {"error": str(error)}
    print(json.dumps(reply), flush=True)


def mount(version, server, nfs_port, mount_port, directory):
    # libnfs 4 takes the ports only from a URL.
    url = f"nfs://{server}/?nfsport={nfs_port}&mountport={mount_port}&version={version}"
    if not libnfs.nfs_parse_url_dir(context, url.encode()):
        raise OSError(0, libnfs.nfs_get_error(context).decode("latin1"))
    check(libnfs.nfs_mount(context, server.encode(), os.fsencode(directory)))
    return []


answer(lambda: mount(*sys.argv[1:]))
for line in sys.stdin:
    request, *arguments = json.loads(line)
    answer(lambda: REQUESTS[request](*map(base64.b64decode, arguments)))
