import type { Session } from '../native/session.js';

/** PostgreSQL's client programs that are used. */
export type ToolName = 'pg_dump' | 'pg_dumpall' | 'pg_restore' | 'psql';

/** One installed client program. */
export interface Tool {
  readonly name: ToolName;
  /** Absolute. */
  readonly path: string;
  readonly major: number;
  /** As the program prints it: `15.18`, `19rc1`. */
  readonly version: string;
}

/** What this process lends to child programs: its environment, and the means to end them. */
export interface ToolHost {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Sends a signal to a process group (`process.kill(-pid, signal)`); does nothing when the group is gone. */
  readonly signalGroup: (pid: number, signal: 'SIGTERM' | 'SIGKILL') => void;
  /** Calls `listener` when this process exits, by `process.exit()` too; gives what takes it back. Left out, tools that run then run on. */
  readonly onExit?: (listener: () => void) => () => void;
}

/** Where a tool connects to: what a Session that is connected there tells. */
export interface ToolConnection {
  readonly info: Pick<ReturnType<Session['info']>, 'host' | 'port' | 'user' | 'database' | 'options'>;
  /** Reaches the tool through its environment only. */
  readonly password: string | null;
}

/** The connection of an open Session, for tools that must reach the same server and database. */
export const toToolConnection = (session: Pick<Session, 'info' | 'password'>): ToolConnection => ({
  info: session.info(),
  password: session.password(),
});

/** What is done with a tool, as errors tell it. */
export interface ToolRun {
  readonly tool: Tool;
  readonly args: readonly string[];
  /** Its password goes into PGPASSWORD; null for a tool that does not connect. */
  readonly connection: ToolConnection | null;
  /** What the tool works on: `the schema of demo`. */
  readonly object: string;
}

/** How a process ended: exactly one of both is set. */
export interface ToolExit {
  readonly status: number | null;
  readonly signal: string | null;
}
