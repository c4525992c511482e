/**
 * A machine whose root is one of the lab's, wherever that root comes from: it boots, does its exercise,
 * and then, if the root can, takes orders. Owns what the exercise said and how long each boot took.
 * Must not know whether the root is on NFS or in memory.
 */
import path from 'node:path';
import { Machine, qemuValue, type MachineOptions } from './machine.ts';
import { SerialAgent, type OrderResult } from './serial-agent.ts';

/** What one boot's exercise said on the console. */
export interface BootReport {
  /** Milliseconds from power-on (or from the order to reboot) to the marker. */
  readonly bootMs: number;
  /** State of multi-user.target, `active` when all is well; only of a root with systemd. */
  readonly target: string;
  /** Banner of sshd on port 22, asked from inside. */
  readonly sshd: string;
  /** All that the exercise said, by its first word, the ones above included. */
  readonly said: ReadonlyMap<string, string>;
}

export interface ExercisedMachineOptions {
  readonly name: string;
  /** Private folder for the agent's socket. */
  readonly folder: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly memoryMb: number;
  /** Whether the root has an agent for orders. */
  readonly takesOrders: boolean;
  readonly devices: readonly string[];
  readonly onLine: MachineOptions['onLine'];
}

/** Emulated on two busy cores a boot takes 15 to 60 s. */
const BOOT_TIMEOUT_MS = 300_000;
const SHUTDOWN_TIMEOUT_MS = 120_000;

export class ExercisedMachine {
  readonly #options: ExercisedMachineOptions;
  #machine: Machine | undefined;
  #agent: SerialAgent | undefined;

  constructor(options: ExercisedMachineOptions) {
    this.#options = options;
  }

  get machine(): Machine {
    if (this.#machine === undefined) throw new Error(`${this.#options.name} is not started`);
    return this.#machine;
  }

  /** Switches it on and waits until the exercise is done and orders are taken. */
  async start(timeoutMs = BOOT_TIMEOUT_MS): Promise<BootReport> {
    const { name, folder, kernel, initrd, append, memoryMb, onLine } = this.#options;
    const { takesOrders, devices } = this.#options;
    if (this.#machine?.running === true) throw new Error(`${name} runs already`);
    const socket = path.join(folder, `${name}.sock`);
    const started = Date.now();
    const machine = new Machine({
      name,
      kernel,
      initrd,
      append: `quiet systemd.show_status=no ${append}`,
      memoryMb,
      cpus: 1,
      devices: [
        ...['-chardev', `socket,id=orders,server=on,wait=off,path=${qemuValue(socket)}`],
        ...['-serial', 'chardev:orders'],
        ...devices,
      ],
      ...(onLine === undefined ? {} : { onLine }),
    });
    this.#machine = machine;
    machine.start();
    try {
      // The kernel starts after QEMU has made the socket.
      await machine.waitFor(/./, timeoutMs);
      if (takesOrders) {
        this.#agent = new SerialAgent(socket, (what) => machine.failure(what));
        await this.#agent.start();
      }
      return await this.#waitForBoot(started, 0, timeoutMs);
    } catch (cause) {
      await this.powerOff();
      throw cause;
    }
  }

  async #waitForBoot(started: number, from: number, timeoutMs: number): Promise<BootReport> {
    const { machine } = this;
    await machine.waitFor(/lab-exercise: done\n/, timeoutMs, from);
    const bootMs = Date.now() - started;
    await this.#agent?.waitUntilReady(60_000);
    const said = new Map<string, string>();
    for (const [, word = '', rest = ''] of machine.log
      .slice(from)
      .matchAll(/lab-exercise: (\S+) ?(.*)/g)) {
      said.set(word, rest);
    }
    return { bootMs, target: said.get('target') ?? '', sshd: said.get('sshd') ?? '', said };
  }

  /** Runs a command with bash inside. A status other than 0 is a result, not an error. */
  async run(shell: string, options: { timeoutMs?: number } = {}): Promise<OrderResult> {
    if (this.#agent === undefined) throw new Error(`${this.#options.name} takes no orders`);
    return this.#agent.run(shell, options.timeoutMs ?? 60_000);
  }

  /** Output of a command that must end with status 0. */
  async must(shell: string, options: { timeoutMs?: number } = {}): Promise<string> {
    const { code, output } = await this.run(shell, options);
    if (code !== 0) throw this.machine.failure(`"${shell}" ended with ${code}\n${output}`);
    return output;
  }

  /** A clean reboot of the same QEMU, all services stopped first; waits for the next exercise. */
  async reboot(timeoutMs = BOOT_TIMEOUT_MS): Promise<BootReport> {
    const from = this.machine.log.length;
    const started = Date.now();
    this.#order('systemctl reboot');
    return this.#waitForBoot(started, from, timeoutMs);
  }

  /** The agent may be stopped before it can answer such an order. */
  #order(shell: string): void {
    if (this.#agent === undefined) throw new Error(`${this.#options.name} takes no orders`);
    this.#agent.send(shell);
  }

  /** A clean power-off. */
  async shutDown(): Promise<void> {
    this.#order('systemctl poweroff');
    await this.machine.waitForEnd(SHUTDOWN_TIMEOUT_MS);
    await this.powerOff();
  }

  /** A power cut; {@link start} boots it again. */
  async powerOff(): Promise<void> {
    this.#agent?.stop();
    this.#agent = undefined;
    await this.#machine?.kill();
  }
}
