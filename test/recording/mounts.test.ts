/** What is mounted where: hidden mounts, bind mounts, subvolumes, odd names. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MountTable, readMountinfo } from '../../src/recording/mounts.ts';

const MOUNTINFO = `21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
30 21 8:2 / /srv/root rw,relatime shared:5 master:3 - ext4 /dev/sdb rw
31 30 8:3 / /srv/root/usr rw - xfs /dev/sdc rw
32 30 8:2 /etc/conf /srv/root/bind rw - ext4 /dev/sdb rw
33 30 0:40 /sub /srv/root/vol rw - btrfs /dev/sdd rw,subvol=/sub
34 33 8:4 / /srv/root/vol/old rw - ext4 /dev/sde rw
35 33 8:5 / /srv/root/vol rw - ext4 /dev/sdf rw
36 30 8:6 / /srv/root/with\\040blank\\134 rw - ext4 /dev/sdg rw
37 21 8:7 / /srv/rootless rw - ext4 /dev/sdh rw
`;

describe('MountTable', () => {
  const table = new MountTable(Buffer.from(MOUNTINFO));
  const place = (path: string): string => {
    const found = table.placeOf(Buffer.from(path));
    return found === null
      ? 'nowhere'
      : `${found.device} ${String(found.inner)} by ${found.mount.id}`;
  };

  test('a path is a place in a file system', () => {
    assert.equal(place('/'), '8:1 / by 21');
    assert.equal(place('/srv'), '8:1 /srv by 21');
    assert.equal(place('/srv/root'), '8:2 / by 30');
    assert.equal(place('/srv/root/etc/conf/x'), '8:2 /etc/conf/x by 30');
    assert.equal(place('/srv/root/bind/x'), '8:2 /etc/conf/x by 32');
    assert.equal(place('/srv/rooted'), '8:1 /srv/rooted by 21');
    assert.equal(place('/srv/root/with blank\\'), '8:6 / by 36');
  });

  test('what is mounted over something hides it and all below', () => {
    assert.equal(place('/srv/root/vol'), '8:5 / by 35');
    assert.equal(place('/srv/root/vol/old/x'), '8:5 /old/x by 35');
    const below = table.visibleBelow(Buffer.from('/srv/root'));
    assert.deepEqual(
      below.map(({ id }) => id),
      [31, 32, 35, 36],
    );
  });

  test('of a subvolume it is the place from the top level', () => {
    const hidden = new MountTable(Buffer.from(MOUNTINFO.replace(/^35.*\n/m, '')));
    const found = hidden.placeOf(Buffer.from('/srv/root/vol/x'));
    assert.deepEqual([found?.device, String(found?.inner)], ['0:40', '/sub/x']);
  });

  test('a table without a mount for the path says so', () => {
    assert.equal(new MountTable(Buffer.from('')).placeOf(Buffer.from('/x')), null);
  });

  test('a table that was read while numbers were used again ends', () => {
    const circle = '40 41 8:1 / /a rw - x x rw\n41 40 8:2 / /a/b rw - x x rw\n';
    const whole = new MountTable(
      Buffer.from(`35 35 8:0 / / rw - x x rw\n39 35 8:3 / /a rw - x x rw\n${circle}`),
    );
    assert.equal(whole.placeOf(Buffer.from('/a/b/c'))?.mount.id, 39);
    const found = new MountTable(
      Buffer.from(
        `35 41 8:1 / /a rw - x x rw\n41 35 8:2 / /a rw - x x rw\n35 1 8:0 / / rw - x x rw\n`,
      ),
    );
    assert.equal(found.placeOf(Buffer.from('/a/b'))?.mount.at.toString(), '/a');
  });

  test('this machine’s own can be read', () => {
    const own = new MountTable(readMountinfo()).placeOf(Buffer.from('/proc/self'));
    assert.equal(own?.mount.type, 'proc');
  });
});
