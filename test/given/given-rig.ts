/**
 * A tree in a scratch file system, and the built daemon: what a session is given to.
 * Owns both and the daemon's end.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { ControlClient } from '../../src/daemon/control-client.ts';
import type { GivenStream } from '../../src/daemon/given-stream-client.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';

export class GivenRig {
  readonly disk: MountedFileSystem = makeFileSystem('ext4');
  readonly sandbox = new TraceSandbox();
  readonly client = new ControlClient({ socket: this.sandbox.socket });

  /** A root with a merged /usr, links that lead out of it, and a hard link. */
  makeRoot(name: string): string {
    const root = `${this.disk.path}/${name}`;
    for (const directory of ['usr/bin', 'usr/lib', 'etc', 'var/data'])
      mkdirSync(`${root}/${directory}`, { recursive: true });
    for (const file of ['usr/bin/tool', 'usr/lib/libc.so.6', 'etc/motd', 'var/data/one'])
      writeFileSync(`${root}/${file}`, file);
    const link = (target: string, at: string): unknown =>
      execFileSync('ln', ['-sn', target, `${root}/${at}`]);
    link('usr/lib', 'lib');
    link('/usr/bin', 'bin');
    link('../../../../../../etc/motd', 'usr/up');
    link('loop-b', 'loop-a');
    link('loop-a', 'loop-b');
    execFileSync('ln', [`${root}/var/data/one`, `${root}/var/data/other`]);
    return root;
  }

  give(root: string, label: string | null = null): Promise<GivenStream> {
    return this.client.give({ root: Buffer.from(root), giver: 'import', label });
  }

  async list(session: string): Promise<string[]> {
    const { text } = await this.sandbox.ok(['list', session]);
    return text.split('\n').filter((line) => line !== '');
  }

  async remove(): Promise<void> {
    await this.sandbox.remove();
    this.disk.remove();
  }
}
