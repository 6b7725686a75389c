/** `ok`: nothing to do; `warn`: the run goes on, but somebody should know; `fail`: the run would fail or must not begin. */
export type FindingStatus = 'ok' | 'warn' | 'fail';

/** What one check of a preflight found. */
export interface Finding {
  /** Which check, for programs: `connection`, `pooler`, `locks` …; the list is in docs/cli.md. */
  readonly check: string;
  readonly status: FindingStatus;
  /** The database it is about, where a preflight looks at several. */
  readonly database?: string;
  /** What was measured, in words with its value. */
  readonly measured: string;
  /** What to do about it; null where there is nothing to do. */
  readonly remedy: string | null;
}

export const ok = (check: string, measured: string): Finding => ({ check, status: 'ok', measured, remedy: null });
export const warn = (check: string, measured: string, remedy: string): Finding => ({ check, status: 'warn', measured, remedy });
export const fail = (check: string, measured: string, remedy: string): Finding => ({ check, status: 'fail', measured, remedy });

/** The gravest status of some findings. */
export const toOverallStatus = (findings: readonly Finding[]): FindingStatus => {
  if (findings.some(({ status }) => status === 'fail')) return 'fail';
  return findings.some(({ status }) => status === 'warn') ? 'warn' : 'ok';
};
