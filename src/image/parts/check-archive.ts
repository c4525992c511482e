/**
 * Whether a stream of bytes is a whole newc archive, or several. Owns nothing but its place in the
 * stream. Must not know files or compression.
 */
import {
  CpioFormatError,
  type CpioRecord,
  HEADER_BYTES,
  headerLength,
  MAX_NAME_BYTES,
  NEWC,
  NEWC_CRC,
  paddingOf,
  readRecords,
} from '../cpio.ts';
import { Pieces } from './pieces.ts';

const END = Buffer.from('TRAILER!!!\0');
/** The most that says what a record is. */
const HEAD_BYTES = HEADER_BYTES + MAX_NAME_BYTES;

/**
 * Every record goes to `onRecord`. Throws {@link CpioFormatError}: also for no record at all, and
 * without an end record, as the kernel would then go on with this archive's hard links in the next.
 */
export async function checkArchive(
  pieces: AsyncIterable<Buffer>,
  onRecord: (record: CpioRecord) => void = () => undefined,
): Promise<void> {
  const stream = new Pieces(pieces);
  try {
    await checkRecords(stream, onRecord);
  } finally {
    await stream.close();
  }
}

async function checkRecords(stream: Pieces, onRecord: (record: CpioRecord) => void): Promise<void> {
  let records = 0;
  let ended = true;
  for (;;) {
    await stream.skipZeros();
    const head = await stream.peek(HEAD_BYTES);
    if (head.length === 0) break;
    if (stream.at % 4 !== 0) throw new CpioFormatError(stream.at, 'record not on a multiple of 4');
    ended = isEnd(head);
    if (ended) {
      await pass(stream, headerLength(END.length - 1));
      continue;
    }
    const record = recordOf(head, stream.at);
    onRecord(record);
    records++;
    await pass(stream, record.dataOffset + record.size);
    // Of the last of all, the padding may be missing.
    await stream.skipZeros(paddingOf(record.size));
  }
  if (records === 0) throw new CpioFormatError(stream.at, 'no record');
  if (!ended) throw new CpioFormatError(stream.at, 'no end record');
}

function isEnd(head: Buffer): boolean {
  const magic = head.toString('latin1', 0, 6);
  const name = head.subarray(HEADER_BYTES, HEADER_BYTES + END.length);
  return (magic === NEWC || magic === NEWC_CRC) && name.equals(END);
}

function recordOf(head: Buffer, at: number): CpioRecord {
  const read = (offset: number, length: number) => head.subarray(offset, offset + length);
  try {
    // Whether the data is all there shows when it is passed over.
    for (const record of readRecords({ size: Infinity, read })) return record;
  } catch (error) {
    if (!(error instanceof CpioFormatError)) throw error;
    throw new CpioFormatError(at, error.message.replace(/ at byte \d+$/, ''));
  }
  throw new CpioFormatError(at, 'no record');
}

async function pass(stream: Pieces, length: number): Promise<void> {
  if (!(await stream.skip(length))) throw new CpioFormatError(stream.at, 'data cut off');
}
