import { type CompressionOptions, defaults } from '../commands/options.js';
import { DbbackupError } from '../core/errors.js';
import type { CodecName } from '../core/results.js';
import { formatBytes, parseSize } from '../core/units.js';

/** A wrong value, in one line that names the option. Values that might be a mistyped password are never repeated. */
export const toUsageError = (message: string, hint?: string): DbbackupError =>
  new DbbackupError('usage', message, hint === undefined ? {} : { details: { hint } });

/** A parser of whole numbers within a range, for the option called `name`. */
export const wholeNumber =
  (name: string, min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw toUsageError(`${name} must be a whole number from ${min} to ${max}, not "${text}"`);
    return value;
  };

/** A parser of sizes within a range, for the option called `name`. */
export const sizeWithin =
  (name: string, min: number, max: number) =>
  (text: string): number => {
    let sizeBytes: number;
    try {
      sizeBytes = parseSize(text);
    } catch (error) {
      if (error instanceof DbbackupError)
        throw new DbbackupError('usage', `${name}: ${error.message}`, { cause: error, details: error.details });
      throw error;
    }
    if (sizeBytes < min || sizeBytes > max)
      throw toUsageError(`${name} must lie between ${formatBytes(min)} and ${formatBytes(max)}, not "${text}"`);
    return sizeBytes;
  };

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };
/** What the server's settings of type integer hold. */
const maxDurationMs = 2 ** 31 - 1;

/** A parser of durations as PostgreSQL writes them, for the option called `name`: `500`, `500ms`, `10s`, `5min`, `1h`. Gives milliseconds. */
export const duration =
  (name: string) =>
  (text: string): number => {
    const [, digits = '', unit = ''] = /^(\d{1,10}) *(ms|s|min|h|)$/.exec(text.trim()) ?? [];
    const value = Number(digits) * (durationUnits[unit === '' ? 'ms' : unit] ?? Number.NaN);
    if (digits === '' || value > maxDurationMs)
      throw toUsageError(`${name} must be milliseconds, or a number with ms, s, min or h, up to 24 days, not "${text}"`);
    return value;
  };

/** A port or, as libpq takes it, a comma-separated list of ports. The value is not repeated: `-psecret` is another program's way to give a password. */
export const parsePort = (text: string): string => {
  const isPort = (port: string): boolean => /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
  if (!text.split(',').every(isPort))
    throw toUsageError('--port must be a number from 1 to 65535', '-p is the port, as in psql; -W asks for a password.');
  return text;
};

/** Values that must not be empty: an empty one is an unset shell variable more often than a wish. */
export const nonEmpty =
  (name: string) =>
  (text: string): string => {
    if (text.trim() === '') throw toUsageError(`${name} must not be empty`);
    return text;
  };

const levels: Readonly<Record<CodecName, { readonly min: number; readonly max: number; readonly default: number } | null>> = {
  zstd: { min: 1, max: 22, default: defaults.compression.level },
  gzip: { min: 1, max: 12, default: 1 },
  lz4: null,
  none: null,
};

const isCodec = (name: string): name is CodecName => Object.hasOwn(levels, name);

/** `zstd`, `zstd:3`, `lz4`, `gzip:6`, `none`. */
export const parseCompression = (text: string): CompressionOptions => {
  const [codec = '', level, ...rest] = text.split(':');
  if (!isCodec(codec) || rest.length > 0) throw toUsageError(`--compression must be zstd[:1-22], lz4, gzip[:1-12] or none, not "${text}"`);
  const range = levels[codec];
  if (range === null) {
    if (level !== undefined) throw toUsageError(`--compression ${codec} has no levels`, `Write --compression ${codec}.`);
    return { codec, level: 0 };
  }
  return { codec, level: level === undefined ? range.default : wholeNumber(`--compression ${codec}:LEVEL`, range.min, range.max)(level) };
};

/** `OLD=NEW`, into what was given before. Names are taken as they are, without folding or quotes. */
export const parseSchemaMap = (text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => {
  const [from = '', to = '', ...rest] = text.split('=');
  if (from === '' || to === '' || rest.length > 0) throw toUsageError(`--map-schema must be OLD=NEW, not "${text}"`);
  if (Object.hasOwn(earlier, from)) throw toUsageError(`--map-schema names schema "${from}" twice`);
  return { ...earlier, [from]: to };
};
