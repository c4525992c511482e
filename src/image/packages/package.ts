/**
 * What is known of a package of a distribution, and what it is called elsewhere. Owns the shape.
 */

export interface Package {
  readonly kind: 'deb' | 'apk';
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** As the database writes it; null where it does not say. */
  readonly licence: string | null;
}

/** All of Debian has 70,000; nobody has installed half of them. */
export const MOST_PACKAGES = 35_000;

/** Which distribution a root is, from its os-release; null for what that does not say. */
export interface Distribution {
  readonly id: string | null;
  readonly version: string | null;
}

/** What distributions that do not say their name most probably are. */
const USUAL = { deb: 'debian', apk: 'alpine' } as const;

/** The package's name for the world: `pkg:deb/debian/dash@0.5.12-2?arch=amd64&distro=debian-12`. */
export function packageUrl(
  { kind, name, version, architecture }: Package,
  { id, version: release }: Distribution,
): string {
  const qualifiers = [
    ...(architecture === '' ? [] : [`arch=${encoded(architecture)}`]),
    ...(id === null || release === null ? [] : [`distro=${encoded(`${id}-${release}`)}`]),
  ];
  const asked = qualifiers.length === 0 ? '' : `?${qualifiers.join('&')}`;
  return `pkg:${kind}/${encoded(id ?? USUAL[kind])}/${encoded(name)}@${encoded(version)}${asked}`;
}

/** As package URLs have it: all but letters, digits, `.-_~` and the colon. */
function encoded(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%3A', ':')
    .replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
