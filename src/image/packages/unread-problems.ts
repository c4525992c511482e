/** What is said of databases of packages that could not be read whole. Owns the words. */
import type { Problem } from '../plan-types.ts';
import type { PackagesFound } from './find-packages.ts';

/** For people: an image is none the worse for it, but what is told of it is. */
export function unreadProblems({ unread }: Pick<PackagesFound, 'unread'>): readonly Problem[] {
  const [first] = unread;
  if (first === undefined) return [];
  const name = Buffer.from(first.path, 'latin1').toString();
  return [
    {
      code: 'packages-not-read',
      message: `${unread.length} databases of packages were not read whole, the first is /${name}: ${first.why}`,
      hint: "files of theirs are told as those of no package; older ones of rpm are read after `rpmdb --define '_db_backend sqlite' --rebuilddb` by rpm 4.16 or newer",
    },
  ];
}
