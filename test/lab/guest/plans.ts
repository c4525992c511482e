/**
 * Runs in the lab's server: what images of several expressions would hold, from one process, since
 * each start of a program costs seconds in emulation. Prints one JSON value a line.
 *
 *     plans.ts EXPRESSION...     `=EXPRESSION` keeps what only sweeps touched
 */
import { withPlan } from '../../../src/daemon/build-image.ts';
import { sweepReports } from '../../../src/daemon/image-report.ts';
import { databasePath, DEFAULT_PLACES } from '../../../src/daemon/places.ts';
import { Store } from '../../../src/store/store.ts';

const store = Store.open({ path: databasePath(DEFAULT_PLACES), readOnly: true });
for (const word of process.argv.slice(2)) {
  const keepSweeps = word.startsWith('=');
  const expression = keepSweeps ? word.slice(1) : word;
  const request = { store, expression, acceptLoss: false, choices: { keepSweeps } };
  await withPlan(request, ({ plan, sweeps }) => {
    const paths = plan.entries.map(({ path }) => path.toString('latin1'));
    const answer = { expression, paths, sweeps: sweepReports({ plan, sweeps }) };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
}
store.close();
