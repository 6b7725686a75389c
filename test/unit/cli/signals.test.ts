import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

/** A process that waits in a run; `ending` says how the run meets its abort. */
const start = async (ending: 'rejects' | 'hangs' | 'finishes' | 'fails') => {
  const script = `
    import { runCli } from '#src/cli/run.js';
    import { DbbackupError } from '#src/core/errors.js';
    const wait = (options, { signal }) => new Promise((resolve, reject) => {
      const timer = setInterval(() => undefined, 1000);
      console.log('ready');
      signal.addEventListener('abort', () => {
        if ('${ending}' === 'hangs') return;
        clearInterval(timer);
        if ('${ending}' === 'finishes') resolve({ id: 'x', fileCount: 0, relationCount: 0, rowCount: 0, rawBytes: 0, elapsedMs: 1, bytesPerSecond: 0, damage: [] });
        else reject('${ending}' === 'fails' ? new Error('a tool was killed') : new DbbackupError('cancelled', 'the session is closed'));
      });
    });
    process.exitCode = await runCli(['verify', 'x', '--quiet'], { stdout: process.stdout, stderr: process.stderr, environment: {} }, { verify: wait });
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child.stdout, 'data');
  return { child, stderr: () => stderr, exit: once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]> };
};

test('the first signal aborts, and the status is the signal’s', { timeout: 20_000 }, async () => {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const { child, exit, stderr } = await start('rejects');
    child.kill(signal);
    assert.deepEqual(await exit, [status, null]);
    assert.equal(
      stderr(),
      `dbbackup: ${signal}: stopping cleanly; a second signal stops at once\ndbbackup: error: the run was cancelled by ${signal}\n  code: cancelled\n`,
    );
  }
});

test('another error that comes after a signal is told, with the signal’s status', { timeout: 20_000 }, async () => {
  const { child, exit, stderr } = await start('fails');
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [143, null]);
  assert.match(stderr(), /error: a tool was killed/);
});

test('a run that was done before it noticed the signal counts as done', { timeout: 20_000 }, async () => {
  const { child, exit } = await start('finishes');
  child.kill('SIGINT');
  assert.deepEqual(await exit, [0, null]);
});

test('the second signal ends the process at once', { timeout: 20_000 }, async () => {
  const { child, exit, stderr } = await start('hangs');
  child.kill('SIGINT');
  while (!stderr().includes('stopping')) await new Promise((resolve) => setTimeout(resolve, 10));
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [143, null]);
});
