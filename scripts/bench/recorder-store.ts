/**
 * 1,000 clients that each use 500 files of a root of 100,000, replayed through attribution into
 * SQLite: access updates a second, bytes a row, memory.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import process from 'node:process';
import Sqlite from 'better-sqlite3';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { compiled } from './compiled.ts';
import type { BenchDisk } from './disk.ts';
import { machine, markdownTable, median } from './figures.ts';
import { daemonMemory } from './recorder-memory.ts';

const CLIENTS = 1000;
const FILES = 500;

interface Result {
  readonly rounds: readonly number[];
  readonly busy: readonly number[];
  readonly sessions: number;
  readonly rows: number;
}

export async function hashesOf(tree: string): Promise<Buffer> {
  const index = new HandleIndex({ root: Buffer.from(tree) });
  index.open();
  await index.walk();
  const hashes: number[] = [];
  for (let id = 1; id < index.objects; id++)
    if (!index.isDirectory(id))
      hashes.push(HandleIndex.hashOf({ fsidType: 1, fsid: Buffer.alloc(4) }, index.handleOf(id)));
  index.close();
  return Buffer.from(new Uint32Array(hashes).buffer);
}

export async function benchStore(disk: BenchDisk, runs: number): Promise<string> {
  const { work, tree } = disk;
  const script = compiled('recorder-replayed.ts', work);
  const hashes = path.join(work, 'hashes');
  fs.writeFileSync(hashes, await hashesOf(tree));
  const results: Result[] = [];
  let perRow = 0;
  let perFile = 0;
  for (let run = 0; run < runs; run++) {
    const database = path.join(work, `replayed-${run}.db`);
    // As `trace start` starts the daemon.
    const options = ['--max-old-space-size=1024', '--max-semi-space-size=2'];
    const args = [...options, script, tree, hashes, database, String(CLIENTS), String(FILES)];
    const text = execFileSync(process.execPath, args, { encoding: 'utf8' });
    const result = JSON.parse(text) as Result;
    results.push(result);
    const db = new Sqlite(database, { readonly: true });
    const bytes = (tables: string): number =>
      db
        .prepare(`SELECT sum(pgsize) FROM dbstat WHERE name IN (${tables})`)
        .pluck()
        .get() as number;
    const count = (table: string): number =>
      db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    perRow = bytes("'access'") / count('access');
    perFile = bytes("'file', 'name', 'sqlite_autoindex_file_1'") / count('file');
    db.close();
    fs.rmSync(database);
  }
  const memory = await daemonMemory(disk, {
    hashes: fs.readFileSync(hashes),
    clients: CLIENTS,
    files: FILES,
  });
  const of = (pick: (result: Result) => number): number => median(results.map(pick));
  const thousand = (rate: number): string => `${Math.round(rate / 1000)},000`;
  return (
    `${CLIENTS} clients use ${FILES} files each of a root of 100,000, one session a client; ` +
    `made-up trace rows, all else real; medians of ${runs} runs. ${machine()}.\n\n` +
    markdownTable([
      ['', 'wall time', 'CPU time'],
      [
        'access updates a second, files and sessions new (target: 100,000)',
        thousand(of(({ rounds }) => rounds[0] ?? NaN)),
        thousand(of(({ busy }) => busy[0] ?? NaN)),
      ],
      [
        'access updates a second, files and sessions known',
        thousand(of(({ rounds }) => rounds[2] ?? NaN)),
        thousand(of(({ busy }) => busy[2] ?? NaN)),
      ],
    ]) +
    '\n' +
    markdownTable([
      ['', ''],
      ['database, bytes an access row (indexes included)', perRow.toFixed(0)],
      ['and for each file, with its name', perFile.toFixed(0)],
      ['the daemon itself: resident memory after the listing, MiB', memory.listedMiB.toFixed(0)],
      ['with all sessions open, MiB', memory.residentMiB.toFixed(0)],
      ['peak, MiB (target: 200)', memory.peakMiB.toFixed(0)],
    ])
  );
}
