/**
 * Where each machine's libraries lie by default, and what `$LIB` and `$PLATFORM` are there. Owns
 * the tables only. Names: Debian's multiarch tuples, and the `lib64` of the others.
 */
import type { ElfIdentity } from '../elf/header.ts';

export type Machine = Pick<ElfIdentity, 'bits' | 'order' | 'machine'>;

/** `e_machine` → word length and byte order → tuples. */
const TUPLES: Readonly<Record<number, Readonly<Partial<Record<string, readonly string[]>>>>> = {
  2: { '32-big': ['sparc-linux-gnu'] },
  3: { '32-little': ['i386-linux-gnu'] },
  4: { '32-big': ['m68k-linux-gnu'] },
  8: {
    '32-big': ['mips-linux-gnu', 'mips64-linux-gnuabin32'],
    '32-little': ['mipsel-linux-gnu', 'mips64el-linux-gnuabin32'],
    '64-big': ['mips64-linux-gnuabi64'],
    '64-little': ['mips64el-linux-gnuabi64'],
  },
  15: { '32-big': ['hppa-linux-gnu'] },
  20: { '32-big': ['powerpc-linux-gnu'] },
  21: {
    '64-big': ['powerpc64-linux-gnu', 'ppc64-linux-gnu'],
    '64-little': ['powerpc64le-linux-gnu'],
  },
  22: { '32-big': ['s390-linux-gnu'], '64-big': ['s390x-linux-gnu'] },
  40: {
    '32-little': ['arm-linux-gnueabihf', 'arm-linux-gnueabi'],
    '32-big': ['armeb-linux-gnueabi'],
  },
  42: { '32-little': ['sh4-linux-gnu'] },
  43: { '64-big': ['sparc64-linux-gnu'] },
  50: { '64-little': ['ia64-linux-gnu'] },
  62: { '64-little': ['x86_64-linux-gnu'], '32-little': ['x86_64-linux-gnux32'] },
  183: { '64-little': ['aarch64-linux-gnu'], '64-big': ['aarch64_be-linux-gnu'] },
  243: { '64-little': ['riscv64-linux-gnu'], '32-little': ['riscv32-linux-gnu'] },
  258: { '64-little': ['loongarch64-linux-gnu'] },
  0x9026: { '64-little': ['alpha-linux-gnu'] },
};

/** What the kernel says in AT_PLATFORM; where it depends on the processor, all that it may say. */
const PLATFORMS: Readonly<Record<number, readonly string[]>> = {
  3: ['i686', 'i586', 'i486', 'i386'],
  40: ['v7l', 'v6l', 'v5l'],
  62: ['x86_64', 'haswell', 'xeon_phi'],
  183: ['aarch64'],
};

/** A key for maps. */
export const machineKey = ({ bits, order, machine }: Machine): string =>
  `${machine} ${bits}-${order}`;

function tuplesOf({ bits, order, machine }: Machine): readonly string[] {
  return TUPLES[machine]?.[`${bits}-${order}`] ?? [];
}

export function platformsOf({ machine }: Machine): readonly string[] {
  return PLATFORMS[machine] ?? [];
}

/** Values of `$LIB`, relative; each distribution builds its loader with one of them. */
export function libraryNames(machine: Machine): readonly string[] {
  const wide = machine.bits === 64 ? ['lib64'] : machine.machine === 62 ? ['libx32'] : ['lib32'];
  return [...tuplesOf(machine).map((tuple) => `lib/${tuple}`), ...wide, 'lib'];
}

/** The loader's built-in directories, absolute. */
export function defaultDirectories(machine: Machine): readonly string[] {
  return libraryNames(machine).flatMap((name) => [`/${name}`, `/usr/${name}`]);
}
