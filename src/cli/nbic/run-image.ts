/**
 * nbic's default way: what is done in the root by hand is recorded as a session, and that becomes
 * the image. Owns the order of things: the file is there before anybody works for it. Must not know
 * how a command gets into a root.
 */
import { TraceError } from '../../common/errors.ts';
import { buildImage, type BuildRequest } from '../../daemon/build-image.ts';
import { imageReport, type ImageReport } from '../../daemon/image-report.ts';
import { replaceFile } from '../../image/replace-file.ts';
import type { Context } from '../context.ts';
import { recordRun } from '../run-locally.ts';
import { version } from '../version.ts';

export interface RunImage extends Pick<
  BuildRequest,
  'acceptLoss' | 'choices' | 'frameCache' | 'outer'
> {
  readonly root: Buffer;
  /** The image. */
  readonly path: string;
}

/**
 * The command's own exit status is nothing to an image: a shell's is that of what was typed last.
 * @throws TraceError `two-outputs`, and what a run and an export throw
 */
export function buildOfRun(
  context: Context,
  { root, path, ...request }: RunImage,
): Promise<ImageReport> {
  if (path === '-')
    throw new TraceError({
      code: 'two-outputs',
      message: 'what is run in the root and -o - both want standard output',
      hint: 'write the image to a file with -o',
      exit: 'usage',
    });
  return replaceFile(path, async ({ fd }) => {
    const { session } = await recordRun(context, { root, command: [], label: null });
    return context.withStore(async (store) => {
      const asked = { ...request, store, expression: session, version: version(), output: fd };
      return imageReport(await buildImage(asked));
    });
  });
}
