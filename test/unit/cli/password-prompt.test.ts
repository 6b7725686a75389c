import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { toPasswordPrompt, typeCharacter } from '#src/cli/password-prompt.js';

test('keys edit what was typed', () => {
  assert.deepEqual(typeCharacter('ab', 'c'), { secret: 'abc' });
  assert.deepEqual(typeCharacter('a🙂', '\u007f'), { secret: 'a' });
  assert.deepEqual(typeCharacter('', '\b'), { secret: '' });
  assert.deepEqual(typeCharacter('abc', '\u0015'), { secret: '' });
  assert.equal(typeCharacter('abc', '\r'), 'done');
  assert.equal(typeCharacter('abc', '\n'), 'done');
  assert.equal(typeCharacter('abc', '\u0003'), 'cancelled');
  assert.equal(typeCharacter('abc', '\u0004'), 'cancelled');
});

test('the prompt names the user where one was given', () => {
  assert.equal(toPasswordPrompt(undefined), 'Password: ');
  assert.equal(toPasswordPrompt('u'), 'Password for user u: ');
});

const program = `
  import { runCli } from '#src/cli/run.js';
  const backup = async ({ connection }) => {
    process.stdout.write('length ' + connection.password.length + '\\n');
    throw new Error('server said ' + connection.password);
  };
  process.exitCode = await runCli(['backup', 'single', 'shop', '-U', 'u', '-W'], { stdout: process.stdout, stderr: process.stderr, environment: {} }, { backup });
`;

/** Runs the program on a terminal of its own and types `keys` once it asks. */
const typeOnTerminal = async (keys: string): Promise<{ readonly status: number | null; readonly shown: string }> => {
  const command = `${JSON.stringify(process.execPath)} --input-type=module --eval "$PROGRAM"`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, PROGRAM: program, TERM: 'xterm' },
    stdio: 'pipe',
  });
  let shown = '';
  let hasTyped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    if (!hasTyped && shown.includes('Password for user u: ')) {
      hasTyped = true;
      child.stdin.write(keys);
    }
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, shown };
};

test('a password is typed without echo and never shown', { timeout: 20_000 }, async () => {
  const { status, shown } = await typeOnTerminal('hunter2y\u007fx\r');
  assert.equal(status, 1);
  assert.match(shown, /length 8/);
  assert.match(shown, /server said \*\*\*/);
  assert.doesNotMatch(shown, /hunter2/);
});

test('Ctrl-C at the prompt cancels', { timeout: 20_000 }, async () => {
  const { status, shown } = await typeOnTerminal('hunt\u0003');
  assert.equal(status, 130);
  assert.match(shown, /the password prompt was cancelled/);
});

test('without a terminal there is nobody to ask', { timeout: 20_000 }, () => {
  const { status, stderr } = spawnSync('setsid', ['--wait', process.execPath, '--input-type=module', '--eval', program], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.equal(status, 2);
  assert.match(stderr, /^dbbackup: error: there is no terminal to ask for the password\n {2}code: usage\n {2}hint: /);
});
