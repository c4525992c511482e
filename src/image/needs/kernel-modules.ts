/**
 * The rule for kernel modules: once anything below lib/modules/VERSION is in, the indexes that
 * modprobe reads; and for every module what it depends on and the firmware that it names. Owns what
 * follows from one.
 */
import type { Draft, DraftReason } from '../closure.ts';
import { readModinfo } from '../elf/read-modinfo.ts';
import type { Problem } from '../plan-types.ts';
import { findProgram } from '../programs.ts';
import { Missing } from './missing.ts';
import { ModuleTree } from './module-tree.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';
import { ModuleUnpacker, MOST_MODULE, type Packing } from './unpack-module.ts';

export interface KernelModulesOptions {
  readonly files: RootFiles;
  readonly taker: Taker;
  readonly modules: boolean;
  readonly firmware: boolean;
}

const BELOW = /^((?:usr\/)?lib\/modules\/([^/]+))\/(.+)$/;
const MODULE = /\.ko(?:\.(gz|xz|zst))?$/;
/** kmod's modprobe reads the binary ones of the first, if they are there; busybox's only the text. */
const INDEXES = [
  ['dep', 'alias', 'symbols', 'builtin', 'builtin.alias'],
  ['softdep', 'weakdep', 'devname', 'order', 'builtin.modinfo'],
] as const;

export class KernelModules implements Rule {
  readonly #options: KernelModulesOptions;
  readonly #trees = new Map<string, ModuleTree>();
  readonly #unpacker = new ModuleUnpacker();
  readonly #noUnpacker = new Missing();
  readonly #missing: Missing;

  constructor(options: KernelModulesOptions) {
    this.#options = options;
    this.#missing = new Missing(options.files);
  }

  offer({ path, stat }: Draft): void {
    const [, directory, version, inside] = BELOW.exec(path) ?? [];
    if (directory === undefined || version === undefined || inside === undefined) return;
    if (stat?.type !== 'file') return;
    const isModule = MODULE.test(inside);
    if (this.#options.modules) {
      let tree = this.#trees.get(directory);
      if (tree === undefined) {
        tree = new ModuleTree(directory, this.#options.files);
        this.#trees.set(directory, tree);
        this.#takeIndexes(directory, path);
      }
      if (isModule) this.#takeModules(tree, inside, path);
    }
    if (isModule && this.#options.firmware) this.#takeFirmware(path, version);
  }

  #takeModules(tree: ModuleTree, module: string, path: string): void {
    const { taker } = this.#options;
    const reason: DraftReason = { kind: 'needed-by', about: path };
    for (const needed of tree.needs(module))
      if (taker.take(needed, reason) === null)
        this.#missing.add(`/${needed.replace(/^\/+/, '')}`, path);
    for (const wished of tree.wishes(module)) taker.take(wished, reason);
  }

  problems(): Problem[] {
    const unmet = this.#missing.problem({
      code: 'missing-module',
      what: 'kernel modules that modules in the image depend on are not in the root',
      hint: 'those that depend on them do not load; install what is missing into the root, or run depmod for it',
    });
    const unread = this.#noUnpacker.problem({
      code: 'missing-unpacker',
      what: 'programs that unpack kernel modules are not on this server',
      hint: 'install xz-utils (or xz) here: what firmware those modules name is not known, and in the image only if the client used it',
    });
    return [...unmet, ...unread];
  }

  #takeIndexes(directory: string, about: string): void {
    const { files, taker } = this.#options;
    const [both, textOnly] = INDEXES;
    const modprobe = findProgram('modprobe', files.resolver)?.path ?? 'kmod';
    const wantsText = !/(?:^|\/)kmod$/.test(modprobe);
    const names = both.flatMap((name) => {
      const [text, binary] = [`${directory}/modules.${name}`, `${directory}/modules.${name}.bin`];
      if (files.file(binary) === null) return [text];
      return wantsText ? [binary, text] : [binary];
    });
    // `modules.builtin` is read as text too, for modinfo.
    names.push(`${directory}/modules.builtin`);
    names.push(...textOnly.map((name) => `${directory}/modules.${name}`));
    for (const name of names)
      if (files.file(name) !== null) taker.take(name, { kind: 'index-of', about });
  }

  #takeFirmware(path: string, version: string): void {
    const { files, taker } = this.#options;
    const bytes = this.#unpacked(path);
    if (bytes === null) return;
    const result = readModinfo(bytes);
    if (result.kind === 'bad') {
      files.skip(path, `not a sound kernel module: ${result.why}`);
      return;
    }
    for (const [key, name] of result.pairs) {
      if (key !== 'firmware' || name === '' || name.includes('..')) continue;
      // The kernel's order; it asks for the plain name first, then for the packed ones.
      for (const place of [`updates/${version}`, 'updates', version, '']) {
        const base = `/lib/firmware/${place === '' ? '' : `${place}/`}${name}`;
        const found = ['', '.zst', '.xz'].flatMap((end) => files.glob(`${base}${end}`));
        for (const one of found) taker.take(one, { kind: 'firmware-of', about: path });
        if (found.length > 0) break;
      }
    }
  }

  /** Random access to a module's plain bytes, or null (and reported). */
  #unpacked(path: string): ((offset: number, length: number) => Buffer) | null {
    const { files } = this.#options;
    const packing = MODULE.exec(path)?.[1];
    if (packing === undefined) return (offset, length) => files.read(path, offset, length);
    if (this.#unpacker.isSpent) {
      files.skip(path, 'one of too many packed modules');
      return null;
    }
    const packed = files.whole(path, MOST_MODULE);
    if (packed === null) return null;
    const result = this.#unpacker.unpack(packed, packing as Packing);
    if (result.kind === 'plain')
      return (offset, length) => result.bytes.subarray(offset, offset + length);
    if (result.kind === 'bad') files.skip(path, `cannot be unpacked: ${result.why}`);
    else this.#noUnpacker.add(result.program, path);
    return null;
  }
}
