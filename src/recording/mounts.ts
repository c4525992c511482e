/**
 * What is mounted where, as this process sees it, and which place of which file system a path is:
 * the same directory can be reached by several paths (bind mounts, subvolumes mounted twice), and
 * one path can hide another. Owns the reading of mountinfo; must not know exports or recordings.
 */
import { readFileSync } from 'node:fs';
import { isWithin, unescapeOctal } from './paths.ts';

const MOUNTINFO = '/proc/self/mountinfo';
const SLASH = Buffer.from('/');

export interface Mount {
  readonly id: number;
  readonly parent: number;
  /** `st_dev` of the file system, `major:minor`. One for a whole btrfs, whatever its subvolumes'. */
  readonly device: string;
  /** The directory of the file system that is mounted, from its own top. */
  readonly top: Buffer;
  /** Where, absolute. */
  readonly at: Buffer;
  readonly type: string;
  /** What is mounted, as mount(8) was told: a device, or any word. */
  readonly source: Buffer;
  /** Of the mount, and of the file system behind it. */
  readonly options: ReadonlySet<string>;
}

/** A directory as its file system knows it. */
export interface Place {
  readonly device: string;
  /** From the top of the file system, beginning with a slash. */
  readonly inner: Buffer;
  /** The mount that the path leads to it by. */
  readonly mount: Mount;
}

/** The mounts that this process sees, as proc(5) has them. Throws what reading throws. */
export function readMountinfo(): Buffer {
  return readFileSync(MOUNTINFO);
}

export class MountTable {
  readonly #children = new Map<number, Mount[]>();
  readonly #mounts: readonly Mount[];
  readonly #roots: readonly Mount[];

  /** @param mountinfo as /proc/PID/mountinfo has it, see proc(5) */
  constructor(mountinfo: Buffer) {
    this.#mounts = mountinfo.toString('latin1').split('\n').flatMap(parseLine);
    const ids = new Set(this.#mounts.map(({ id }) => id));
    this.#roots = this.#mounts.filter(({ parent, id }) => parent === id || !ids.has(parent));
    for (const mount of this.#mounts) {
      if (mount.parent === mount.id) continue;
      const siblings = this.#children.get(mount.parent);
      if (siblings === undefined) this.#children.set(mount.parent, [mount]);
      else siblings.push(mount);
    }
  }

  /** Where an absolute path without links leads to; null if that cannot be told. */
  placeOf(path: Buffer): Place | null {
    let mount = this.#roots.find(({ at }) => isWithin(path, at));
    if (mount === undefined) return null;
    // The table is read in pieces, and numbers are used again: it may have a circle in it.
    const passed = new Set<Mount>();
    for (
      let next: Mount | undefined = mount;
      next !== undefined && !passed.has(next);
      next = this.#nextTo(path, next)
    ) {
      passed.add(next);
      mount = next;
    }
    const below = path.subarray(mount.at.length === 1 ? 0 : mount.at.length);
    const { top, device } = mount;
    const inner = top.length === 1 ? below : Buffer.concat([top, below]);
    return { device, mount, inner: trimmed(inner) };
  }

  /** Mounts below a directory, those hidden by other mounts left out. */
  visibleBelow(directory: Buffer): Mount[] {
    return this.#mounts.filter(
      (mount) =>
        isWithin(mount.at, directory) &&
        !mount.at.equals(directory) &&
        this.placeOf(mount.at)?.mount === mount,
    );
  }

  /** The first mount on the way from a mount to a path: it hides all that is below it. */
  #nextTo(path: Buffer, { id }: Mount): Mount | undefined {
    let nearest: Mount | undefined;
    for (const child of this.#children.get(id) ?? [])
      if (
        isWithin(path, child.at) &&
        (nearest === undefined || child.at.length < nearest.at.length)
      )
        nearest = child;
    return nearest;
  }
}

/** `36 35 98:0 /top /at rw,noatime master:1 - ext3 /dev/root rw` */
function parseLine(line: string): Mount[] {
  const fields = line.split(' ');
  const [id, parent, device, top, at, options = ''] = fields;
  const [type, source = '', more = ''] = fields.slice(fields.indexOf('-', 6) + 1);
  if (device === undefined || top === undefined || at === undefined || type === undefined)
    return [];
  const bytes = (field: string): Buffer => unescapeOctal(Buffer.from(field, 'latin1'));
  return [
    {
      id: Number(id),
      parent: Number(parent),
      device,
      top: bytes(top),
      at: bytes(at),
      type,
      source: bytes(source),
      options: new Set([...options.split(','), ...more.split(',')]),
    },
  ];
}

/** `/` for nothing, and no slash at the end. */
function trimmed(path: Buffer): Buffer {
  if (path.length === 0) return SLASH;
  return path.length > 1 && path.at(-1) === SLASH[0] ? path.subarray(0, -1) : path;
}
