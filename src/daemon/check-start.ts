/**
 * What is wrong with a start request. Asked on both sides of the socket: before a daemon is started
 * for it, since a misspelt option must leave nothing behind, and where it arrives. The recorder
 * checks more.
 */
import { realpathSync, statSync } from 'node:fs';
import { TraceError, type ExitName } from '../common/errors.ts';
import { ClientFilter } from '../recording/client-filter.ts';

const SLASH = 0x2f;

/**
 * The root's one path: absolute, symlinks resolved. Under two spellings it would be two roots.
 * @throws TraceError `root-not-found`, `root-not-a-directory` (exit 66), `root-not-permitted`
 *   (exit 77), `bad-client`, `root-not-absolute` (exit 64)
 */
export function checkStart(request: {
  readonly root: Buffer;
  readonly clients: readonly string[];
}): Buffer {
  const { root, clients } = request;
  new ClientFilter(clients);
  if (root[0] !== SLASH || root.includes(0))
    throw new TraceError({
      code: 'root-not-absolute',
      message: `cannot record ${JSON.stringify(root.toString())}: it is no absolute path`,
      hint: 'name the directory from / on',
      exit: 'usage',
    });
  let directory: boolean;
  try {
    directory = statSync(root).isDirectory();
    // The native one: the other makes a string of the path, which may hold any bytes.
    if (directory) return realpathSync.native(root, { encoding: 'buffer' });
  } catch (cause) {
    throw refused(root, cause as NodeJS.ErrnoException);
  }
  throw refused(root, { code: 'ENOTDIR', message: '' });
}

function refused(root: Buffer, cause: Pick<NodeJS.ErrnoException, 'code' | 'message'>): TraceError {
  const [code, why, hint, exit] = storyOf(cause);
  return new TraceError({
    code,
    message: `cannot record ${root.toString()}: ${why}`,
    hint,
    exit,
    cause,
  });
}

function storyOf({
  code,
  message,
}: Pick<NodeJS.ErrnoException, 'code' | 'message'>): readonly [string, string, string, ExitName] {
  switch (code) {
    case 'ENOENT':
      return ['root-not-found', 'there is no such directory', 'check the path', 'notFound'];
    case 'ENOTDIR':
      return [
        'root-not-a-directory',
        'it is not a directory',
        'name the directory itself',
        'notFound',
      ];
    case 'EACCES':
      return ['root-not-permitted', 'no permission to look there', 'run it as root', 'permission'];
    default:
      return ['root-not-found', message, 'check the path', 'notFound'];
  }
}
