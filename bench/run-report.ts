import { compare, comparisonHeader, type Performance, type Row, toRow } from './comparison.js';
import { formatMegabytes, formatTable } from './format.js';
import type { DatasetResult, PhaseResult } from './run-dataset.js';
import { noisyLoad, type Sample } from './sampling.js';
import { toSpread } from './statistics.js';

/** Undisturbed runs where there are any: a median of runs that shared the cores with something else is a figure about that. */
const selectQuiet = (samples: readonly Sample[]): readonly Sample[] => {
  const quiet = samples.filter(({ foreignLoad }) => foreignLoad <= noisyLoad);
  return quiet.length > 0 ? quiet : samples;
};

const toPerformance = (tool: string, all: readonly Sample[]): Performance => {
  const samples = selectQuiet(all);
  const spread = toSpread(samples.map(({ seconds }) => seconds));
  const stored = samples.flatMap(({ storedBytes }) => (storedBytes === null ? [] : [storedBytes]));
  return {
    tool,
    seconds: spread.median,
    spread,
    storedBytes: stored.length === 0 ? null : toSpread(stored).median,
    peakBytes: Math.max(...samples.map(({ peakTreeBytes }) => peakTreeBytes)),
  };
};

const toRows = (title: string, rawBytes: number, { ours, theirs, peerName }: PhaseResult): readonly Row[] =>
  theirs.length === 0
    ? [toRow(title, rawBytes, toPerformance('dbbackup', ours))]
    : compare(title, rawBytes, toPerformance('dbbackup', ours), toPerformance(peerName, theirs));

/** Core seconds tell more than wall time about a tool that shares the machine with its server, and are less disturbed by others. */
const formatCpu = (title: string, { ours, theirs, peerName }: PhaseResult): string => {
  const toText = (tool: string, samples: readonly Sample[]): string => {
    const median = (read: (sample: Sample) => number): string => toSpread(samples.map(read)).median.toFixed(2);
    return `${tool} ${median((sample) => sample.toolCpuSeconds)} + server ${median((sample) => sample.serverCpuSeconds)}`;
  };
  const sides = [toText('dbbackup', ours), ...(theirs.length === 0 ? [] : [toText(peerName, theirs)])];
  return `CPU seconds of ${title}: ${sides.join('; ')}`;
};

/** The table of one data set: medians, spread, ratios. */
export const formatDatasetResult = ({ dataset, rawBytes, databaseBytes, phases }: DatasetResult): string => {
  const blocks = Object.entries(phases).map(([title, phase]) => toRows(title, rawBytes, phase));
  const largest = Object.values(phases).flatMap(({ ours }) => ours.map(({ peakProcessBytes }) => peakProcessBytes));
  const table = formatTable([...comparisonHeader, ...blocks.flatMap((block, index) => (index === 0 ? block : [null, ...block]))], 2);
  return `${dataset}: ${formatMegabytes(databaseBytes)} in the database, ${formatMegabytes(rawBytes)} of rows as COPY sends them
${table}
${Object.entries(phases)
  .map(([title, phase]) => formatCpu(title, phase))
  .join('\n')}
largest process of dbbackup: ${formatMegabytes(Math.max(...largest))}
`;
};

/** What speaks against trusting the figures; empty on a quiet machine. */
export const listWarnings = (results: readonly DatasetResult[]): readonly string[] => {
  const warnings: string[] = [];
  for (const { dataset, phases } of results) {
    for (const [phase, { ours, theirs }] of Object.entries(phases)) {
      const samples = [...ours, ...theirs];
      const disturbed = samples.filter(({ foreignLoad }) => foreignLoad > noisyLoad).length;
      const load = Math.max(...samples.map(({ foreignLoad }) => foreignLoad));
      const steal = Math.max(...samples.map((sample) => sample.steal));
      if (disturbed > 0)
        warnings.push(
          `${dataset} ${phase}: other processes used up to ${(load * 100).toFixed(0)} % of the cores in ${disturbed} of ${samples.length} runs`,
        );
      if (steal > noisyLoad / 2) warnings.push(`${dataset} ${phase}: the hypervisor took up to ${(steal * 100).toFixed(0)} % of the time`);
      for (const [tool, side] of [
        ['dbbackup', ours],
        ['the peer', theirs],
      ] as const) {
        const { median, min, max } = toSpread(selectQuiet(side).map(({ seconds }) => seconds));
        if (max - min > 0.2 * median)
          warnings.push(`${dataset} ${phase}: runs of ${tool} differ by ${(((max - min) / median) * 100).toFixed(0)} % of their median`);
      }
    }
  }
  return warnings;
};
