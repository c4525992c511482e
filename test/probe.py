"""Tries one kernel interface the way a program would: `probe.py fanotify|handles DIR`, `probe.py perf|mounts`.
Ends with status 0 if it works, else with the reason on stderr. For test/capabilities.ts, in Python
because it must share no code with the project."""

import ctypes
import os
import platform
import select
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100


def checked(name, result):
    if result < 0:
        error = ctypes.get_errno()
        sys.exit(f"{name}: {os.strerror(error)} ({error})")
    return result


def make_file(directory):
    path = os.path.join(directory, "file")
    with open(path, "w") as file:
        file.write("x")
    return path


def fanotify(directory):
    path = make_file(directory)
    # FAN_CLOEXEC | FAN_UNLIMITED_QUEUE | FAN_REPORT_FID | FAN_REPORT_DFID_NAME
    group = checked("fanotify_init", libc.fanotify_init(0x1 | 0x10 | 0x200 | 0xC00, os.O_RDONLY))
    # FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_ACCESS
    mask = ctypes.c_uint64(0x1)
    mark = libc.fanotify_mark(group, 0x1 | 0x100, mask, AT_FDCWD, directory.encode())
    checked("fanotify_mark", mark)
    with open(path) as file:
        file.read()
    if not select.select([group], [], [], 2)[0]:
        sys.exit("fanotify: no event for a read")


def handles(directory):
    path = make_file(directory)
    # struct file_handle: handle_bytes, handle_type, up to 128 bytes
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount_id = ctypes.c_int()
    result = libc.name_to_handle_at(AT_FDCWD, path.encode(), handle, ctypes.byref(mount_id), 0)
    checked("name_to_handle_at", result)
    mount = os.open(directory, os.O_RDONLY)
    checked("open_by_handle_at", libc.open_by_handle_at(mount, handle, os.O_RDONLY))


def perf():
    with open("/sys/kernel/tracing/events/sched/sched_process_exit/id") as file:
        tracepoint = int(file.read())
    # struct perf_event_attr, first version: type = PERF_TYPE_TRACEPOINT, size, config
    attributes = struct.pack("IIQ", 2, 64, tracepoint).ljust(64, b"\0")
    number = {"x86_64": 298, "aarch64": 241}[platform.machine()]
    # every process on CPU 0
    checked("perf_event_open", libc.syscall(number, attributes, -1, 0, -1, 0))


def mounts():
    unique = 0x4000  # STATX_MNT_ID_UNIQUE
    found = ctypes.create_string_buffer(256)
    checked("statx", libc.statx(AT_FDCWD, b"/", 0, unique, found))
    if not struct.unpack_from("I", found)[0] & unique:
        sys.exit("statx: no unique numbers of mounts (Linux 6.8)")


{"fanotify": fanotify, "handles": handles, "mounts": mounts, "perf": perf}[sys.argv[1]](*sys.argv[2:])
