/**
 * The processes and mounts of one run in a root, as the whole machine shows them.
 * Owns the looking; a run is known by its TERM, which all of its processes have from it.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** What a command starts is `other`. */
export type Role = 'tool' | 'world' | 'init' | 'command' | 'other';

/** The first process of each kind that runs now. */
export function processesOf(word: string): Map<Role, number> {
  const found = new Map<Role, number>();
  for (const pid of pids()) {
    const role = roleOf(pid, word);
    if (role !== null && !found.has(role)) found.set(role, pid);
  }
  return found;
}

/** Every process of the run. */
export function leftOf(word: string): number[] {
  return pids().filter((pid) => roleOf(pid, word) !== null);
}

/**
 * Processes that have a file open, each with what it is doing: for a test that waits in vain.
 * @param link what /proc/PID/fd/N says of it: `socket:[42]`
 */
export function holdersOf(link: string): string[] {
  const holds = (pid: number): boolean => {
    try {
      const folder = `/proc/${pid}/fd`;
      return readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === link);
    } catch {
      return false;
    }
  };
  return pids().filter(holds).map(stateOf);
}

function stateOf(pid: number): string {
  const of = (name: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'latin1').replaceAll('\0', ' ').trim();
    } catch (error) {
      return String(error);
    }
  };
  return `${pid}: ${of('cmdline')}\n${of('status').slice(0, 300)}\n${of('syscall')}\n${of('stack')}`;
}

function roleOf(pid: number, word: string): Role | null {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    if (!variables.includes(`TERM=${word}`)) return null;
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    // A zombie has ended; who reaps it is not our matter.
    if (/^State:\s*[ZX]/m.test(status)) return null;
    const numbers = (/^NSpid:\s*(.*)$/m.exec(status)?.[1] ?? '').split('\t');
    const [program] = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    const isWorld = program === 'trace-world';
    if (isWorld && readlinkSync(`/proc/${pid}/ns/pid`) === readlinkSync('/proc/self/ns/pid'))
      return 'world';
    if (isWorld && numbers.at(-1) === '1') return 'init';
    if (numbers.length === 1) return 'tool';
    return numbers.at(-1) === '2' ? 'command' : 'other';
  } catch {
    return null;
  }
}

/** Processes in whose mount namespace a directory is the root of a mount. */
export function mountersOf(directory: string, diskPath: string): number[] {
  const { dev } = statSync(directory);
  // As mountinfo has it; the numbers are small here.
  const device = `${dev >> 8}:${dev & 0xff}`;
  const within = directory.slice(diskPath.length);
  return pids().filter((pid) => {
    try {
      const lines = readFileSync(`/proc/${pid}/mountinfo`, 'latin1').split('\n');
      return lines.some((line) => {
        const [, , device_, top] = line.split(' ');
        return device_ === device && top === within;
      });
    } catch {
      return false;
    }
  });
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}
