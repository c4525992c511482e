/**
 * The NFS server's markers as real mounts and boots produce them, to be played into the session
 * machine at any time. Shapes as recorded on Linux servers 5.10 to 7.2.
 */
import type { NfsMarker } from '../../src/common/batches.ts';

export const SECOND = 1_000_000;
export const EXPORT_ROOT_HASH = 0x62d40c52;

export function marker(fields: Partial<NfsMarker> & Pick<NfsMarker, 'kind' | 'atUs'>): NfsMarker {
  return {
    epoch: 0,
    client: '',
    hash: 0,
    clBoot: 0,
    clId: 0,
    verifier: '',
    oldVerifier: '',
    name: null,
    ...fields,
  };
}

/** An NFSv3 mount: the probe's FSINFO and, a moment later, that of reading the root. */
export function nfs3Mount(client: string, atUs: number): NfsMarker[] {
  return [0, 20_000].map((delay) =>
    marker({ kind: 'fsinfo', client, atUs: atUs + delay, hash: EXPORT_ROOT_HASH }),
  );
}

export interface Nfs4Client {
  readonly client: string;
  readonly owner: string;
  readonly verifier: string;
  readonly clBoot?: number;
  /** First of the two client ids of the mount. */
  readonly clId: number;
}

/** An NFSv4.1+ mount that the server has no state of: EXCHANGE_ID twice, then CREATE_SESSION. */
export function nfs4Mount(who: Nfs4Client, atUs: number): NfsMarker[] {
  const { client, owner, verifier, clId } = who;
  const clBoot = who.clBoot ?? 1_700_000_000;
  const fresh = (n: number) =>
    marker({
      kind: 'fresh',
      client,
      verifier,
      name: Buffer.from(owner),
      clBoot,
      clId: clId + n,
      atUs: atUs + n * 5_000,
    });
  return [
    fresh(0),
    fresh(1),
    marker({ kind: 'confirmed', clBoot, clId: clId + 1, atUs: atUs + 8_000 }),
    marker({ kind: 'reclaim_complete', clBoot, clId: clId + 1, atUs: atUs + 9_000 }),
  ];
}

/** The same after a hard power-off: the server still holds the old state. */
export function nfs4HardReboot(
  who: Nfs4Client & { readonly oldVerifier: string; readonly oldClId: number },
  atUs: number,
): NfsMarker[] {
  const { client, verifier, oldVerifier, oldClId, clId } = who;
  const clBoot = who.clBoot ?? 1_700_000_000;
  const mismatch = (n: number) =>
    marker({
      kind: 'verf_mismatch',
      client,
      verifier,
      oldVerifier,
      clBoot,
      clId: oldClId,
      atUs: atUs + n * 5_000,
    });
  return [
    mismatch(0),
    mismatch(1),
    marker({ kind: 'replaced', clBoot, clId: oldClId, atUs: atUs + 7_000 }),
    marker({ kind: 'confirmed', clBoot, clId, atUs: atUs + 8_000 }),
    marker({ kind: 'reclaim_complete', clBoot, clId, atUs: atUs + 9_000 }),
  ];
}

export function nfs4Unmount(clId: number, atUs: number): NfsMarker[] {
  return [marker({ kind: 'destroyed', clBoot: 1_700_000_000, clId, atUs })];
}
