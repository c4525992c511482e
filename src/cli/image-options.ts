/**
 * The options that say what else is in an image and how it is written, whatever it is made from: a
 * session (`trace export`) or a list (`nbic`). Owns their spelling; what they mean is the image
 * room's.
 */
import { Option, type Command } from 'commander';
import {
  DRIFT_POLICIES,
  IMAGE_FORMATS,
  INIT_KINDS,
  type DriftPolicy,
  type ImageChoices,
  type ImageRule,
} from '../image/choices.ts';
import { RULES } from '../image/needs/rule.ts';
import { imageRulesOf, ruleArgument } from './image-rules.ts';
import { initKind } from './init-kind.ts';
import { needRulesOf } from './need-rules.ts';
import { outputChoices, type OutputOptions } from './output-options.ts';
import { partsChoices, type PartsOptions } from './parts-options.ts';

export interface ImageOptions extends OutputOptions, PartsOptions {
  readonly without?: string;
  /** Of --include and --exclude, in the order given. */
  readonly given: readonly ImageRule[];
  readonly rules?: string;
  readonly skeleton?: boolean;
  readonly strict?: boolean;
  readonly onDrift?: DriftPolicy;
  readonly init?: string;
}

/** Returns the rules of --include and --exclude, which are there once the command line is read. */
export function addImageOptions(command: Command): readonly ImageRule[] {
  const given: ImageRule[] = [];
  const rule = (include: boolean) => (text: string) => void given.push(ruleArgument(include, text));
  command
    .option('--without <list>', `add nothing by these rules (${RULES.join(',')})`)
    .option('--include <glob>', 'add what the root has there (repeatable)', rule(true))
    .option('--exclude <glob>', 'take out what is there (repeatable)', rule(false))
    .option('--rules <file>', "more such rules, one a line: '+ GLOB' or '- GLOB'")
    .option('--skeleton', 'add all directories and all links of the root')
    .addOption(
      new Option(
        '--on-drift <what>',
        'what is not as it was recorded: no image, taken as it is, or left out; warn if not given',
      ).choices(DRIFT_POLICIES),
    )
    .option('--strict', 'no image if anything about its content is doubtful')
    .option('--format <name>', `what is written: ${IMAGE_FORMATS.join(', ')} (default newc)`)
    .option(
      '--compress <method>',
      'none, gzip, zstd, xz or lz4, :LEVEL after it; else as the name of the output says',
    )
    .option(
      '--frame-cache <dir>',
      'keep compressed parts here: what is unchanged is not done again',
    )
    .option('--frame-cache-size <size>', 'at most this much, least used go first (default 2G)')
    .option('--owner <from:to>', 'give the files of user FROM to user TO (repeatable)', collect)
    .option('--group <from:to>', 'the same for groups (repeatable)', collect)
    .option('--all-root', 'everything belongs to root:root')
    .option('--align', 'begin large files at multiples of 4096, for file systems that share blocks')
    .option('--if-changed', 'leave the file as it is if it is this image already')
    .option('--early <file>', 'a plain archive to put before all (repeatable)', collect)
    .option('--early-microcode', "put the root's own processor microcode there")
    .option(
      '--append <file>',
      'an archive, compressed or not, to put behind all (repeatable)',
      collect,
    )
    .option(
      '--init <kind>',
      `what the kernel runs (${INIT_KINDS.join(',')}; else own if the root has one, or exec)`,
    );
  return given;
}

/** The files that options name, which go into an image or decide what does. */
export function filesOf({ rules, early = [], append = [] }: ImageOptions): readonly string[] {
  return [...(rules === undefined ? [] : [rules]), ...early, ...append];
}

/** Throws what is wrong with an option before anything is read. */
export function imageChoices(options: ImageOptions, output: string): ImageChoices {
  const { without, init, given, rules: file, skeleton, strict, onDrift } = options;
  const rules = imageRulesOf(given, file);
  return {
    ...(without !== undefined && { without: needRulesOf(without) }),
    ...(init !== undefined && { init: initKind(init) }),
    ...(rules.length > 0 && { rules }),
    skeleton,
    strict,
    onDrift,
    ...outputChoices(options, output),
    ...partsChoices(options),
  };
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
