/**
 * What the kernel makes of records, one after the other (init/initramfs.c, Linux 6.18): which file
 * tree is there in the end, and what it does silently. Owns the kernel's order of steps: it removes
 * what is of another type, links, opens, and then gives mode and owner to whatever is at that path.
 * Must not know how records are stored.
 */
import { MAX_LINK_BYTES } from '../cpio.ts';
import {
  isErrno,
  KernelTree,
  type Errno,
  type Place,
  pathOf,
  type TreeNode,
} from './kernel-tree.ts';
import {
  BLOCK,
  CHARACTER,
  DIRECTORY,
  FIFO,
  FILE,
  FORMAT,
  type ImageRecord,
  LINK,
  type PassedOver,
  SOCKET,
} from './record.ts';
import type { DataTaker, RecordTaker } from './record-reader.ts';

/** Why a record has no effect, or not the one that it says. */
export type DroppedCode =
  | PassedOver
  | 'no-parent'
  | 'parent-is-no-directory'
  | 'name-part-too-long'
  | 'links-loop'
  | 'in-the-way'
  | 'no-file-name'
  | 'first-name-is-gone'
  | 'unknown-type';

/** What happens to something else, or is not as the record says. */
export type ChangedCode = 'other-type-replaced' | 'all-names-overwritten' | 'device-kept';

/** What is usual where archives are appended to override, and ends that may not be meant as such. */
export type NotedCode =
  'overwritten' | 'replaced' | 'needs-built-in' | 'end-with-data' | 'links-cut-off';

export interface Finding {
  readonly kind: 'dropped' | 'changed' | 'noted';
  readonly code: DroppedCode | ChangedCode | NotedCode;
  readonly record: ImageRecord;
}

/** Names of one file, within one archive. */
interface Group {
  readonly first: ImageRecord;
  names: number;
  hasData: boolean;
}

/** Does on a disk what the kernel does in memory. Paths have no links in them. */
export interface Disk {
  make(path: string, node: TreeNode): void;
  link(from: string, to: string, node: TreeNode): void;
  remove(path: string, node: TreeNode): void;
  /** Content comes, instead of what is there. */
  write(path: string, node: TreeNode): DataTaker;
}

export interface KernelUnpackerOptions {
  readonly found?: (finding: Finding) => void;
  /** Who wants a file's content, whose size and mode are known. */
  readonly content?: (record: ImageRecord, node: TreeNode) => DataTaker | null;
  readonly disk?: Disk;
}

const REASONS: Readonly<Record<Errno, DroppedCode>> = {
  ENOENT: 'no-parent',
  ENOTDIR: 'parent-is-no-directory',
  ENAMETOOLONG: 'name-part-too-long',
  ELOOP: 'links-loop',
  EISDIR: 'no-file-name',
  EEXIST: 'in-the-way',
};
/** chown(2): leave it. */
const NOBODY = 0xffffffff;
const LINK_MODE = 0o777;
/** No type at all: whatever is there is of another. */
const NOTHING = 0;
const SPECIAL: readonly number[] = [CHARACTER, BLOCK, FIFO, SOCKET];

export class KernelUnpacker implements RecordTaker {
  readonly tree = KernelTree.ofKernel();
  /** Groups of hard links that were open at once. */
  mostGroups = 0;
  readonly #options: KernelUnpackerOptions;
  /** By inode, device and type. */
  readonly #groups = new Map<string, Group>();
  /** Of archives before, groups that lack names: whether their data was there. */
  readonly #cut = new Map<string, boolean>();
  readonly #directoryTimes: (readonly [path: string, mtime: number])[] = [];

  constructor(options: KernelUnpackerOptions = {}) {
    this.#options = options;
  }

  record(record: ImageRecord): DataTaker | null {
    if (record.passedOver !== null) return this.#drop(record, record.passedOver);
    const type = record.mode & FORMAT;
    if (type === LINK) return this.#symlink(record);
    this.#clean(record, type);
    if (type === FILE) return this.#file(record);
    if (type === DIRECTORY) return this.#directory(record);
    if (SPECIAL.includes(type)) return this.#device(record, type);
    return this.#drop(record, 'unknown-type');
  }

  trailer({ record }: { readonly record: ImageRecord }): void {
    if (record.size > 0) this.#tell('noted', 'end-with-data', record);
    this.#endGroups();
  }

  /** After the last record: times of directories, which what came into them has changed. */
  finish(): void {
    this.#endGroups();
    for (const [path, mtime] of this.#directoryTimes.reverse()) {
      const place = this.tree.find(path, { follow: false });
      if (!isErrno(place) && place.node !== null) place.node.mtime = mtime;
    }
  }

  #tell(kind: Finding['kind'], code: Finding['code'], record: ImageRecord): null {
    this.#options.found?.({ kind, code, record });
    return null;
  }

  #drop(record: ImageRecord, code: DroppedCode): null {
    return this.#tell('dropped', code, record);
  }

  /** Removes what is there, if it is of another type; of no type: whatever it is. */
  #clean(record: ImageRecord, type: number): void {
    const place = this.tree.find(record.name, { follow: false });
    if (isErrno(place) || place.node === null || place.node.type === type) return;
    const { node } = place;
    if (!this.tree.remove(place)) return;
    this.#options.disk?.remove(pathOf(place.directory, place.name), node);
    const same = node.type === (record.mode & FORMAT);
    if (same) this.#tell('noted', 'replaced', record);
    else this.#tell('changed', 'other-type-replaced', record);
  }

  /**
   * The kernel joins no names over an end. Archives that were made one by one of the same disk have
   * such names too, and each its data.
   */
  #endGroups(): void {
    for (const [key, { first, names, hasData }] of this.#groups) {
      const before = this.#cut.get(key) ?? hasData;
      if (before !== hasData) this.#tell('noted', 'links-cut-off', first);
      if (names < first.nlink) this.#cut.set(key, hasData);
    }
    this.#groups.clear();
  }

  /** Whether it is one more name of something; null if it was to be, and that is gone. */
  #isLinked(record: ImageRecord): boolean | null {
    if (record.nlink < 2) return false;
    const { inode, devMajor, devMinor, mode, name, size } = record;
    const key = `${inode} ${devMajor} ${devMinor} ${mode & FORMAT}`;
    const group = this.#groups.get(key);
    if (group === undefined) {
      this.#groups.set(key, { first: record, names: 1, hasData: size > 0 });
      this.mostGroups = Math.max(this.mostGroups, this.#groups.size);
      return false;
    }
    group.names++;
    group.hasData ||= size > 0;
    this.#clean(record, NOTHING);
    const from = this.tree.find(group.first.name, { follow: false });
    const to = this.#free(name);
    if (isErrno(from) || from.node === null || from.node.type === DIRECTORY || isErrno(to))
      return null;
    this.tree.link(to, from.node);
    this.#options.disk?.link(
      pathOf(from.directory, from.name),
      pathOf(to.directory, to.name),
      from.node,
    );
    return true;
  }

  /** A place for something new that is no directory. */
  #free(name: string): Place | Errno {
    const place = this.tree.find(name, { follow: false });
    if (isErrno(place)) return place;
    if (place.node !== null || place.name === '') return 'EEXIST';
    return place.slash ? 'ENOENT' : place;
  }

  #add(record: ImageRecord, place: Place): TreeNode {
    if (place.directory.builtIn && place.directory !== this.tree.root)
      this.#tell('noted', 'needs-built-in', record);
    const { mtime, rdevMajor, rdevMinor, target } = record;
    const type = record.mode & FORMAT;
    const node = this.tree.add(place, {
      type,
      mode: type === LINK ? LINK_MODE : record.mode & 0o7777,
      uid: 0,
      gid: 0,
      mtime,
      ...((type === CHARACTER || type === BLOCK) && { rdevMajor, rdevMinor }),
      ...(target !== null && { target, size: target.length }),
    });
    this.#options.disk?.make(pathOf(place.directory, place.name), node);
    return node;
  }

  #own(node: TreeNode, { uid, gid }: ImageRecord): void {
    if (uid !== NOBODY) node.uid = uid;
    if (gid !== NOBODY) node.gid = gid;
  }

  #file(record: ImageRecord): DataTaker | null {
    const linked = this.#isLinked(record);
    if (linked === null) return this.#drop(record, 'first-name-is-gone');
    const place = this.tree.find(record.name, { follow: true });
    if (isErrno(place)) return this.#drop(record, REASONS[place]);
    if (place.node === null && place.slash) return this.#drop(record, 'no-file-name');
    if (place.node !== null && place.node.type !== FILE) return this.#drop(record, 'in-the-way');
    if (place.node !== null && !linked)
      if (place.node.links > 1) this.#tell('changed', 'all-names-overwritten', record);
      else this.#tell('noted', 'overwritten', record);
    const node = place.node ?? this.#add(record, place);
    node.builtIn = false;
    this.#own(node, record);
    node.mode = record.mode & 0o7777;
    node.mtime = record.mtime;
    // A further name without data leaves what there is.
    if (linked && record.size === 0) return null;
    node.size = record.size;
    return both(
      this.#options.content?.(record, node) ?? null,
      this.#options.disk?.write(pathOf(place.directory, place.name), node) ?? null,
    );
  }

  #directory(record: ImageRecord): null {
    const place = this.tree.find(record.name, { follow: false });
    if (isErrno(place)) return this.#drop(record, REASONS[place]);
    const node = place.node ?? this.#add(record, place);
    node.builtIn = false;
    this.#own(node, record);
    node.mode = record.mode & 0o7777;
    this.#directoryTimes.push([record.name, record.mtime]);
    return null;
  }

  #device(record: ImageRecord, type: number): null {
    const linked = this.#isLinked(record);
    if (linked === null) return this.#drop(record, 'first-name-is-gone');
    if (linked) return null;
    const free = this.#free(record.name);
    if (!isErrno(free)) this.#add(record, free);
    const place = this.tree.find(record.name, { follow: true });
    if (isErrno(place) || place.node === null)
      return this.#drop(record, isErrno(place) ? REASONS[place] : 'no-parent');
    const { node } = place;
    const { builtIn } = node;
    this.#own(node, record);
    node.mode = record.mode & 0o7777;
    node.mtime = record.mtime;
    node.builtIn = false;
    if (node.type !== type) return this.#drop(record, 'in-the-way');
    if (isErrno(free)) {
      const { rdevMajor, rdevMinor } = record;
      const other = node.rdevMajor !== rdevMajor || node.rdevMinor !== rdevMinor;
      const matters = other && (type === CHARACTER || type === BLOCK);
      if (matters) this.#tell('changed', 'device-kept', record);
      // Nearly every image has the kernel's own /dev/console.
      else if (!builtIn) this.#tell('noted', 'overwritten', record);
    }
    return null;
  }

  #symlink(record: ImageRecord): null {
    this.#clean(record, NOTHING);
    const free = this.#free(record.name);
    if (!isErrno(free)) {
      // With its NUL it must fit into a page.
      if ((record.target?.length ?? 0) >= MAX_LINK_BYTES)
        return this.#drop(record, 'link-too-long');
      this.#own(this.#add(record, free), record);
      return null;
    }
    const place = this.tree.find(record.name, { follow: false });
    if (!isErrno(place) && place.node !== null) {
      this.#own(place.node, record);
      place.node.mtime = record.mtime;
    }
    return this.#drop(record, REASONS[free]);
  }
}

function both(first: DataTaker | null, second: DataTaker | null): DataTaker | null {
  if (first === null || second === null) return first ?? second;
  return {
    data: (bytes) => {
      first.data(bytes);
      second.data(bytes);
    },
    end: () => {
      first.end?.();
      second.end?.();
    },
  };
}
