/**
 * Refuses arguments that lost bytes when Node decoded them, where it is not the bytes that are asked
 * for: another file would be read, or replaced. Owns which are taken as bytes.
 */
import type { Command } from 'commander';
import { TraceError } from '../common/errors.ts';
import { bytesOfArgument } from './bytes-of-argument.ts';

/** Commands, or their groups, whose arguments are images, names in images, or roots. */
const BYTE_COMMANDS = new Set(['image', 'cpio-list', 'shell', 'nd']);
/** Commands whose `-d` is a root. */
const BYTE_DIRECTORIES = new Set(['nbic', 'trace-files']);

/**
 * @param command the one that these arguments lead to, parsed
 * @throws TraceError `usage-bad-value`
 */
export function checkArguments(command: Command, argv: readonly string[]): void {
  const taken = takenAsBytes(command);
  for (const text of argv) {
    if (bytesOfArgument(text).equals(Buffer.from(text))) continue;
    // An option and its value may be one argument; and each is taken once.
    const at = taken.findIndex((one) => text.endsWith(one));
    if (at >= 0) taken.splice(at, 1);
    else
      throw new TraceError({
        code: 'usage-bad-value',
        message: `the argument ${text} is not UTF-8`,
        hint: 'rename what it names, or name it by a link',
        exit: 'usage',
      });
  }
}

function takenAsBytes(command: Command): string[] {
  const names = [command.name(), command.parent?.name() ?? ''];
  const { root, directory } = command.opts<{ root?: string; directory?: string }>();
  return [
    ...(root === undefined ? [] : [root]),
    ...(directory !== undefined && BYTE_DIRECTORIES.has(command.name()) ? [directory] : []),
    ...(names.some((name) => BYTE_COMMANDS.has(name)) ? command.args : []),
  ];
}
