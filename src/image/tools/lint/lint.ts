/**
 * What may go wrong when an image boots, told without booting it. Owns which checks there are and their
 * order; each is a file beside this one. Nothing of the image is run.
 */
import type { OpenImage } from '../image-tree.ts';
import { RootFiles } from '../../needs/root-files.ts';
import { Resolver } from '../../resolve.ts';
import { accountFaults, readAccounts } from './accounts.ts';
import { bootFaults } from './boot.ts';
import { danglingLinks } from './dangling-links.ts';
import { type Fault, type Linted, note } from './fault.ts';
import { moduleFaults } from './modules.ts';
import { needsFaults } from './needs.ts';
import { secretFaults } from './secrets.ts';
import { unitFaults } from './units.ts';

export async function lintImage(image: OpenImage): Promise<Fault[]> {
  const resolver = new Resolver(image.tree, await image.tree.symlinks());
  const linted: Linted = { image, resolver, files: new RootFiles(resolver, image.tree) };
  const accounts = readAccounts(linted);
  return [
    ...bootFaults(linted),
    ...needsFaults(linted),
    ...unitFaults(linted, accounts),
    ...moduleFaults(linted),
    ...accountFaults(linted, accounts),
    ...secretFaults(linted),
    ...danglingLinks(linted),
    ...notLookedInto(linted),
  ];
}

/** What these checks passed over; those of what is needed tell it themselves. */
function notLookedInto({ files }: Linted): Fault[] {
  return files.skipped().map(({ path, why }) => note('not-looked-into', path, why));
}
