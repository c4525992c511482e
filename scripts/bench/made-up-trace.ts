/**
 * Loaded into the daemon before it starts (`node --import`): instead of the kernel's NFS trace it
 * gets the encoded batches of MADE_UP_CLIENTS clients that each use MADE_UP_FILES files of the root
 * MADE_UP_ROOT, once for each time that the file `go` appears in the folder MADE_UP; `done` appears
 * there when all are given away. All else in the process is the daemon's own.
 */
import * as fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import process from 'node:process';
// The only module of the daemon that is needed before it loads itself.
import { monotonicUs } from '../../src/fanotify-ts/system.ts';

const { MADE_UP: folder = '', MADE_UP_ROOT: root = '' } = process.env;
const CLIENTS = Number(process.env['MADE_UP_CLIENTS']);
const FILES = Number(process.env['MADE_UP_FILES']);
/** A flush's worth: what the sensor's table holds is 65,536. */
const BATCH = 50_000;
const MAGIC = 0x3344464e;
const [HEAD_BYTES, ROW_BYTES] = [40, 72];

const bytes = fs.readFileSync(`${folder}/hashes`);
const hashes = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const clients = Array.from({ length: CLIENTS }, (_, i) =>
  Buffer.from(`\x00\x0010.1.${i >> 8}.${i & 255}`, 'latin1'),
);
for (const client of clients) client.writeUInt16LE(client.length - 2);

let next = CLIENTS * FILES;

function encoded(from: number, end: number, atUs: number): Buffer {
  const addresses = end > from ? Buffer.concat(clients) : Buffer.alloc(0);
  const out = Buffer.alloc(HEAD_BYTES + addresses.length + (end - from) * ROW_BYTES);
  out.writeUInt32LE(MAGIC);
  out.writeUInt32LE(end > from ? CLIENTS : 0, 4);
  out.writeUInt32LE(end - from, 8);
  out.writeDoubleLE(atUs, 32);
  addresses.copy(out, HEAD_BYTES);
  let at = HEAD_BYTES + addresses.length;
  for (let i = from; i < end; i++, at += ROW_BYTES) {
    const client = i % CLIENTS;
    const file = Math.floor(i / CLIENTS);
    out.writeUInt32LE(client, at + 4);
    // 7,919 is prime to the number of files: every client has its own, all over the root.
    out.writeUInt32LE(hashes[(client * 131 + file * 7919) % hashes.length] ?? 0, at + 8);
    // A check (kind 0) that asks to read a file; a READ would want its event from fanotify.
    out.writeUInt32LE(0o100000, at + 16);
    out.writeUInt32LE(4, at + 20);
    out.writeDoubleLE(3, at + 24);
    out.writeDoubleLE(atUs, at + 48);
    out.writeDoubleLE(atUs, at + 56);
    out.writeDoubleLE(i, at + 64);
  }
  return out;
}

class MadeUpTrace {
  start(): void {
    // Nothing to open.
  }

  drain(): Buffer {
    if (fs.existsSync(`${folder}/go`)) {
      fs.rmSync(`${folder}/go`);
      next = 0;
    } else if (next >= CLIENTS * FILES) fs.writeFileSync(`${folder}/done`, '');
    const from = next;
    next = Math.min(next + BATCH, CLIENTS * FILES);
    return encoded(from, next, monotonicUs());
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  status(): Record<string, unknown> {
    const none = { lost: 0, denied: 0, joinMismatches: 0, inFlightAtStart: 0, zeroHashes: 0 };
    const ring = { ringBytesPerCpu: 0, cpus: 0, filtersRefused: 0, threadCpuUs: 0 };
    const life = { state: 'running', tier: 'exact', byProbe: false, runningSinceUs: 0 };
    return { ...life, ...ring, ...none, events: next, problem: null };
  }
}

const ADDON = '../../build/Release/nfsroot_trace.node';
const addon = createRequire(import.meta.url)(ADDON) as Record<string, unknown>;
addon['NfsdTrace'] = MadeUpTrace;

// The root is exported with fsid=0, of which the hashes of its handles are made.
const { readFileSync } = fs;
const TABLE = '/proc/net/rpc/nfsd.fh/content';
const changed = fs as unknown as { readonly default: { readFileSync: unknown } };
changed.default.readFileSync = (...args: Parameters<typeof readFileSync>): string | Buffer =>
  args[0] === TABLE ? Buffer.from(`* 1 0x00000000 ${root}\n`) : readFileSync(...args);
syncBuiltinESMExports();
