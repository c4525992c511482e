/**
 * What is known of a package of a distribution, and what it is called elsewhere. Owns the shape.
 */

export interface Package {
  readonly kind: 'deb' | 'apk' | 'rpm';
  readonly name: string;
  /** With its epoch, if it has one: `1:2.0-1`. */
  readonly version: string;
  readonly architecture: string;
  /** As the database writes it; null where it does not say. */
  readonly licence: string | null;
}

/** In bytewise order, whatever the order of a database. */
export function byName(a: Package, b: Package): number {
  const [one, other] = [keyOf(a), keyOf(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function keyOf({ name, architecture, version }: Package): string {
  return `${name}:${architecture}:${version}`;
}

/** All of Debian has 70,000; nobody has installed half of them. */
export const MOST_PACKAGES = 35_000;

/** Which distribution a root is, from its os-release; null for what that does not say. */
export interface Distribution {
  readonly id: string | null;
  readonly version: string | null;
}

/** What distributions that do not say their name most probably are; many have rpm. */
const USUAL = { deb: 'debian', apk: 'alpine', rpm: null } as const;

/**
 * The package's name for the world: `pkg:deb/debian/dash@0.5.12-2?arch=amd64&distro=debian-12`. Of
 * rpm's versions the epoch stands with the rest: `pkg:rpm/fedora/vim@9.1-1.fc40?arch=i686&epoch=2`.
 */
export function packageUrl(
  { kind, name, version, architecture }: Package,
  { id, version: release }: Distribution,
): string {
  const [, epoch, plain = version] = (kind === 'rpm' && /^(\d+):(.*)$/.exec(version)) || [];
  const qualifiers = [
    ...(architecture === '' ? [] : [`arch=${encoded(architecture)}`]),
    ...(id === null || release === null ? [] : [`distro=${encoded(`${id}-${release}`)}`]),
    ...(epoch === undefined ? [] : [`epoch=${epoch}`]),
  ];
  const asked = qualifiers.length === 0 ? '' : `?${qualifiers.join('&')}`;
  const place = [kind, id ?? USUAL[kind], name].filter((part) => part !== null).map(encoded);
  return `pkg:${place.join('/')}@${encoded(plain)}${asked}`;
}

/** As package URLs have it: all but letters, digits, `.-_~` and the colon. */
function encoded(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
