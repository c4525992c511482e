/** `trace doctor`: what this machine can do, one line and one hint each. */
import { Option, type Command } from 'commander';
import { jsonPath } from '../../common/bytes.ts';
import { EXIT } from '../../common/errors.ts';
import { TIERS, type Tier } from '../../common/words.ts';
import type { Finding } from '../../daemon/doctor/diagnose.ts';
import type { RepairReport } from '../../store/repair.ts';
import type { Register } from '../commands.ts';
import { escapeName, type Output, paintResult } from '../output.ts';
import { rootArgument } from '../root-argument.ts';

interface DoctorOptions {
  readonly root?: string;
  readonly tier: Tier;
  readonly repair?: boolean;
}

export const registerDoctor: Register = (program, context) => {
  program
    .command('doctor')
    .description('what this machine can do, with a hint for what it cannot')
    .option('--root <dir>', 'check this root; default: every recorded one, or else every export')
    .addOption(
      new Option('--tier <tier>', 'the tier that is good enough').choices(TIERS).default(TIERS[0]),
    )
    .option('--repair', 'salvage a damaged database; what is kept and lost is told')
    .action(async ({ root, tier: wanted, repair }: DoctorOptions, command: Command) => {
      if (repair === true) {
        const { output, database } = context(command);
        showRepair(output, await repairOf(database));
        return;
      }
      const { diagnose } = await import('../../daemon/doctor/diagnose.ts');
      const { output, places, database, client } = context(command);
      const { findings, tiers, roots, tier, ok } = await diagnose({
        root: root === undefined ? null : rootArgument(root),
        wanted,
        stateDir: places.stateDir,
        database,
        ask: () => client.status(),
      });
      output.value({
        ok,
        tier,
        wanted,
        roots: roots.map((one) => ({ ...one, root: jsonPath(one.root) })),
        tiers,
        findings: findings.map((one) => ({
          ...one,
          root: one.root === null ? null : jsonPath(one.root),
        })),
      });
      showFindings(findings, output);
      output.line(tier === null ? 'nothing can be recorded' : `best tier now: ${tier}`);
      process.exitCode = ok ? EXIT.ok : EXIT.failed;
    });
};

async function repairOf(database: string): Promise<RepairReport> {
  const { repairDatabase } = await import('../../store/repair.ts');
  return repairDatabase({ path: database, atUs: Date.now() * 1000 });
}

function showRepair(output: Output, report: RepairReport): void {
  const { sound, kept, file, rows, lostRows, sessions, mended } = report;
  output.value({
    sound,
    kept,
    sessions,
    pages: file.pages,
    pages_missing: file.missing,
    pages_unreadable: file.unreadable,
    rows,
    rows_lost: lostRows,
    mended,
  });
  if (sound) {
    output.line(`the database is sound: ${sessions} sessions; nothing was done`);
    return;
  }
  const tables = Object.entries(rows).map(([table, count]) => `${count} ${table}`);
  output.line(`salvaged ${sessions} sessions (rows: ${tables.join(', ') || 'none'})`);
  output.line(
    `lost: ${file.unreadable} of ${file.pages} pages unreadable, ${file.missing} missing, ${lostRows} rows`,
  );
  for (const text of mended) output.line(text);
  output.line(`the damaged database is kept as ${kept ?? ''}`);
  output.line('every session has this as a loss: `trace show`');
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
const STATE_WIDTH = 4;

/** What is of the machine first, then each root with its name above its lines. */
function showFindings(findings: readonly Finding[], output: Output): void {
  const width = findings.reduce((most, { check }) => Math.max(most, check.length), 0);
  const byRoot = Map.groupBy(findings, ({ root }) => root?.toString('latin1') ?? null);
  const machine = byRoot.get(null) ?? [];
  byRoot.delete(null);
  for (const finding of machine) showFinding(finding, width, output);
  for (const ofRoot of byRoot.values()) {
    output.line(paintResult('bold', escapeName(ofRoot[0]?.root ?? Buffer.alloc(0))));
    for (const finding of ofRoot) showFinding(finding, width, output);
  }
}

/** Exports' and clients' names, and what an error quotes, may hold anything: always one line. */
function showFinding({ check, state, text, hint }: Finding, width: number, output: Output): void {
  const told = escapeName(Buffer.from(text));
  output.line(
    `${paintResult(COLOURS[state], state.padEnd(STATE_WIDTH))}  ${check.padEnd(width)}  ${told}`,
  );
  if (hint === null) return;
  const advice = `${paintResult('cyan', 'hint:')} ${escapeName(Buffer.from(hint))}`;
  output.line(`${' '.repeat(STATE_WIDTH + 2)}${advice}`);
}
