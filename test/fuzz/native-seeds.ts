/**
 * Inputs that the fuzzers of native/ begin with, made of what real kernels wrote (test/fixtures) and of
 * what the kernel's headers say. Owns their forms, which each fuzzer's own file describes.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CRAFTED } from '../image/tools/crafted-images.ts';
import { sockaddr4, sockaddr6 } from '../nfsd/kernel-records.ts';
import { anyFixture } from './fixtures.ts';

const KERNELS = ['5.10', '6.1', '6.12', '7.x'] as const;
const PACKED_HEADER = 16;
/** Records of one seed: libFuzzer is quick with small ones. */
const PIECE = 4096;

type Seeds = readonly Buffer[];

export function writeSeeds(target: string, folder: string): void {
  const seeds = SEEDS[target]?.() ?? [];
  for (const [index, seed] of seeds.entries()) writeFileSync(join(folder, `seed-${index}`), seed);
}

const SEEDS: Readonly<Record<string, () => Seeds>> = {
  'native-trace-format': () =>
    KERNELS.flatMap((kernel) =>
      formatsOf(kernel).map(({ text }) =>
        Buffer.concat([text, Buffer.from([0]), Buffer.alloc(64, 1)]),
      ),
    ),
  'native-trace-records': () =>
    KERNELS.flatMap((kernel, index) => [
      ...['v3.records', 'v4.2.records'].flatMap((file) =>
        pieces(anyFixture(`nfsd-${kernel}/${file}`)).flatMap((piece) =>
          // Every tier, with the kprobe's events and without.
          [0x02, 0x03, 0x07, 0x0f].map((options) =>
            Buffer.concat([Buffer.from([options, index]), piece]),
          ),
        ),
      ),
      Buffer.concat([Buffer.from([0x03, 0xff]), sections(kernel), Buffer.from([0])]),
    ]),
  'native-ring-records': ringRecords,
  'native-file-events': fileEvents,
  'native-ordinary-image': () => CRAFTED.map(({ bytes }) => bytes.subarray(0, PIECE)),
  'native-addresses': () => [
    sockaddr4('10.0.0.7'),
    sockaddr6('fe800000000000000000000000000007', 3),
    Buffer.from('10.9.1.11:838'),
    Buffer.from('[2001:db8::7]:838'),
    Buffer.from('::ffff:10.0.0.7'),
  ],
};

function formatsOf(kernel: string): { readonly event: string; readonly text: Buffer }[] {
  const folder = new URL(`../fixtures/nfsd-${kernel}/formats/`, import.meta.url);
  return readdirSync(folder)
    .sort()
    .map((file) => ({
      event: file.replace('.format', ''),
      text: anyFixture(`nfsd-${kernel}/formats/${file}`),
    }));
}

function sections(kernel: string): Buffer {
  return Buffer.concat(
    formatsOf(kernel).map(({ event, text }) => {
      const system = event.startsWith('svc_') ? 'sunrpc' : event.startsWith('fhv') ? 'nfsroot_trace' : 'nfsd'; // prettier-ignore
      return Buffer.concat([Buffer.from(`${system}/${event}\n`), text, Buffer.from([0])]);
    }),
  );
}

/** Whole records each. */
function pieces(records: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let start = 0;
  for (let at = 0; at < records.length;) {
    at += PACKED_HEADER + records.readUInt32LE(at);
    if (at - start < PIECE && at < records.length) continue;
    found.push(records.subarray(start, at));
    start = at;
  }
  return found.slice(0, 4);
}

/** perf_event_header and what is behind it. */
function perfRecord(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt16LE(head.length + body.length, 6);
  return Buffer.concat([head, body]);
}

function ringRecords(): Seeds {
  const [lost, sample] = [2, 9];
  const raw = Buffer.alloc(12 + 36, 7);
  raw.writeUInt32LE(36, 8);
  const all = [perfRecord(sample, raw), perfRecord(lost, Buffer.alloc(24, 1)), perfRecord(1, raw)];
  return [0, 50, 60].map((start) =>
    Buffer.concat([Buffer.from([2, start, 0]), ...all, ...all.slice(0, 1)]),
  );
}

/** fanotify_event_metadata with information records (fanotify(7)). */
function fileEvents(): Seeds {
  const [fid, dfidName, dfid] = [1, 2, 3];
  const info = (type: number, name: string): Buffer => {
    const text = Buffer.from(name === '' ? '' : `${name}\0`);
    const body = Buffer.alloc(20 + 8 + Math.ceil(text.length / 4) * 4);
    body.writeUInt8(type, 0);
    body.writeUInt16LE(body.length, 2);
    body.writeUInt32LE(8, 12);
    body.writeInt32LE(1, 16);
    text.copy(body, 28);
    return body;
  };
  const event = (mask: number, ...infos: Buffer[]): Buffer => {
    const head = Buffer.alloc(24);
    head.writeUInt32LE(24 + Buffer.concat(infos).length, 0);
    head.writeUInt8(3, 4);
    head.writeUInt16LE(24, 6);
    head.writeBigUInt64LE(BigInt(mask), 8);
    head.writeInt32LE(-1, 16);
    head.writeInt32LE(1, 20);
    return Buffer.concat([head, ...infos]);
  };
  const [access, create, overflow, onDirectory] = [0x1, 0x100, 0x4000, 0x40000000];
  const events = [
    event(access, info(dfidName, 'name'), info(fid, '')),
    event(create, info(dfidName, 'x'), info(fid, '')),
    event(access | onDirectory, info(dfidName, '.')),
    event(access, info(dfid, ''), info(fid, '')),
    event(overflow, info(fid, '')),
  ];
  return [0x1f, 0x9f, 0x00].map((classes) => Buffer.concat([Buffer.from([classes]), ...events]));
}
