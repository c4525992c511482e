"""Several machines behind one address, as network address translation makes them.

    relay.py READY OUTER SERVER INNER...

In each of the network namespaces INNER the NFS port of 127.0.0.1 leads to SERVER, by connections
that come from the namespace OUTER; where a relay is already, it stays. The file READY is made when
all do. Owns nothing but the bytes on their way.
"""

import ctypes
import errno
import os
import socket
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
PORT = 2049


def enter(namespace):
    """Of this thread alone."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def connect(accepted, outer, server):
    enter(outer)
    out = socket.create_connection((server, PORT))
    threading.Thread(target=pump, args=(accepted, out), daemon=True).start()
    pump(out, accepted)


def serve(inner, outer, server, ready):
    enter(inner)
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", PORT))
        listener.listen()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return
    finally:
        ready.wait()
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=connect, args=(accepted, outer, server), daemon=True).start()


path, outer, server, *inners = sys.argv[1:]
ready = threading.Barrier(len(inners) + 1)
for inner in inners:
    threading.Thread(target=serve, args=(inner, outer, server, ready)).start()
ready.wait()
open(path, "w").close()
