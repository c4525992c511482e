/**
 * Starts the ES modules of a program from CommonJS, once launch.cts has found that this Node can.
 * Owns what is said when they cannot even be loaded; whatever fails later is main.ts's.
 */
const EXITS = { bug: 70, config: 78 };

module.exports = function load(program: string): void {
  import('./main.ts')
    .then(({ main }) => main(program, process.argv.slice(2)))
    .catch((error: unknown) => {
      const { code, message, stack } = error as NodeJS.ErrnoException;
      if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED') {
        const line = message.split('\n')[0] ?? '';
        process.stderr.write(
          `error: a part of ${program} does not load: ${line}\nhint: run scripts/build\n`,
        );
        process.exitCode = EXITS.config;
      } else {
        process.stderr.write(`error: ${program} did not start: ${stack ?? message}\n`);
        process.exitCode = EXITS.bug;
      }
    });
};
