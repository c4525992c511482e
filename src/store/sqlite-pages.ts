/**
 * The rows of a SQLite file read page by page, without its tree: what is left when the header, the
 * schema or any page in between is gone. Owns the file format (sqlite.org/fileformat2.html) as far
 * as that needs it. Must not know our tables.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';

export type SqliteValue = null | bigint | number | string | Buffer;

/** A row of a table b-tree (`rowid` known) or of an index b-tree, a WITHOUT ROWID table's too. */
export interface CarvedRow {
  readonly rowid: bigint | null;
  readonly values: readonly SqliteValue[];
}

/** The rows of one page: they are all of one table. */
export interface CarvedPage {
  readonly tree: 'table' | 'index';
  readonly rows: readonly CarvedRow[];
  /** Rows that could not be read to their end. */
  readonly broken: number;
}

export interface CarvedFile {
  readonly pages: number;
  /** Pages that should be there, by the header, and are not: the file was cut. */
  readonly missing: number;
  /** Pages that hold neither a b-tree nor a row's overflow nor free space: zeroed, overwritten. */
  readonly unreadable: number;
}

const HEADER = 100;
const LEAF_TABLE = 0x0d;
const INNER_TABLE = 0x05;
const LEAF_INDEX = 0x0a;
const INNER_INDEX = 0x02;
/** A row of ours has a path of 4096 bytes at most; anything much larger is garbage. */
const LONGEST_ROW = 1 << 20;

export class SqlitePages {
  readonly #fd: number;
  readonly #size: number;
  readonly #wal: ReadonlyMap<number, Buffer>;
  readonly #pageSize: number;
  readonly #reserved: number;
  readonly #header: Buffer;
  readonly #free = new Set<number>();
  readonly #overflow = new Set<number>();

  /** @param path of the database; its write-ahead log is read too, if it is there */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    this.#size = fstatSync(this.#fd).size;
    const head = Buffer.alloc(HEADER);
    readSync(this.#fd, head, 0, HEADER, 0);
    const wal = readWal(`${path}-wal`);
    this.#wal = wal.pages;
    this.#header = wal.pages.get(1) ?? head;
    const known = this.#header.toString('latin1', 0, 15) === 'SQLite format 3';
    const told = this.#header.readUInt16BE(16);
    const size = told === 1 ? 65_536 : told;
    // 4096 is what every version of ours has made.
    this.#pageSize = known && isPageSize(size) ? size : (wal.pageSize ?? 4096);
    this.#reserved = known ? (this.#header[20] ?? 0) : 0;
    if (known) this.#readFreeList();
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Calls `take` for every page with rows; what the file was like. */
  read(take: (page: CarvedPage) => void): CarvedFile {
    const inFile = Math.ceil(this.#size / this.#pageSize);
    const last = [...this.#wal.keys()].reduce((most, page) => Math.max(most, page), inFile);
    const doubtful: number[] = [];
    for (let number = 1; number <= last; number += 1) {
      if (this.#free.has(number)) continue;
      const page = this.#page(number);
      if (page === null) continue;
      const rows = this.#rowsOf(page, number);
      if (rows === null) doubtful.push(number);
      else if (rows.rows.length > 0 || rows.broken > 0) take(rows);
    }
    const told =
      this.#header.toString('latin1', 0, 6) === 'SQLite' ? this.#header.readUInt32BE(28) : 0;
    return {
      pages: last,
      missing: Math.max(0, told - last),
      unreadable: doubtful.filter((number) => !this.#overflow.has(number)).length,
    };
  }

  #page(number: number): Buffer | null {
    const logged = this.#wal.get(number);
    if (logged !== undefined) return logged;
    const page = Buffer.alloc(this.#pageSize);
    const got = readSync(this.#fd, page, 0, this.#pageSize, (number - 1) * this.#pageSize);
    return got === 0 ? null : page;
  }

  /** Null if it is no page of a b-tree. */
  #rowsOf(page: Buffer, number: number): CarvedPage | null {
    const start = number === 1 ? HEADER : 0;
    const type = page[start];
    if (type === INNER_TABLE) return { tree: 'table', rows: [], broken: 0 };
    if (type !== LEAF_TABLE && type !== LEAF_INDEX && type !== INNER_INDEX) return null;
    const tree = type === LEAF_TABLE ? 'table' : 'index';
    const count = page.readUInt16BE(start + 3);
    const pointers = start + (type === INNER_INDEX ? 12 : 8);
    if (pointers + 2 * count > page.length) return null;
    const rows: CarvedRow[] = [];
    let broken = 0;
    for (let cell = 0; cell < count; cell += 1)
      try {
        const at = page.readUInt16BE(pointers + 2 * cell);
        rows.push(this.#row(page, type === INNER_INDEX ? at + 4 : at, tree));
      } catch {
        broken += 1;
      }
    // Garbage that begins like a page has no row that can be read.
    return rows.length === 0 && broken > 0 ? null : { tree, rows, broken };
  }

  #row(page: Buffer, at: number, tree: CarvedPage['tree']): CarvedRow {
    const reader = new Reader(page, at);
    const length = Number(reader.varint());
    const rowid = tree === 'table' ? BigInt.asIntN(64, reader.varint()) : null;
    if (length > LONGEST_ROW || length < 1) throw new RangeError('no row is so long');
    const payload = this.#payload(page, { at: reader.at, length, tree });
    return { rowid, values: decodeRecord(payload) };
  }

  #payload(
    page: Buffer,
    { at, length, tree }: { at: number; length: number; tree: CarvedPage['tree'] },
  ): Buffer {
    const usable = this.#pageSize - this.#reserved;
    const most = tree === 'table' ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
    if (length <= most) return exactly(page, at, length);
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const even = least + ((length - least) % (usable - 4));
    const local = even <= most ? even : least;
    const parts = [exactly(page, at, local)];
    let left = length - local;
    let next = page.readUInt32BE(at + local);
    const chain: number[] = [];
    while (left > 0) {
      const more = next === 0 || chain.includes(next) ? null : this.#page(next);
      if (more === null) throw new RangeError('the rest of the row is not there');
      chain.push(next);
      const here = Math.min(left, usable - 4);
      parts.push(exactly(more, 4, here));
      left -= here;
      next = more.readUInt32BE(0);
    }
    for (const number of chain) this.#overflow.add(number);
    return Buffer.concat(parts);
  }

  /** Pages that hold nothing any more; what is still written there was deleted. */
  #readFreeList(): void {
    const perTrunk = this.#pageSize / 4 - 2;
    for (let trunk = this.#header.readUInt32BE(32); trunk !== 0 && !this.#free.has(trunk);) {
      const page = this.#page(trunk);
      if (page === null) return;
      const count = page.readUInt32BE(4);
      if (count > perTrunk) return;
      this.#free.add(trunk);
      for (let leaf = 0; leaf < count; leaf += 1) this.#free.add(page.readUInt32BE(8 + 4 * leaf));
      trunk = page.readUInt32BE(0);
    }
  }
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** One to nine bytes, seven bits in each, eight in the ninth. */
  varint(): bigint {
    let value = 0n;
    for (let count = 0; count < 9; count += 1) {
      const byte = this.#bytes[this.at];
      if (byte === undefined) throw new RangeError('cut off');
      this.at += 1;
      if (count === 8) return (value << 8n) | BigInt(byte);
      value = (value << 7n) | BigInt(byte & 0x7f);
      if (byte < 0x80) return value;
    }
    return value;
  }
}

function decodeRecord(payload: Buffer): SqliteValue[] {
  const header = new Reader(payload, 0);
  const end = Number(header.varint());
  const types: number[] = [];
  while (header.at < end) types.push(Number(header.varint()));
  if (header.at !== end) throw new RangeError('no record');
  let at = end;
  const values = types.map((type) => {
    const [value, size] = decodeValue(payload, at, type);
    at += size;
    return value;
  });
  if (at !== payload.length) throw new RangeError('no record');
  return values;
}

const INTEGER_BYTES = [0, 1, 2, 3, 4, 6, 8];

function decodeValue(bytes: Buffer, at: number, type: number): [SqliteValue, number] {
  if (type === 0) return [null, 0];
  if (type === 8 || type === 9) return [BigInt(type - 8), 0];
  if (type === 7) return [exactly(bytes, at, 8).readDoubleBE(0), 8];
  if (type < 7) {
    const size = INTEGER_BYTES[type] ?? 0;
    const hex = exactly(bytes, at, size).toString('hex');
    return [BigInt.asIntN(size * 8, BigInt(`0x${hex}`)), size];
  }
  if (type < 12) throw new RangeError('no such type');
  const size = Math.floor((type - 12) / 2);
  const value = exactly(bytes, at, size);
  return [type % 2 === 0 ? Buffer.from(value) : value.toString('utf8'), size];
}

function exactly(bytes: Buffer, at: number, length: number): Buffer {
  if (at < 0 || at + length > bytes.length) throw new RangeError('cut off');
  return bytes.subarray(at, at + length);
}

function isPageSize(size: number): boolean {
  return size >= 512 && size <= 65_536 && Number.isInteger(Math.log2(size));
}

/** The newest committed version of each page in a write-ahead log. */
function readWal(path: string): {
  readonly pages: ReadonlyMap<number, Buffer>;
  readonly pageSize: number | null;
} {
  const none = { pages: new Map<number, Buffer>(), pageSize: null };
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < 32) return none;
  const wal = readFileSync(path);
  if (wal.readUInt32BE(0) >>> 1 !== 0x377f0682 >>> 1) return none;
  const pageSize = wal.readUInt32BE(8);
  if (!isPageSize(pageSize)) return none;
  const salt = wal.subarray(16, 24);
  const pages = new Map<number, Buffer>();
  let pending: [number, Buffer][] = [];
  for (let at = 32; at + 24 + pageSize <= wal.length; at += 24 + pageSize) {
    // Frames of an older round of the log have another salt.
    if (!wal.subarray(at + 8, at + 16).equals(salt)) break;
    pending.push([wal.readUInt32BE(at), wal.subarray(at + 24, at + 24 + pageSize)]);
    if (wal.readUInt32BE(at + 4) === 0) continue;
    for (const [number, page] of pending) pages.set(number, page);
    pending = [];
  }
  return { pages, pageSize };
}
