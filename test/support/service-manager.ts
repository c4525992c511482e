/**
 * A service manager's ear: the socket that NOTIFY_SOCKET names, and what was said to it, in order.
 * Owns that socket; a Python program holds it, since Node has no datagram sockets of this kind.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const PROGRAM = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
print("bound", flush=True)
while True:
    for line in s.recv(65536).decode().split("\\n"):
        print(line, flush=True)
`;

export class ServiceManagerEar {
  readonly path: string;
  readonly said: string[] = [];
  #child: ChildProcess | null = null;

  constructor(path: string) {
    this.path = path;
  }

  async start(): Promise<void> {
    const child = spawn('/usr/bin/python3', ['-c', PROGRAM, this.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.said.push(line));
    await this.hears(/^bound$/);
  }

  /** How often something was said. */
  count(what: RegExp): number {
    return this.said.filter((line) => what.test(line)).length;
  }

  /** Waits until it was said, or said again, after `from` lines. */
  async hears(what: RegExp, from = 0, patienceMs = 30_000): Promise<string> {
    for (const end = Date.now() + patienceMs; ;) {
      const found = this.said.slice(from).find((line) => what.test(line));
      if (found !== undefined) return found;
      assert.ok(
        Date.now() < end,
        `not said: ${String(what)} in ${this.said.slice(from).join('\n')}`,
      );
      await delay(20);
    }
  }

  stop(): void {
    this.#child?.kill();
  }
}
