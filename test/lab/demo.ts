/**
 * The product's three commands for a person to watch: an NFS server, a diskless machine, its image.
 * Owns what is shown. `scripts/demo` calls it when everything is built.
 *
 *     node test/lab/demo.ts [--nfs 3|4.2] [--keep FILE]
 */
import { copyFile, stat } from 'node:fs/promises';
import { scriptArguments } from '../support/script-arguments.ts';
import type { BootReport } from './exercised-machine.ts';
import { withImageBoot } from './image-boot.ts';
import { Product, type Session } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';
import { Victim } from './victim.ts';
import { whatWasDone } from './what-was-done.ts';

const { values } = scriptArguments({
  options: { nfs: { type: 'string', default: '4.2' }, keep: { type: 'string' } },
});
const version = values.nfs;
if (version !== '3' && version !== '4.2') {
  process.stderr.write(`error: no NFS version ${version} here\nhint: --nfs 3 or --nfs 4.2\n`);
  process.exit(64);
}

const started = performance.now();
const server = new LabServer({ say: tell, ports: 1 });
const product = new Product(server);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void server.stop().then(() => process.exit(130)));
}
try {
  await demonstrate(version);
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await server.stop();
}

async function demonstrate(nfs: '3' | '4.2'): Promise<void> {
  const commands: string[] = [];
  /** Runs one command of the product in the server and shows it as it was typed. */
  const trace = async (command: string): Promise<void> => {
    // What it says beside its results, too, in the order in which a person sees it.
    const output = await server.must(`trace ${command} 2>&1`, { timeoutMs: 180_000 });
    process.stdout.write(
      `\n    # trace ${command}\n${output.trimEnd().replaceAll(/^(?=.)/gm, '    ')}\n\n`,
    );
  };

  tell('starting the NFS server (Linux 6.1 in a virtual machine, in emulation)');
  await server.start();
  tell(`NFS server up after ${seconds(server.bootMs)}; it exports ${VICTIM_ROOT}`);

  commands.push(`trace start --root ${VICTIM_ROOT}`);
  await trace(`start --root ${VICTIM_ROOT}`);

  tell(`switching on a diskless machine: Debian with systemd and sshd, over NFSv${nfs}`);
  const victim = new Victim({ server, version: nfs, hostname: 'sarge', onLine: tellExercise });
  const overNfs = await victim.start();
  tell(`its services are up and its exercise is done after ${seconds(overNfs.bootMs)}; off again`);
  await victim.powerOff();
  commands.push('# boot the machine and exercise it');

  await product.settle();
  await trace('sessions');
  const [session] = await product.sessionsOf(victim.address);
  if (session === undefined) throw new Error(`no session of ${victim.address} was recorded`);

  commands.push(`trace export ${session.session} -o sarge.cpio`);
  await trace(`export ${session.session} -o /lab/sarge.cpio`);
  const image = `${server.share}/sarge.cpio`;
  if (values.keep !== undefined) await copyFile(image, values.keep);
  const root = await measureRoot();

  tell('switching on a machine with nothing but the image: no disk, no network card');
  await withImageBoot({ image, onLine: tellExercise }, async (_, inMemory) => {
    const same = differences(overNfs, inMemory);
    if (same.length > 0) throw new Error(`the image does not do the same: ${same.join('; ')}`);
    tell(
      `the same services are up and the same exercise is done after ${seconds(inMemory.bootMs)}`,
    );
    const { size } = await stat(image);
    summary({ commands, session, root, imageBytes: size, overNfs, inMemory });
  });
}

async function measureRoot(): Promise<{ files: number; bytes: number }> {
  const text = await server.must(
    `find ${VICTIM_ROOT} -xdev | wc -l; find ${VICTIM_ROOT} -xdev -type f -printf '%D:%i %s\\n' |
      sort -u | awk '{ sum += $2 } END { printf "%d", sum }'`,
    { timeoutMs: 120_000 },
  );
  const [files = 0, bytes = 0] = text.trim().split('\n').map(Number);
  return { files, bytes };
}

/** What the exercise said that is not the same without NFS. */
function differences(overNfs: BootReport, inMemory: BootReport): string[] {
  const [before, now] = [whatWasDone(overNfs), whatWasDone(inMemory)];
  return Object.keys({ ...before, ...now })
    .filter((word) => before[word] !== now[word])
    .map((word) => `${word}: "${before[word] ?? 'nothing'}" became "${now[word] ?? 'nothing'}"`);
}

interface Summary {
  readonly commands: readonly string[];
  readonly session: Session;
  readonly root: { readonly files: number; readonly bytes: number };
  readonly imageBytes: number;
  readonly overNfs: BootReport;
  readonly inMemory: BootReport;
}

function summary({ commands, session, root, imageBytes, overNfs, inMemory }: Summary): void {
  const share = ((100 * imageBytes) / root.bytes).toFixed(0);
  const rows = [
    ['the root', `${root.files} entries, ${megabytes(root.bytes)}`],
    ['used by the machine', `${session.files} objects, in ${session.session}`],
    ['the image', `${megabytes(imageBytes)}, ${share} % of the root`],
    ['boot over NFS', `${seconds(overNfs.bootMs)} until the exercise was done`],
    ['boot of the image', `${seconds(inMemory.bootMs)}, ${inMemory.sshd} answers on port 22`],
    ['the whole demo', seconds(performance.now() - started)],
  ];
  process.stdout.write('\n');
  for (const [what = '', number = ''] of rows) {
    process.stdout.write(`  ${what.padEnd(22)}${number}\n`);
  }
  process.stdout.write('\nThe commands, on the NFS server:\n\n');
  for (const command of commands) process.stdout.write(`  ${command}\n`);
  process.stdout.write('\n');
}

function tellExercise(line: string): void {
  const [, said] = /lab-exercise: (.*)/.exec(line) ?? [];
  if (said !== undefined && said !== 'done') process.stdout.write(`              | ${said}\n`);
}

function tell(text: string): void {
  process.stdout.write(`[${seconds(performance.now() - started).padStart(8)}] ${text}\n`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
