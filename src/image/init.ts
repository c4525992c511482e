/**
 * Decides what the kernel runs, the root's own /init or a generated one, and brings in what that
 * needs. Owns that choice and its problems. Must not know sessions or the archive.
 */
import type { InitKind } from './choices.ts';
import type { Closure } from './closure.ts';
import { type GeneratedInit, INIT_PROGRAMS, initScript } from './init-scripts.ts';
import type { Problem } from './plan-types.ts';
import type { RootFiles } from './needs/root-files.ts';
import { prebootPrograms } from './preboot-config.ts';
import { addProgram, executableAt, findProgram } from './programs.ts';
import type { Resolver } from './resolve.ts';

export interface InitOptions {
  /** What a person chose, if anything. */
  readonly asked: InitKind | undefined;
  readonly files: RootFiles;
  readonly closure: Closure;
  readonly problems: Problem[];
}

/** Returns which init the image has. */
export function addInit(options: InitOptions): InitKind {
  const { asked } = options;
  const { resolver } = options.files;
  const unusable = whatIsWrong(resolver);
  const canGenerate = executableAt('bin/sh', resolver) !== null;
  const kind = asked ?? (unusable === null || !canGenerate ? 'own' : 'exec');
  if (unusable !== null && asked === undefined && kind === 'exec' && unusable.code !== 'no-init')
    options.problems.push({
      ...unusable,
      hint: 'the image has a generated one (--init exec); mend the root, or say --init exec to mean it',
    });
  if (kind === 'own')
    addOwn(options, asked === undefined ? withoutShell(unusable, resolver) : unusable);
  else addGenerated(kind, options);
  return kind;
}

/** Says of an /init that cannot be used why there is no generated one instead. */
function withoutShell(unusable: Problem | null, resolver: Resolver): Problem | null {
  if (unusable === null) return null;
  const isAt = (followLast: boolean): boolean => {
    const { path } = resolver.resolve('', 'bin/sh', followLast);
    return path !== null && resolver.lstat(path) !== null;
  };
  const nowhere = isAt(false) ? 'is a link that leads nowhere' : 'is not there';
  const is = isAt(true) ? 'is no executable file' : nowhere;
  return {
    ...unusable,
    message: `${unusable.message}, and none is generated, as /bin/sh of the root ${is}`,
    hint: `${unusable.hint}; or mend /bin/sh, and one is generated`,
  };
}

/** The kernel runs /init of an initramfs, and nothing else without rdinit= on its command line. */
function whatIsWrong(resolver: Resolver): Problem | null {
  const { path } = resolver.resolve('', 'init', true);
  const stat = path === null ? null : resolver.lstat(path);
  const present = resolver.lstat('init') !== null;
  if (stat === null) {
    const other = executableAt('sbin/init', resolver) !== null;
    return {
      code: present ? 'init-dangling' : 'no-init',
      message: present
        ? '/init of the root is a link that leads nowhere'
        : 'the root has no /init, so the kernel will not use the image as its root',
      hint: other
        ? 'put an executable /init into the root, or boot the image with rdinit=/sbin/init'
        : 'put an executable /init into the root',
    };
  }
  if (stat.type === 'file' && (stat.mode & 0o111) !== 0) return null;
  return {
    code: 'init-not-executable',
    message: '/init of the root is not an executable file',
    hint: 'chmod 755 it in the root',
  };
}

function addOwn({ files, closure, problems }: InitOptions, unusable: Problem | null): void {
  const { resolver } = files;
  if (unusable !== null) problems.push(unusable);
  if (resolver.lstat('init') === null) return;
  const { path, through } = resolver.resolve('', 'init', true);
  for (const link of through) closure.add(link, { kind: 'init', about: null });
  if (path !== null) closure.add(path, { kind: 'init', about: null });
}

/** Where the packages' names are not the programs'. */
const FOUND_IN: Readonly<Record<string, string>> = {
  mount: 'util-linux or busybox',
  switch_root: 'util-linux or busybox',
  mkdir: 'coreutils or busybox',
  readlink: 'coreutils or busybox',
  sleep: 'coreutils or busybox',
  modprobe: 'kmod or busybox',
  ip: 'iproute2 or busybox',
};

function addGenerated(kind: GeneratedInit, options: InitOptions): void {
  const { files, closure, problems } = options;
  const { resolver } = files;
  closure.addNode(
    'init',
    { path: 'init', type: 'file', mode: 0o755, content: initScript(kind) },
    { kind: 'init', about: null },
  );
  const shell = executableAt('bin/sh', resolver);
  if (shell === null)
    problems.push({
      code: 'init-program-missing',
      message: 'the generated /init is a script for /bin/sh, which the root does not have',
      hint: 'link /bin/sh to a shell of the root (dash, bash or busybox), or choose --init own',
    });
  else addProgram(shell, closure);
  const programs = INIT_PROGRAMS[kind];
  const extra = kind === 'preboot' ? prebootPrograms({ files, closure, problems }) : [];
  for (const name of [...programs.needed, ...extra]) {
    const found = findProgram(name, resolver);
    if (found !== null) addProgram(found, closure);
    else
      problems.push({
        code: 'init-program-missing',
        message: `the generated /init runs ${name}, which the root does not have`,
        hint: `install it in the root (${FOUND_IN[name] ?? name}; busybox needs its links), or choose another --init`,
      });
  }
  for (const name of programs.useful) {
    const found = findProgram(name, resolver);
    if (found !== null) addProgram(found, closure);
  }
  if (kind !== 'preboot') addTarget(kind, options);
}

/** What the script hands over to inside the image, unless init= says otherwise. */
function addTarget(kind: GeneratedInit, { files, closure, problems }: InitOptions): void {
  const { resolver } = files;
  const target = executableAt('sbin/init', resolver);
  if (target !== null && target.path !== 'init') addProgram(target, closure);
  else if (kind === 'exec')
    problems.push({
      code: 'init-target-missing',
      message: 'the generated /init goes on to /sbin/init, which the root does not have',
      hint: "put it into the root, or name another with init= on the kernel's command line",
    });
}
