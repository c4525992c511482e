/**
 * Can this daemon ask for names at all? A sandbox may forbid it the sockets that a name server is
 * asked by, and the resolver then says no more than that an address has no name.
 */
import { createSocket } from 'node:dgram';

/** Why a name server cannot be asked; null if nothing is known against it. */
export async function whyNoNames(): Promise<string | null> {
  const [four, six] = await Promise.all([refusal('udp4'), refusal('udp6')]);
  // One of them is enough: a machine may have no IPv6.
  return six === null ? null : four;
}

function refusal(type: 'udp4' | 'udp6'): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createSocket(type);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code ?? error.message);
    });
    socket.bind(0, () => socket.close(() => resolve(null)));
  });
}
