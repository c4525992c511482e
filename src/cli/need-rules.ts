/** A list of what to switch off of what entries need, as a person gives it: `pam,firmware`. */
import { TraceError } from '../common/errors.ts';
import { type RuleName, RULES } from '../image/needs/rule.ts';

/** @throws TraceError for a word that is no rule */
export function needRulesOf(list: string): RuleName[] {
  return list.split(',').map((word) => {
    const rule = RULES.find((name) => name === word);
    if (rule !== undefined) return rule;
    throw new TraceError({
      code: 'bad-rule',
      message: `'${word}' is not a rule`,
      hint: `rules: ${RULES.join(', ')}`,
      exit: 'usage',
    });
  });
}
