/**
 * Plans that a person does not want as an image: with --on-drift fail, with --strict. Owns the
 * words of the refusal. Must not write anything.
 */
import { TraceError } from '../common/errors.ts';
import type { ImageChoices } from './choices.ts';
import type { ImagePlan } from './plan-types.ts';

/** @throws TraceError `drift`, `not-strict` */
export function refusePlan(
  plan: Pick<ImagePlan, 'drift' | 'notCarried' | 'problems' | 'attributes'>,
  { onDrift, strict }: Pick<ImageChoices, 'onDrift' | 'strict'>,
): void {
  const { drift, notCarried, problems, attributes } = plan;
  const named = (rows: readonly { readonly path: Buffer; readonly what: string }[]): string => {
    const [first] = rows;
    return first === undefined ? '' : `, the first is ${first.path.toString()}: ${first.what}`;
  };
  if (onDrift === 'fail' && drift.length > 0)
    throw new TraceError({
      code: 'drift',
      message: `${drift.length} objects are not as they were recorded${named(drift)}`,
      hint: '--on-drift warn takes them as they are now, skip leaves them out; or record again',
      exit: 'failed',
    });
  if (strict !== true) return;
  const faults = [
    ...problems.map(({ message }) => message),
    ...(drift.length > 0
      ? [`${drift.length} objects are not as they were recorded${named(drift)}`]
      : []),
    ...(notCarried.length > 0
      ? [`${notCarried.length} things that newc can't carry${named(notCarried)}`]
      : []),
    ...(attributes?.restored === false
      ? [`nothing sets ${attributes.count} attributes (capabilities, ACLs) at boot`]
      : []),
  ];
  if (faults.length === 0) return;
  throw new TraceError({
    code: 'not-strict',
    message: `--strict: ${faults.join('; ')}`,
    hint: 'without --strict each of these is a warning, and the image is made',
    exit: 'failed',
  });
}
