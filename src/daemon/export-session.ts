/**
 * An export as a person asks for it: the image is made, or the one that is there is it already. Owns
 * the order of these two. Must not know options' spelling.
 */
import type { ImageSizes } from '../image/sizes/weigh.ts';
import type { BuildRequest } from './build-image.ts';
import type { ImageReport } from './image-report.ts';
import { RememberedImage } from './remembered-image.ts';

export interface ExportedSession {
  readonly report: ImageReport;
  /** Only when it was to be weighed. */
  readonly sizes?: ImageSizes | undefined;
}

/** @throws TraceError as buildImage does */
export async function exportSession(request: BuildRequest): Promise<ExportedSession> {
  const remembered = await RememberedImage.of(request);
  const told = (await remembered?.told()) ?? null;
  if (told !== null) return { report: told };
  // Only now: all that plans and writes takes as long to load as to find that it is not needed.
  const { buildImage } = await import('./build-image.ts');
  const { imageReport } = await import('./image-report.ts');
  const built = await buildImage(request, remembered);
  return { report: imageReport(built), sizes: built.sizes };
}
