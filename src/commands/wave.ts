import { afterFailure } from '../catalog/after-failure.js';
import type { HeldSnapshot, Leader } from '../catalog/leader.js';
import type { QuerySession } from '../catalog/rows.js';
import { createLocalLeader } from '../catalog/snapshot.js';
import { DbbackupError } from '../core/errors.js';
import { formatCount } from '../core/units.js';
import { type Keeper, startKeeper } from '../keeper/keeper.js';
import { withAgeWatch } from '../keeper/watch-age.js';
import { readPing } from '../keeper/xmin-age.js';
import type { Session } from '../native/session.js';
import { adviseOnConnections } from './advise-on-connections.js';
import type { BackupSource } from './backup-source.js';
import { toConnectionSpec } from './connect.js';
import { type BackupOptions, defaults } from './options.js';
import { toSameServer } from './sessions.js';

/** What a database of a wave is read with. */
export interface WaveMember {
  readonly source: BackupSource;
  /** Connection parameters that lead to this database and server where the options name others. */
  readonly overrides: Readonly<Record<string, string>>;
  /** Of a session that was connected there: what client tools need to reach the same. */
  readonly access: Pick<Session, 'info' | 'password'>;
  /** Where the leader's transaction is. */
  readonly session: QuerySession;
  readonly leader: Leader;
  /** From now on the snapshot outlives this process, for a run that continues: to be called once what such a run needs is stored. Without a keeper it does nothing. */
  readonly hold: () => Promise<void>;
  readonly keeper: Keeper | null;
}

export interface WaveParts {
  readonly id: string;
  readonly options: BackupOptions;
  readonly signal: AbortSignal | undefined;
  /** Asked when a run ends before its wave is saved: whether its keepers stay, so that it can be continued. */
  readonly areKeepersLeft: () => boolean;
  readonly warn: (messages: readonly string[]) => void;
  /** Of a run that is continued, by the database's number: keepers that hold its snapshots still. */
  readonly adopted: ReadonlyMap<number, AdoptedSnapshot>;
}

/** A keeper to which this process has attached itself, and the snapshot it holds. */
export interface AdoptedSnapshot {
  readonly keeper: Keeper;
  readonly known: Omit<HeldSnapshot, 'guard'>;
}

/** Runs `use` with a leader for each source, in their order: of a keeper each, or of a session of this process without keepers. */
export const withWave = <T>(
  parts: WaveParts,
  sources: readonly BackupSource[],
  use: (members: readonly WaveMember[]) => Promise<T>,
): Promise<T> =>
  parts.options.hasKeeper === false && parts.adopted.size === 0 ? withSessions(sources, use) : withKeepers(parts, sources, use);

const withSessions = <T>(
  sources: readonly BackupSource[],
  use: (members: readonly WaveMember[]) => Promise<T>,
  opened: readonly WaveMember[] = [],
): Promise<T> => {
  const source = sources[opened.length];
  if (source === undefined) return use(opened);
  return source.withSession((session) => {
    const overrides = { ...toSameServer(session), ...source.overrides };
    return withSessions(sources, use, [
      ...opened,
      { source, overrides, access: session, session, leader: createLocalLeader(session), hold: async () => undefined, keeper: null },
    ]);
  });
};

const withKeepers = async <T>(
  parts: WaveParts,
  sources: readonly BackupSource[],
  use: (members: readonly WaveMember[]) => Promise<T>,
): Promise<T> => {
  const keepers: Keeper[] = [...parts.adopted.values()].map(({ keeper }) => keeper);
  try {
    const members: WaveMember[] = [];
    for (const source of sources) {
      const { access } = source;
      const overrides = { ...toSameServer(access), ...source.overrides };
      const adopted = parts.adopted.get(source.number);
      if (adopted !== undefined) {
        const { keeper, known } = adopted;
        const leader = toAdopting(createKeeperLeader(keeper, parts.areKeepersLeft), known);
        members.push({ source, overrides, access, session: keeper.session, leader, hold: async () => undefined, keeper });
        continue;
      }
      const keeper = await start(parts, source, overrides);
      keepers.push(keeper);
      await becomeRole(keeper, parts.options);
      const leader = createKeeperLeader(keeper, parts.areKeepersLeft);
      const hold = async (): Promise<void> => keeper.hold(await readPing(keeper.session));
      members.push({ source, overrides, access, session: keeper.session, leader, hold, keeper });
    }
    return await withAgeWatch(
      members.flatMap(({ keeper, source }) =>
        keeper === null ? [] : [{ keeper, onOld: (age: number) => parts.warn([toAgeWarning(source, age)]) }],
      ),
      () => use(members),
    );
  } catch (error) {
    // Those whose leaders have let go of them are stopped or left already, and this does nothing.
    const finish = (keeper: Keeper): Promise<void> => (parts.areKeepersLeft() ? keeper.leave() : keeper.stop());
    throw await afterFailure(error, () => Promise.all(keepers.map(finish)));
  }
};

const start = ({ id, options, signal }: WaveParts, source: BackupSource, overrides: WaveMember['overrides']): Promise<Keeper> => {
  const applicationName = `dbbackup keeper ${id}`;
  return startKeeper({
    id,
    database: source.number,
    databaseName: source.name,
    // Whoever looks for what holds back vacuum must find it, whatever name the connection string gives.
    connection: toConnectionSpec(options.connection, applicationName, { ...overrides, application_name: applicationName }),
    ttlMs: options.keeperTtlMs ?? defaults.keeperTtlMs,
    signal,
  }).catch((error: unknown) => {
    throw adviseOnConnections(error);
  });
};

const toAgeWarning = ({ name }: BackupSource, age: number): string =>
  `the snapshot of database ${JSON.stringify(name)} is ${formatCount(age)} transactions old: vacuum removes no rows that were deleted since, and old transaction IDs stay in use; dbbackup keeper stop ends it`;

const becomeRole = async ({ session }: Keeper, { connection: { role } }: BackupOptions): Promise<void> => {
  if (role !== undefined) await session.query("SELECT pg_catalog.set_config('role', $1, false)", [role]);
};

/** A leader whose snapshot is there already: among others that take theirs, it waits with them. */
const toAdopting = (leader: Leader, known: AdoptedSnapshot['known']): Leader => ({
  ...leader,
  takeSnapshot: async (options) => {
    const held = await leader.adoptSnapshot(known);
    await options?.whenLocked?.();
    return held;
  },
});

/** The leader in a keeper's session. Letting go of its snapshot ends the keeper, or leaves it. */
export const createKeeperLeader = (keeper: Keeper, isLeft: () => boolean): Leader => {
  const leader = createLocalLeader(keeper.session);
  return {
    takeSnapshot: (options) => leader.takeSnapshot(options),
    adoptSnapshot: (known) => leader.adoptSnapshot(known),
    checkSnapshot: async () => {
      try {
        await leader.checkSnapshot();
      } catch (error) {
        if (!(error instanceof DbbackupError && error.code === 'connection_lost')) throw error;
        throw new DbbackupError('snapshot_invalid', `the keeper of the snapshot has ended: ${error.message}`, {
          cause: error,
          details: error.details,
        });
      }
    },
    releaseSnapshot: () => (isLeft() ? keeper.leave() : keeper.stop()),
  };
};
