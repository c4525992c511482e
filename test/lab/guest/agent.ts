/**
 * Runs inside the lab's NFS server and takes orders over a virtio-serial port: one JSON object a
 * line in, one a line out, several at once. Owns the programs that it starts.
 * Stands alone: it is copied into the guest, so it imports nothing of the project.
 */
import { spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

interface Order {
  readonly id: number;
  readonly run?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly readFile?: string;
  readonly writeFile?: string;
  readonly content?: string;
}

const SCRATCH = '/run/lab-agent';
const readAsync = promisify(read);
mkdirSync(SCRATCH, { recursive: true });
// vportNpM: N is the number of the virtio device; there is only one such port here.
const port = openSync(`/dev/${readdirSync('/sys/class/virtio-ports')[0] ?? ''}`, 'r+');

function answer(reply: object): void {
  const bytes = Buffer.from(`${JSON.stringify(reply)}\n`);
  for (let sent = 0; sent < bytes.length;) sent += writeSync(port, bytes, sent);
}

/**
 * Output goes to files, not pipes: a daemon that the command leaves behind may keep its standard
 * output open for ever, and the command has still ended.
 */
async function run(order: Order): Promise<object> {
  const base = `${SCRATCH}/${order.id}`;
  await writeFile(`${base}.in`, Buffer.from(order.input ?? '', 'base64'));
  const files = [
    openSync(`${base}.in`, 'r'),
    openSync(`${base}.out`, 'w'),
    openSync(`${base}.err`, 'w'),
  ];
  const child = spawn('/bin/sh', ['-c', order.run ?? ''], { stdio: files, detached: true });
  for (const file of files) closeSync(file);
  let timedOut = false;
  let where = '';
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid === undefined) return;
    where = waitsOf(child.pid);
    process.kill(-child.pid, 'SIGKILL');
  }, order.timeoutMs ?? 60_000);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(signal === null ? (status ?? -1) : 128));
  });
  clearTimeout(timer);
  const reply = {
    code,
    timedOut,
    stdout: readFileSync(`${base}.out`).toString('base64'),
    stderr: Buffer.concat([readFileSync(`${base}.err`), Buffer.from(where)]).toString('base64'),
  };
  for (const end of ['in', 'out', 'err']) rmSync(`${base}.${end}`);
  return reply;
}

/** What the programs of a process group wait for, in the kernel's words. */
function waitsOf(group: number): string {
  const found = readdirSync('/proc').flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      if (Number(stat.slice(stat.lastIndexOf(')')).split(' ')[3]) !== group) return [];
      const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return [`${pid} ${words}\n${readFileSync(`/proc/${pid}/stack`, 'latin1')}`];
    } catch {
      return []; // no process, or one that has just ended
    }
  });
  return found.join('');
}

async function perform(order: Order): Promise<object> {
  if (order.run !== undefined) return run(order);
  if (order.readFile !== undefined) {
    return { content: (await readFile(order.readFile)).toString('base64') };
  }
  if (order.writeFile !== undefined) {
    await writeFile(order.writeFile, Buffer.from(order.content ?? '', 'base64'));
  }
  return {};
}

async function obey(line: string): Promise<void> {
  const order = JSON.parse(line) as Order;
  try {
    answer({ id: order.id, ...(await perform(order)) });
  } catch (error) {
    answer({ id: order.id, error: String(error) });
  }
}

const buffer = Buffer.alloc(65536);
let rest = Buffer.alloc(0);
for (;;) {
  const { bytesRead } = await readAsync(port, buffer, 0, buffer.length, null);
  if (bytesRead === 0) {
    // Nobody is at the other end yet.
    await new Promise((resolve) => setTimeout(resolve, 50));
    continue;
  }
  rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
  for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
    void obey(rest.subarray(0, end).toString('utf8'));
    rest = rest.subarray(end + 1);
  }
}
