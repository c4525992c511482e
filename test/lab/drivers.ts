/**
 * An archive that makes up for what Debian's kernel has as modules and one for diskless machines has
 * built in: it goes into an image, and with `rdinit=/drivers/init` its script loads the drivers, gives
 * the network card the address `lab.address=`, and makes way for the image's own /init. Owns that
 * script and the folder /drivers, and touches nothing else.
 */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { command } from './command.ts';
import { modulesInOrder, type ModulesOptions } from './modules.ts';

const script = (files: readonly string[]): string => `#!/drivers/busybox sh
box=/drivers/busybox
$box mount -t proc proc /proc
for file in ${files.join(' ')}; do $box insmod "/drivers/$file" || echo "lab: no $file"; done
for word in $($box cat /proc/cmdline); do
	case $word in
		lab.address=*)
			$box ip link set eth0 up && $box ip addr add "\${word#*=}/24" dev eth0
			;;
	esac
done
$box umount /proc
exec /init "$@"
`;

/** Writes it, as plain newc. */
export async function packDrivers(
  output: string,
  options: Omit<ModulesOptions, 'tools'>,
): Promise<void> {
  const work = `${output}.work`;
  const folder = path.join(work, 'drivers');
  await mkdir(folder, { recursive: true });
  const files = await modulesInOrder(options);
  const from = path.join(options.modulesRoot, 'lib/modules', options.version);
  for (const file of files) {
    await copyFile(path.join(from, file), path.join(folder, path.basename(file)));
  }
  await copyFile('/bin/busybox', path.join(folder, 'busybox'));
  const names = files.map((file) => path.basename(file));
  await writeFile(path.join(folder, 'init'), script(names), { mode: 0o755 });
  const pack = 'find drivers | LC_ALL=C sort | cpio --quiet -o -H newc > "$0"';
  await command(['sh', '-c', pack, output], { cwd: work });
  await rm(work, { recursive: true });
}
