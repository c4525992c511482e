/**
 * The start of every program that is installed: is this Node new enough, is the addon built?
 * Owns those two checks. Must hold only syntax and modules that Node 8 knows (no import(), no
 * `??`, no `node:`), so that an old Node gets as far as the error message; whatever is newer
 * starts in load.cts.
 */
const fs = require('fs') as typeof import('fs');
const path = require('path') as typeof import('path');

const CONFIG = 78;

/** The first Node whose zlib has zstd. */
const OLDEST = '22.15';

function refuse(message: string, hint: string): void {
  process.stderr.write('error: ' + message + '\nhint: ' + hint + '\n');
  process.exitCode = CONFIG;
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = than.split('.').map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

/** By stat(2): access(2), which existsSync asks, drops the capabilities of a user who is not root. */
function isMissing(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false }) === undefined;
}

module.exports = function launch(program: string): void {
  const version = process.versions.node;
  if (isOlder(version, OLDEST)) {
    refuse(
      program + ' needs Node ' + OLDEST + ' or newer, this is ' + version,
      'in the repository, eval "$(scripts/env)" puts a new one on the PATH',
    );
  } else if (isMissing(path.join(__dirname, '../../build/Release/nfsroot_trace.node'))) {
    refuse(
      program + "'s native addon is not built",
      'run scripts/build in the repository, or npm rebuild nfsroot-trace where it is installed',
    );
  } else {
    require('./load.cjs')(program);
  }
};
