import { writeFileSync, cpSync } from 'node:fs';
import { LabClient, type NfsVersion } from './lab-client.ts';
import { Product } from './product.ts';
import { LabServer } from './server.ts';
const server = new LabServer({ memoryMb: 1536 });
const product = new Product(server);
const t0 = Date.now();
const say = (...w: unknown[]) => console.log(((Date.now() - t0) / 1000).toFixed(1), ...w);
const BOOT = `cat init sbin/init etc/passwd etc/group etc/nsswitch.conf >/dev/null; ls -l etc/lab >/dev/null; cat usr/lib/udev/rules.d/* >/dev/null; ls usr/lib/systemd/system >/dev/null; find etc/systemd -type f | xargs cat >/dev/null; cat usr/lib/x86_64-linux-gnu/lib[a-d]*.so.* >/dev/null; cat usr/bin/[a-d]* >/dev/null; readlink bin lib sbin etc/mtab usr/bin/awk >/dev/null; stat etc/fstab usr/bin/perl usr/sbin/sshd >/dev/null; true`;
const AFTER = `cat usr/bin/perl usr/sbin/sshd etc/ssh/sshd_config usr/lib/x86_64-linux-gnu/lib[m-p]*.so.* usr/share/doc/bash/* usr/share/man/man1/ls* >/dev/null; ls -l etc/ssh var/log >/dev/null; readlink etc/alternatives/awk; true`;
const SWEEPS: Record<string, string> = {
  none: 'true',
  find: 'find . -xdev >/dev/null',
  ls: 'ls -lR . >/dev/null',
  du: 'du -s . >/dev/null',
  doc: 'grep -r nothing usr/share/doc >/dev/null; true',
  man: 'tar cf - usr/share/man | cat >/dev/null',
  ldconfig: 'ldconfig -r . -N -X -v 2>/dev/null >/dev/null; true',
  tar: 'tar cf - --one-file-system . 2>/dev/null | cat >/dev/null',
};
const only = process.argv.slice(2);
try {
  await server.start();
  say('server', server.bootMs);
  await product.start();
  say('recording');
  const run = async (version: NfsVersion, address: string) => {
    const client = new LabClient({ server, name: `c${version.replace('.', '')}`, address });
    for (const [name, sweep] of Object.entries(SWEEPS)) {
      if (only.length && !only.includes(name) && name !== 'none') continue;
      if (name === 'none') await client.powerOn();
      else await client.reset();
      await client.mount({ version });
      const a = Date.now();
      await client.must(BOOT);
      const b = Date.now();
      await client.must('sleep 3');
      const c = Date.now();
      await client.must(sweep, { timeoutMs: 300_000 });
      const d = Date.now();
      await client.must('sleep 1');
      await client.must(AFTER);
      say(version, name, 'boot', b - a, 'sweep', d - c, 'after', Date.now() - d);
    }
  };
  await run('3', '10.77.0.31');
  await run('4.2', '10.77.0.32');
  await server.must(`node test/lab/guest/control.ts settle /lab/state.db`, { timeoutMs: 600_000 });
  cpSync(`${server.share}/state.db`, '/tmp/sw-lab.db');
  say('settled');
  const sessions = await product.sessions();
  const words = sessions.map((s) => s.session);
  const out = await server.must(`node test/lab/guest/plans.ts ${words.join(' ')}`, {
    timeoutMs: 300_000,
  });
  writeFileSync('/tmp/sw-plans.jsonl', out);
  say('planned');
  for (const s of sessions)
    say(s.session, s.client, s.evidence.kind, s.tier, s.partial, s.loss, s.files);
} finally {
  await server.stop();
}
