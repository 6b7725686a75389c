import { DbbackupError } from './errors.js';

/** Sizes are 1024-based and written as PostgreSQL writes them: B, kB, MB, GB, TB, PB. */
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

const sizePattern = /^(\d+(?:\.\d+)?) *(?:([kmgtp])?b?)$/i;

/**
 * Bytes meant by `1GB`, `1.5 GB`, `512 kB` or `1048576`; units are 1024-based, their letters may be of either case and the `B` may be left out.
 * Throws `usage` for anything else and for sizes above 2^53-1.
 */
export const parseSize = (text: string): number => {
  const match = sizePattern.exec(text.trim());
  const exponent = ['', 'k', 'm', 'g', 't', 'p'].indexOf(match?.[2]?.toLowerCase() ?? '');
  const sizeBytes = match === null ? Number.NaN : Math.round(Number(match[1]) * 1024 ** exponent);
  if (!Number.isSafeInteger(sizeBytes)) {
    throw new DbbackupError('usage', `"${text}" is not a size`, {
      details: { hint: 'Write a number and a unit: B, kB, MB, GB or TB (1024-based), for example 512MB.' },
    });
  }
  return sizeBytes;
};

/** Three significant digits: `1.57 GB`, `41.2 MB`, `412 kB`, `17 B`. */
export const formatBytes = (sizeBytes: number): string => {
  let value = Math.max(0, sizeBytes);
  let exponent = 0;
  // 999.5 would be rounded to four digits.
  while (value >= 999.5 && exponent < units.length - 1) {
    value /= 1024;
    exponent += 1;
  }
  const digits = exponent === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[exponent]}`;
};

/** `128 MB/s`. */
export const formatRate = (bytesPerSecond: number): string => `${formatBytes(bytesPerSecond)}/s`;

/** `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`, `3 d 04 h`. */
export const formatDuration = (elapsedMs: number): string => {
  if (elapsedMs < 999.5) return `${Math.round(Math.max(0, elapsedMs))} ms`;
  if (elapsedMs < 59_950) return `${(elapsedMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(elapsedMs / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)} d ${twoDigits(hours % 24)} h`;
};

/** `12,345,678`; without Intl, whose tables cost start-up time. */
export const formatCount = (count: number): string => String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');

/** `1 table`, `2 tables`. */
export const formatPlural = (count: number, singular: string, plural: string = `${singular}s`): string =>
  `${formatCount(count)} ${count === 1 ? singular : plural}`;

const twoDigits = (value: number): string => String(value).padStart(2, '0');
