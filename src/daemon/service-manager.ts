/**
 * What the service manager (systemd) is told: ready, reloading, stopping, alive, and in words what
 * is going on. Owns NOTIFY_SOCKET and WATCHDOG_USEC, and that a manager which does not listen is no
 * reason to stop recording. Must not know what makes the daemon ready or alive.
 */
import type { Logger } from 'pino';
import { TraceError } from '../common/errors.ts';
import { monotonicUs, sdNotify } from '../fanotify-ts/system.ts';

export class ServiceManager {
  readonly #log: Logger;
  #status = '';
  #ready = false;
  #deaf = false;

  constructor(options: { readonly log: Logger }) {
    this.#log = options.log;
  }

  /** Within how many milliseconds it wants to hear that we live; null if it does not. */
  get watchdogMs(): number | null {
    const { WATCHDOG_USEC, WATCHDOG_PID } = process.env;
    const us = Number(WATCHDOG_USEC ?? 'none');
    const ours = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
    return ours && Number.isFinite(us) && us > 0 ? us / 1000 : null;
  }

  ready(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#send('READY=1');
  }

  /** One line for `systemctl status`; said when it changes. */
  status(text: string): void {
    const line = text.replaceAll('\n', ' ');
    if (line === this.#status) return;
    this.#status = line;
    this.#send(`STATUS=${line}`);
  }

  /** The configuration is read again; call {@link reloaded} afterwards, whatever came of it. */
  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${monotonicUs()}`);
  }

  reloaded(): void {
    // The end of a reload is READY too, but the first one is not ours to give early.
    if (this.#ready) this.#send('READY=1');
  }

  alive(): void {
    this.#send('WATCHDOG=1');
  }

  stopping(): void {
    this.#send('STOPPING=1');
  }

  #send(state: string): void {
    try {
      sdNotify(state);
      this.#deaf = false;
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      if (!this.#deaf) this.#log.warn({ err: error }, 'the service manager does not listen');
      this.#deaf = true;
    }
  }
}
