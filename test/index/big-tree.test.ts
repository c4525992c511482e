/** 100,000 files: memory and time, printed beside find(1) on the same tree. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { describe, it } from 'node:test';
import { HandleIndex, type IndexSummary } from '../../src/fanotify-ts/handle-index.ts';
import { cannotMake, makeFileSystem } from './file-systems.ts';

const UUID = { fsidType: 6, fsid: Buffer.alloc(16, 7) };
const RUNS = 5;

/** CPU time of find, milliseconds: wall time says little on a busy machine. */
function findCpu(root: string, format: string): number {
  const script = `TIMEFORMAT='%U %S'; time find "$0" -printf '${format}' >/dev/null`;
  const { stderr } = spawnSync('bash', ['-c', script, root], { encoding: 'utf8' });
  const [user, system] = stderr.trim().split(' ').map(Number);
  return ((user ?? NaN) + (system ?? NaN)) * 1000;
}

async function walkCpu(index: HandleIndex): Promise<{ summary: IndexSummary; cpu: number }> {
  const before = process.cpuUsage();
  const summary = await index.walk();
  const { user, system } = process.cpuUsage(before);
  return { summary, cpu: (user + system) / 1000 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

describe('100,000 files', { skip: cannotMake('ext4') }, () => {
  it('are indexed in little memory, about as fast as find can lstat them', async () => {
    const fs = makeFileSystem('ext4');
    const root = `${fs.path}/root`;
    for (let directory = 0; directory < 1000; directory++) {
      const path = `${root}/dir-${directory >> 5}/sub-${directory}`;
      mkdirSync(path, { recursive: true });
      for (let file = 0; file < 100; file++)
        closeSync(openSync(`${path}/library-file-${file}.so`, 'w'));
    }
    const names: number[] = [];
    const looks: number[] = [];
    const walks: number[] = [];
    const again: number[] = [];
    let summary: IndexSummary | undefined;
    let resident = 0;
    for (let run = 0; run < RUNS; run++) {
      names.push(findCpu(root, ''));
      looks.push(findCpu(root, '%m'));
      const before = process.memoryUsage().rss;
      const index = new HandleIndex({ root: Buffer.from(root) });
      index.open();
      index.addExportKey(UUID);
      const first = await walkCpu(index);
      summary = first.summary;
      walks.push(first.cpu);
      resident = Math.max(resident, process.memoryUsage().rss - before);
      again.push((await walkCpu(index)).cpu);
      assert.equal(index.objects, 101_033);
      assert.equal(index.namesGeneration, 101_032);
      for (let id = 0; id < index.objects; id += 997) {
        assert.deepEqual(
          index.idsOfHash(HandleIndex.hashOf(UUID, index.handleOf(id))),
          id ? [id] : [],
        );
      }
      index.close();
    }
    fs.remove();
    assert.ok(summary !== undefined);
    assert.equal(summary.objects, 101_033);
    assert.equal(summary.names, 101_032);
    assert.equal(summary.directories, 1_033);
    const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    const ms = (values: readonly number[]): string => `${median(values).toFixed(0)} ms`;
    console.log(
      `# CPU time, medians of ${RUNS}: find names ${ms(names)}, find modes ${ms(looks)}, ` +
        `first walk ${ms(walks)}, walk again ${ms(again)}; ` +
        `index ${mib(summary.bytes)}, process grew ${mib(resident)}`,
    );
    assert.ok(summary.bytes < 15e6, `${summary.bytes} bytes`);
    assert.ok(resident < 60e6, `${resident} bytes`);
    // Each name costs one name_to_handle_at(2), which is about one lstat(2).
    assert.ok(median(walks) < 2 * median(looks), ms(walks));
  });
});
