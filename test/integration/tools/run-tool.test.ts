import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DbbackupError } from '#src/core/errors.js';
import { processHost } from '#src/native/host.js';
import { runTool, runToolPipe } from '#src/tools/run-tool.js';
import type { Tool, ToolConnection, ToolHost, ToolRun } from '#src/tools/tool.js';
import { isProcessRunning } from '../../support/postmaster.js';

/** Programs every machine has, under a tool's name: what is tested is how programs are run, not what they do. */
const sh = (script: string, connection: ToolConnection | null = null): ToolRun => {
  const tool: Tool = { name: 'psql', path: '/bin/sh', major: 15, version: '15.0' };
  return { tool, args: ['-c', script], connection, object: 'the test' };
};

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => assert.fail('should have failed'),
    (reason: unknown) => reason,
  );
  return error instanceof DbbackupError ? `${error.code}: ${error.message}` : String(error);
};

const options = { host: processHost };

describe('runTool', () => {
  it('gives output and warnings', async () => {
    const output = await runTool(sh('echo out; echo "psql: warning: careful" >&2'), options);
    assert.deepEqual(output, { bytes: Buffer.from('out\n'), stdout: 'out\n', warnings: ['careful'] });
  });

  it('gives input, and tells when a tool has not read it', async () => {
    const input = Buffer.alloc(1024 * 1024, 'x');
    assert.equal((await runTool(sh('wc -c'), options, input)).stdout.trim(), String(input.length));
    assert.equal((await runTool(sh('cat'), options, Buffer.from([0xff, 0x00, 0x0a]))).bytes.toString('hex'), 'ff000a');
    assert.equal(await codeOf(runTool(sh('exec <&-'), options, input)), 'tool_failed: psql did not read its input (the test)');
    assert.equal(
      await codeOf(runTool(sh('echo "psql: error: no" >&2; exit 3'), options, input)),
      'tool_failed: psql ended with exit status 3 (the test): no',
    );
  });

  it('hands the password over in the environment alone, and nothing that leads elsewhere', async () => {
    const host: ToolHost = {
      ...processHost,
      environment: {
        PATH: '/usr/bin:/bin',
        PGHOST: 'elsewhere',
        PGSERVICE: 'other',
        PGSSLCRL: '/crl',
        LC_ALL: 'de_DE.UTF-8',
        GONE: undefined,
      },
    };
    const connection: ToolConnection = {
      info: { host: 'db', port: '5432', user: 'me', database: 'demo', options: {} },
      password: 'secret',
    };
    const { stdout } = await runTool(sh('env', connection), { host });
    const environment = stdout.split('\n').filter((line) => !/^(_|PWD|SHLVL|OLDPWD)=/.test(line));
    assert.deepEqual(environment.sort(), ['', 'LC_ALL=C', 'PATH=/usr/bin:/bin', 'PGPASSWORD=secret', 'PGSSLCRL=/crl']);
  });

  it('tells why a tool failed, from its last 64 kB', async () => {
    assert.equal(
      await codeOf(runTool(sh('echo "psql: error: no" >&2; exit 3'), options)),
      'tool_failed: psql ended with exit status 3 (the test): no',
    );
    assert.equal(await codeOf(runTool(sh('kill -SEGV $$'), options)), 'tool_failed: psql was ended by SIGSEGV (the test)');
    const chatty = 'head -c 10000000 /dev/zero | tr "\\0" "x" | fold -w 100 >&2; echo >&2; echo "psql: error: at last" >&2; exit 1';
    assert.equal(await codeOf(runTool(sh(chatty), options)), 'tool_failed: psql ended with exit status 1 (the test): at last');
  });

  it('says when a tool is not there', async () => {
    const run = sh('');
    assert.match(
      await codeOf(runTool({ ...run, tool: { ...run.tool, path: '/no/such/psql' } }, options)),
      /^tools_missing: \/no\/such\/psql could not be started/,
    );
  });

  it('ends a tool with its children when aborted, even one that does not want to', async () => {
    for (const [trap, mostMs] of [
      ['', 900],
      ["trap '' TERM; ", 2000],
    ] as const) {
      const aborting = new AbortController();
      const beginning = Date.now();
      setTimeout(() => aborting.abort(), 100);
      let child = 0;
      const signalGroup: ToolHost['signalGroup'] = (pid, signal) => {
        child = pid;
        processHost.signalGroup(pid, signal);
      };
      const host: ToolHost = { ...processHost, signalGroup };
      assert.match(await codeOf(runTool(sh(`${trap}sleep 60 & sleep 60; sleep 60`), { host, signal: aborting.signal })), /^cancelled/);
      assert.ok(Date.now() - beginning < mostMs + 1000, `${Date.now() - beginning} ms`);
      assert.equal(isProcessRunning(child), false);
    }
    assert.match(await codeOf(runTool(sh('echo'), { ...options, signal: AbortSignal.abort() })), /^cancelled/);
  });
});

describe('runToolPipe', () => {
  const same = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield* source;
  };

  it('sends one tool’s output through the filter into the other', async () => {
    const doubled = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) yield Buffer.concat([chunk, chunk]);
    };
    const warnings = await runToolPipe(sh('printf abc'), doubled, sh('read -r all; echo "psql: warning: got $all" >&2'), options).catch(
      (error: unknown) => error,
    );
    // `read` meets the end before a newline and so fails, but sets the variable; the last command decides.
    assert.deepEqual(warnings, ['got abcabc']);
  });

  it('blames the one that failed on its own account', async () => {
    const reader = sh('echo "psql: error: cannot read" >&2; exit 3');
    assert.match(await codeOf(runToolPipe(sh('yes | head -c 10000000'), same, reader, options)), /exit status 3 .*cannot read/);
    assert.match(
      await codeOf(runToolPipe(sh('echo half; echo "psql: error: cannot write" >&2; exit 2'), same, sh('cat > /dev/null'), options)),
      /exit status 2 .*cannot write/,
    );
  });

  it('ends both when aborted', async () => {
    const aborting = new AbortController();
    setTimeout(() => aborting.abort(), 100);
    const beginning = Date.now();
    assert.match(await codeOf(runToolPipe(sh('sleep 60'), same, sh('cat'), { ...options, signal: aborting.signal })), /^cancelled/);
    assert.ok(Date.now() - beginning < 2000);
  });
});
