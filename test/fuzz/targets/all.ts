/** Every fuzzer of TypeScript, by name. */
import type { Target } from '../target.ts';
import { CPIO } from './cpio.ts';
import { ELF } from './elf.ts';
import { IMPORTS } from './imports.ts';
import { LISTS } from './lists.ts';
import { ROOTS } from './roots.ts';

export const TARGETS: readonly Target[] = [...CPIO, ...ELF, ...ROOTS, ...LISTS, ...IMPORTS];
