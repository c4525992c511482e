/**
 * A place for trying the shell scripts: a temporary folder with a copy of scripts/ in it and a
 * folder of commands that stand in front of the machine's. Owns only that folder.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../..');

export interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Place {
  readonly #folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-scripts-'));
  readonly #commands = join(this.#folder, 'commands');
  /** The copy of the repository: no more of it than scripts/; its path needs quoting. */
  readonly repository = join(this.#folder, "it's a place");

  constructor() {
    mkdirSync(this.#commands);
    const links = { recursive: true, verbatimSymlinks: true };
    cpSync(join(REPOSITORY, 'scripts'), join(this.repository, 'scripts'), links);
  }

  /** Puts a command in front of the machine's own; its calls are noted before `body` runs. */
  command(name: string, body = ''): void {
    const path = join(this.#commands, name);
    writeFileSync(path, `#!/bin/sh\necho "${name} $*" >>"${this.#calls}"\n${body}\n`);
    chmodSync(path, 0o755);
  }

  /** The calls of such commands so far, one line each. */
  calls(): string[] {
    if (!existsSync(this.#calls)) return [];
    return readFileSync(this.#calls, 'utf8').trimEnd().split('\n');
  }

  get #calls(): string {
    return join(this.#folder, 'calls');
  }

  run(shell: string, script: string, environment: Record<string, string> = {}): Said {
    const env: NodeJS.ProcessEnv = { ...process.env, REPOSITORY: this.repository, ...environment };
    env['PATH'] = `${this.#commands}:${process.env['PATH'] ?? ''}`;
    delete env['NODE_TEST_CONTEXT']; // a test run within a test run reports to itself
    return spawnSync(shell, ['-c', script], { encoding: 'utf8', cwd: '/', env });
  }

  /** Runs bash with lib.sh sourced, and an empty cache. */
  lib(script: string): Said {
    return this.run('bash', `set -u; . "$REPOSITORY/scripts/lib.sh"; ${script}`, {
      NFSROOT_TRACE_CACHE: join(this.#folder, 'cache'),
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
