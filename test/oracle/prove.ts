import { delimiter, join } from 'node:path';
import { type BackupOptions, backup, restore, verify } from 'dbbackup';
import { runChild } from '../support/child.js';
import type { Cluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { withoutConnectionEnv } from '../support/login.js';
import { compareLines, dropWithSubscriptions, type Image, readContent, readDefinitions, readReference } from './image.js';

/** A backup of a database, and what the database held. */
export interface Subject {
  readonly cluster: Cluster;
  readonly database: string;
  /** What follows CREATE DATABASE's name for one of the same encoding. */
  readonly databaseOptions: string;
  readonly outputDir: string;
  readonly id: string;
  readonly content: Image;
}

type Variant = Pick<BackupOptions, 'compression' | 'format' | 'checksum' | 'chunkSizeBytes' | 'jobs'>;

/** Backs a database up and verifies the backup. A warning is a failure: nothing of a corpus is left out. */
export const backUp = async (
  cluster: Cluster,
  database: string,
  outputDir: string,
  variant: Variant = {},
  databaseOptions = 'TEMPLATE template0',
): Promise<Subject> => {
  const connection = { database: cluster.uri(database) };
  const { id, warnings } = await backup({
    connection,
    outputDir,
    pgBinDir: cluster.binDir,
    chunkSizeBytes: 1024 ** 2,
    jobs: 2,
    ...variant,
  });
  if (warnings.length > 0) throw new Error(`the backup warned: ${warnings.join('; ')}`);
  const { damage } = await verify({ id, outputDir });
  if (damage.length > 0) throw new Error(`the backup is damaged: ${JSON.stringify(damage)}`);
  return { cluster, database, databaseOptions, outputDir, id, content: await readContent(cluster, database) };
};

/** Restores into a new database of `target` and says how that differs from the source, or from what pg_dump would have made of it; empty when it does not. */
const compareRestored = async (
  subject: Subject,
  target: Cluster,
  restoreInto: (name: string) => Promise<void>,
): Promise<readonly string[]> => {
  const restored = uniqueDatabaseName('restored');
  await restoreInto(restored);
  const differences = [
    ...compareLines(subject.content, await readContent(target, restored)),
    ...compareLines(
      await readReference(subject.cluster, subject.database, target, subject.databaseOptions),
      await readDefinitions(target, restored),
    ),
  ];
  await dropWithSubscriptions(target, restored);
  return differences;
};

/** By `dbbackup restore --create --check`. */
export const restoreAndCompare = (subject: Subject, target: Cluster): Promise<readonly string[]> =>
  compareRestored(subject, target, async (name) => {
    await restore({
      id: subject.id,
      outputDir: subject.outputDir,
      connection: { database: target.uri(name) },
      isCreating: true,
      isChecking: true,
      jobs: 2,
      pgBinDir: target.binDir,
    });
  });

/** By `restore.sh`, with stock tools alone. */
export const restoreByScriptAndCompare = (subject: Subject, target: Cluster): Promise<readonly string[]> =>
  compareRestored(subject, target, async (name) => {
    await target.createDatabase(name, subject.databaseOptions);
    const env = {
      ...withoutConnectionEnv(process.env),
      ...target.env(name),
      PATH: `${target.binDir}${delimiter}${process.env['PATH'] ?? ''}`,
    };
    const { status, stdout, stderr } = await runChild(join(subject.outputDir, subject.id, 'restore.sh'), ['-d', name, '-j', '2'], { env });
    if (status !== 0) throw new Error(`restore.sh ended with status ${status}: ${stdout}${stderr}`);
  });
