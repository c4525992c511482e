/**
 * Which clients a recording is about: addresses and CIDR ranges. Owns their parsing.
 */
import { BlockList, isIP } from 'node:net';
import { TraceError } from '../common/errors.ts';

export class ClientFilter {
  readonly #list = new BlockList();
  readonly #rules: readonly string[];

  /**
   * @param rules addresses or CIDR ranges, v4 or v6; none means every client
   * @throws TraceError `bad-client`
   */
  constructor(rules: readonly string[]) {
    this.#rules = rules;
    for (const rule of rules) {
      const [address = '', prefix, ...rest] = rule.split('/');
      const family = isIP(address);
      const bits = family === 6 ? 128 : 32;
      const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
      if (family === 0 || rest.length > 0 || !(length <= bits))
        throw new TraceError({
          code: 'bad-client',
          message: `'${rule}' is neither an IP address nor a CIDR range`,
          hint: 'write it like 10.0.0.7, 10.0.0.0/24 or 2001:db8::/64',
          exit: 'usage',
        });
      this.#list.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4');
    }
  }

  accepts(client: string): boolean {
    if (this.#rules.length === 0) return true;
    const address = client.split('%', 1)[0] ?? '';
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }

  /** The one address that the operator named, if it is exactly one; else null. */
  get single(): string | null {
    const [only] = this.#rules;
    return this.#rules.length === 1 && only !== undefined && isIP(only) !== 0 ? only : null;
  }
}
