/**
 * The installed unit under a real systemd, as the service manager of the NFS server: an unprivileged
 * user with two capabilities, in a mount namespace of its own, behind a filter of system calls,
 * records what a kernel client reads.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { lacks } from '../capabilities.ts';
import type { Session, SessionFile } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';

const CLIENT = '10.77.0.21';
/** Where systemd's tree is, as the rest of the server sees it. */
const TREE = '/sd';
const UNIT = 'nfsroot-trace';
const STATE = '/var/lib/nfsroot-trace';
/** Everything is emulated: a start takes half a minute and more. */
const SLOW_MS = 240_000;
const PLUG = [
  'modprobe veth; modprobe nfsv3; ip netns add c1',
  'ip link add v-c1 type veth peer name eth0 netns c1',
  'ip link set v-c1 master br0 up',
  `ip -n c1 addr add ${CLIENT}/24 dev eth0`,
  'ip -n c1 link set eth0 up',
  'ip -n c1 link set lo up',
  'mkdir -p /m',
  `nsenter --net=/run/netns/c1 mount -t nfs -o ro,vers=3,nolock 10.77.0.1:${VICTIM_ROOT} /m`,
].join(' && ');

describe('the unit under systemd', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const systemctl = (command: string): Promise<string> =>
    server.must(`chroot ${TREE} systemctl ${command}`, { timeoutMs: SLOW_MS });
  const trace = (command: string): Promise<string> =>
    server.must(
      `trace --socket ${TREE}/run/nfsroot-trace/control.sock --state-dir ${TREE}${STATE} ${command}`,
      { timeoutMs: SLOW_MS },
    );
  const show = async (property: string): Promise<string> =>
    (await systemctl(`show ${UNIT} --property ${property} --value`)).trim();
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const end = Date.now() + SLOW_MS;
    while (!(await holds())) {
      assert.ok(
        Date.now() < end,
        `${what}: ${await systemctl(`status ${UNIT} --lines 30 || true`)}`,
      );
      await delay(1000);
    }
  };
  const sessions = async (): Promise<Session[]> =>
    (JSON.parse(await trace('sessions --json')) as { sessions: Session[] }).sessions;

  let installed = '';
  before(async () => {
    // The server's root is this machine's: what is installed here has the same place there.
    installed = await mkdtemp(path.join(tmpdir(), 'nfsroot-trace-installed-'));
    await chmod(installed, 0o755);
    const script = path.join(import.meta.dirname, '../../scripts/install');
    await promisify(execFile)(script, ['--destdir', installed]);
    await server.start();
    await writeFile(path.join(server.share, 'installed.env'), `LAB_INSTALLED='${installed}'\n`);
    const init = path.join(server.share, 'next-init');
    await cp(path.join(import.meta.dirname, 'guest/systemd-init.sh'), init);
    // The agent that is asked to do this ends with it, and another one answers.
    await server.must(
      'chmod 755 /lab/next-init; agent=$(pgrep -f lab/agent.ts | head -n 1); (sleep 1; kill $agent) >/dev/null 2>&1 &',
    );
    await server.machine.waitFor(/Startup finished in/, SLOW_MS);
    await server.must(PLUG, { timeoutMs: SLOW_MS });
    // Root has tried it by hand; then what he has made is the service's, and goes on.
    await server.must(
      `chroot ${TREE} trace start --root ${VICTIM_ROOT} && chroot ${TREE} trace stop --daemon`,
      { timeoutMs: SLOW_MS },
    );
    await systemctl(`enable --now ${UNIT}`);
  });
  after(async () => {
    await server.stop();
    await rm(installed, { recursive: true, force: true });
  });

  test('it is ready, and is who it should be', async () => {
    assert.equal(await show('ActiveState'), 'active');
    const pid = await show('MainPID');
    const status = await server.must(`cat /proc/${pid}/status`);
    assert.match(status, /^CapEff:\s+0000000000200004$/m, 'two capabilities');
    assert.match(status, /^CapBnd:\s+0000000000200004$/m);
    assert.match(status, /^Uid:\s+[1-9]/m, 'not root');
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^Seccomp:\s+2$/m);
    const program = await server.must(`readlink /proc/${pid}/exe`);
    assert.match(program, /\/opt\/nfsroot-trace\/releases\/[^/]+\/bin\/node$/m);
    assert.match(await server.must(`chroot ${TREE} nfsroot-trace --version`), /^\d+\.\d+\.\d+$/m);
    const spaces = await server.must(
      `readlink /proc/${pid}/ns/mnt /proc/1/ns/mnt | sort -u | wc -l`,
    );
    assert.equal(spaces.trim(), '2', 'a mount namespace of its own');
    assert.equal(await show('StatusText'), 'recording 1 of 1 roots at tier exact');
    const owners = `chroot ${TREE} find ${STATE} /run/nfsroot-trace -printf '%u:%g\\n'`;
    assert.equal((await server.must(`${owners} | sort -u`)).trim(), `${UNIT}:${UNIT}`);
    const asRoot = await server.run(`chroot ${TREE} trace --socket /none daemon`, {
      timeoutMs: SLOW_MS,
    });
    assert.match(asRoot.stderr, /state folder .* belongs to user/);
  });

  test('it is well fenced in', async () => {
    const unit = `/usr/local/lib/systemd/system/${UNIT}.service`;
    // Ends with another status above 3.0.
    await server.must(
      `chroot ${TREE} systemd-analyze security --no-pager --offline=yes --threshold=30 ${unit}`,
      { timeoutMs: SLOW_MS },
    );
  });

  test('both witnesses see a kernel client from there', async () => {
    await server.must('cat /m/etc/passwd /m/etc/debian_version > /dev/null; readlink /m/bin');
    await trace('mark settled');
    const [session] = await sessions();
    assert.ok(session !== undefined);
    assert.deepEqual([session.client, session.tier, session.loss], [CLIENT, 'exact', 0]);
    const { files } = JSON.parse(await trace(`files ${session.session} --json`)) as {
      files: SessionFile[];
    };
    assert.ok(files.find(({ path: name }) => name === 'etc/passwd')?.operations.includes('read'));
    // Without the file side each of these reads would be a disagreement of the witnesses.
    await trace('mark again');
    assert.equal((await sessions())[0]?.loss, 0);
  });

  test('reload: a configuration that is wrong changes nothing', async () => {
    const file = `${TREE}/etc/nfsroot-trace.json`;
    await server.must(`echo '{"flushMs": "soon"}' > ${file}`);
    await systemctl(`reload ${UNIT}`);
    await until('it complains', async () =>
      /old configuration stays/.test(await show('StatusText')),
    );
    await server.must(`echo '{"flushMs": 500}' > ${file}`);
    await systemctl(`reload ${UNIT}`);
    await until('it is content', async () => /tier exact$/.test(await show('StatusText')));
    assert.equal(await show('ActiveState'), 'active');
  });

  test('killed by the watchdog, it goes on where it was, and the gap is a loss', async () => {
    await server.must(
      `mkdir -p ${TREE}/run/systemd/system/${UNIT}.service.d; ` +
        `printf '[Service]\\nWatchdogSec=20\\n' > ${TREE}/run/systemd/system/${UNIT}.service.d/soon.conf`,
    );
    await systemctl('daemon-reload');
    await systemctl(`restart ${UNIT}`);
    const pid = await show('MainPID');
    await server.must(`kill -STOP ${pid}`);
    await server.must('cat /m/etc/hostname > /dev/null');
    await until('another one', async () => {
      const now = await show('MainPID');
      return now !== pid && now !== '0' && (await show('ActiveState')) === 'active';
    });
    assert.equal(await show('NRestarts'), '1');
    await server.must('cat /m/etc/fstab > /dev/null');
    await trace('mark settled');
    const all = await sessions();
    assert.equal(all.length, 1, 'the same session');
    assert.ok((all[0]?.loss ?? 0) > 0);
  });

  test('stop: within 10 seconds of its own time, with everything committed', async () => {
    await server.must('cat /m/etc/shells > /dev/null');
    await systemctl(`stop ${UNIT}`);
    assert.equal(await show('Result'), 'success');
    const { files } = JSON.parse(await trace('files 1 --json')) as { files: SessionFile[] };
    assert.ok(files.some(({ path: name }) => name === 'etc/shells'));
  });
});
