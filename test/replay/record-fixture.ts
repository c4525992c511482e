/**
 * Records the fixture of the replay tests anew: the lab's kernel NFS server, two clients in network
 * namespaces (NFSv3 and NFSv4.2), a machine reset of each, hostile names, and files that come, go
 * and are renamed while it is recorded. For a person, after the sensors' batches have changed:
 *
 *     node test/replay/record-fixture.ts
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { GUEST_SHARE, LabServer } from '../lab/server.ts';

const FIXTURE = path.join(import.meta.dirname, '../fixtures/replay/lab-6.1.jsonl.gz');
const ROOT = '/nfsroots/small';

const plug = (name: string, address: string): string =>
  [
    `ip netns add ${name}`,
    `ip link add v-${name} type veth peer name eth0 netns ${name}`,
    `ip link set v-${name} master br0 up`,
    `ip -n ${name} addr add ${address}/24 dev eth0`,
    `ip -n ${name} link set eth0 up`,
    `ip -n ${name} link set lo up`,
  ].join('; ');
const inside = (name: string, command: string): string =>
  `nsenter --net=/run/netns/${name} ${command}`;
const mount = (name: string, version: string): string => {
  const where = version === '3' ? ROOT : '/small';
  const options = `rw,vers=${version},hard${version === '3' ? ',nolock' : ''}`;
  return `mkdir -p /m/${name}; ${inside(name, `mount -t nfs -o ${options} 10.77.0.1:${where} /m/${name}`)}`;
};
/** The machine is reset: its old mounts stay behind a dead cable. */
const reset = (name: string, old: string, address: string, version: string): string =>
  `ip link set v-${old} down; sleep 3; ${plug(name, address)}; ${mount(name, version)}`;
const boot = (name: string): string =>
  `cd /m/${name}; cat sbin/init >/dev/null; cat lib/*.so bin/* >/dev/null; readlink lib64 >/dev/null; ls -l etc >/dev/null; cat etc/hostname >/dev/null`;

const SETUP = [
  `mkdir -p ${ROOT}; mount -t tmpfs -o mode=755 small ${ROOT}`,
  `cd ${ROOT}; mkdir -p sbin bin lib etc srv var/log; printf '#!/bin/sh\\n' > sbin/init; ln -s lib lib64; echo small > etc/hostname`,
  `cd ${ROOT}; for i in $(seq 40); do head -c $((i * 300)) /dev/urandom > lib/lib$i.so; done; for i in $(seq 20); do head -c 20000 /dev/urandom > bin/tool$i; done`,
  `sh REPOSITORY/test/lab/guest/odd-names.sh ${ROOT}/srv/odd`,
  `exportfs -o rw,no_root_squash,no_subtree_check,sync,fsid=7 '*:${ROOT}'`,
  plug('a', '10.77.0.31'),
  plug('b', '10.77.0.32'),
];

const STEPS = [
  mount('a', '3'),
  boot('a'),
  mount('b', '4.2'),
  `(${boot('a')}) & (${boot('b')}) & wait`,
  // Hostile names, by both.
  `find /m/a/srv -type f -exec cat {} + >/dev/null; find /m/b/srv -type l -exec readlink {} + >/dev/null`,
  `find /m/b/srv -type f -exec cat {} + >/dev/null`,
  // Files that come, are renamed, linked and go; by each client and by the server itself.
  `cd /m/a/var; for i in $(seq 12); do echo $i > log/a$i; done; mv log/a1 log/renamed; ln log/a2 log/again; rm log/a3; mkdir log/d; echo x > log/d/x; mv log/d d2; cat log/renamed d2/x log/again >/dev/null`,
  `cd /m/b/var; for i in $(seq 12); do echo $i > "log/b $i"; done; mv "log/b 1" ../etc/moved; rm "log/b 2"; cat ../etc/moved >/dev/null; echo more >> log/a5`,
  `cd ${ROOT}/var; for i in $(seq 8); do echo $i > log/s$i; done; mkdir new; mv log/s1 new/s; ln new/s etc-link`,
  `cat /m/a/var/new/s /m/b/var/etc-link /m/b/var/log/s* >/dev/null`,
  `cd /m/b; printf 'x' > "$(printf 'srv/\\377\\n created')"; cat srv/*created >/dev/null`,
  reset('a2', 'a', '10.77.0.31', '3'),
  boot('a2'),
  reset('b2', 'b', '10.77.0.32', '4.2'),
  `(${boot('b2')}) & (cat /m/a2/lib/lib7.so >/dev/null) & wait`,
  `chmod 600 /m/b2/etc/hostname; touch /m/a2/etc/hostname; rm /m/b2/var/log/s3; ls /m/a2/var/log >/dev/null`,
];

const server = new LabServer({ say: (text) => process.stderr.write(`${text}\n`) });
await server.start();
try {
  const repository = path.resolve(import.meta.dirname, '../..');
  for (const step of SETUP)
    await server.must(step.replaceAll('REPOSITORY', repository), { timeoutMs: 300_000 });
  await server.must(
    `setsid sh -c 'trace daemon --record-batches ${GUEST_SHARE}/batches >/run/daemon.log 2>&1 </dev/null' & ` +
      'for i in $(seq 1500); do [ -S /run/nfsroot-trace/control.sock ] && exit 0; sleep 0.2; done; cat /run/daemon.log; exit 1',
    { timeoutMs: 300_000 },
  );
  process.stderr.write(await server.must(`trace start --root ${ROOT}`, { timeoutMs: 180_000 }));
  for (const step of STEPS) {
    process.stderr.write(`${step.slice(0, 100)}\n`);
    await server.must(step, { timeoutMs: 300_000 });
  }
  await server.must('trace mark settled', { timeoutMs: 180_000 });
  process.stderr.write(await server.must('trace sessions', { timeoutMs: 180_000 }));
  await server.must('trace stop --daemon', { timeoutMs: 180_000 });
  const folder = path.join(server.share, 'batches');
  const [file = ''] = readdirSync(folder);
  const packed = gzipSync(readFileSync(path.join(folder, file)), { level: 9 });
  writeFileSync(FIXTURE, packed);
  process.stderr.write(`${FIXTURE}: ${packed.length} bytes\n`);
} finally {
  await server.stop();
}
