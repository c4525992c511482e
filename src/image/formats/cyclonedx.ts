/**
 * A bill of materials: packages of an image and its files of no package, as CycloneDX 1.6 JSON.
 * Owns its shape. It has no serial number and no time, so that the same image has the same one.
 */
import { isUtf8 } from 'node:buffer';
import type { ArchiveWindow } from '../../fanotify-ts/archive-window.ts';
import type { PackagesFound } from '../packages/find-packages.ts';
import { type Package, packageUrl } from '../packages/package.ts';
import type { PlanEntry } from '../plan-types.ts';
import { fromBytes } from '../resolve.ts';
import { hashFiles } from './hash-files.ts';
import type { ImageOrigin } from './manifest.ts';

export interface CycloneDxOptions {
  readonly entries: readonly PlanEntry[];
  readonly window: Pick<ArchiveWindow, 'read'>;
  readonly origin: ImageOrigin | null;
  readonly packages: PackagesFound;
}

/** One component a line. Reads the files of no package, and throws as the window does. */
export async function* formatCycloneDx(options: CycloneDxOptions): AsyncGenerator<Buffer> {
  const { entries, window, origin, packages } = options;
  const ownerOf = ({ path }: PlanEntry) => packages.owners.get(fromBytes(path));
  const wanted = (entry: PlanEntry) => entry.type === 'file' && ownerOf(entry) === undefined;
  const hashOf = await hashFiles({ entries, window, wanted });
  const head = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: metadata(origin, packages.unread),
  };
  yield Buffer.from(`${JSON.stringify(head).slice(0, -1)},"components":[\n`);
  const components = [
    ...distributionComponents(packages),
    ...packageComponents(entries, packages),
    ...entries.filter(wanted).map((entry) => fileComponent(entry, hashOf(entry))),
  ];
  for (const [index, component] of components.entries())
    yield Buffer.from(`${JSON.stringify(component)}${index + 1 < components.length ? ',' : ''}\n`);
  yield Buffer.from(']}\n');
}

function property(name: string, value: string | number) {
  return { name: `nfsroot-trace:${name}`, value: String(value) };
}

function metadata(origin: ImageOrigin | null, unread: PackagesFound['unread']) {
  const properties = [
    ...(origin?.sessions ?? []).map((session) => property('session', session)),
    ...unread.map(({ path, why }) =>
      property('not-read', `/${Buffer.from(path, 'latin1').toString()}: ${why}`),
    ),
  ];
  return {
    tools: {
      components: [
        {
          type: 'application',
          name: 'nfsroot-trace',
          ...(origin !== null && { version: origin.version }),
        },
      ],
    },
    component: { type: 'firmware', 'bom-ref': 'image', name: origin?.expression ?? 'image' },
    ...(properties.length > 0 && { properties }),
  };
}

/** By which scanners know whose advisories count. */
function distributionComponents({ distribution: { id, version } }: PackagesFound): object[] {
  if (id === null) return [];
  const known = { 'bom-ref': 'distribution', name: id, ...(version !== null && { version }) };
  return [{ type: 'operating-system', ...known }];
}

/** Programs where people and scripts look for them. */
const PROGRAM = /^(?:usr\/(?:local\/)?)?s?bin\//;

interface Part {
  entries: number;
  bytes: number;
  isProgram: boolean;
}

/** In bytewise order of their URLs. A package is there if any of its files is. */
function packageComponents(
  entries: readonly PlanEntry[],
  { owners, distribution }: PackagesFound,
): object[] {
  const parts = new Map<Package, Part>();
  for (const { path: bytes, type, size, carriesData } of entries) {
    const path = fromBytes(bytes);
    const owner = owners.get(path);
    if (owner === undefined) continue;
    let part = parts.get(owner);
    if (part === undefined) parts.set(owner, (part = { entries: 0, bytes: 0, isProgram: false }));
    part.entries++;
    if (type === 'file' && carriesData) part.bytes += size;
    part.isProgram ||= PROGRAM.test(path);
  }
  return [...parts]
    .map(([owner, part]) => ({ url: packageUrl(owner, distribution), owner, part }))
    .sort((a, b) => (a.url < b.url ? -1 : 1))
    .map(({ url, owner: { name, version, licence }, part }) => ({
      type: part.isProgram ? 'application' : 'library',
      'bom-ref': url,
      name,
      version,
      ...(licence !== null && { licenses: [{ license: { name: licence } }] }),
      purl: url,
      properties: [property('entries', part.entries), property('bytes', part.bytes)],
    }));
}

function fileComponent({ path, size }: PlanEntry, sha256: string): object {
  const text = path.toString();
  return {
    type: 'file',
    'bom-ref': `file:/${encoded(path)}`,
    name: `/${text}`,
    hashes: [{ alg: 'SHA-256', content: sha256 }],
    properties: [
      property('bytes', size),
      ...(isUtf8(path) ? [] : [property('path-base64', path.toString('base64'))]),
    ],
  };
}

/** Another one for each path, whatever its bytes. */
function encoded(path: Buffer): string {
  return path
    .toString('latin1')
    .replace(
      /[^A-Za-z0-9/._~+-]/g,
      (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    );
}
