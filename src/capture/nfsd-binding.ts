/**
 * The NFS side of the addon as TypeScript sees it (native/nfsd/nfsd_binding.cc,
 * native/nfsd/tracepoint_binding.cc). Owns only the declarations.
 */
import type { Tier } from '../common/words.ts';
import { addon } from '../fanotify-ts/binding.ts';

export type NfsdTier = Exclude<Tier, 'sole-client'>;

/** What is to be planned with (native/nfsd/event_plan.h). */
export interface NativePlan {
  readonly best: NfsdTier;
  /** The kprobe event on fh_verify() in our group; '' for none. */
  readonly probe: string;
  readonly preferProbe: boolean;
  readonly noHashes: boolean;
}

export interface NativeNfsdStatus {
  readonly state: 'waiting' | 'running' | 'stopped';
  readonly tier: NfsdTier | null;
  /** The checks of file handles come from a kprobe, not from nfsd_fh_verify. */
  readonly byProbe: boolean;
  readonly runningSinceUs: number | null;
  readonly ringBytesPerCpu: number;
  readonly cpus: number;
  readonly filtersRefused: number;
  readonly events: number;
  readonly lost: number;
  readonly denied: number;
  readonly joinMismatches: number;
  readonly inFlightAtStart: number;
  readonly hashes: number;
  readonly zeroHashes: number;
  readonly threadCpuUs: number;
  readonly problem: string | null;
}

export interface NativeNfsdTrace {
  start(): void;
  drain(): Buffer;
  sync(): Promise<void>;
  stop(): Promise<void>;
  status(): NativeNfsdStatus;
}

export interface NativeTracepointReader {
  /** Opens and enables the events; the ring size got, in bytes for each CPU. */
  start(): number;
  /** Records so far, packed: u32 raw size, u32 CPU, u64 time in ns, the raw data. */
  read(): Buffer;
  disable(): void;
  losses(
    last: boolean,
  ): { where: string; cpu: number; count: number; fromUs: number; toUs: number }[];
  close(): void;
}

export interface ParsedTraceFormat {
  readonly event: string;
  readonly id: number;
  readonly fields: readonly {
    readonly name: string;
    readonly offset: number;
    readonly size: number;
    readonly signed: boolean;
    readonly place: 'inline' | 'data_loc' | 'rel_loc';
  }[];
}

interface NfsdAddon {
  readonly NfsdTrace: new (options: {
    tracefs: string;
    ringBytes: number;
    tableLimit: number;
    plan: NativePlan;
  }) => NativeNfsdTrace;
  readonly TracepointReader: new (
    events: readonly { id: number; filter?: string }[],
    ringBytes: number,
    useCounters: boolean,
  ) => NativeTracepointReader;
  readonly probeNfsdEvents: (
    tracefs: string,
    plan: NativePlan,
  ) => {
    events: Record<string, boolean>;
    tier: NfsdTier | null;
    byProbe: boolean;
    live: boolean;
  };
  /** One encoded batch for each buffer of packed records; the calls' state lasts over all of them. */
  readonly interpretNfsdRecords: (
    formats: Readonly<Record<string, string>>,
    records: readonly Buffer[],
    tableLimit: number,
    beganUs: number,
    plan: NativePlan,
  ) => Buffer[];
  readonly parseTraceFormat: (text: string) => ParsedTraceFormat;
  readonly clientAddress: (address: Buffer | string) => string;
}

export const nfsdAddon = addon as unknown as NfsdAddon;
