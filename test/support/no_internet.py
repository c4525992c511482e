"""Runs a command to which the kernel refuses IP sockets, as systemd's RestrictAddressFamilies=AF_UNIX does.

    no_internet.py COMMAND [ARGUMENT...]
"""

import ctypes
import os
import struct
import sys

AF_INET, AF_INET6, EAFNOSUPPORT = 2, 10, 97
SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

# struct seccomp_data: the call's number at 0, its first argument at 16.
program = [
    (LOAD, 0, 0, 0),
    (EQUAL, 0, 4, SOCKET),
    (LOAD, 0, 0, 16),
    (EQUAL, 1, 0, AF_INET),
    (EQUAL, 0, 1, AF_INET6),
    (RETURN, 0, 0, ERRNO | EAFNOSUPPORT),
    (RETURN, 0, 0, ALLOW),
]
code = b"".join(struct.pack("HBBI", *line) for line in program)
buffer = ctypes.create_string_buffer(code)
fprog = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0)):
    if libc.prctl(*call) != 0:
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
