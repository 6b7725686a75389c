import pc from 'picocolors';

/** Where text goes: a stream's part that the CLI needs. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export type Style = Pick<ReturnType<typeof pc.createColors>, 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan'>;

/** Colours on a terminal that wants them: not where output is redirected, `NO_COLOR` is set or `TERM` is `dumb`. */
export const toStyle = (stream: TextStream, environment: Readonly<Record<string, string | undefined>>): Style =>
  pc.createColors(stream.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb');

/** Whether lines may be rewritten in place. */
export const isLive = (stream: TextStream, environment: Readonly<Record<string, string | undefined>>): boolean =>
  stream.isTTY === true && environment['TERM'] !== 'dumb';
