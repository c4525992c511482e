/** Fuzzers of lists, rules and other texts that a person gives, and of the kernel's own tables. */
import assert from 'node:assert/strict';
import { formatList, parseList } from '../../../src/image/list.ts';
import { isEnd, matchPath, parseGlob, startOf, stepInto } from '../../../src/image/rules/glob.ts';
import { parseRules } from '../../../src/image/rules/parse-rules.ts';
import {
  parseEtab,
  parseClientDomains,
  parseKernelExports,
} from '../../../src/recording/exports.ts';
import { MountTable } from '../../../src/recording/mounts.ts';
import { parseExpression } from '../../../src/sessions/expression.ts';
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';

const lines = (random: Random, from: readonly string[], most: number): Buffer =>
  Buffer.from(
    Array.from({ length: random.few(most) }, () => random.pick(from)).join(
      random.pick(['\n', '\n', '\r\n', '\0']),
    ),
    'latin1',
  );

const PATHS = [
  'usr/bin/x', './a', '/a/b', 'a//b/', '.', '..', '../x', 'a/../b', '', ' ', 'a b', '\xff\xfe', 'x'.repeat(300),
  `${'d/'.repeat(2100)}x`, '-rf', '\t', './/./', 'a\\nb',
]; // prettier-ignore

const list: Target = {
  name: 'list-paths',
  reads: 'file lists, with newlines and with NUL',
  make: (random) => mutate(random, lines(random, PATHS, 200), PATHS),
  run: (bytes) => {
    for (const nul of [false, true]) {
      const paths = parseList(bytes, { nul });
      for (const path of paths)
        assert.ok(!/^\/|\/$|\/\/|(^|\/)\.(\/|$)/.test(path.toString('latin1')));
      // What was written is read as the same.
      const names = nul ? paths : paths.filter((path) => !path.includes(0));
      const written = formatList(names, { nul });
      assert.deepEqual(parseList(written, { nul }), names);
    }
  },
};

const GLOBS = [
  '/usr/share/man/**', '*.pyc', 'a{b,c/d}e', '{{a,b},{c,d}}', '[a-z]*', '[!x]', '[[:alpha:]]', '[]a]', '[^]]',
  '**', '**/x', 'a/**/b/**/c', '*a*a*a*a*a*a*a*b', '\\*', 'a\\', '[z-a]', '{a,b}'.repeat(8), '?', '/', '',
  '{', '}', '{a', '[', '+(a|b)', '@(x)', '!x', '(a|b)', '\\{a,b}', '.', '../x', 'a//b', '[[:foo:]]', '[\\]]',
]; // prettier-ignore
const RULES = [
  ...GLOBS.flatMap((glob) => [`- ${glob}`, `+ ${glob}`]),
  '# x',
  '',
  '  ',
  '-x',
  '* a',
];
const MATCHED = [
  'usr/share/man/x',
  'a/b/c',
  'a'.repeat(255),
  'abe',
  'ac/de',
  '\xff',
  'a\nb',
  '*',
  '',
];

const rules: Target = {
  name: 'list-rules',
  reads: 'files of rules, and their patterns',
  make: (random) => mutate(random, lines(random, RULES, 4), [...GLOBS, '\n- ', '\n+ ']),
  run: (bytes) => {
    for (const { glob } of parseRules(bytes, 'rules'))
      for (const path of parseGlob(glob))
        for (const name of MATCHED) {
          const names = name === '' ? [] : name.split('/');
          const whole = matchPath(path, names);
          let state = startOf(path);
          for (const one of names) state = stepInto(path, state, one);
          // One after the other is as at once.
          assert.equal(isEnd(path, state), whole !== false, `${glob} on ${name}`);
        }
  },
};

const EXPRESSIONS = [
  'session-42',
  '41+42',
  'session-42-session-41',
  '(41+42)&43',
  '1',
  '(((1)))',
  '1 + 2',
];

const expression: Target = {
  name: 'list-expressions',
  reads: 'session expressions',
  make: (random) => mutate(random, Buffer.from(random.pick(EXPRESSIONS)), ['(', ')', '+', '-', '&', 'session-', '9'.repeat(20)]), // prettier-ignore
  run: (bytes) => {
    parseExpression(bytes.toString());
  },
};

const TABLES = [
  '/nfsroots/sarge\t10.0.0.0/24(rw,no_root_squash,sync,wdelay,uuid=01234567:89abcdef:01234567:89abcdef)',
  '/with\\040blank\t*(ro,subtree_check,fsid=0,sec=sys:krb5)',
  '#path domain(flags)', 'nfsd 10.0.0.7 *', 'nfsd ::ffff:10.0.0.7 10.0.0.0/24,*', '# nfsd 10.0.0.9 *',
  '36 35 98:0 /top /at rw,noatime master:1 - ext3 /dev/root rw,errors=continue',
  '35 35 0:1 / / rw - rootfs rootfs rw', '40 36 0:40 / /at/a\\040b rw shared:3 - nfs a:/b rw',
  '41 40 0:41 / /at/a\\040b/c rw - tmpfs tmpfs rw', '36 41 1:1 / / rw - x',
]; // prettier-ignore
const LOOKED = ['/', '/at', '/at/a b/c/d', '/nfsroots/sarge', ''].map((path) => Buffer.from(path));

const tables: Target = {
  name: 'list-tables',
  reads: 'tables of exports, clients and mounts',
  make: (random) =>
    mutate(random, lines(random, TABLES, 30), [...TABLES, '\\040', '\\', ' - ', '\\777']),
  run: (bytes) => {
    parseEtab(bytes);
    parseKernelExports(bytes);
    parseClientDomains(bytes);
    const mounts = new MountTable(bytes);
    for (const path of LOOKED) {
      mounts.placeOf(path);
      mounts.visibleBelow(path);
    }
  },
};

export const LISTS: readonly Target[] = [list, rules, expression, tables];
