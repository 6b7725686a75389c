import assert from 'node:assert/strict';
import type { ChildOutcome } from '../../support/child.js';

/** The error a run printed: a line for people, then labelled ones (`docs/errors.md`). */
export interface Failure {
  readonly message: string;
  readonly code: string;
  readonly hint: string;
  /** All labels, `code` and `hint` among them. */
  readonly fields: ReadonlyMap<string, string>;
}

const errorStart = 'dbbackup: error: ';

/** Reads the one error in what a run wrote to standard error; its message must fit in one line. */
export const readFailure = (stderr: string): Failure => {
  const lines = stderr.trimEnd().split('\n');
  const starts = lines.filter((line) => line.startsWith(errorStart));
  assert.equal(starts.length, 1, `one error is told: ${stderr}`);
  const [first = '', ...rest] = lines.slice(lines.findIndex((line) => line.startsWith(errorStart)));
  const fields = new Map<string, string>();
  let last = '';
  for (const line of rest) {
    const [, label, text] = /^ {2}([a-z]+): (.*)$/.exec(line) ?? [];
    if (label !== undefined) {
      fields.set(label, text ?? '');
      last = label;
    } else {
      assert.match(line, /^ {4}/, `a label, or the rest of a long field: ${stderr}`);
      assert.notEqual(last, '', `the message has one line: ${stderr}`);
      fields.set(last, `${fields.get(last)}\n${line.trim()}`);
    }
  }
  return { message: first.slice(errorStart.length), code: fields.get('code') ?? '', hint: fields.get('hint') ?? '', fields };
};

export interface ExpectedFailure {
  readonly status: number;
  readonly code: string;
  readonly message: RegExp;
  /** Default: any sentence, but there must be one. */
  readonly hint?: RegExp;
}

/** Asserts how a run failed: exit status, code, and a message and a hint that say what it is about. */
export const expectFailure = (outcome: ChildOutcome, expected: ExpectedFailure): Failure => {
  const failure = readFailure(outcome.stderr);
  assert.equal(failure.code, expected.code, outcome.stderr);
  assert.match(failure.message, expected.message);
  assert.match(failure.hint, expected.hint ?? /[.;)]$/, outcome.stderr);
  assert.equal(outcome.status, expected.status, outcome.stderr);
  return failure;
};

/** Asserts that a run ended well, and gives its standard output. */
export const expectSuccess = (outcome: ChildOutcome): string => {
  assert.equal(outcome.status, 0, outcome.stderr);
  return outcome.stdout;
};
