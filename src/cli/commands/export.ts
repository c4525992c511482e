/** `trace export EXPRESSION -o FILE`: the image of one or several sessions. */
import type { Command } from 'commander';
import { pipeline } from 'node:stream/promises';
import { buildImage, type BuiltImage } from '../../daemon/build-image.ts';
import { replaceFile } from '../../image/replace-file.ts';
import { jsonPath } from '../../common/bytes.ts';
import type { Register } from '../commands.ts';
import type { Context } from '../context.ts';
import { size } from '../output.ts';

interface ExportOptions {
  readonly output: string;
  readonly acceptLoss?: boolean;
  readonly tree?: string;
}

export const registerExport: Register = (program, context) => {
  program
    .command('export <expression>')
    .description('build the cpio image of a session (session-42, 41+42, 42-41, 41&42)')
    .requiredOption('-o, --output <file>', 'the image (- is standard output)')
    .option('--accept-loss', 'build also from sessions with loss, or that began with the client up')
    .option('--tree <dir>', 'read the root here instead of where it was recorded')
    .action(async (expression: string, options: ExportOptions, command: Command) => {
      const here = context(command);
      if (process.geteuid?.() !== 0 && options.tree === undefined)
        await throughDaemon(here, expression, options);
      else await directly(here, expression, options);
    });
};

async function directly(here: Context, expression: string, options: ExportOptions): Promise<void> {
  await here.withStore(async (store) => {
    const built = await buildImage({
      store,
      expression,
      acceptLoss: options.acceptLoss === true,
      output: options.output === '-' ? 1 : options.output,
      tree: options.tree === undefined ? undefined : Buffer.from(options.tree),
    });
    report(here, options.output, built);
  });
}

/** Someone who may not read the root: the daemon builds and streams, the caller owns the file. */
async function throughDaemon(
  { client, output }: Context,
  expression: string,
  options: ExportOptions,
): Promise<void> {
  const image = await client.image({ expression, acceptLoss: options.acceptLoss === true });
  if (options.output === '-') {
    for await (const part of image) output.bytes(part as Buffer);
    return;
  }
  const bytes = await replaceFile(options.output, async (file) => {
    await pipeline(image, file.createWriteStream({ autoClose: false }));
    return (await file.stat()).size;
  });
  output.value({ expression, output: options.output, bytes });
  output.line(`${options.output}: ${size(bytes)}`);
}

function report({ output }: Context, path: string, { set, plan, result }: BuiltImage): void {
  for (const { message, hint } of plan.problems) output.warn(message, hint);
  const byWhat = Map.groupBy(plan.drift, ({ what }) => what);
  for (const [what, drifted] of byWhat)
    output.warn(
      `${drifted.length} recorded objects ${what} since the session, the first is ${drifted[0]?.path.toString() ?? ''}`,
    );
  if (plan.notCarried.length > 0)
    output.warn(
      `${plan.notCarried.length} things that newc can't carry (capabilities, ACLs, sockets), the first is ` +
        `${plan.notCarried[0]?.what ?? ''} of ${plan.notCarried[0]?.path.toString() ?? ''}`,
    );
  if (set.loss > 0 || set.partial.length > 0)
    output.warn(
      `built from doubtful sessions: loss ${set.loss}, partial ${set.partial.length}`,
      '`trace show` says what and when',
    );
  if (path === '-') return;
  output.value({
    expression: set.expression,
    output: path,
    bytes: result.bytes,
    entries: plan.entries.length,
    content_bytes: plan.bytes,
    reasons: plan.countsByReason,
    tier: set.tier,
    loss: set.loss,
    partial: set.partial.map((id) => `session-${id}`),
    drift: plan.drift.map(({ path: at, what }) => ({ ...jsonPath(at), what })),
    not_carried: plan.notCarried.map(({ path: at, what }) => ({ ...jsonPath(at), what })),
    left_out: plan.leftOut.map(({ path: at, why }) => ({ ...jsonPath(at), why })),
    problems: plan.problems,
  });
  output.line(
    `${path}: ${plan.entries.length} entries, ${size(result.bytes)}, of ${set.expression}`,
  );
}
