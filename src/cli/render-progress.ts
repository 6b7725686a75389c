import type { Event } from '../core/events.js';
import { MovingRate } from '../metrics/rate.js';
import { foldTotals, noTotals, type Totals, toProgress } from '../metrics/totals.js';
import { describeEvent, describeProgress } from './describe.js';
import { LiveArea } from './live-area.js';
import type { Style, TextStream } from './style.js';
import { toPrintable } from './text.js';

/** Shows a run while it goes on. */
export interface ProgressRenderer {
  render(event: Event): void;
  /** Takes back what is not to stay. Called once, at the end, however it came. */
  finish(): void;
}

export interface ProgressOptions {
  readonly isQuiet: boolean;
  readonly isVerbose: boolean;
}

/** An eye follows four changes a second; a slow terminal must not slow the run. */
const minRedrawMs = 250;
/** One line in ten seconds tells that a run lives and keeps the logs of a night readable. */
const minLineMs = 10_000;

/** For terminals: lasting lines for steps, and below them a bar and the chunks in work. */
export const createLiveProgress = (stream: TextStream, style: Style, options: ProgressOptions): ProgressRenderer => {
  const area = new LiveArea(stream);
  const fold = createFold();
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  return {
    render: (event) => {
      const totals = fold(event);
      const line = toLine(event, options, style);
      if (line !== null) area.print(line);
      if (event.type === 'phase.finished') area.clear();
      // A clock set back must not stop the display.
      const isDue = event.atMs - drawnAtMs >= minRedrawMs || event.atMs < drawnAtMs;
      if (event.type === 'progress' && !options.isQuiet && isDue) {
        area.update(toLiveLines(totals));
        drawnAtMs = event.atMs;
      }
    },
    finish: () => area.clear(),
  };
};

/** For files and pipes: a line for each step, and every ten seconds one of progress, each with its time. */
export const createPlainProgress = (stream: TextStream, style: Style, options: ProgressOptions): ProgressRenderer => {
  const fold = createFold();
  let printedAtMs: number | null = null;
  return {
    render: (event) => {
      const totals = fold(event);
      const line = toLine(event, options, style);
      if (line !== null) stream.write(`${formatInstant(event.atMs)} ${line}\n`);
      if (event.type !== 'progress' || options.isQuiet) return;
      printedAtMs ??= event.atMs;
      if (event.atMs - printedAtMs < minLineMs && event.atMs >= printedAtMs) return;
      printedAtMs = event.atMs;
      stream.write(`${formatInstant(event.atMs)} ${toPrintable(withPhase(totals, describeProgress(totals)))}\n`);
    },
    finish: () => undefined,
  };
};

/** Totals with a rate over the last seconds: an Event tells that of a moment, and an ETA made of it would jump. */
const createFold = (): ((event: Event) => Totals) => {
  const rate = new MovingRate();
  let totals = noTotals;
  return (event) => {
    totals = foldTotals(totals, event);
    if (event.type === 'progress') totals = { ...totals, bytesPerSecond: rate.add(event.atMs, event.rawBytes) || event.bytesPerSecond };
    return totals;
  };
};

/** `2026-11-04T10:11:12Z`. */
export const formatInstant = (atMs: number): string => new Date(atMs).toISOString().replace(/\.\d{3}Z$/, 'Z');

const toLine = (event: Event, options: ProgressOptions, style: Style): string | null => {
  const description = describeEvent(event);
  if (description === null) return null;
  const text = toPrintable(description.text);
  if (description.weight === 'problem') return style.yellow(text);
  if (options.isQuiet || (description.weight === 'detail' && !options.isVerbose)) return null;
  return description.weight === 'detail' ? style.dim(text) : text;
};

const withPhase = (totals: Totals, text: string): string => (totals.phase === null ? text : `${totals.phase}: ${text}`);

const barCells = 24;
const maxActiveShown = 3;

const toLiveLines = (totals: Totals): readonly string[] => {
  const { fraction } = toProgress(totals);
  const filled = Math.round((fraction ?? 0) * barCells);
  const bar = fraction === null ? '' : `[${'#'.repeat(filled)}${'.'.repeat(barCells - filled)}] `;
  const active = totals.active.slice(0, maxActiveShown).map((name) => `  ${toPrintable(name)}`);
  const hidden = totals.active.length - active.length;
  return [`${bar}${toPrintable(withPhase(totals, describeProgress(totals)))}`, ...active, ...(hidden > 0 ? [`  and ${hidden} more`] : [])];
};
