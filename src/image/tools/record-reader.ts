/**
 * Finds the records in bytes that come in pieces of any size, step by step as the kernel's unpacker
 * does (init/initramfs.c, Linux 6.18): what it takes, what it passes over, where it stops. Owns the
 * place in the stream. Must not know files, compression or what becomes of a record.
 */
import {
  HEADER_BYTES,
  MAX_LINK_BYTES,
  MAX_NAME_BYTES,
  NEWC,
  NEWC_CRC,
  TRAILER,
  TRAILER_FILE,
} from '../cpio.ts';
import {
  beginRecord,
  FIELDS,
  FILE,
  FORMAT,
  type ImageRecord,
  LINK,
  readFields,
  type RecordBegun,
} from './record.ts';

/** Where the kernel gives up, and unpacks nothing more of the image. */
export interface Stop {
  readonly code: StopCode;
  /**
   * What the kernel says, after "Initramfs unpacking failed: "; null where it says nothing. Of
   * `cannot-unpack` the decompressor may have other words.
   */
  readonly kernel: string | null;
  readonly member: number;
  /** As {@link ImageRecord.offset}. */
  readonly offset: number;
}

export type StopCode =
  | 'old-format'
  | 'no-magic'
  | 'damaged-header'
  | 'name-without-end'
  | 'broken-padding'
  | 'bad-checksum'
  | 'junk'
  | 'junk-at-end'
  | 'unknown-magic'
  | 'cannot-unpack'
  | 'cut-off';

/** Who wants a file's data. */
export interface DataTaker {
  /** Good until it returns. */
  data(bytes: Buffer): void;
  /** All was there; called also for a file without data. */
  end?(): void;
}

export interface RecordTaker {
  /** Null if the data is not wanted: then the kernel does not look at its checksum, either. */
  record(record: ImageRecord): DataTaker | null;
  /** An end record; behind it, at `end`, another archive may follow. */
  trailer?(at: { readonly record: ImageRecord; readonly end: number }): void;
}

type State = 'start' | 'name' | 'data' | 'skip' | 'reset';

const ZEROS = Buffer.alloc(4096);

export class RecordReader {
  stop: Stop | null = null;
  readonly #taker: RecordTaker;
  #state: State = 'start';
  #member = -1;
  /** The kernel's this_header and next_header. */
  #at = 0;
  #next = 0;
  /** Without the zeros up to {@link #next}. */
  #end = 0;
  /** Of what is collected over several pieces. */
  readonly #carry = Buffer.allocUnsafe(HEADER_BYTES + 2 * MAX_NAME_BYTES + 8);
  #carried = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #pos = 0;
  #record: RecordBegun | null = null;
  /** Of the header at hand. */
  readonly #fields = new Float64Array(FIELDS);
  #nameSize = 0;
  #data: DataTaker | null = null;
  #left = 0;
  #sum = 0;

  constructor(taker: RecordTaker) {
    this.#taker = taker;
  }

  /** Between two records, or behind an archive. */
  get resting(): boolean {
    return this.#state === 'reset';
  }

  /** Nothing of a record is missing but, at most, the zeros behind it. */
  get whole(): boolean {
    return this.resting || (this.#state === 'skip' && this.#at >= this.#end);
  }

  /** Bytes that nobody wants, if any are left of what is passed over. */
  get ahead(): number {
    return this.#state === 'skip' ? this.#next - this.#at : 0;
  }

  /** A member begins: its bytes count from `at`. */
  member(at: number): void {
    this.#member++;
    this.#at = at;
  }

  /** A header must come next. */
  start(): void {
    this.#state = 'start';
    this.#carried = 0;
  }

  /** Says how many bytes it took: all, unless it stops, or rests before something that is not zero. */
  push(chunk: Buffer): number {
    this.#chunk = chunk;
    this.#pos = 0;
    while (this.stop === null && this.#step());
    return this.#pos;
  }

  /** Bytes of {@link ahead} that were passed over elsewhere. */
  pass(bytes: number): void {
    this.#at += bytes;
    if (this.#at === this.#next) this.#state = 'reset';
  }

  fail(code: StopCode, kernel: string | null, offset = this.#at): void {
    this.stop ??= { code, kernel, member: this.#member, offset };
  }

  /** Goes on if there is more to do with the bytes at hand. */
  #step(): boolean {
    switch (this.#state) {
      case 'start':
        return this.#header();
      case 'name':
        return this.#name();
      case 'data':
        return this.#copy();
      case 'skip': {
        const count = Math.min(this.#chunk.length - this.#pos, this.#next - this.#at);
        this.#eat(count);
        if (this.#at < this.#next) return false;
        this.#state = 'reset';
        return true;
      }
      case 'reset':
        this.#padding();
        return false;
    }
  }

  #eat(count: number): void {
    this.#pos += count;
    this.#at += count;
  }

  /** So many bytes in one piece, once they are there. */
  #collect(count: number): Buffer | null {
    const here = this.#chunk.length - this.#pos;
    if (this.#carried === 0 && here >= count) {
      const bytes = this.#chunk.subarray(this.#pos, this.#pos + count);
      this.#eat(count);
      return bytes;
    }
    const more = Math.min(count - this.#carried, here);
    this.#chunk.copy(this.#carry, this.#carried, this.#pos, this.#pos + more);
    this.#eat(more);
    this.#carried += more;
    if (this.#carried < count) return null;
    this.#carried = 0;
    return this.#carry.subarray(0, count);
  }

  #header(): boolean {
    const head = this.#collect(HEADER_BYTES);
    if (head === null) return false;
    const offset = this.#at - HEADER_BYTES;
    const magic = head.toString('latin1', 0, 6);
    if (magic !== NEWC && magic !== NEWC_CRC) {
      if (magic === '070707')
        this.fail('old-format', 'incorrect cpio method used: use -H newc option', offset);
      else this.fail('no-magic', 'no cpio magic', offset);
      return false;
    }
    const fields = this.#fields;
    if (!readFields(head, fields)) {
      this.fail('damaged-header', 'damaged header', offset);
      return false;
    }
    const [mode = 0, size = 0, nameSize = 0] = [fields[1], fields[6], fields[11]];
    const dataOffset = this.#at + aligned(nameSize);
    this.#end = dataOffset + size;
    this.#next = this.#end + (-this.#end & 3);
    this.#nameSize = nameSize;
    const record = beginRecord(fields, {
      member: this.#member,
      offset,
      dataOffset,
      hasChecksum: magic === NEWC_CRC,
      passedOver: passedOver({ mode, size }, nameSize),
    });
    this.#record = record;
    if (record.passedOver === 'no-name' || record.passedOver === 'name-too-long') {
      this.#taker.record(record);
      this.#state = 'skip';
    } else this.#state = 'name';
    return true;
  }

  #name(): boolean {
    const record = this.#record;
    if (record === null) return false;
    const isLink = (record.mode & FORMAT) === LINK && record.passedOver === null;
    const length = aligned(this.#nameSize);
    const bytes = this.#collect(length + (isLink ? record.size : 0));
    if (bytes === null) return false;
    if (record.passedOver === null && bytes[this.#nameSize - 1] !== 0) {
      this.fail('name-without-end', 'malformed archive', record.offset);
      return false;
    }
    const name = upToNul(bytes, 0, this.#nameSize);
    this.#state = 'skip';
    record.name = name === TRAILER_FILE ? TRAILER : name;
    if (name === TRAILER && !isLink && record.passedOver === null) {
      this.#taker.trailer?.({ record, end: this.#next });
      return true;
    }
    if (isLink) record.target = upToNul(bytes, length, length + record.size);
    const data = this.#taker.record(record);
    if (data === null || record.passedOver !== null || (record.mode & FORMAT) !== FILE) return true;
    this.#state = 'data';
    this.#data = data;
    this.#left = record.size;
    this.#sum = 0;
    return true;
  }

  #copy(): boolean {
    const count = Math.min(this.#left, this.#chunk.length - this.#pos);
    if (count > 0) {
      const bytes = this.#chunk.subarray(this.#pos, this.#pos + count);
      if (this.#record?.hasChecksum === true)
        for (const byte of bytes) this.#sum = (this.#sum + byte) >>> 0;
      this.#data?.data(bytes);
      this.#eat(count);
      this.#left -= count;
    }
    if (this.#left > 0) return false;
    this.#data?.end?.();
    this.#state = 'skip';
    if (this.#record?.hasChecksum === true && this.#sum !== this.#record.checksum)
      this.fail('bad-checksum', 'bad data checksum', this.#record.offset);
    return true;
  }

  #padding(): void {
    const from = this.#pos;
    let at = from;
    while (at < this.#chunk.length && this.#chunk[at] === 0)
      if (
        at + ZEROS.length <= this.#chunk.length &&
        this.#chunk.compare(ZEROS, 0, ZEROS.length, at, at + ZEROS.length) === 0
      )
        at += ZEROS.length;
      else at++;
    this.#eat(at - from);
    if (at < this.#chunk.length && (this.#at & 3) !== 0)
      this.fail('broken-padding', 'broken padding');
  }
}

/** Bytes of a name with its padding, which follows 110 bytes of header. */
function aligned(nameSize: number): number {
  return nameSize + (-(HEADER_BYTES + nameSize) & 3);
}

function upToNul(bytes: Buffer, from: number, end: number): string {
  const nul = bytes.indexOf(0, from);
  return bytes.toString('latin1', from, nul < 0 || nul > end ? end : nul);
}

function passedOver(
  { mode, size }: { readonly mode: number; readonly size: number },
  nameSize: number,
): ImageRecord['passedOver'] {
  if (nameSize === 0) return 'no-name';
  if (nameSize > MAX_NAME_BYTES) return 'name-too-long';
  const type = mode & FORMAT;
  if (type === LINK) return size > MAX_LINK_BYTES ? 'link-too-long' : null;
  return type !== FILE && size > 0 ? 'body-of-no-file' : null;
}
