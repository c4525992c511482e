/**
 * `nfsroot-trace/fanotify-ts`: file events of whole file systems, by file handle, with names.
 *
 * @example
 * import { FanotifyGroup, maskNames } from 'nfsroot-trace/fanotify-ts';
 *
 * const group = new FanotifyGroup({ paths: [Buffer.from('/srv')] });
 * group.start();
 * setTimeout(async () => {
 *   const { events, losses } = await group.stop();
 *   for (const { mask, pidClass, name, count } of events)
 *     console.log(pidClass, maskNames(mask).join('+'), name?.toString(), count);
 *   for (const { where, count } of losses) console.error(`lost: ${where} ${count}`);
 * }, 10_000);
 */
export type { FileBatch, FileEvent, FileHandle, LossCount, PidClass } from '../common/batches.ts';
export { EXIT, TraceError } from '../common/errors.ts';
export type { ExitName, TraceErrorOptions } from '../common/errors.ts';
export { FanotifyGroup } from './fanotify-group.ts';
export type { FanotifyOptions, FanotifyStats } from './fanotify-group.ts';
export * from './masks.ts';
export { monotonicUs, peerCredentials, sdNotify } from './system.ts';
export type { PeerCredentials } from './system.ts';
