import type { Session } from '../native/session.js';

/** One database to back up. */
export interface BackupSource {
  /** From 1, within the backup. */
  readonly number: number;
  readonly name: string;
  /** Connection parameters that lead to this database where the options name another. */
  readonly overrides: Readonly<Record<string, string>>;
  /** What client tools need to reach it. */
  readonly access: Pick<Session, 'info' | 'password'>;
  /** Runs `use` with a session connected to it. */
  readonly withSession: <T>(use: (session: Session) => Promise<T>) => Promise<T>;
}
