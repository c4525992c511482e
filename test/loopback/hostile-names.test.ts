/**
 * Odd names and odd files: recorded, listed, and in the image as in the root. And the image of one
 * session is the same bytes for everybody, everywhere, at any time.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, lstatSync, mkdirSync, readFileSync, readlinkSync, utimesSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { allPaths, HOSTILE_NAMES } from '../image/support.ts';
import { GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';

const under = (folder: string, path: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${folder}/`), path]);

/** What an object is, as far as an archive can say it. */
function description(path: Buffer): unknown {
  const { mode, uid, gid, size, mtimeMs, rdev } = lstatSync(path);
  const type = mode & 0o170000;
  const common = { type, mode: mode & 0o7777, uid, gid, mtime: Math.floor(mtimeMs / 1000) };
  switch (type) {
    case 0o100000:
      return { ...common, size, content: readFileSync(path).toString('base64') };
    case 0o120000:
      // GNU cpio gives links the time at which it makes them.
      return { ...common, mtime: 0, target: readlinkSync(path, 'buffer').toString('base64') };
    case 0o040000:
      return { type, mode: common.mode, uid, gid };
    default:
      return { ...common, rdev };
  }
}

for (const version of [3, 4] as const)
  describe(`hostile names over NFSv${version}`, { skip: lacks(...GANESHA_NEEDS) }, () => {
    let loop: Loopback;
    /** Everything in the root that the client touched. */
    let touched: Buffer[];
    before(async () => {
      loop = await Loopback.start();
      await loop.record();
      touched = await touchEverything();
    });
    after(() => loop.stop());

    /**
     * Reads and opens what can be. File events show no READLINK and no GETATTR, so what cannot be
     * read is given the owner that it has; libnfs can do that over v3 only.
     */
    async function touchEverything(): Promise<Buffer[]> {
      const { root, sandbox } = loop;
      const client = await loop.client(version);
      const done: Buffer[] = [];
      await client.read('/init');
      for (const path of allPaths(root)) {
        const full = Buffer.concat([Buffer.from('/'), path]);
        const stat = lstatSync(under(root, path));
        if (stat.isDirectory()) continue;
        if (stat.isFile() && stat.size > 0) await client.read(full);
        else if (version === 3) await client.chown(full, stat.uid);
        else if (stat.isFile()) await client.open(full);
        else continue;
        done.push(path);
      }
      await sandbox.ok(['stop']);
      await client.close();
      return done;
    }

    test('every one is listed, byte for byte', async () => {
      const { stdout } = await loop.sandbox.ok(['list', '1', '-0']);
      const listed = new Set(stdout.toString('latin1').split('\0'));
      const missing = touched.filter((path) => !listed.has(path.toString('latin1')));
      assert.deepEqual(
        missing.map((path) => path.toString('latin1')),
        [],
      );
      for (const name of HOSTILE_NAMES) assert.ok(listed.has(`odd/${name}`), name);
    });

    test('every one is in the image as in the root', async () => {
      const { sandbox, root } = loop;
      await sandbox.ok(['export', '1', '-o', 'image.cpio']);
      const image = sandbox.at('image');
      mkdirSync(image);
      execFileSync('cpio', ['-idm', '--quiet', '-F', sandbox.at('image.cpio')], {
        cwd: image,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      for (const path of touched)
        assert.deepEqual(
          description(under(image, path)),
          description(under(root, path)),
          path.toString('latin1'),
        );
      for (const pair of [
        ['usr/lib/hard1', 'usr/lib/hard2'],
        ['usr/lib/nothing1', 'usr/lib/nothing2'],
      ] as const) {
        const [one, two] = pair.map((path) => lstatSync(`${image}/${path}`));
        assert.equal(one?.ino, two?.ino, `${pair.join(' and ')} are one file`);
      }
    });

    describe('the same bytes', () => {
      const exported = async (
        name: string,
        args: readonly string[] = [],
        options: Parameters<typeof loop.sandbox.run>[1] = {},
      ): Promise<Buffer> => {
        const output = loop.sandbox.at(name);
        await loop.sandbox.ok(['export', '1', '-o', output, ...args], options);
        return readFileSync(output);
      };
      let bytes: Buffer;
      before(async () => {
        bytes = await exported('first.cpio');
      });

      test('again, later, after everything was read locally', async () => {
        execFileSync('sh', ['-c', `find '${loop.root}' -type f -print0 | xargs -0 cat`], {
          stdio: ['ignore', 'ignore', 'inherit'],
        });
        utimesSync(loop.root, 2_000_000_000, 1_000_000_000);
        assert.ok((await exported('second.cpio')).equals(bytes));
      });

      test('in another locale and time zone, with another umask', async () => {
        const env = { LC_ALL: 'tr_TR.UTF-8', LANG: 'ja_JP.eucJP', TZ: 'Pacific/Chatham' };
        const prefix = ['sh', '-c', 'umask 077; exec "$@"', 'sh'];
        assert.ok((await exported('locale.cpio', [], { env, prefix })).equals(bytes));
      });

      test('by another user, from copies of the database and the tree elsewhere', async () => {
        const { sandbox, root } = loop;
        const copy = sandbox.at('copy');
        mkdirSync(copy);
        execFileSync('cp', ['-a', root, `${copy}/tree`]);
        execFileSync('cp', [sandbox.database, `${copy}/trace.db`]);
        chownSync(copy, 65_534, 65_534);
        const places = ['--db', `${copy}/trace.db`, '--tree', `${copy}/tree`];
        // Someone who may read the tree, whose files belong to others.
        const prefix = sandbox.asNobody('dac_read_search');
        const theirs = await exported('copy/theirs.cpio', places, { prefix });
        assert.ok(theirs.equals(bytes));
      });
    });
  });
