/**
 * A process of its own that does file operations when told: what it does is another's doing to
 * the recorder. Run by support.ts; answers each message when it is done.
 */
import * as fs from 'node:fs';
import process from 'node:process';
import type { ActorStep } from './support.ts';

function act({ op, path, to }: ActorStep): void {
  const target = to ?? Buffer.alloc(0);
  switch (op) {
    case 'read':
      fs.readFileSync(path);
      return;
    case 'write':
      fs.writeFileSync(path, 'content');
      return;
    case 'append':
      fs.appendFileSync(path, 'more');
      return;
    case 'open':
      fs.closeSync(fs.openSync(path, fs.constants.O_RDONLY));
      return;
    case 'list':
      fs.readdirSync(path);
      return;
    case 'chmod':
      fs.chmodSync(path, 0o600);
      return;
    case 'mkdir':
      fs.mkdirSync(path);
      return;
    case 'rmdir':
      fs.rmdirSync(path);
      return;
    case 'unlink':
      fs.unlinkSync(path);
      return;
    case 'rename':
      fs.renameSync(path, target);
      return;
    case 'link':
      fs.linkSync(path, target);
      return;
    case 'symlink':
      fs.symlinkSync(target, path);
      return;
    case 'readlink':
      fs.readlinkSync(path);
      return;
    case 'stat':
      fs.lstatSync(path);
      return;
  }
}

process.on('message', (steps: ActorStep[]) => {
  for (const step of steps) act(step);
  process.send?.('done');
});
process.send?.('done');
