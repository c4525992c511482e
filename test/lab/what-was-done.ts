/**
 * What a machine's exercise said that must be the same wherever its root is. Owns which of its words
 * are not: they tell of the machine, not of what it was used for.
 */
import type { BootReport } from './exercised-machine.ts';

const OF_THE_MACHINE = ['address', 'root', 'uptime'];

export function whatWasDone({ said }: BootReport): Record<string, string> {
  return Object.fromEntries([...said].filter(([word]) => !OF_THE_MACHINE.includes(word)));
}
