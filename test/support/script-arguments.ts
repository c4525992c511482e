/** The arguments of a script of the repository; one that it does not know ends it in one line. */
import { parseArgs, type ParseArgsConfig } from 'node:util';

/** As parseArgs; exits with 64 after a message and a hint. */
export function scriptArguments<T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const [message = ''] = (error as Error).message.split(/[.\n]/);
    process.stderr.write(`error: ${message}\nhint: --help says what there is\n`);
    process.exit(64);
  }
}
