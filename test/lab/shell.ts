/**
 * For a person: boots the lab's NFS server and runs commands in it.
 *
 *     node test/lab/shell.ts 'uname -r' 'ls /nfsroots/sarge'     runs them, then powers off
 *     node test/lab/shell.ts                                     a command a line from standard input
 *
 * Before them: `--kernel trixie` (or 6.12) boots another kernel, `--repository DIR` shows another
 * checkout inside. Ends with the status of the last command.
 */
import { createInterface } from 'node:readline';
import { scriptArguments } from '../support/script-arguments.ts';
import { labKernel } from './kernels.ts';
import { GUEST_SHARE, LabServer } from './server.ts';

const { values, positionals: given } = scriptArguments({
  options: { repository: { type: 'string' }, kernel: { type: 'string', default: 'bookworm' } },
  allowPositionals: true,
});
const server = new LabServer({
  say: (text) => process.stderr.write(`${text}\n`),
  live: true,
  ...values,
  kernel: labKernel(values.kernel),
});

async function perform(shell: string): Promise<void> {
  try {
    const { code, stdout, stderr } = await server.run(shell, { timeoutMs: 600_000 });
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = code;
    if (code !== 0) process.stderr.write(`(status ${code})\n`);
  } catch (error) {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void server.stop().then(() => process.exit(130)));
}
await server.start();
process.stderr.write(
  `server up in ${(server.bootMs / 1000).toFixed(1)} s; ${server.share} is ${GUEST_SHARE} inside; ` +
    `console: ${server.machine.logFile}\n`,
);
if (given.length > 0) {
  for (const shell of given) await perform(shell);
} else {
  const lines = createInterface({ input: process.stdin, terminal: false });
  process.stderr.write('lab> ');
  for await (const line of lines) {
    if (line.trim() === 'exit') break;
    if (line.trim() !== '') await perform(line);
    process.stderr.write('lab> ');
  }
}
await server.stop();
