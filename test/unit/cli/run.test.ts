import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Commands, runCli } from '#src/cli/run.js';
import type { RunContext } from '#src/commands/options.js';
import { DbbackupError } from '#src/core/errors.js';
import type { EventBody } from '#src/core/events.js';
import { backupReport, damage, recordStream, restoreReport, scriptCommands, verifyReport } from './support.js';

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = async (
  argv: readonly string[],
  scripted: Partial<Commands> = {},
  environment: Record<string, string> = {},
): Promise<Outcome> => {
  const stdout = recordStream();
  const stderr = recordStream();
  const status = await runCli(argv, { stdout, stderr, environment }, scriptCommands(scripted));
  return { status, stdout: stdout.text(), stderr: stderr.text() };
};

const emit = (context: RunContext, ...bodies: readonly EventBody[]): void => {
  for (const body of bodies) context.onEvent?.({ atMs: 1000, ...body });
};

const backup = ['backup', 'single', 'shop'];

test('help and version go to standard output', async () => {
  const help = await run(['list', '--help']);
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /^Usage: dbbackup list/);
  assert.match((await run(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('a usage error is one line with code and hint on standard error, status 2', async () => {
  assert.deepEqual(await run(['backup', 'single', 'shop', '--jobs', '0']), {
    status: 2,
    stdout: '',
    stderr: `dbbackup: error: --jobs must be a whole number from 1 to 64, not "0"\n  code: usage\n  hint: See dbbackup backup single --help.\n`,
  });
  const { status, stdout } = await run(['list', '--jobs', '0', '--json']);
  assert.equal(status, 2);
  assert.equal((JSON.parse(stdout) as { type: string }).type, 'run.failed');
});

test('a backup: steps on standard error, the summary on standard output', async () => {
  const { status, stdout, stderr } = await run(backup, {
    backup: async (options, context) => {
      assert.equal(options.connection.database, 'shop');
      emit(context, { type: 'phase.started', phase: 'data' });
      return backupReport;
    },
  });
  assert.equal(status, 0);
  assert.equal(stderr, '1970-01-01T00:00:01Z data\n');
  assert.match(stdout, /backup shop-20260102t030405z-k3f9 done in 12\.3 s/);
});

test('--quiet leaves the ID', async () => {
  const quiet = await run([...backup, '--quiet', '--compression', 'zstd:9'], {
    backup: async (_options, context) => {
      emit(context, { type: 'phase.started', phase: 'data' });
      return backupReport;
    },
  });
  assert.deepEqual(quiet, { status: 0, stdout: `${backupReport.id}\n`, stderr: '' });
});

test('a level that is lowered is noticed', async () => {
  const { stderr } = await run([...backup, '--compression', 'zstd:9'], { backup: async () => backupReport });
  assert.match(stderr, /^dbbackup: compression level 9 is lowered to 6/);
});

test('--json prints the events and nothing else', async () => {
  const finished: EventBody = {
    type: 'verify.finished',
    id: 'x',
    fileCount: 1,
    damageCount: 0,
    rowCount: 1,
    rawBytes: 1,
    elapsedMs: 1,
    bytesPerSecond: 1,
  };
  const { stdout, stderr } = await run(['verify', 'x', '--json'], {
    verify: async (_options, context) => {
      emit(context, { type: 'verify.started', id: 'x' }, finished);
      return verifyReport;
    },
  });
  assert.deepEqual(stdout.split('\n'), [
    JSON.stringify({ atMs: 1000, type: 'verify.started', id: 'x' }),
    JSON.stringify({ atMs: 1000, ...finished }),
    '',
  ]);
  assert.equal(stderr, '');
});

test('the exit status tells how it ended', async () => {
  const status = async (argv: readonly string[], scripted: Partial<Commands>): Promise<number> => (await run(argv, scripted)).status;
  const fail = (error: unknown) => async (): Promise<never> => {
    throw error;
  };
  assert.equal(await status(backup, { backup: async () => ({ ...backupReport, warnings: ['careful'] }) }), 3);
  assert.equal(await status(backup, { backup: async () => ({ ...backupReport, verified: verifyReport }) }), 0);
  assert.equal(await status(backup, { backup: async () => ({ ...backupReport, verified: { ...verifyReport, damage: [damage] } }) }), 20);
  assert.equal(await status(['verify', 'x'], { verify: async () => verifyReport }), 0);
  assert.equal(await status(['verify', 'x'], { verify: async () => ({ ...verifyReport, damage: [damage] }) }), 20);
  const restore = ['restore', 'single', 'x', '--target-db', 'y'];
  assert.equal(await status(restore, { restore: async () => restoreReport }), 0);
  assert.equal(await status(restore, { restore: async () => ({ ...restoreReport, warnings: ['careful'] }) }), 3);
  assert.equal(await status(restore, { restore: fail(new DbbackupError('content_differs', 'public.t differs')) }), 20);
  assert.equal(await status(['show', 'x'], { show: fail(new DbbackupError('backup_not_found', 'there is no backup x')) }), 10);
  assert.equal(
    await status(['delete', 'x', '--yes'], { deleteBackup: fail(new DbbackupError('locked', 'backup x is being written')) }),
    11,
  );
  assert.equal(await status(backup, { backup: fail(new DbbackupError('connection_failed', 'no')) }), 1);
  assert.equal(await status(backup, { backup: fail(new TypeError('x is undefined')) }), 1);
  assert.equal(await status(backup, { backup: fail('a string') }), 1);
});

test('a failure is an event too, told once', async () => {
  const error = new DbbackupError('disk_full', 'no space is left in /b');
  const failing = await run([...backup, '--json'], {
    backup: async () => {
      throw error;
    },
  });
  const [line = '', rest] = failing.stdout.split('\n');
  assert.equal(rest, '');
  const { atMs, ...event } = JSON.parse(line) as Record<string, unknown>;
  assert.equal(typeof atMs, 'number');
  assert.deepEqual(event, { type: 'run.failed', code: 'disk_full', message: error.message, hint: error.hint });
  assert.match(failing.stderr, /^dbbackup: error: no space is left in \/b\n {2}code: disk_full\n {2}hint: /);

  const told = await run([...backup, '--json'], {
    backup: async (_options, context) => {
      emit(context, { type: 'run.failed', code: 'disk_full', message: 'no space' });
      throw error;
    },
  });
  assert.equal(told.stdout.split('\n').length, 2);
});

test('list, show and delete print their report', async () => {
  const report = {
    repository: '/b',
    backups: [
      {
        ...({
          id: 'x',
          state: 'damaged',
          kind: null,
          database: null,
          databases: null,
          startedAt: null,
          finishedAt: null,
          rowCount: null,
          rawBytes: null,
          storedBytes: null,
        } as const),
        ...{
          relationCount: null,
          consistency: null,
          isPartial: null,
          problem: 'manifest.json is not JSON',
          isRunning: false,
          resumable: null,
        },
      },
    ],
  };
  const list = async () => report;
  assert.deepEqual(await run(['list', '--json'], { list }), {
    status: 3,
    stdout: `${JSON.stringify(report)}\n`,
    stderr: 'dbbackup: warning: x: manifest.json is not JSON\n',
  });
  assert.equal((await run(['list', '--quiet'], { list })).stdout, 'x\n');
  assert.match((await run(['list'], { list })).stdout, /^ID .*\nx +-.* damaged\n$/);
  const deleteBackup = async () => ({ id: 'x', repository: '/b', wasFinished: true });
  assert.equal((await run(['delete', 'x', '--yes'], { deleteBackup })).stdout, 'backup x deleted from /b\n');
  assert.equal(
    (await run(['delete', 'x', '--yes', '--json'], { deleteBackup })).stdout,
    '{"id":"x","repository":"/b","wasFinished":true}\n',
  );
});

test('no secret reaches output, errors or the log, in whatever form it was given', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'dbbackup-cli-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const given: readonly (readonly [database: string, environment: Record<string, string>])[] = [
    ['postgres://u:hunter2x@h/db', {}],
    ['postgres://h/db?user=u&password=hunter2x', {}],
    ['host=h password=hunter2x dbname=db', {}],
    ["host=h password='hunter2x' dbname=db", {}],
    ['db', { PGPASSWORD: 'hunter2x' }],
  ];
  for (const [index, [database, environment]] of given.entries()) {
    for (const mode of ['--json', '--verbose', '--quiet']) {
      const logFile = join(directory, `${index}${mode}.log`);
      const outcome = await run(
        ['backup', 'single', database, mode, '--log-file', logFile],
        {
          backup: async (options, context) => {
            assert.equal(options.connection.database, database);
            emit(
              context,
              { type: 'warning', message: `a tool said hunter2x and ${database}`, object: database },
              { type: 'phase.started', phase: database },
            );
            emit(context, { type: 'chunk.failed', taskId: 1, name: database, code: 'connection_lost', message: 'hunter2x' });
            throw new DbbackupError('connection_failed', `cannot reach ${database}: hunter2x`, {
              cause: new Error(`inner ${database} hunter2x`),
              details: { detail: 'hunter2x', hint: `Try ${database} hunter2x.`, object: database, later: [new Error('hunter2x')] },
            });
          },
        },
        environment,
      );
      const log = readFileSync(logFile, 'utf8');
      assert.equal(outcome.status, 1);
      assert.match(outcome.stderr, /connection_failed/);
      assert.match(log, /connection_failed/);
      assert.doesNotMatch(`${outcome.stdout}${outcome.stderr}${log}`, /hunter2x/);
    }
  }
});

test('a secret in a usage error is not repeated either', async () => {
  for (const argv of [
    ['postgres://u:hunter2x@h/db'],
    ['backup', 'single', 'shop', 'postgres://u:hunter2x@h/db'],
    ['backup', 'single', 'shop', '--jobs', 'postgres://u:hunter2x@h/db'],
    ['backup', 'single', 'postgres://u:hunter2x@hunter2x@h/db'],
  ]) {
    const { status, stdout, stderr } = await run(argv);
    assert.equal(status, 2);
    assert.doesNotMatch(stdout + stderr, /hunter2x/);
  }
});

test('the log is JSON lines, private, appended to', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'dbbackup-cli-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const logFile = join(directory, 'dbbackup.log');
  const scripted: Partial<Commands> = {
    backup: async (_options, context) => {
      emit(context, { type: 'phase.started', phase: 'data' }, { type: 'warning', message: 'careful' });
      emit(context, {
        type: 'progress',
        rawBytes: 1,
        storedBytes: 1,
        rowCount: 1,
        estimatedRawBytes: 1,
        bytesPerSecond: 1,
        rssBytes: 1,
        active: [],
      });
      return backupReport;
    },
  };
  await run([...backup, '--log-file', logFile], scripted);
  await run([...backup, '--log-file', logFile, '--verbose'], scripted);
  assert.equal(statSync(logFile).mode & 0o777, 0o600);
  const lines = readFileSync(logFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; time: string; msg: string; exitStatus?: number });
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      [30, 'started'],
      [30, 'data'],
      [40, 'warning: careful'],
      [30, 'finished'],
      [30, 'started'],
      [30, 'data'],
      [40, 'warning: careful'],
      [20, 'progress'],
      [30, 'finished'],
    ],
  );
  assert.ok(lines.every(({ time }) => !Number.isNaN(Date.parse(time))));
  assert.equal(lines.at(-1)?.exitStatus, 0);
});

test('a log file that cannot be opened is an error before anything runs', async () => {
  const { status, stderr } = await run([...backup, '--log-file', '/nonexistent/x.log']);
  assert.equal(status, 1);
  assert.match(stderr, /^dbbackup: error: the log file \/nonexistent\/x\.log cannot be written: ENOENT\n {2}code: not_writable\n/);
});

test('a full log disk is told once and ends no run', { skip: process.platform !== 'linux' }, async () => {
  const { status, stderr } = await run([...backup, '--log-file', '/dev/full', '--quiet'], { backup: async () => backupReport });
  assert.equal(status, 0);
  assert.match(stderr, /^dbbackup: the log file cannot be written: .*ENOSPC.*\n$/);
});
