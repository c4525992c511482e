/**
 * What an earlier snapshot of the same expression has for images, and whether a newer one would have
 * it as well. Owns which difference counts. Must not keep or remove anything.
 */
import { TraceError } from '../common/errors.ts';
import type { SessionFile } from '../image/plan.ts';
import { fromBytes, parentOf, Resolver, toBytes } from '../image/resolve.ts';
import { RecordedTree } from './recorded-tree.ts';
import type { RecordedObject } from './root-record.ts';
import type { Snapshots } from './snapshots.ts';

type Objects = ReadonlyMap<string, RecordedObject>;

export class Held {
  readonly #expression: string;
  readonly #objects: Objects;

  private constructor(expression: string, objects: Objects) {
    this.#expression = expression;
    this.#objects = objects;
  }

  static nothing(expression: string): Held {
    return new Held(expression, new Map());
  }

  /**
   * Nothing if there is none, or it is damaged: no image can be made of that, and a new one mends it.
   * @param options.files of the sessions: what they used is in images without content, too
   */
  static async by(
    snapshots: Snapshots,
    { expression, files }: { readonly expression: string; readonly files: readonly SessionFile[] },
  ): Promise<Held> {
    const objects = new Map<string, RecordedObject>();
    try {
      // Files without content are most of a root, and in no image.
      for await (const [path, object] of snapshots.objects(expression))
        if (object.stat.type !== 'file' || object.blob !== null) objects.set(path, object);
    } catch (error) {
      if (error instanceof TraceError && ['no-snapshot', 'snapshot-damaged'].includes(error.code))
        return Held.nothing(expression);
      throw error;
    }
    for (const path of unneeded(objects, files)) objects.delete(path);
    return new Held(expression, objects);
  }

  /** Names whose content it has. */
  *files(): Generator<string> {
    for (const [path, { blob }] of this.#objects) if (blob !== null) yield path;
  }

  /** Throws `already-kept` if a record lacks any of it, or has it otherwise. */
  refuseLoss(record: Objects): void {
    const gone: string[] = [];
    const changed: string[] = [];
    for (const [path, was] of this.#objects) {
      const is = record.get(path);
      if (is === undefined) gone.push(path);
      else if (stateOf(is) !== stateOf(was)) changed.push(path);
    }
    const [first] = [...changed, ...gone];
    if (first === undefined) return;
    throw new TraceError({
      code: 'already-kept',
      message:
        `what is kept for ${this.#expression} is not what the root has now: ${changed.length} names ` +
        `would change and ${gone.length} would go, the first is /${toBytes(first).toString()}`,
      hint: `what was kept stays; \`trace snapshot ${this.#expression} --replace\` gives it up for the root as it is now`,
      exit: 'cannotCreate',
    });
  }
}

/** Names that are in no image: neither kept or used, nor above such a one, nor a link to one. */
function unneeded(objects: Objects, files: readonly SessionFile[]): string[] {
  const needed = new Set<string>();
  const need = (path: string): void => {
    for (let at = path; !needed.has(at); at = parentOf(at)) needed.add(at);
  };
  for (const [path, { blob }] of objects) if (blob !== null) need(path);
  for (const { path, created, sweep } of files)
    if (created !== true && sweep === undefined && objects.has(fromBytes(path)))
      need(fromBytes(path));
  const links = [...objects].flatMap(([path, { target }]) =>
    target === null ? [] : [{ path: toBytes(path), target }],
  );
  const resolver = new Resolver(new RecordedTree(objects, () => Buffer.alloc(0)), links);
  const leading = [...resolver.links()].filter((link) =>
    needed.has(resolver.resolve('', link, true).path ?? link),
  );
  for (const link of leading) need(link);
  return [...objects.keys()].filter((path) => !needed.has(path));
}

/** All that an image says of it, but a directory's time: whatever is new in it changes that. */
function stateOf({ stat, target, attributes, blob }: RecordedObject): string {
  const { type, mode, uid, gid, mtime, rdevMajor, rdevMinor, foreign } = stat;
  const time = type === 'directory' ? 0 : mtime;
  const values =
    attributes && [...attributes].map(([name, value]) => [name, value?.toString('hex')]);
  return JSON.stringify([
    ...[type, mode, uid, gid, time, rdevMajor, rdevMinor, foreign],
    ...[target?.toString('hex'), values?.sort(), blob],
  ]);
}
