/** The exports: kinds of fsid, options that change what a handle is. Owns these checks. */
import { readFileSync } from 'node:fs';
import { exportFacts, fsidKind, isByDevice, type ExportFacts } from './export-facts.ts';
import { isDenial, ok, unseen, warn, type Finding } from './finding.ts';

const TABLES = {
  etab: '/var/lib/nfs/etab',
  exports: '/proc/net/rpc/nfsd.export/content',
  handles: '/proc/net/rpc/nfsd.fh/content',
} as const;

/** Other clients than these are told by their number. */
const MOST_DOMAINS = 3;

export interface Exports {
  readonly facts: readonly ExportFacts[];
  /** Tables that this user may not read. */
  readonly denied: readonly string[];
}

export function readExports(): Exports {
  const denied: string[] = [];
  const table = (path: string): Buffer | null => {
    try {
      return readFileSync(path);
    } catch (error) {
      if (isDenial(error)) denied.push(path);
      return null;
    }
  };
  const facts = exportFacts({
    etab: table(TABLES.etab),
    exports: table(TABLES.exports),
    handles: table(TABLES.handles),
  });
  return { facts, denied };
}

/** @param only directories to tell of; null: every export */
export function exportFindings(
  { facts, denied }: Exports,
  options: {
    readonly only: readonly Buffer[] | null;
    /** Do signed handles resolve (by the kprobe)? */
    readonly signedWork: boolean;
  },
): Finding[] {
  const { only, signedWork } = options;
  const hidden = denied.length === 0 ? [] : [unseen('exports', denied.join(' and '))];
  if (facts.length === 0 && hidden.length === 0)
    return [warn('exports', 'nothing is exported', 'write /etc/exports and run exportfs -ra')];
  const chosen = facts.filter(({ path }) => only?.some((root) => root.equals(path)) ?? true);
  return [
    ...hidden,
    ...(facts.length > 0 ? [ok('exports', `${facts.length} directories`)] : []),
    ...chosen.map((facts) => one(facts, signedWork)),
  ];
}

function one(facts: ExportFacts, signedWork: boolean): Finding {
  const { path, domains, options, fsidTypes } = facts;
  const who =
    domains.length > MOST_DOMAINS
      ? `${domains.slice(0, MOST_DOMAINS).join(' ')} and ${domains.length - MOST_DOMAINS} more`
      : domains.join(' ');
  const text = [`for ${who}`, fsidText(facts), ...told(options)].join('; ');
  if (isSigned(facts) && !signedWork)
    return warn(
      'export',
      `${text}: without a kprobe event signed handles do not resolve`,
      'see kprobe, or export it without sign_fh',
      path,
    );
  if (fsidTypes.some(isByDevice))
    return warn(
      'export',
      text,
      'device numbers may change at a reboot: give the export fsid=N, or its file system a UUID',
      path,
    );
  return ok('export', text, path);
}

/** Does the handle hold a secret (Linux 7.2 and later)? */
export function isSigned({ options }: ExportFacts): boolean {
  return options.has('sign_fh');
}

function fsidText({ options, fsidTypes }: ExportFacts): string {
  const given = [...options].filter((option) => option.startsWith('fsid='));
  if (fsidTypes.length === 0)
    return given.length > 0
      ? `fsid by ${given.join(', ')}`
      : 'kind of fsid known with the first client';
  const kinds = fsidTypes.map((type) => `${fsidKind(type)} (type ${type})`);
  return `fsid by ${[...new Set([...kinds, ...given])].join(' and ')}`;
}

function told(options: ReadonlySet<string>): string[] {
  return ['subtree_check', 'crossmnt', 'nohide', 'pnfs', 'sign_fh'].filter((option) =>
    options.has(option),
  );
}
