/**
 * Records the boots of the tests of sweeps anew: the lab's victim over NFSv3 and v4.2, and sweeps in
 * it when it has booted. For a person, after what a session keeps has changed:
 *
 *     node test/image/sweeps/record-boots.ts
 */
import { join } from 'node:path';
import { Store } from '../../../src/store/store.ts';
import { touchOf } from '../../../src/daemon/swept-files.ts';
import { Product } from '../../lab/product.ts';
import { GUEST_SHARE, LabServer, VICTIM_ROOT } from '../../lab/server.ts';
import { Victim } from '../../lab/victim.ts';
import { type RecordedBoots, writeBoots } from './recorded-boots.ts';

const SWEEPS = [
  'find / -xdev >/dev/null',
  'tar cf - usr/share/man usr/share/doc | cat >/dev/null',
  'ldconfig -N -X',
  // What goes on afterwards uses some of it.
  'cat usr/share/doc/bash/copyright usr/bin/find >/dev/null; ls -l etc/ssh >/dev/null',
];
const TYPES: Readonly<Record<string, RecordedBoots['root'][number][0]>> = {
  ...{ d: 'directory', f: 'file', l: 'symlink' },
};

const server = new LabServer();
const product = new Product(server);
await server.start();
try {
  await product.start();
  for (const [port, version] of (['3', '4.2'] as const).entries()) {
    const victim = new Victim({ server, version, port });
    await victim.start();
    await product.trace(`mark 'boot done'`);
    await victim.must(`cd /; ${SWEEPS.join('; ')}`, { timeoutMs: 600_000 });
    await victim.powerOff();
  }
  await product.trace('stop');
  await server.must(`cp /var/lib/nfsroot-trace/trace.db ${GUEST_SHARE}`);
  const listed = await server.run(`cd ${VICTIM_ROOT}; find . -xdev -printf '%y %s %P\\0'`);
  const root = listed.output
    .toString('latin1')
    .split('\0')
    .slice(0, -1)
    .map((line) => {
      const [, type = '', size, path = ''] = /^(.) (\d+) (.*)$/s.exec(line) ?? [];
      return [TYPES[type] ?? 'other', Number(size), path] as const;
    });
  const store = Store.open({ path: join(server.share, 'trace.db'), readOnly: true });
  const boots = store.sessions().map(({ id, evidence, marks }) => ({
    nfs: evidence.kind === 'nfs3-mount' ? '3' : '4.2',
    doneUs: marks[0]?.atUs ?? 0,
    touches: store.files(id).flatMap((row) => (row.names.length > 0 ? [touchOf(row)] : [])),
  }));
  store.close();
  writeBoots({ root, boots });
} finally {
  await server.stop();
}
