/**
 * Small system calls that Node has no name for.
 * Owns nothing.
 */
import { TraceError } from '../common/errors.ts';
import { addon } from './binding.ts';

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** How the kernel keeps the wall clock (adjtimex(2)). */
export interface ClockState {
  /** Something, such as NTP, keeps it right. */
  readonly synchronized: boolean;
  /** The kernel's bound on its error, microseconds; grows while nothing corrects it. */
  readonly maxErrorUs: number;
  /** A leap second comes today, or is under way. */
  readonly leapPending: boolean;
}

interface NativeSystem {
  sdNotify(state: string): boolean;
  peerCredentials(fd: number): PeerCredentials;
  monotonicUs(): number;
  clockState(): ClockState;
}

const native = addon as unknown as NativeSystem;

/**
 * Tells the service manager about this process (sd_notify(3)), e.g. `READY=1` or
 * `STATUS=recording 2 roots`; several lines may be joined by newlines. The variable
 * NOTIFY_SOCKET is left as it is.
 *
 * @returns false if no service manager asked for it (NOTIFY_SOCKET is not set).
 * Throws a TraceError (`notify-failed`) if the socket named there does not take it.
 */
export function sdNotify(state: string): boolean {
  try {
    return native.sdNotify(state);
  } catch (cause) {
    throw new TraceError({
      code: 'notify-failed',
      message: `cannot tell the service manager ${JSON.stringify(state)}`,
      hint: 'check the variable NOTIFY_SOCKET, or unset it',
      exit: 'io',
      cause,
    });
  }
}

/**
 * Who is at the other end of a connected Unix socket (SO_PEERCRED, unix(7)), as it was when it
 * connected. Throws a TraceError (`peer-unknown`) if `fd` is not such a socket.
 */
export function peerCredentials(fd: number): PeerCredentials {
  try {
    return native.peerCredentials(fd);
  } catch (cause) {
    throw new TraceError({
      code: 'peer-unknown',
      message: `cannot tell who is connected on descriptor ${fd}`,
      exit: 'io',
      cause,
    });
  }
}

/** CLOCK_MONOTONIC in microseconds: the clock of every time in a batch. */
export function monotonicUs(): number {
  return native.monotonicUs();
}

/** Throws a TraceError (`clock-unknown`) where a sandbox forbids the question. */
export function clockState(): ClockState {
  try {
    return native.clockState();
  } catch (cause) {
    throw new TraceError({
      code: 'clock-unknown',
      message: 'the state of the clock cannot be asked for',
      exit: 'unavailable',
      cause,
    });
  }
}
