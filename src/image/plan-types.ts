/**
 * What goes into a plan and what comes out of it. Owns the shapes only.
 */
import type { ImageChoices } from './choices.ts';
import type { ReasonKind } from './closure.ts';
import type { TableNode } from './tables.ts';
import type { FileType, Tree, TreeLink, TreeStat } from './tree.ts';

/** One object of a session, by one of its names. */
export interface SessionFile {
  /** Relative, without a leading slash; empty = the root itself. May pass through links. */
  readonly path: Buffer;
  /** Bits of src/common/words.ts. */
  readonly operations: number;
  /** The session itself made it: run-time state, left out with its directory kept. */
  readonly created?: boolean;
  /** As the session saw it when it first used it; what differs now is drift. */
  readonly seen?: SeenFile;
  /** What reads moved, again what is read again; absent where nobody knows. No matter of plans. */
  readonly bytesRead?: number;
  /** Absent where no session is behind it. No matter of plans either. */
  readonly seenBy?: SeenBy;
  /** Nothing but this sweep touched it, by whatever numbers the caller gives them. */
  readonly sweep?: number;
}

/** Sessions by number, and words of how it is known that they used something (`nfsd`, ...). */
export interface SeenBy {
  readonly sessions: readonly number[];
  readonly evidence: readonly string[];
}

export interface SeenFile {
  readonly type: FileType;
  readonly size: number;
  /** Whole seconds. */
  readonly mtime: number;
  /** Permission bits (07777), and owner; absent where a recorder does not tell. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Which object it was, when it last changed in any way, where a link led; likewise. */
  readonly inode?: bigint;
  readonly ctimeNs?: bigint;
  readonly target?: Buffer;
}

export interface PlanOptions extends ImageChoices {
  readonly files: readonly SessionFile[];
  readonly tree: Tree;
  readonly mountPoints?: readonly TableNode[];
  readonly devices?: readonly TableNode[];
  /** No time in the image is later than this (seconds since 1970). */
  readonly mtimeMax?: number;
}

export interface Reason {
  readonly kind: ReasonKind;
  /** The path that asked for it, null when nothing else did. */
  readonly about: Buffer | null;
}

export interface PlanEntry {
  /** Empty = the root itself. */
  readonly path: Buffer;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes: content of a file, target of a link, else 0. */
  readonly size: number;
  /** Seconds, 0 ... 2^32-1. */
  readonly mtime: number;
  /** Names that this file has in this image. */
  readonly nlink: number;
  /** Derived from the path, so that a changed root changes as little of an image as it can. */
  readonly inode: number;
  /** Of several names of one file only the last carries the data, as cpio's tools do it. */
  readonly carriesData: boolean;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** NULs behind the name, so that the data begins at a block; none by default. */
  readonly namePadding?: number;
  readonly target: Buffer | null;
  /** Content of a file that is in no tree; null for all others. */
  readonly content: Buffer | null;
  /** The first is the strongest; counts go by it. */
  readonly reasons: readonly Reason[];
  /** The tree's own words; null for what a table gave. */
  readonly stat: TreeStat | null;
}

export interface Drift {
  readonly path: Buffer;
  /**
   * `changed`: a file with other content, by size or time, `replaced`: likewise, and it is another
   * object. `touched`: content, links or attributes may have changed, as nothing but ctime shows.
   */
  readonly what:
    | 'vanished'
    | 'mounted-over'
    | 'changed'
    | 'replaced'
    | 'touched'
    | 'changed-target'
    | 'changed-type'
    | 'changed-mode';
}

export interface LeftOut {
  readonly path: Buffer;
  /**
   * `created`, `removed`: by the session itself. `listing`: only looked up in a directory that was
   * listed. `operations`: not selected by the operations asked for. `rule`: a rule takes it out.
   * `drift`: not as it was recorded, and such files are not wanted. `sweep`: only a sweep touched it.
   */
  readonly why: 'created' | 'removed' | 'listing' | 'operations' | 'rule' | 'drift' | 'sweep';
}

/** What one rule did. */
export interface RuleEffect {
  readonly include: boolean;
  readonly glob: Buffer;
  /** Decided any path at all. */
  readonly matched: boolean;
  /** Paths that it added, or took out. */
  readonly files: number;
  /** Sizes of the regular files among them. */
  readonly bytes: number;
  /** Directories that it would take out and that something in the image needs. */
  readonly kept: readonly Buffer[];
}

/** What is not in an image because only a sweep touched it. */
export interface SweptOut {
  readonly paths: number;
  /** Sizes of the regular files among them. */
  readonly bytes: number;
}

export interface NotCarried {
  readonly path: Buffer;
  /** The name of an extended attribute that only its file system knows, or `socket`. */
  readonly what: string;
}

/** Extended attributes that are in the image, in a file of their own. */
export interface CarriedAttributes {
  /** Attributes, and entries that have any. */
  readonly count: number;
  readonly entries: number;
  /** Where in the image. */
  readonly file: Buffer;
  /** The generated /init sets them; else a person has to. */
  readonly restored: boolean;
}

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface ImagePlan {
  /**
   * In bytewise order of the paths, so parents come first; but for the file that is last to tell
   * that all was unpacked, where there is one.
   */
  readonly entries: readonly PlanEntry[];
  /** Every symbolic link of the root, as it was then. */
  readonly links: readonly TreeLink[];
  readonly drift: readonly Drift[];
  readonly leftOut: readonly LeftOut[];
  readonly notCarried: readonly NotCarried[];
  /** Null where no entry has any. */
  readonly attributes: CarriedAttributes | null;
  /** A whole archive of microcode that stands before this one; null without. */
  readonly microcode: Buffer | null;
  readonly problems: readonly Problem[];
  /** In the order given. */
  readonly rules: readonly RuleEffect[];
  /** By the numbers of {@link SessionFile.sweep}. */
  readonly sweptOut: ReadonlyMap<number, SweptOut>;
  /** Entries by their first reason. */
  readonly countsByReason: Readonly<Partial<Record<ReasonKind, number>>>;
  /** Bytes of file content in the image. */
  readonly contentBytes: number;
  /** Bytes of the archive, its end included. */
  readonly bytes: number;
}
