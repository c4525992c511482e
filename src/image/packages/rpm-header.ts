/**
 * A package's header as rpm keeps it (rpm 4.18, docs/manual/hregions.md and lib/header.c): two
 * counts, an index of tags, and the data that the index points into. Pure. Owns the format; must not
 * know where headers are kept.
 *
 * Whatever a header says of itself is checked against its own length, so that reading one takes no
 * more time and memory than it has bytes.
 */
import { type Package } from './package.ts';

const TAG = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  licence: 1014,
  architecture: 1022,
  fileStates: 1029,
  directoryIndexes: 1116,
  baseNames: 1117,
  directoryNames: 1118,
} as const;

const TYPE = { char: 1, int32: 4, string: 6, stringArray: 8 } as const;

const INTRO_BYTES = 8;
const ENTRY_BYTES = 16;
/** As rpm itself has it (hdrchkTags). */
const MOST_ENTRIES = 0xffff;

/** Of one package: the largest has some ten thousand. */
const MOST_DIRECTORIES = 100_000;

export interface PackageFile {
  /** With a slash at both ends. */
  readonly directory: string;
  readonly name: string;
}

interface Entry {
  readonly type: number;
  readonly offset: number;
  readonly count: number;
}

const WORD = /^[\x21-\x7e]{1,200}$/;
/** Of versions and releases: no blanks, no colon and no dash, which stand between them. */
const PART = /^[!-,./0-9;-~]{1,200}$/;

export class RpmHeader {
  readonly #data: Buffer;
  readonly #entries: ReadonlyMap<number, Entry>;

  private constructor(data: Buffer, entries: ReadonlyMap<number, Entry>) {
    this.#data = data;
    this.#entries = entries;
  }

  /** Null for what is no header. */
  static parse(blob: Buffer): RpmHeader | null {
    if (blob.length < INTRO_BYTES) return null;
    const count = blob.readUInt32BE(0);
    const length = blob.readUInt32BE(4);
    const start = INTRO_BYTES + ENTRY_BYTES * count;
    if (count > MOST_ENTRIES || start + length > blob.length) return null;
    const wanted = new Set<number>(Object.values(TAG));
    const entries = new Map<number, Entry>();
    for (let at = INTRO_BYTES; at < start; at += ENTRY_BYTES) {
      const tag = blob.readUInt32BE(at);
      if (!wanted.has(tag) || entries.has(tag)) continue;
      const [type, offset] = [blob.readUInt32BE(at + 4), blob.readUInt32BE(at + 8)];
      entries.set(tag, { type, offset, count: blob.readUInt32BE(at + 12) });
    }
    return new RpmHeader(blob.subarray(start, start + length), entries);
  }

  /** Null where it lacks a sound name, version or release. */
  package(): Package | null {
    const name = this.#string(TAG.name) ?? '';
    const version = this.#string(TAG.version) ?? '';
    const release = this.#string(TAG.release) ?? '';
    const architecture = this.#string(TAG.architecture) ?? '';
    const licence = this.#string(TAG.licence) ?? '';
    if (!WORD.test(name) || !PART.test(version) || !PART.test(release)) return null;
    if (architecture !== '' && !WORD.test(architecture)) return null;
    const epoch = this.#number(TAG.epoch, 0);
    return {
      kind: 'rpm',
      name,
      version: `${epoch === undefined ? '' : `${epoch}:`}${version}-${release}`,
      architecture,
      licence: /^[\x20-\x7e]{1,1000}$/.test(licence) ? licence : null,
    };
  }

  /**
   * The package's files, directory and name, byte strings; not those that it has left to others or
   * never brought (all states but 0, rpmfileState_e). A last null where its lists do not fit together.
   */
  *files(): Generator<PackageFile | null> {
    const count = this.#entries.get(TAG.baseNames)?.count ?? 0;
    const directories = this.#directories();
    let index = 0;
    for (const name of this.#strings(TAG.baseNames)) {
      const directory = directories[this.#number(TAG.directoryIndexes, index) ?? -1];
      if (directory === undefined) break;
      if (this.#state(index) === 0) yield { directory, name };
      index++;
    }
    if (index < count) yield null;
  }

  #directories(): string[] {
    const names: string[] = [];
    for (const name of this.#strings(TAG.directoryNames))
      if (names.push(name) >= MOST_DIRECTORIES) break;
    return names;
  }

  #entry(tag: number, type: number): Entry | null {
    const entry = this.#entries.get(tag);
    return entry?.type === type ? entry : null;
  }

  #string(tag: number): string | null {
    const entry = this.#entry(tag, TYPE.string);
    const end = entry === null ? -1 : this.#data.indexOf(0, entry.offset);
    return entry === null || end < 0 ? null : this.#data.toString('latin1', entry.offset, end);
  }

  /** As many as there are, and no more than were promised. */
  *#strings(tag: number): Generator<string> {
    const { offset, count } = this.#entry(tag, TYPE.stringArray) ?? { offset: 0, count: 0 };
    for (let left = count, at = offset; left > 0; left--) {
      const end = this.#data.indexOf(0, at);
      if (end < 0) return;
      yield this.#data.toString('latin1', at, end);
      at = end + 1;
    }
  }

  #number(tag: number, index: number): number | undefined {
    const { offset, count } = this.#entry(tag, TYPE.int32) ?? { offset: 0, count: 0 };
    const at = offset + 4 * index;
    return index < count && at + 4 <= this.#data.length ? this.#data.readUInt32BE(at) : undefined;
  }

  /** 0 where nothing is said: rpm writes states when it installs. */
  #state(index: number): number {
    const { offset, count } = this.#entry(TAG.fileStates, TYPE.char) ?? { offset: 0, count: 0 };
    return (index < count ? this.#data[offset + index] : undefined) ?? 0;
  }
}
