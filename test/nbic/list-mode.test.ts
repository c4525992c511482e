/** `nbic -d DIR --list LIST -o IMAGE`, as its old users typed it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { recordsOf } from '../image/records-of.ts';
import { lacks } from '../capabilities.ts';
import { recordedPlace, SESSIONS } from '../support/recorded-place.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';
import { makeSarge } from './sarge.ts';

const NBIC = join(import.meta.dirname, '../../dist/cli/nbic/nbic.cjs');

describe('nbic --list', () => {
  const sandbox = new TraceSandbox();
  const nfsroots = sandbox.at('nfsroots');
  const at = (name: string): string => join(nfsroots, name);
  const namesIn = (image: string): string[] =>
    recordsOf(readFileSync(at(image))).map(({ name }) => name);
  before(() => {
    mkdirSync(nfsroots);
    makeSarge(nfsroots);
    writeFileSync(at('zeros'), Buffer.alloc(1 << 20));
    writeFileSync(at('sarge.list'), 'bin/bash\nbin/cat\nbin/ls\netc/motd\n');
  });
  after(() => sandbox.remove());

  test('what is listed, what that needs, and what every boot needs; nothing else', async () => {
    const { text } = await sandbox.script(
      nfsroots,
      'nbic -d sarge/ --list sarge.list -o sarge.cpio && cpio-list sarge.cpio',
    );
    const [said = '', ...listed] = text.trimEnd().split('\n');
    assert.match(said, /^sarge\.cpio: \d+ entries, [\d.]+ MB, of sarge\.list$/);
    const names = namesIn('sarge.cpio');
    assert.deepEqual(listed, names);
    for (const name of ['bin/bash', 'bin/cat', 'bin/ls', 'etc/motd', 'etc', 'dev/console', 'init'])
      assert.ok(names.includes(name), name);
    assert.ok(
      names.some((name) => /libc\.so\.6$/.test(name)),
      'a library that no line names',
    );
    assert.ok(!names.includes('usr/share/doc/unused'));
    assert.ok(!existsSync(sandbox.database), 'no database is asked or made');
  });

  test('the list is not replaced by the image', async () => {
    const { text } = await sandbox.script(
      nfsroots,
      'nbic -d sarge/ --list sarge.list -o ./sarge.list 2>&1 || echo $? && wc -l <sarge.list',
    );
    assert.match(text, /^error: -o .* made from\nhint: .*\n64\n4\n$/);
  });

  test('GNU cpio reads the same names', { skip: lacks('cpio') }, async () => {
    const { text } = await sandbox.script(nfsroots, 'cpio -t --quiet <sarge.cpio');
    assert.deepEqual(text.trimEnd().split('\n'), namesIn('sarge.cpio'));
  });

  test('the same bytes again, elsewhere, in another locale, time zone and order', async () => {
    const first = readFileSync(at('sarge.cpio'));
    await sandbox.script(
      nfsroots,
      `tac sarge.list >backwards.list; nbic -d "$PWD/sarge" --list backwards.list -o again.cpio
      cd sarge; find ../sarge -type f -exec cat {} + >/dev/null
      TZ=Asia/Tokyo LC_ALL=tr_TR.UTF-8 nbic -d . --list ../sarge.list -o - >../piped.cpio`,
    );
    for (const name of ['again.cpio', 'piped.cpio'])
      assert.ok(readFileSync(at(name)).equals(first), name);
  });

  test('an ordinary user makes the same, device nodes too', { skip: lacks('root') }, async () => {
    const { code, stdout, stderr } = await sandbox.execute([
      ...(sandbox.asNobody() as [string]),
      process.execPath,
      NBIC,
      ...['-d', at('sarge'), '--list', at('sarge.list'), '-o', '-'],
    ]);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.equals(readFileSync(at('sarge.cpio'))));
  });

  test(
    'what the user may not read is an error, and no image',
    { skip: lacks('root') },
    async () => {
      writeFileSync(at('sarge/etc/shadow'), 'secret', { mode: 0o600 });
      mkdirSync(at('open'), { mode: 0o777 });
      chmodSync(at('open'), 0o777);
      writeFileSync(at('shadow.list'), 'etc/shadow\n');
      const { code, stderr } = await sandbox.execute([
        ...(sandbox.asNobody() as [string]),
        process.execPath,
        NBIC,
        ...['-d', at('sarge'), '--list', at('shadow.list'), '-o', at('open/x.cpio')],
      ]);
      assert.match(stderr, /^error: .*etc\/shadow.*\nhint: .*root/m);
      assert.notEqual(code, 0);
      assert.ok(!existsSync(at('open/x.cpio')));
    },
  );

  test('lists come in several forms', async () => {
    const plain = readFileSync(at('sarge.list'), 'latin1').trimEnd().split('\n');
    const forms = {
      'with ./': plain.map((name) => `./${name}\n`),
      absolute: plain.map((name) => `/${name}\n`),
      'below the root': plain.map((name) => `${at('sarge')}/${name}\n`),
      'below a link to the root': plain.map((name) => `${at('link')}/${name}\n`),
      'with the root itself': [`${at('sarge')}\n`, ...plain.map((name) => `${name}\n`)],
      'twice, with blank lines': [...plain, '', ...plain].map((name) => `${name}//\n`),
      'ended by NULs': plain.map((name) => `${name}\0`),
      'without a last newline': [plain.join('\n')],
    };
    await sandbox.script(nfsroots, 'nbic -d sarge --list sarge.list -o sarge.cpio');
    const first = readFileSync(at('sarge.cpio'));
    symlinkSync('sarge', at('link'));
    for (const [form, lines] of Object.entries(forms)) {
      writeFileSync(at('form.list'), lines.join(''));
      const root = form.includes('link') ? 'link' : 'sarge';
      const said = await sandbox.script(
        nfsroots,
        `nbic -d ${root} --list - -o form.cpio <form.list`,
      );
      assert.doesNotMatch(said.stderr, /not in the root/, form);
      assert.ok(readFileSync(at('form.cpio')).equals(first), form);
    }
  });

  test('names that are not UTF-8, or hold newlines, come in a list with NULs', async () => {
    const odd = Buffer.from('etc/\xff\nodd', 'latin1');
    writeFileSync(Buffer.concat([Buffer.from(`${at('sarge')}/`), odd]), 'odd');
    writeFileSync(at('odd.list'), Buffer.concat([odd, Buffer.alloc(1)]));
    await sandbox.script(nfsroots, 'nbic -d sarge --list odd.list -o odd.cpio');
    assert.ok(namesIn('odd.cpio').includes(odd.toString('latin1')));
  });

  test('a link stays in the root, wherever it leads, and so does ..', async () => {
    symlinkSync('/etc/passwd', at('sarge/etc/outside'));
    symlinkSync('../../../../../..', at('sarge/etc/up'));
    writeFileSync(at('out.list'), 'etc/outside\nbin/../../../etc/motd\netc/up/bin/cat\n');
    const { stderr } = await sandbox.script(
      nfsroots,
      'nbic -d sarge --list out.list -o out.cpio 2>&1 >/dev/null | cat >&2',
    );
    assert.doesNotMatch(stderr, /error/);
    const names = namesIn('out.cpio');
    for (const name of ['etc/outside', 'etc/motd', 'etc/up', 'bin/cat'])
      assert.ok(names.includes(name), name);
    assert.ok(!names.includes('etc/passwd'), "the server's own is not the root's");
  });

  test("paths that are not there are counted; a list that has none of the root's is refused", async () => {
    writeFileSync(at('some.list'), `etc/motd\nno/such\n${'x'.repeat(300)}\n${'y/'.repeat(3000)}\n`);
    const { stderr } = await sandbox.script(nfsroots, 'nbic -d sarge --list some.list -o s.cpio');
    assert.match(
      stderr,
      /^warning: 3 listed paths are not in the root, the first is no\/such\nhint: /m,
    );
    const strict = await sandbox.tryScript(
      nfsroots,
      'nbic -d sarge --list some.list --on-drift fail -o strict.cpio',
    );
    assert.equal(strict.code, 1);
    assert.ok(!existsSync(at('strict.cpio')));
  });

  test('the options of trace export', async () => {
    await sandbox.script(
      nfsroots,
      `nbic -d sarge --list sarge.list --init exec --exclude /etc/motd -o x.cpio.gz
      zcat x.cpio.gz >x.cpio
      nbic -d sarge --list sarge.list --format list -o x.list; grep -qx bin/cat x.list`,
    );
    const names = namesIn('x.cpio');
    assert.equal(names.at(-1), '.nfsroot-trace/complete');
    assert.ok(!names.includes('etc/motd'));
  });

  const refused: readonly [what: string, line: string, code: number, said: RegExp][] = [
    ['no root', 'nbic --list sarge.list -o x', 64, /the option -d <dir> is missing/],
    ['no output', 'nbic -d sarge --list sarge.list', 64, /the option -o <file> is missing/],
    ['a misspelt option', 'nbic -d sarge --lst sarge.list -o x', 64, /unknown option '--lst'/],
    [
      'a list that is not there',
      'nbic -d sarge --list none -o x',
      66,
      /cannot read none: there is no such file/,
    ],
    ['a folder', 'nbic -d sarge --list sarge -o x', 66, /cannot read sarge: it is a directory/],
    ['an empty list', 'nbic -d sarge --list /dev/null -o x', 65, /there is no path in/],
    ['of nothing there', 'echo no | nbic -d sarge --list - -o x', 65, /none of the 1 paths in/],
    [
      'what find -ls writes',
      'find sarge -ls | nbic -d sarge --list - -o x',
      65,
      /has the format find of trace import\nhint: `trace import --list`/,
    ],
    ['zeros', 'nbic -d sarge --list zeros -o x', 65, /there is no path in zeros/],
    [
      'a list without an end',
      'yes | nbic -d sarge --list - -o x',
      65,
      /standard input is over 256 MiB/,
    ],
    [
      'a root that is not there',
      'nbic -d sagre --list sarge.list -o x',
      66,
      /cannot open the root/,
    ],
    ['an output that cannot be', 'nbic -d sarge --list sarge.list -o no/x', 73, /no\/x/],
  ];
  for (const [what, line, code, said] of refused)
    test(`refused: ${what}`, async () => {
      const ran = await sandbox.tryScript(nfsroots, line);
      assert.match(ran.stderr, said);
      assert.match(ran.stderr, /^error: .*\nhint: .*\n$/);
      assert.equal(ran.code, code);
      assert.ok(!existsSync(at('x')));
    });
});

test('the list of a session gives the very image that the session gives', async () => {
  const { sandbox, root } = recordedPlace();
  try {
    await sandbox.script(
      sandbox.folder,
      `trace list ${SESSIONS.whole} -o sarge.list
      trace export ${SESSIONS.whole} -o session.cpio
      nbic -d "$OF" --list sarge.list -o list.cpio`,
      { env: { OF: root } },
    );
    assert.ok(
      readFileSync(sandbox.at('list.cpio')).equals(readFileSync(sandbox.at('session.cpio'))),
    );
  } finally {
    await sandbox.remove();
  }
});
