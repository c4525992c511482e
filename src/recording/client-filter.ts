/**
 * Which clients a recording is about: addresses and CIDR ranges. Owns their parsing.
 */
import { BlockList } from 'node:net';
import { parseAddress, type Address } from '../common/addresses.ts';
import { TraceError } from '../common/errors.ts';

interface Rule {
  readonly list: BlockList;
  readonly address: Address;
  readonly whole: boolean;
}

export class ClientFilter {
  readonly #rules: readonly Rule[];

  /**
   * @param rules addresses or CIDR ranges, v4 or v6; `::ffff:10.0.0.0/104` is `10.0.0.0/8`, a
   *   link-local address may have its zone; none means every client
   * @throws TraceError `bad-client`
   */
  constructor(rules: readonly string[]) {
    this.#rules = rules.map(parseRule);
  }

  accepts(client: string): boolean {
    if (this.#rules.length === 0) return true;
    const seen = parseAddress(client);
    return (
      seen !== null &&
      this.#rules.some(
        ({ list, address }) =>
          address.family === seen.family &&
          (address.zone === null || address.zone === seen.zone) &&
          list.check(seen.address, familyName(seen)),
      )
    );
  }

  /** Is it about every client? */
  get all(): boolean {
    return this.#rules.length === 0;
  }

  /** The one address that the operator named, if it is exactly one; else null. */
  get single(): string | null {
    const [only] = this.#rules;
    if (this.#rules.length !== 1 || only?.whole !== true) return null;
    const { address, zone } = only.address;
    return zone === null ? address : `${address}%${zone}`;
  }
}

function parseRule(rule: string): Rule {
  const [text = '', prefix, ...rest] = rule.split('/');
  const address = parseAddress(text);
  const written = text.includes(':') ? 128 : 32;
  const length = prefix === undefined ? written : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
  // A mapped range narrower than all mapped addresses is one of IPv4.
  const mapped = address?.family === 4 && written === 128 ? 96 : 0;
  if (address === null || rest.length > 0 || !(length <= written) || length < mapped)
    throw new TraceError({
      code: 'bad-client',
      message: `'${rule}' is neither an IP address nor a CIDR range`,
      hint: 'write it like 10.0.0.7, 10.0.0.0/24 or 2001:db8::/64',
      exit: 'usage',
    });
  const list = new BlockList();
  list.addSubnet(address.address, length - mapped, familyName(address));
  return { list, address, whole: prefix === undefined };
}

function familyName({ family }: Address): 'ipv4' | 'ipv6' {
  return family === 4 ? 'ipv4' : 'ipv6';
}
