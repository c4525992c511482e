/** `trace doctor`: what this machine can do, one line and one hint each. */
import type { Command } from 'commander';
import { EXIT } from '../../common/errors.ts';
import type { Register } from '../commands.ts';
import { table } from '../output.ts';
import { rootArgument } from '../root-argument.ts';

export const registerDoctor: Register = (program, context) => {
  program
    .command('doctor')
    .description('what this machine can do, with a hint for what it cannot')
    .option('--root <dir>', 'check this root; default: every export')
    .action(async (options: { root?: string }, command: Command) => {
      const { diagnose } = await import('../../daemon/doctor.ts');
      const { output, places } = context(command);
      const { findings, tier, ok } = diagnose({
        roots: options.root === undefined ? [] : [rootArgument(options.root)],
        stateDir: places.stateDir,
      });
      output.value({ ok, tier, findings });
      const shown = (text: string): string => output.name(Buffer.from(text));
      for (const row of table(
        findings.map((found) => [found.state, shown(found.check), shown(found.text)]),
      ))
        output.line(row);
      for (const { check, hint } of findings)
        if (hint !== null) output.line(`hint: ${shown(check)}: ${hint}`);
      output.line(tier === null ? 'nothing can be recorded' : `best tier now: ${tier}`);
      process.exitCode = ok ? EXIT.ok : EXIT.failed;
    });
};
