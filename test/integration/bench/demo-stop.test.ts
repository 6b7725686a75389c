import assert from 'node:assert/strict';
import { chmod, readdir } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { runChild } from '../../support/child.js';
import { rootDir } from '../../support/cli.js';
import { withTemporaryDirectory } from '../../support/temporary-directory.js';

/** Processes whose command line names `text`. */
const listProcesses = async (text: string): Promise<readonly string[]> =>
  (await runChild('ps', ['-eo', 'pid=,args='])).stdout.split('\n').filter((line) => line.includes(text));

describe('the demo', () => {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`leaves no process and no file behind when ${signal} ends it`, async () => {
      await withTemporaryDirectory(async (directory) => {
        await chmod(directory, 0o711);
        const outcome = await runChild(process.execPath, [`${rootDir}dist-dev/bench/demo.js`, '--short'], {
          env: { ...process.env, TMPDIR: directory },
          onSpawn: (child) => {
            let printed = '';
            child.stdout.on('data', (text: Buffer) => {
              const isFirst = !printed.includes('fingerprint');
              printed += text.toString();
              // The database is filled and its server busy.
              if (isFirst && printed.includes('fingerprint')) setTimeout(() => child.kill(signal), 300);
            });
          },
        });
        assert.equal(outcome.status, status, outcome.stdout + outcome.stderr);
        assert.deepEqual(await readdir(directory), []);
        assert.deepEqual(await listProcesses(directory), []);
      });
    });
  }
});
