/**
 * The start of every program that is installed: is this Node new enough, is the addon built?
 * Owns those two checks, and that no signal opens Node's debugger. Must hold only syntax and
 * modules that Node 8 knows (no import(), no `??`, no `node:`), so that an old Node gets as far as
 * the error message; whatever is newer starts in load.cts.
 */
const fs = require('fs') as typeof import('fs');
const path = require('path') as typeof import('path');
const zlib = require('zlib') as Partial<typeof import('zlib')>;

const CONFIG = 78;

function refuse(message: string, hint: string): void {
  process.stderr.write('error: ' + message + '\nhint: ' + hint + '\n');
  process.exitCode = CONFIG;
}

/** By stat(2): access(2), which existsSync asks, drops the capabilities of a user who is not root. */
function isMissing(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false }) === undefined;
}

module.exports = function launch(program: string): void {
  // Node answers it, from its start on, with a debugger on a TCP port, which makes everyone here the
  // daemon's user.
  process.on('SIGUSR1', function ignore() {});
  // What came last of all that is needed: with 22.15 and, of the next line, 23.8.
  if (zlib.createZstdCompress === undefined) {
    refuse(
      program + ' needs Node 22.15 or newer (of 23: 23.8), this is ' + process.versions.node,
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
