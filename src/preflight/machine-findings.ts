/** Whether this machine has what a run needs. Pure. */
import { type Finding, fail, ok, warn } from '../core/findings.js';
import { formatBytes, formatCount, formatPlural } from '../core/units.js';
import type { MachineFacts } from './machine-facts.js';

/** pg_dump keeps the catalog in memory: a hundred MB serve some ten thousand tables. */
const toolReserveBytes = 128 * 1024 ** 2;

/** `neededBytes`: what the run's memory limit allows it. */
export const judgeMemory = (facts: Pick<MachineFacts, 'availableMemoryBytes' | 'memoryLimitBytes'>, neededBytes: number): Finding => {
  const { availableMemoryBytes, memoryLimitBytes } = facts;
  const limit = memoryLimitBytes === null ? '' : `, the control group allows ${formatBytes(memoryLimitBytes)}`;
  if (availableMemoryBytes === null && memoryLimitBytes === null) return ok('memory', 'not known on this machine');
  const available = availableMemoryBytes === null ? '' : `${formatBytes(availableMemoryBytes)} of memory are available`;
  const measured = `${available}${limit}; dbbackup uses up to ${formatBytes(neededBytes)}, pg_dump has memory of its own`.replace(
    /^, /,
    '',
  );
  const room = Math.min(availableMemoryBytes ?? Number.MAX_SAFE_INTEGER, memoryLimitBytes ?? Number.MAX_SAFE_INTEGER);
  const remedy = 'Use fewer --jobs or a lower --memory-limit, or free memory.';
  if (room < neededBytes) return fail('memory', measured, remedy);
  return room < neededBytes + toolReserveBytes ? warn('memory', measured, remedy) : ok('memory', measured);
};

/** Descriptors of Node, the journal, tools' pipes; and of a job: its connection, its files, its waiting. */
const baseFiles = 64;
const filesPerJob = 8;

export const judgeOpenFiles = ({ openFilesLimit }: Pick<MachineFacts, 'openFilesLimit'>, jobs: number): Finding => {
  const needed = baseFiles + filesPerJob * jobs;
  if (openFilesLimit === null) return ok('ulimits', 'the number of open files is not limited');
  const measured = `${formatCount(openFilesLimit)} open files are allowed, about ${needed} are needed for ${formatPlural(jobs, 'job')}`;
  return openFilesLimit < needed ? fail('ulimits', measured, `Run with ulimit -n ${needed} or more.`) : ok('ulimits', measured);
};
