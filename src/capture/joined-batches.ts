/**
 * Two batches of the NFS trace as one, where one reader has taken over from another. Pure.
 */
import type { NfsBatch } from '../common/batches.ts';

/**
 * @param after of a reader that counts epochs and events from its own beginning: all of it comes
 * after `before`
 */
export function joined(before: NfsBatch, after: NfsBatch): NfsBatch {
  const { lookups = [], lookupsDropped = [], unsigned = [] } = before;
  const first = 1 + largest([...before.rows, ...before.markers, ...lookups], 'epoch');
  const order = 1 + largest([...before.rows, ...lookups], 'order');
  const later = <T extends { readonly epoch: number }>(one: T): T => ({
    ...one,
    epoch: one.epoch + first,
    ...('order' in one ? { order: Number(one.order) + order } : {}),
  });
  return {
    ...after,
    rows: [...before.rows, ...after.rows.map(later)],
    markers: [...before.markers, ...after.markers.map(later)],
    losses: [...before.losses, ...after.losses],
    lookups: [...lookups, ...(after.lookups ?? []).map(later)],
    lookupsDropped: [...lookupsDropped, ...(after.lookupsDropped ?? [])],
    unsigned: new Map([...unsigned, ...(after.unsigned ?? [])]),
  };
}

function largest<K extends string>(entries: readonly { readonly [key in K]: number }[], key: K) {
  return entries.reduce((most, entry) => Math.max(most, entry[key]), -1);
}
