import type { Session } from '../native/session.js';
import { analyzeStatementsQuery } from '../restore-kit/analyze-sql.js';

/** A role that owns only some of the tables would be warned of each other one. */
const laneSettings = [
  "SET client_encoding TO 'UTF8'",
  'SET client_min_messages TO error',
  'SET statement_timeout TO 0',
  'SET synchronous_commit TO off',
  'SET default_transaction_read_only TO off',
];

/** Gathers the planner's statistics of all relations with up to `jobs` sessions: the loading of large databases ends in minutes of a single ANALYZE otherwise. */
export const analyze = async (
  session: Session,
  jobs: number,
  withSession: (use: (session: Session) => Promise<void>) => Promise<void>,
): Promise<void> => {
  // The client encoding may be the database's here; names must come as UTF-8, which is what goes back.
  await session.query("SET client_encoding TO 'UTF8'");
  const statements = (await session.query(analyzeStatementsQuery)).rows.map(([statement]) => statement ?? '').values();
  let hasFailed = false;
  const runLane = async (lane: Session): Promise<void> => {
    try {
      for (const sql of laneSettings) await lane.query(sql);
      // One iterator for all lanes: each takes the next statement.
      for (const statement of statements) {
        if (hasFailed) return;
        await lane.query(statement);
      }
    } catch (error) {
      hasFailed = true;
      throw error;
    }
  };
  await Promise.all([runLane(session), ...Array.from({ length: jobs - 1 }, () => withSession(runLane))]);
};
