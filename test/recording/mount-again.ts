/** A mount in place of another one. Owns that it has another number, which is all that shows it. */
import { execFileSync } from 'node:child_process';
import { readMountinfo } from '../../src/recording/mounts.ts';

function numberOf(place: string): string | undefined {
  const lines = readMountinfo().toString('latin1').split('\n');
  return lines.map((line) => line.split(' ')).findLast((words) => words[4] === place)?.[0];
}

/**
 * Unmounts `place` and binds `from` to it. A free number is taken by the next mount, here that of
 * `spare`; other tests mount meanwhile, so it may take more than one turn.
 */
export function mountAgain(from: string, place: string, spare: string): void {
  const before = numberOf(place);
  do {
    execFileSync('umount', [place], { stdio: 'pipe' });
    execFileSync('mount', ['--bind', from, spare], { stdio: 'pipe' });
    execFileSync('mount', ['--bind', from, place], { stdio: 'pipe' });
    execFileSync('umount', [spare]);
  } while (numberOf(place) === before);
}
