"""Runs in the lab's server (Linux 7.2 or newer), while no nfsd thread runs: gives the NFS server
a key for signing file handles (NFSD_CMD_THREADS_SET over generic netlink), which Debian 12's own
tools do not know.
"""

import errno
import socket
import struct

CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID = 1
CTRL_ATTR_FAMILY_NAME = 2
NFSD_CMD_THREADS_SET = 2
NFSD_A_SERVER_THREADS = 1
NFSD_A_SERVER_FH_KEY = 6


def attribute(kind, data):
    head = struct.pack('HH', 4 + len(data), kind)
    return head + data + bytes(-len(data) % 4)


def ask(sock, family, command, body):
    payload = struct.pack('BBH', command, 1, 0) + body
    # NLM_F_REQUEST and NLM_F_ACK
    sock.send(struct.pack('IHHII', 16 + len(payload), family, 5, 1, 0) + payload)
    answer = b''
    while True:
        data = sock.recv(65536)
        while data:
            length, kind = struct.unpack_from('IH', data)
            if kind == 2:
                error = struct.unpack_from('i', data, 16)[0]
                if error:
                    raise OSError(-error, 'netlink')
                return answer
            answer = data[20:length]
            data = data[(length + 3) & ~3:]


with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as sock:
    answer = ask(sock, CTRL, CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, b'nfsd\0'))
    family = None
    while answer:
        length, kind = struct.unpack_from('HH', answer)
        if kind == CTRL_ATTR_FAMILY_ID:
            family = struct.unpack_from('H', answer, 4)[0]
        answer = answer[(length + 3) & ~3:]
    key = attribute(NFSD_A_SERVER_FH_KEY, b'a key for a test')
    threads = attribute(NFSD_A_SERVER_THREADS, struct.pack('I', 0))
    try:
        ask(sock, family, NFSD_CMD_THREADS_SET, threads + key)
    except OSError as error:
        # It has the key by now, and will not go on to start no threads without listeners.
        if error.errno != errno.EIO:
            raise
