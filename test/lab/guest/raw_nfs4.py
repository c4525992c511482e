"""NFSv4.1 clients that are whatever they are told to be: address, owner name and boot verifier.

    raw_nfs4.py < clients.json

Each of a list of {"from", "server", "owner", "verifier", "paths"} (owner and verifier as hex)
introduces itself and reads the beginning of each path (from the pseudo root on); in the end all
vanish without a word. "from" may be absent, "paths" empty. Owns the wire format of the few operations that this
takes (RFC 8881, RFC 5531); the kernel's client lets nobody choose its verifier.
"""

import json
import socket
import struct
import sys

PROGRAM, VERSION, COMPOUND = 100003, 4, 1
EXCHANGE_ID, CREATE_SESSION, SEQUENCE = 42, 43, 53
PUTROOTFH, PUTFH, LOOKUP, GETFH, READ = 24, 22, 15, 10, 25
SEQUENCE_RESULT, PLAIN_RESULT = 44, 8


def u32(*values):
    return struct.pack(f">{len(values)}I", *values)


def opaque(data):
    return u32(len(data)) + data + bytes(-len(data) % 4)


class Client:
    def __init__(self, server, source):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self.socket = socket.socket(family)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((server, 2049))
        self.xid = 1

    def compound(self, *operations):
        """The results as bytes, after the status and the tag of the whole."""
        self.xid += 1
        cred = u32(0) + opaque(b"raw") + u32(0, 0, 0)
        head = u32(self.xid, 0, 2, PROGRAM, VERSION, COMPOUND, 1) + opaque(cred) + u32(0, 0)
        call = head + opaque(b"") + u32(1, len(operations)) + b"".join(operations)
        self.socket.sendall(u32(0x80000000 | len(call)) + call)
        mark = struct.unpack(">I", self.exactly(4))[0]
        reply = self.exactly(mark & 0x7FFFFFFF)
        status = struct.unpack(">I", reply[24:28])[0]
        if status != 0:
            raise OSError(f"COMPOUND: {status}")
        tag = struct.unpack(">I", reply[28:32])[0]
        return reply[36 + tag + (-tag % 4):]

    def exactly(self, size):
        parts = b""
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise OSError("the server hung up")
            parts += part
        return parts

    def introduce(self, owner, verifier):
        asked = u32(EXCHANGE_ID) + verifier + opaque(owner) + u32(0, 0, 0)
        self.client, sequence = struct.unpack(">8sI", self.compound(asked)[8:20])
        channel = u32(0, 65536, 65536, 4096, 8, 8, 0)
        asked = u32(CREATE_SESSION) + self.client + u32(sequence, 0) + channel * 2 + u32(0, 1, 0)
        self.session = self.compound(asked)[8:24]
        self.sequence = 0

    def next(self):
        self.sequence += 1
        return u32(SEQUENCE) + self.session + u32(self.sequence, 0, 0, 0)

    def read(self, path):
        steps = [u32(LOOKUP) + opaque(part.encode()) for part in path.split("/") if part]
        found = self.compound(self.next(), u32(PUTROOTFH), *steps, u32(GETFH))
        at = SEQUENCE_RESULT + PLAIN_RESULT * (len(steps) + 2)
        size = struct.unpack(">I", found[at:at + 4])[0]
        # By its handle, as every client does: the server has an entry for the export only then.
        handle = u32(PUTFH) + opaque(found[at + 4:at + 4 + size])
        self.compound(self.next(), handle, u32(READ) + bytes(16) + struct.pack(">QI", 0, 4096))


clients = []
for wanted in json.load(sys.stdin):
    client = Client(wanted["server"], wanted.get("from"))
    client.introduce(bytes.fromhex(wanted["owner"]), bytes.fromhex(wanted["verifier"]))
    for path in wanted["paths"]:
        client.read(path)
    clients.append(client)
