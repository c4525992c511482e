/**
 * What this machine can do: one finding a line, each with a hint. Owns the list of checks and the
 * verdict. Must not change anything, and needs no daemon and no privilege: what cannot be seen is
 * a finding.
 */
import { probeNfsd } from '../../capture/nfsd-probe.ts';
import { bytesOf, compareBytes } from '../../common/bytes.ts';
import { TIERS, type Tier } from '../../common/words.ts';
import { MountTable, readMountinfo } from '../../recording/mounts.ts';
import { examineDatabase, type Examination } from '../../store/examine.ts';
import type { StatusBody } from '../api.ts';
import { clockFindings } from './clock.ts';
import { exportFindings, readExports } from './exports.ts';
import { unseen, type Finding } from './finding.ts';
import { machineFindings } from './machine.ts';
import { judge, lookAtRoot, type RootVerdict } from './roots.ts';
import { askDaemon, daemonFinding, type Running } from './running.ts';
import { serverFindings } from './server.ts';
import { databaseFinding, databaseSize, diskFindings } from './state.ts';
import { tierFindings, tierReports, traceFindings, type TierReport } from './trace.ts';

export type { Finding } from './finding.ts';

/** How long the database may be looked at. */
const EXAMINE_MS = 5000;

export interface Diagnosis {
  readonly findings: readonly Finding[];
  /** Every tier, best first. */
  readonly tiers: readonly TierReport[];
  readonly roots: readonly RootVerdict[];
  /** The best tier that recording would have now; null if nothing can be recorded. */
  readonly tier: Tier | null;
  /** Every root has the wanted tier, and nothing failed. */
  readonly ok: boolean;
}

export interface DiagnoseOptions {
  /** Check this root alone; null: those that are recorded, or if there are none, every export. */
  readonly root: Buffer | null;
  /** The tier that is good enough. */
  readonly wanted: Tier;
  readonly stateDir: string;
  readonly database: string;
  readonly ask: () => Promise<StatusBody>;
}

export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const { stateDir, database, wanted } = options;
  const probe = probeNfsd();
  const mounts = readMounts();
  const exports = readExports();
  const signedWork = probe.kprobe.ok;
  const running = await askDaemon(options.ask);
  const bytes = databaseSize(database);
  const examination =
    typeof bytes === 'number' ? await examineDatabase(database, EXAMINE_MS) : null;
  const recorded = recordedRoots(running, examination);
  const roots =
    options.root === null
      ? recorded.length > 0
        ? recorded
        : exports.facts.map(({ path }) => path)
      : [options.root];
  const looked = roots.map((root) =>
    lookAtRoot(root, {
      recorded: recorded.some((one) => one.equals(root)),
      mounts,
      exports: exports.facts,
    }),
  );
  const files = looked.length === 0 || looked.some(({ usable }) => usable);
  const machine = machineFindings();
  const capable = machine.every(({ state }) => state !== 'fail');
  const tiers = tierReports(probe, capable && files);
  const best = capable ? (tiers.find(({ available }) => available)?.tier ?? null) : null;
  const judged = looked.map((facts) =>
    judge(facts, { tiers, exports: exports.facts, wanted, signedWork }),
  );
  const findings = [
    ...machine,
    ...(await clockFindings(examination?.found?.lastCommitUs ?? null)),
    ...traceFindings(probe),
    ...tierFindings(tiers),
    ...serverFindings(probe),
    ...exportFindings(exports, { only: options.root === null ? null : [options.root], signedWork }),
    ...looked.flatMap((facts, index) => [
      ...facts.findings,
      ...(judged[index] === undefined ? [] : [judged[index].finding]),
    ]),
    ...diskFindings(stateDir, mounts),
    ...(bytes === 'denied' ? [unseen('database', database)] : []),
    ...(examination !== null && typeof bytes === 'number'
      ? [databaseFinding(examination, { path: database, bytes, limitMs: EXAMINE_MS })]
      : []),
    daemonFinding(running, { best, toRecord: toRecordOf(examination) }),
  ];
  const verdicts = judged.map(({ verdict }) => verdict);
  const enough = (tier: Tier | null): boolean =>
    tier !== null && TIERS.indexOf(tier) <= TIERS.indexOf(wanted);
  return {
    findings,
    tiers,
    roots: verdicts,
    tier: best,
    ok:
      findings.every(({ state }) => state !== 'fail') &&
      enough(best) &&
      verdicts.every(({ tier }) => enough(tier)),
  };
}

/** By the daemon, which knows; else by the database, which says what the next one will record. */
function recordedRoots(running: Running, examination: Examination | null): Buffer[] {
  const roots =
    'status' in running
      ? running.status.recordings.map(({ root }) => bytesOf(root))
      : (examination?.found?.roots ?? []).map((text) => Buffer.from(text, 'base64'));
  return roots.sort(compareBytes);
}

function toRecordOf(examination: Examination | null): number | null {
  return examination?.found?.roots?.length ?? null;
}

/** Null where it can't be read, in some containers. */
function readMounts(): MountTable | null {
  try {
    return new MountTable(readMountinfo());
  } catch {
    return null;
  }
}
