/**
 * The built `trace` as a person uses it, inside the lab's server: only its command line and the JSON
 * that it promises. Owns that the lab speaks it in one place.
 */
import path from 'node:path';
import { GUEST_SHARE, VICTIM_ROOT, type LabServer } from './server.ts';

/** What the lab reads of `trace sessions --json`. */
export interface Session {
  readonly session: string;
  readonly id: number;
  readonly client: string;
  readonly tier: string;
  readonly client_label: string | null;
  readonly client_name: string | null;
  readonly evidence: {
    readonly kind: string;
    readonly detail?: {
      readonly verifier?: string;
      readonly previousVerifier?: string;
      readonly after?: number;
    };
  };
  readonly opened: string;
  readonly last: string;
  readonly close_reason: string | null;
  readonly notes: readonly { readonly kind: string; readonly detail: string }[];
  readonly partial: boolean;
  readonly loss: number;
  readonly files: number;
  readonly accesses: number;
  readonly bytes: number;
}

interface JsonPath {
  readonly path: string | null;
  readonly path_base64?: string;
}

/** What the lab reads of one row of `trace files --json`. */
export interface SessionFile extends JsonPath {
  readonly other_names: readonly JsonPath[];
  readonly operations: readonly string[];
  readonly created: boolean;
  readonly bytes: number;
}

/** What the lab reads of `trace export --json`, and where the image is. */
export interface Exported {
  /** Outside the guest. */
  readonly file: string;
  readonly bytes: number;
  readonly entries: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly problems: readonly { readonly code: string; readonly message: string }[];
  readonly sweeps: readonly object[];
  readonly drift: readonly { readonly path: string; readonly what: string }[];
}

const TIMEOUT_MS = 180_000;

export class Product {
  readonly #server: LabServer;

  constructor(server: LabServer) {
    this.#server = server;
  }

  /** Standard output of `trace ARGUMENTS`, which must end with status 0. */
  async trace(command: string): Promise<string> {
    return this.#server.must(`trace ${command}`, { timeoutMs: TIMEOUT_MS });
  }

  async #json(command: string): Promise<unknown> {
    return JSON.parse(await this.trace(`${command} --json`)) as unknown;
  }

  async start(root = VICTIM_ROOT): Promise<string> {
    return this.trace(`start --root ${root}`);
  }

  /** Everything that has happened so far is in the database afterwards: a mark is written last. */
  async settle(): Promise<void> {
    await this.trace('mark settled');
  }

  async sessions(): Promise<Session[]> {
    const { sessions } = (await this.#json('sessions')) as { sessions: Session[] };
    return sessions.toSorted((a, b) => a.id - b.id);
  }

  /** One client's sessions, oldest first. */
  async sessionsOf(client: string): Promise<Session[]> {
    return (await this.sessions()).filter((session) => session.client === client);
  }

  async files({ session }: Pick<Session, 'session'>): Promise<SessionFile[]> {
    const { files } = (await this.#json(`files ${session}`)) as { files: SessionFile[] };
    return files;
  }

  /** Paths that the client looked for and that were not there; tier `exact+names` only. */
  async missing({ session }: Session): Promise<string[]> {
    const output = await this.#json(`files ${session} --missing`);
    const { missing } = output as { missing: { readonly path: string | null }[] };
    return missing.map(({ path: name }) => name ?? '');
  }

  /** The list, a NUL after each path. */
  async list({ session }: Pick<Session, 'session'>): Promise<Buffer> {
    const { code, output, stderr } = await this.#server.run(`trace list -0 ${session}`, {
      timeoutMs: TIMEOUT_MS,
    });
    if (code !== 0) throw this.#server.machine.failure(`trace list ended with ${code}: ${stderr}`);
    return output;
  }

  /** `options` are the command's. */
  async export(
    { session }: Pick<Session, 'session'>,
    name: string,
    options = '',
  ): Promise<Exported> {
    const words = `export ${session} -o ${GUEST_SHARE}/${name} ${options}`;
    const output = (await this.#json(words)) as Exported;
    return { ...output, file: path.join(this.#server.share, name) };
  }
}

/** Every name of a file of a session (the root's own is empty), as bytes in Latin-1 so that they can be keys; none if unknown. */
export function namesOf(file: SessionFile): string[] {
  return [file, ...file.other_names].flatMap(({ path: text, path_base64: base64 }) => {
    if (text === null) return [];
    // The root itself; elsewhere in the lab a path below it, so nothing.
    if (text === '.') return [''];
    return [
      Buffer.from(base64 ?? text, base64 === undefined ? 'utf8' : 'base64').toString('latin1'),
    ];
  });
}
