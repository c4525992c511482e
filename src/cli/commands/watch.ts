/** `trace watch`: what goes on now, again each second. */
import type { Command } from 'commander';
import type { Register } from '../commands.ts';
import type { Context } from '../context.ts';
import type { Output } from '../output.ts';
import { looks } from '../watch/looks.ts';
import { render, type Size } from '../watch/render.ts';
import { Screen } from '../watch/screen.ts';
import type { View } from '../watch/view.ts';

/** For a place without a size of its own. */
const MOST_SESSIONS = 1000;

/** Until all sessions from before are counted, which takes some looks if they are many. */
const MOST_LOOKS = 30;

export const registerWatch: Register = (program, context) => {
  program
    .command('watch')
    .description('what goes on now, live: clients, new files, bytes, losses, size of the image')
    .option('--once', 'show it once and end')
    .action(async ({ once = false }: { once?: boolean }, command: Command) => {
      const { client, output } = context(command);
      const live = output.isTerminal && process.env['TERM'] !== 'dumb' && !output.json && !once;
      if (live) await onScreen(client);
      else await lineByLine({ client, output }, once);
    });
};

async function onScreen(client: Context['client']): Promise<void> {
  const leaving = new AbortController();
  let view: View | null = null;
  const draw = (): void => {
    if (view !== null) screen.draw(render(view, { ...sizeOf(screen), unicode: showsUnicode() }));
  };
  const screen = new Screen({
    colours: process.env['NO_COLOR'] === undefined,
    onLeave: () => leaving.abort(),
    onRedraw: draw,
  });
  try {
    const most = (): number => Math.min(MOST_SESSIONS, screen.rows);
    for await (view of looks({ client, most, signal: leaving.signal })) {
      // Not before the first look: what is wrong with that is said on the usual screen.
      screen.enter();
      draw();
    }
  } finally {
    screen.leave();
  }
}

async function lineByLine(
  { client, output }: { readonly client: Context['client']; readonly output: Output },
  once: boolean,
): Promise<void> {
  const ending = new AbortController();
  let troubled = false;
  let looked = 0;
  for await (const view of looks({ client, most: () => MOST_SESSIONS, signal: ending.signal })) {
    if (view.trouble !== null) {
      if (!troubled) output.warn(`${view.trouble.text}; waiting for it`);
      troubled = true;
      continue;
    }
    troubled = false;
    looked += 1;
    if (once && view.body.uncounted > 0 && looked < MOST_LOOKS) continue;
    if (output.json) output.bytes(Buffer.from(`${JSON.stringify(shapeOf(view))}\n`));
    else if (once) {
      const columns = output.isTerminal ? process.stdout.columns : Infinity;
      for (const { text } of render(view, { columns, rows: Infinity, unicode: showsUnicode() }))
        output.line(text.trimEnd());
    } else output.line(summary(view));
    if (once) ending.abort();
  }
}

/** A look as JSON has it: the daemon's answer, and what changed since the one before. */
function shapeOf({ body, rates }: View): object {
  return { ...body, per_second: rates };
}

function summary({ body, rates }: View): string {
  const { total, status } = body;
  const whole = (rate: number | null): string => (rate === null ? '-' : rate.toFixed(0));
  const image = body.sessions.reduce((most, one) => Math.max(most, one.image_bytes), 0);
  return [
    body.at,
    `tier ${status.tier}`,
    `clients ${body.clients}`,
    `sessions ${body.open_sessions}`,
    `files ${total.files}`,
    `new/s ${whole(rates.files)}`,
    `events/s ${whole(rates.events)}`,
    `bytes ${total.bytes}`,
    `lost ${total.loss}`,
    `image ${image}`,
  ].join('  ');
}

function sizeOf({ columns, rows }: Screen): Omit<Size, 'unicode'> {
  return { columns, rows };
}

/** As the C library finds the character set of a terminal. */
function showsUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== '');
  return /utf-?8/i.test(locale ?? '');
}
