import { nameGlobal, toRoleChanged, type UsedGlobal } from '../catalog/used-globals.js';
import { DbbackupError } from '../core/errors.js';
import type { ManifestArchive } from '../manifest/schema.js';
import { processHost } from '../native/host.js';
import type { Session } from '../native/session.js';
import { dumpGlobals } from '../tools/dump-globals.js';
import { type Globals, mergeGlobals, parseGlobals, toStoredScript } from '../tools/globals-script.js';
import { type Tool, toToolConnection } from '../tools/tool.js';
import { storeGlobals } from './archives.js';
import type { RunParts } from './backup-database.js';

export interface GlobalsBackupParts {
  /** Connected to the server, in no transaction. */
  readonly session: Session;
  readonly pgDumpAll: Tool;
  readonly arePasswordsLeftOut: boolean;
}

/** A database of a wave whose definitions are stored. */
export interface ReadDatabase {
  readonly name: string;
  readonly used: readonly UsedGlobal[];
}

/**
 * Roles and tablespaces of a cluster. They belong to no snapshot, so they are read in each wave, once its definitions are stored: what a database names by then is among
 * them, or the run fails. What a later wave finds gone is saved as an earlier one saw it.
 */
export class GlobalsBackup {
  readonly #parts: GlobalsBackupParts;
  #globals: Globals | null = null;
  readonly #needed = new Set<string>();

  constructor(parts: GlobalsBackupParts) {
    this.#parts = parts;
  }

  /** To be called while the snapshots of these databases are held. Errors: `role_changed`, and those of `dumpGlobals`. */
  async read({ signal, warn, record }: Pick<RunParts, 'signal' | 'warn' | 'record'>, databases: readonly ReadDatabase[]): Promise<void> {
    const { session, pgDumpAll, arePasswordsLeftOut } = this.#parts;
    const connection = toToolConnection(session);
    const { script, warnings } = await dumpGlobals({ pgDumpAll, connection, arePasswordsLeftOut, host: processHost, signal });
    warn(warnings);
    const current = parseGlobals(script);
    const names = listNames(current);
    for (const { name, used } of databases) {
      for (const one of used) {
        if (!names.has(nameGlobal(one))) throw toRoleChanged(one, name);
      }
    }
    const lost = [...this.#needed].filter((key) => !names.has(key));
    for (const key of lost)
      record({
        type: 'notice',
        message: `${key} was dropped or renamed while the backup ran: it is saved as it was, for the databases that name it`,
      });
    this.#globals = this.#globals === null || lost.length === 0 ? current : mergeGlobals(current, this.#globals);
    for (const { used } of databases) for (const one of used) this.#needed.add(nameGlobal(one));
  }

  /** Stores what all waves need. */
  async store({ storage, id, signal, record }: Pick<RunParts, 'storage' | 'id' | 'signal' | 'record'>): Promise<ManifestArchive> {
    if (this.#globals === null) throw new DbbackupError('internal', 'roles and tablespaces were not read');
    const archive = await storeGlobals(
      { storage, id, pgDumpVersion: this.#parts.pgDumpAll.version, signal },
      toStoredScript(this.#globals),
    );
    record({ type: 'globals.dumped', ...archive });
    return archive;
  }
}

const listNames = ({ roleNames, tablespaceLocations }: Globals): ReadonlySet<string> =>
  new Set([
    ...roleNames.map((name) => nameGlobal({ kind: 'role', name })),
    ...tablespaceLocations.map(({ name }) => nameGlobal({ kind: 'tablespace', name })),
  ]);
