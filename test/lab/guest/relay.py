"""Several machines behind one address, as network address translation makes them.

    relay.py OUTER SERVER INNER...

In each of the network namespaces INNER the NFS port of 127.0.0.1 leads to SERVER, by connections
that come from the namespace OUTER. Owns nothing but the bytes on their way.
"""

import ctypes
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


def serve(inner, outer, server):
    enter(inner)
    listener = socket.socket()
    listener.bind(("127.0.0.1", PORT))
    listener.listen()
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=connect, args=(accepted, outer, server), daemon=True).start()


outer, server, *inners = sys.argv[1:]
for inner in inners:
    threading.Thread(target=serve, args=(inner, outer, server)).start()
