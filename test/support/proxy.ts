import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What happens to a connection once the server has sent so many bytes over it:
 * `cut` ends it in order on both sides, `reset` sends RST to both, `black hole` reads on and passes nothing on any more while both sides stay open, `hold` stops reading as well, so that the sender's buffers fill, `delay` holds each further piece back for that long.
 */
export type ProxyFault =
  | { readonly kind: 'cut' | 'reset' | 'black hole' | 'hold'; readonly afterBytes: number }
  | { readonly kind: 'delay'; readonly afterBytes: number; readonly delayMs: number };

export interface ProxyOptions {
  /** Chooses the fault of each connection, counted from 0 in the order in which they come. `null`: none. */
  readonly chooseFault: (connection: number) => ProxyFault | null;
  /** Where it listens. Default: 127.0.0.1. */
  readonly host?: string;
}

/** A TCP proxy in front of a server: blind to what passes, so that TLS goes through it as well. */
export interface Proxy {
  readonly port: number;
  readonly connectionCount: number;
  /** How many faults have come to pass. */
  readonly faultCount: number;
  /** From now on connections are refused; those that are open stay. */
  refuse(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a proxy of the server that listens at `port` of 127.0.0.1. */
export const startProxy = async (serverPort: number, { chooseFault, host = '127.0.0.1' }: ProxyOptions): Promise<Proxy> => {
  let connectionCount = 0;
  let faultCount = 0;
  const sockets = new Set<Socket>();

  const serve = (client: Socket): void => {
    const fault = chooseFault(connectionCount);
    connectionCount += 1;
    const server = createConnection({ host: '127.0.0.1', port: serverPort });
    let passedBytes = 0;
    let isBroken = false;
    const both = [client, server];
    for (const socket of both) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // One side's error ends the other; what it was is the business of whom it happens to.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        if (!isBroken) for (const other of both) other.destroy();
      });
    }
    const inject = (): void => {
      faultCount += 1;
      isBroken = true;
      if (fault?.kind === 'cut') for (const socket of both) socket.end();
      if (fault?.kind === 'reset') for (const socket of both) socket.resetAndDestroy();
      if (fault?.kind === 'hold') for (const socket of both) socket.pause();
      // Read on and forget, so that nobody is stopped by a full buffer before the time-outs are.
      if (fault?.kind === 'black hole') for (const socket of both) socket.removeAllListeners('data').on('data', () => undefined);
    };
    client.on('data', (bytes) => void (!isBroken && server.write(bytes)));
    server.on('data', (bytes) => {
      if (isBroken) return;
      const left = fault === null || fault.kind === 'delay' ? Number.POSITIVE_INFINITY : fault.afterBytes - passedBytes;
      passedBytes += bytes.length;
      const passed = bytes.subarray(0, Math.max(0, left));
      const hasRoom = passed.length === 0 || client.write(passed);
      if (bytes.length > left) {
        inject();
        return;
      }
      if (!hasRoom) {
        server.pause();
        client.once('drain', () => server.resume());
      }
      if (fault?.kind === 'delay' && passedBytes > fault.afterBytes) {
        faultCount += 1;
        server.pause();
        void sleep(fault.delayMs).then(() => server.resume());
      }
    });
    client.on('end', () => void (!isBroken && server.end()));
    server.on('end', () => void (!isBroken && client.end()));
  };

  const listener = createServer({ allowHalfOpen: true }, serve);
  listener.listen(0, host);
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    get connectionCount() {
      return connectionCount;
    },
    get faultCount() {
      return faultCount;
    },
    refuse: async () => {
      const closed = once(listener, 'close');
      listener.close();
      // close() waits for open connections; it refuses new ones at once.
      void closed;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (!listener.listening) return;
      listener.close();
      await once(listener, 'close');
    },
  };
};

/** Runs `fn` with a proxy and closes it afterwards. */
export const withProxy = async <T>(serverPort: number, options: ProxyOptions, fn: (proxy: Proxy) => Promise<T>): Promise<T> => {
  const proxy = await startProxy(serverPort, options);
  try {
    return await fn(proxy);
  } finally {
    await proxy.close();
  }
};
