/** The kernel's NFS server itself: module, threads, versions, lease and grace. Owns these checks. */
import { release } from 'node:os';
import type { NfsdProbe } from '../../capture/nfsd-probe.ts';
import { isThere, ok, read, unseen, warn, word, type Finding } from './finding.ts';

const NFSD = '/proc/fs/nfsd';
/** A server that takes longer than this to leave its grace period is one that people ask about. */
const LONG_GRACE_S = 120;

/** What to do where the module is not loaded. */
export function howToLoad(): string {
  return isThere(`/lib/modules/${release()}`)
    ? 'modprobe nfsd, or start nfs-server; recording switches over when it appears'
    : "this kernel's modules are not here: load nfsd outside of the container, or install them";
}

export function serverFindings(probe: NfsdProbe): Finding[] {
  // Without tracefs the probe does not know the module's state, but sysfs does.
  if (!probe.moduleLoaded && !isThere('/sys/module/nfsd'))
    return [warn('nfsd', "the kernel's NFS server is not loaded", howToLoad())];
  return [threads(), ...times()];
}

function threads(): Finding {
  const found = read(`${NFSD}/threads`);
  if (!('text' in found))
    return found.denied
      ? unseen('nfsd', `${NFSD}/threads`)
      : warn(
          'nfsd',
          'its file system is not mounted, so its threads are not known',
          `mount -t nfsd nfsd ${NFSD}`,
        );
  const count = Number(found.text.trim());
  const versions = word(`${NFSD}/versions`);
  const spoken = (versions ?? '')
    .split(/\s+/)
    .flatMap((word) => (word.startsWith('+') ? word.slice(1) : []));
  const about = versions === null ? '' : `, NFS ${spoken.join(' ') || 'of no version'}`;
  return count > 0
    ? ok('nfsd', `${count} threads${about}`)
    : warn('nfsd', 'no thread runs', 'start nfs-server, or run rpc.nfsd 8');
}

function times(): Finding[] {
  const lease = word(`${NFSD}/nfsv4leasetime`);
  const grace = word(`${NFSD}/nfsv4gracetime`);
  if (lease === null || grace === null) return [];
  const over = word(`${NFSD}/v4_end_grace`);
  const text = `lease ${lease} s, grace ${grace} s${over === null ? '' : over === 'Y' ? ', over' : ', not over'}`;
  if (Number(grace) > LONG_GRACE_S)
    return [
      warn(
        'nfsv4',
        text,
        `NFSv4 clients wait that long after a restart of the server; write less into ${NFSD}/nfsv4gracetime`,
      ),
    ];
  return over === 'N'
    ? [
        warn(
          'nfsv4',
          text,
          'NFSv4 clients cannot open files until then; without nfsdcld or v4recovery it takes the whole time',
        ),
      ]
    : [ok('nfsv4', text)];
}
