/**
 * What benchmarks share in their figures: medians, what /proc says of a process, Markdown tables
 * and the places in docs/performance.md that they go into.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

export const PAGE = path.join(import.meta.dirname, '../../docs/performance.md');

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}

/** Nanoseconds that the threads of a process have run, by the scheduler's own account. */
export function cpuNs(pid: number): number {
  const tasks = fs.readdirSync(`/proc/${pid}/task`);
  return tasks.reduce((sum, task) => {
    const [ran] = fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ');
    return sum + Number(ran);
  }, 0);
}

/** A figure of /proc/PID/status in MiB: `VmRSS`, `VmHWM`. */
export function memoryMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const text = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1]) / 1024;
}

/** What the figures were made on: other work of the machine is part of every figure. */
export function machine(): string {
  const [load = 0] = os.loadavg();
  return `${os.cpus().length} cores, Linux ${os.release()}, Node ${process.versions.node}, load average ${load.toFixed(1)}`;
}

/** A table whose first column is text and the others numbers. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [line(head), line(rule), ...body.map(line)].join('');
}

/** Puts a part between `<!-- name -->` and `<!-- /name -->` of the page. */
export function writePart(name: string, text: string): void {
  const page = fs.readFileSync(PAGE, 'utf8');
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has no place for ${name}`);
  fs.writeFileSync(
    PAGE,
    `${page.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${page.slice(to)}`,
  );
}
