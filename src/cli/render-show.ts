import type { ShowReport } from '../commands/show.js';
import { formatBytes, formatCount, formatDuration, formatPlural } from '../core/units.js';
import { describeSpread, formatSummary } from './render-report.js';
import type { Style } from './style.js';
import { type Column, formatTable, toPrintable } from './text.js';

/** More lines than a screen holds help nobody; --json has them all. */
const maxRelationsShown = 20;

const columns: readonly Column[] = [
  { title: 'RELATION' },
  { title: 'ROWS', isNumber: true },
  { title: 'RAW', isNumber: true },
  { title: 'STORED', isNumber: true },
  { title: 'PARTS', isNumber: true },
  { title: 'FORMAT' },
  { title: 'READ' },
];

/** A manifest for people: its facts, and the largest relations with how they were read and why. */
export const formatShow = (report: ShowReport, style: Style): string => {
  const { manifest } = report;
  const { totals, options, server } = manifest;
  const isCluster = manifest.kind === 'cluster';
  const elapsedMs = Date.parse(manifest.finishedAt) - Date.parse(manifest.startedAt);
  const summary = formatSummary(
    style.bold(toPrintable(manifest.id)),
    [
      ...manifest.databases.flatMap((database) => [
        ['database', database.name, `${database.encoding}, owner ${database.owner}`] as const,
        ...database.snapshots.map(
          (snapshot) =>
            [
              'snapshot',
              snapshot.id,
              `at ${snapshot.lsn}, taken ${snapshot.takenAt}${isCluster ? `, wave ${database.wave}` : ''}`,
            ] as const,
        ),
        ...(database.largeObjects === null ? [] : [toLargeObjectsLine(database.largeObjects)]),
      ]),
      ...(isCluster ? [['databases', formatCount(manifest.databases.length), describeSpread(toSpread(manifest))] as const] : []),
      ['server', server.versionText, `system ${server.systemIdentifier}`],
      ['started', manifest.startedAt],
      ['finished', manifest.finishedAt, formatDuration(elapsedMs)],
      manifest.consistency === 'exact'
        ? (['consistency', manifest.consistency] as const)
        : (['consistency', manifest.consistency, consistencyNotes[manifest.consistency]] as const),
      ...report.splitKeys.map((key) => ['split key', key] as const),
      ['raw', formatBytes(totals.rawBytes)],
      ['stored', formatBytes(totals.storedBytes), `${options.compression}, ${manifest.checksum}`],
      [
        'rows',
        formatCount(totals.rowCount),
        `${formatPlural(totals.relationCount, 'relation')}, ${formatPlural(totals.fileCount, 'file')}`,
      ],
      ['options', `jobs ${options.jobs}, chunk size ${formatBytes(options.chunkSizeBytes)}, format ${options.format}`],
      ...(options.selection === null ? [] : [['only part', formatSelection(options.selection)] as const]),
      ['written by', `${manifest.tool.name} ${manifest.tool.version}`],
      ['directory', report.directory],
    ],
    style,
  );
  return `${summary}\n${formatRelations(report)}`;
};

const consistencyNotes = {
  'exact-after-resume': 'all rows of a database are of one snapshot; the run was interrupted',
  mixed: 'some relations are of an earlier snapshot than the others; each is of one',
} as const;

type LargeObjects = NonNullable<ShowReport['manifest']['databases'][number]['largeObjects']>;

const toLargeObjectsLine = ({ objectCount, content, metadata, readMethod }: LargeObjects): readonly [string, string, string] => {
  const [raw, stored] = [content.rawBytes + metadata.rawBytes, content.storedBytes + metadata.storedBytes];
  const parts = formatPlural(content.segments.length + metadata.segments.length, 'part');
  return [
    'large objects',
    formatCount(objectCount),
    `${formatBytes(raw)}, ${formatBytes(stored)} stored in ${parts}, read by ${readMethod}`,
  ];
};
const toSpread = ({ waves }: ShowReport['manifest']) => ({
  earliestAt: waves[0]?.earliestAt ?? '',
  latestAt: waves.at(-1)?.latestAt ?? '',
  waveCount: waves.length,
});

/** As it would be typed. */
const formatSelection = (selection: NonNullable<ShowReport['manifest']['options']['selection']>): string => {
  const named = [
    ['-t', selection.tables],
    ['-n', selection.schemas],
    ['-T', selection.excludedTables],
    ['-N', selection.excludedSchemas],
    ['--exclude-table-data', selection.excludedTableData],
    ['--section', selection.sections.length === 3 ? [] : selection.sections],
  ] as const;
  const words = named.flatMap(([option, patterns]) => patterns.map((pattern) => `${option} ${pattern}`));
  return [...words, ...(selection.isUnloggedDataLeftOut ? ['--no-unlogged-data'] : [])].join(' ') || 'without large objects';
};

const formatRelations = ({ manifest }: ShowReport): string => {
  // Partitioned tables hold no rows of their own.
  const prefixOf = (database: string): string => (manifest.kind === 'cluster' ? `${database}: ` : '');
  const relations = manifest.databases
    .flatMap((database) => database.relations.map((relation) => ({ ...relation, prefix: prefixOf(database.name) })))
    .filter((relation) => relation.kind !== 'p');
  const largest = relations.toSorted((a, b) => b.rawBytes - a.rawBytes).slice(0, maxRelationsShown);
  if (largest.length === 0) return 'no relations with rows\n';
  const rows = largest.map((relation) => [
    toPrintable(`${relation.prefix}${relation.schema}.${relation.name}`),
    formatCount(relation.rowCount),
    formatBytes(relation.rawBytes),
    formatBytes(relation.storedBytes),
    formatCount(relation.segments.length),
    relation.format,
    toPrintable(`${relation.readMethod}: ${relation.readReason}`),
  ]);
  const hidden = relations.length - largest.length;
  return `${formatTable(columns, rows)}\n${hidden > 0 ? `and ${formatPlural(hidden, 'smaller relation')}; --json lists all\n` : ''}`;
};
