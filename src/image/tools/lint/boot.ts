/** Whether a kernel has something to run, and where it can speak. */
import { DIRECTORY } from '../record.ts';
import { fault, type Fault, type Linted, note } from './fault.ts';

export function* bootFaults({ image, files }: Linted): Generator<Fault> {
  const { dropped, kernelTree, walked } = image;
  if (walked.stop !== null)
    yield fault('broken', null, 'the kernel stops in the middle of it: see trace image verify');
  if (dropped > 0)
    yield fault('dropped', null, `${dropped} records are dropped: see trace image verify`);
  const init = files.find('init');
  if (init === null)
    yield fault(
      'no-init',
      'init',
      'there is no /init: the kernel takes the image for no initramfs',
    );
  else if (init.stat.type !== 'file' || (init.stat.mode & 0o111) === 0)
    yield fault('init-not-executable', 'init', 'the kernel cannot run it');
  const dev = kernelTree.root.children?.get('dev');
  const console = dev?.children?.get('console');
  if (console === undefined) yield fault('no-console', 'dev/console', '/init has no output');
  else if (console.builtIn)
    yield note(
      'kernel-console',
      'dev/console',
      "it is only there if the kernel's own archive has it: /init may have no output",
    );
  if (kernelTree.root.builtIn && kernelTree.root.type === DIRECTORY)
    yield note('open-root', '', 'without a record for . the root has the mode 1777');
}
