"""Runs a command on a terminal of its own, for test/support/pty.ts.

    pty.py COLUMNS ROWS COMMAND...

A line of JSON on stdin does something: {"keys": base64}, {"size": [columns, rows]},
{"signal": number}, {"hold": true|false} (the terminal takes nothing any more).
A line of JSON on stdout tells: {"out": base64}, and at the end {"end": status, "same": whether the
terminal's settings are what they were}, the status negative for a signal. When stdin ends, the command
is killed.
"""

import base64
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def tell(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


master, slave = os.openpty()
set_size(slave, int(sys.argv[1]), int(sys.argv[2]))
before = termios.tcgetattr(slave)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.closerange(3, 256)
    os.execvp(sys.argv[3], sys.argv[3:])

held = False
commands = b""
open_stdin = True
while True:
    watched = ([] if held else [master]) + ([0] if open_stdin else [])
    ready, _, _ = select.select(watched, [], [], 0.02)
    if master in ready:
        tell({"out": base64.b64encode(os.read(master, 65536)).decode()})
        continue
    if 0 in ready:
        part = os.read(0, 65536)
        commands += part
        if part == b"":
            open_stdin = False
            os.kill(child, signal.SIGKILL)
        while b"\n" in commands:
            line, commands = commands.split(b"\n", 1)
            command = json.loads(line)
            if "keys" in command:
                os.write(master, base64.b64decode(command["keys"]))
            if "size" in command:
                set_size(slave, *command["size"])
            if "signal" in command:
                os.kill(child, command["signal"])
            if "hold" in command:
                held = command["hold"]
        continue
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended != 0:
        break

tell({
    "end": os.waitstatus_to_exitcode(status),
    "same": termios.tcgetattr(slave) == before,
})
