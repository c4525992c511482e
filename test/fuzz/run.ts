/**
 * Runs fuzzers one after the other and tells a person what they found; scripts/fuzz calls it when all
 * is built. Owns which run, for how long, and what is printed.
 *
 *     node test/fuzz/run.ts [TARGET...] [--seconds N] [--seed S] [--missed]
 *         [--input FILE] [--list]
 *
 * A TARGET is a name or the beginning of names: `cpio`, `native-trace`.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { scriptArguments } from '../support/script-arguments.ts';
import { buildNative, fuzzNative, nativeTargets, REPOSITORY, repeatNative } from './native.ts';
import { fuzz, repeat } from './supervise.ts';
import { TARGETS } from './targets/all.ts';

const { values, positionals } = scriptArguments({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    input: { type: 'string' },
    missed: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const OUT = join(REPOSITORY, 'build/fuzz');
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const every = [...nativeTargets(), ...TARGETS.map(({ name }) => name)];
const chosen = positionals.length === 0 ? every : positionals.flatMap(namesOf);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) stop('--seconds and --seed want numbers');

if (values.list) for (const name of every) print(`${name.padEnd(24)}${readsOf(name)}`);
else {
  if (chosen.some(isNative)) buildNative(OUT);
  const one = values.input === undefined ? undefined : resolve(values.input);
  if (one !== undefined && chosen.length !== 1) stop('--input wants the name of one fuzzer');
  if (one !== undefined && !existsSync(one)) stop(`there is no file ${one}`);
  let finds = 0;
  for (const name of chosen)
    finds += one === undefined ? await search(name) : await again(name, one);
  print(finds === 0 ? 'nothing found' : `${finds} found`);
  process.exitCode = finds === 0 ? 0 : 1;
}

function namesOf(word: string): string[] {
  const names = every.filter((name) => name === word || name.startsWith(word));
  if (names.length === 0) stop(`no fuzzer ${word}; --list says which there are`);
  return names;
}

function isNative(name: string): boolean {
  return name.startsWith('native-');
}

function readsOf(name: string): string {
  return (
    TARGETS.find((target) => target.name === name)?.reads ?? 'see its file in test/fuzz/native'
  );
}

async function search(name: string): Promise<number> {
  if (isNative(name)) {
    const { turns, perSecond, corpus, text, file } = await fuzzNative({
      target: name,
      out: OUT,
      seed,
      seconds,
    });
    print(`${name}: ${turns} inputs, ${perSecond} a second, ${corpus} in the corpus`);
    if (text === null) return 0;
    tell(name, text, file);
    return 1;
  }
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) return 0;
  const { said, find } = await fuzz({
    target,
    seed,
    seconds,
    guided: true,
    folder: join(OUT, 'finds'),
  });
  if (said !== null) {
    const { turns, slowest, learnt } = said;
    const pace = Math.round(turns / said.seconds);
    const answers = Object.entries(said.answers).map(([code, count]) => `${count} ${code}`);
    print(
      `${name}: ${turns} inputs in ${said.seconds.toFixed(0)} s, ${pace} a second, ` +
        (learnt === null ? '' : `${learnt.blocks} blocks, ${learnt.kept} in the corpus, `) +
        `the slowest took ${slowest.ms} ms (turn ${slowest.turn})` +
        (answers.length === 0 ? '' : `; refused: ${answers.join(', ')}`),
    );
  }
  if (values.missed)
    for (const [file, lines] of Object.entries(said?.learnt?.missed ?? {}))
      print(`  ${file.slice(file.indexOf('/src/') + 1)}: ${[...new Set(lines)].join(' ')}`);
  if (find === null) return 0;
  tell(name, find.text, find.file);
  return 1;
}

async function again(name: string, file: string): Promise<number> {
  const target = TARGETS.find((one) => one.name === name);
  const text =
    target === undefined
      ? await repeatNative(name, OUT, file)
      : ((await repeat(target, file))?.text ?? null);
  if (text === null) return 0;
  tell(name, text, file);
  return 1;
}

function tell(name: string, text: string, file: string | null): void {
  print(`${name}: found\n${text.replaceAll(/^/gm, '    ')}`);
  if (file !== null) print(`  again: scripts/fuzz ${name} --input ${file}`);
}

function stop(message: string): never {
  process.stderr.write(`error: ${message}\nhint: scripts/fuzz --help\n`);
  process.exit(64);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
