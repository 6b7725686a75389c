import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type OutputOptions, parseArguments, type Request } from '#src/cli/args.js';
import { DbbackupError } from '#src/core/errors.js';

const parse = (...argv: readonly string[]): { readonly request: Request; readonly output: OutputOptions } => {
  const parsed = parseArguments(argv);
  assert.equal(parsed.kind, 'request');
  return parsed;
};

const refuse = (argv: readonly string[], message: RegExp, hint: RegExp = /./): void => {
  assert.throws(
    () => parseArguments(argv),
    (error: unknown) => {
      assert.ok(error instanceof DbbackupError, String(error));
      assert.equal(error.code, 'usage');
      assert.equal(error.exitStatus, 2);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n|^error:|\.$/);
      assert.match(error.hint ?? '', hint);
      return true;
    },
    argv.join(' '),
  );
};

test('a backup needs nothing but a database: everything else is left to the command', () => {
  assert.deepEqual(parse('backup', 'single', 'shop'), {
    kind: 'request',
    request: {
      command: 'backup',
      isPrompting: false,
      notices: [],
      options: { connection: { database: 'shop' }, outputDir: './backups', isLevelForced: false, isVerifying: false },
    },
    output: { isJson: false, isQuiet: false, isVerbose: false, logFile: null },
  });
});

test('every option of a backup arrives', () => {
  const { request, output } = parse(
    ...[
      'backup',
      'single',
      'postgres://h/db',
      '-h',
      'db1,db2',
      '-p',
      '5432,5433',
      '-U',
      'u',
      '-w',
      '--output-dir',
      '/b',
      '--jobs',
      '7',
      '--chunk-size',
      '512MB',
    ],
    ...[
      '--compression',
      'gzip:9',
      '--force-level',
      '--format',
      'text',
      '--checksum',
      'sha256',
      '--lock-wait-timeout',
      '10s',
      '--memory-limit',
      '150MB',
      '--pg-bin-dir',
      '/pg',
      '--verify',
      '--mode',
      'chunked',
    ],
    ...['--json', '--quiet', '--log-file', '/l'],
  );
  assert.deepEqual(request, {
    command: 'backup',
    isPrompting: false,
    notices: [],
    options: {
      connection: { database: 'postgres://h/db', host: 'db1,db2', port: '5432,5433', user: 'u', noPassword: true },
      outputDir: '/b',
      jobs: 7,
      chunkSizeBytes: 512 * 1024 ** 2,
      compression: { codec: 'gzip', level: 9 },
      isLevelForced: true,
      format: 'text',
      checksum: 'sha256',
      lockTimeoutMs: 10_000,
      memoryLimitBytes: 150 * 1024 ** 2,
      pgBinDir: '/pg',
      isVerifying: true,
    },
  });
  assert.deepEqual(output, { isJson: true, isQuiet: true, isVerbose: false, logFile: '/l' });
});

test('every option of a restore arrives', () => {
  assert.deepEqual(
    parse(
      'restore',
      'single',
      'x-1',
      '--target-db',
      'copy',
      '-h',
      '/run/pg',
      '-W',
      '--clean',
      '--yes',
      '--check',
      '-j',
      '2',
      '--pg-bin-dir',
      '/pg',
    ).request,
    {
      command: 'restore',
      isPrompting: true,
      options: {
        id: 'x-1',
        outputDir: './backups',
        connection: { database: 'copy', host: '/run/pg' },
        isCreating: false,
        isCleaning: true,
        isConfirmed: true,
        isChecking: true,
        jobs: 2,
        pgBinDir: '/pg',
      },
    },
  );
});

test('the other commands', () => {
  assert.deepEqual(parse('verify', 'x', '--parallel-tables', '3').request, {
    command: 'verify',
    options: { id: 'x', outputDir: './backups', jobs: 3 },
  });
  assert.deepEqual(parse('list', '--unfinished').request, { command: 'list', options: { outputDir: './backups', isUnfinished: true } });
  assert.deepEqual(parse('show', 'x', '--output-dir', '/b').request, { command: 'show', options: { id: 'x', outputDir: '/b' } });
  assert.deepEqual(parse('delete', 'x', '--yes').request, {
    command: 'delete',
    options: { id: 'x', outputDir: './backups', isConfirmed: true },
  });
});

test('keepers are listed, and stopped by ID or all', () => {
  assert.deepEqual(parse('keeper', 'list', '--json'), {
    kind: 'request',
    request: { command: 'keeper-list', options: {} },
    output: { isJson: true, isQuiet: false, isVerbose: false, logFile: null },
  });
  assert.deepEqual(parse('keeper', 'stop', 'x').request, { command: 'keeper-stop', options: { id: 'x' } });
  assert.deepEqual(parse('keeper', 'stop', '--all').request, { command: 'keeper-stop', options: {} });
  refuse(['keeper', 'stop'], /needs the ID of a backup, or --all/);
  refuse(['keeper', 'stop', 'x', '--all'], /needs the ID of a backup, or --all/);
  refuse(['keeper'], /"keeper" needs a subcommand: list or stop/);
});

test('--parallel-tables is --jobs', () => {
  const { request } = parse('backup', 'single', 'shop', '--parallel-tables', '4');
  assert.equal(request.command === 'backup' && request.options.jobs, 4);
  refuse(['backup', 'single', 'shop', '--parallel-tables', '4', '--jobs', '4'], /cannot be used with/);
});

test('DBBACKUP_OUTPUT_DIR names the repository, --output-dir overrides it, an empty one counts as none', () => {
  const outputDir = (argv: readonly string[], environment: Record<string, string>): unknown => {
    const parsed = parseArguments(argv, environment);
    return parsed.kind === 'request' && 'outputDir' in parsed.request.options && parsed.request.options.outputDir;
  };
  assert.equal(outputDir(['list'], { DBBACKUP_OUTPUT_DIR: '/e' }), '/e');
  assert.equal(outputDir(['list', '--output-dir', '/o'], { DBBACKUP_OUTPUT_DIR: '/e' }), '/o');
  assert.equal(outputDir(['list'], { DBBACKUP_OUTPUT_DIR: '' }), './backups');
});

test('of -w and -W the last one counts, as in psql', () => {
  const isPrompting = (...flags: readonly string[]): unknown => {
    const { request } = parse('backup', 'single', 'shop', ...flags);
    return request.command === 'backup' && request.isPrompting;
  };
  assert.equal(isPrompting('-w', '-W'), true);
  assert.equal(isPrompting('-W', '-w'), false);
  assert.equal(isPrompting('--password'), true);
});

test('codecs and their levels', () => {
  const compression = (text: string): unknown => {
    const { request } = parse('backup', 'single', 'shop', '--force-level', '--compression', text);
    return request.command === 'backup' && request.options.compression;
  };
  assert.deepEqual(compression('zstd'), { codec: 'zstd', level: 1 });
  assert.deepEqual(compression('zstd:22'), { codec: 'zstd', level: 22 });
  assert.deepEqual(compression('gzip'), { codec: 'gzip', level: 1 });
  assert.deepEqual(compression('lz4'), { codec: 'lz4', level: 0 });
  assert.deepEqual(compression('none'), { codec: 'none', level: 0 });
  for (const wrong of [
    'zstd:0',
    'zstd:23',
    'zstd:',
    'zstd:1.5',
    'zstd:1:2',
    'gzip:13',
    'lz4:1',
    'none:1',
    'brotli',
    '',
    'ZSTD',
    'constructor',
  ]) {
    refuse(['backup', 'single', 'shop', '--compression', wrong], /^--compression/);
  }
});

test('a level above 6 is noticed unless it is forced', () => {
  const notices = (...flags: readonly string[]): unknown => {
    const { request } = parse('backup', 'single', 'shop', ...flags);
    return request.command === 'backup' && request.notices.length;
  };
  assert.equal(notices('--compression', 'zstd:7'), 1);
  assert.equal(notices('--compression', 'zstd:7', '--force-level'), 0);
  assert.equal(notices('--compression', 'zstd:6'), 0);
});

test('what is out of range is refused by name', () => {
  const backup = ['backup', 'single', 'shop'];
  for (const jobs of ['0', '65', '-1', '1.5', 'two', '', '1e1', '0x4'])
    refuse([...backup, '--jobs', jobs], /^--jobs must be a whole number from 1 to 64/, /backup single --help/);
  for (const size of ['1kB', '2TB', '0', 'big', '1XB']) refuse([...backup, '--chunk-size', size], /^--chunk-size/);
  for (const port of ['0', '65536', 'x', '1,', '', '-5']) refuse([...backup, '--port', port], /^--port must be a number from 1 to 65535/);
  refuse([...backup, '--format', 'csv'], /'csv' is invalid\. Allowed choices are auto, binary, text/);
  refuse([...backup, '--checksum', 'md5'], /xxh3-128, sha256/);
  refuse([...backup, '--mode', 'magic'], /chunked, native/);
  refuse([...backup, '--output-dir', ''], /^--output-dir must not be empty/);
  refuse(['backup', 'single', ''], /^DB must not be empty/);
});

test('what is missing, unknown or too much is refused with the way to the help', () => {
  refuse([], /no command given/, /See dbbackup --help\./);
  refuse(['backup'], /"backup" needs a subcommand: single or cluster/);
  refuse(['backup', 'clusters'], /unknown command 'clusters'/);
  refuse(['backup', 'cluster', 'a', 'b'], /too many arguments/, /See dbbackup backup cluster --help\./);
  refuse(['backup', 'cluster', '--exclude-database', ''], /--exclude-database must not be empty/);
  refuse(['restore', 'cluster'], /missing required argument 'ID'/);
  refuse(['restore', 'cluster', 'x', '--clean'], /--clean needs --yes/);
  refuse(['bakcup'], /unknown command 'bakcup'/, /Did you mean backup\?/);
  refuse(['backup', 'single'], /missing required argument 'DB'/, /See dbbackup backup single --help\./);
  refuse(['backup', 'single', 'a', 'b'], /too many arguments/);
  refuse(['backup', 'single', 'a', '--fromat', 'text'], /unknown option '--fromat'/, /Did you mean --format\?/);
  refuse(['list', '--jobs', '3'], /unknown option '--jobs'/, /See dbbackup list --help\./);
  refuse(['-h'], /unknown option '-h'/, /--help/);
  refuse(['restore', 'cluster', 'x', '-t', 'orders'], /unknown option '-t'/, /restore single takes a part/);
  refuse(['backup', 'cluster', '--schema-only'], /unknown option '--schema-only'/, /--exclude-database: backup single takes a part/);
  refuse(['restore', 'single', 'x'], /required option '--target-db <NAME>' not specified/);
  refuse(['list', '--json=yes'], /unknown option '--json'/);
  refuse(['verify', 'x', '--quiet', '--verbose'], /cannot be used with/);
});

test('what destroys needs consent', () => {
  refuse(['delete', 'x'], /delete needs --yes/);
  refuse(['restore', 'single', 'x', '--target-db', 'y', '--clean'], /--clean needs --yes/);
  refuse(['restore', 'single', 'x', '--target-db', 'y', '--clean', '--yes', '--create'], /cannot be used with/);
});

test('a password in the wrong place is refused and never repeated', () => {
  const secret = 'hunter2x';
  const wrong = [[`--password=${secret}`], [`-W${secret}`], [`-p${secret}`], ['--port', secret], [`--passwrod=${secret}`]];
  for (const flags of wrong) {
    assert.throws(
      () => parseArguments(['backup', 'single', 'shop', ...flags]),
      (error: unknown) => error instanceof DbbackupError && error.code === 'usage' && !`${error.message}${error.hint}`.includes(secret),
      flags.join(' '),
    );
  }
  refuse(['backup', 'single', 'postgres://u:a@b@h/db'], /percent-encoded/, /%40/);
  refuse(['restore', 'single', 'x', '--target-db', 'postgres://u:a/b@h/db'], /percent-encoded/);
});

test('every command has a help with examples and exit statuses, no wider than asked for', () => {
  for (const command of [['backup', 'single'], ['restore', 'single'], ['verify'], ['list'], ['show'], ['delete']]) {
    for (const argv of [[...command, '--help'], ['help', ...command].slice(0, 2)]) {
      const parsed = parseArguments(argv, {}, 90);
      assert.equal(parsed.kind, 'text', argv.join(' '));
      if (argv.at(-1) !== '--help') continue;
      assert.match(parsed.text, new RegExp(`^Usage: dbbackup ${command.join(' ')} `));
      assert.match(parsed.text, /\nExamples:\n {2}dbbackup /);
      assert.match(parsed.text, /\nExit status:\n {4}0 {2}done\n {4}1 {2}failed\n {4}2 /);
      assert.match(parsed.text, /--output-dir <DIR>/);
    }
  }
  const root = parseArguments(['--help']);
  assert.ok(root.kind === 'text' && /backup[\s\S]+restore[\s\S]+verify[\s\S]+list[\s\S]+show[\s\S]+delete/.test(root.text));
});

test('--version tells the package’s version', () => {
  const parsed = parseArguments(['--version']);
  assert.ok(parsed.kind === 'text' && /^\d+\.\d+\.\d+\n$/.test(parsed.text));
});

test('whatever is typed is a request, a text or a usage error', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'backup',
      'single',
      'restore',
      'verify',
      'list',
      'show',
      'delete',
      'help',
      '--',
      '-',
      '--json',
      '--jobs',
      '-h',
      '-W',
      '--help',
      '--yes',
      '--target-db',
      '--compression',
      'zstd:3',
    ),
    fc.string({ maxLength: 12 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
      try {
        parseArguments(argv);
      } catch (error) {
        assert.ok(error instanceof DbbackupError && error.code === 'usage' && error.message !== '', String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a cluster’s backup and restore take their own options beside the shared ones', () => {
  const request = (argv: readonly string[]) => {
    const parsed = parseArguments(argv);
    assert.equal(parsed.kind, 'request');
    return parsed.request;
  };
  const backup = request([
    'backup',
    'cluster',
    '-h',
    'db',
    '--exclude-database',
    'a*',
    '--exclude-database',
    '"B"',
    '--no-role-passwords',
    '-j',
    '3',
  ]);
  assert.deepEqual(backup, {
    command: 'backup-cluster',
    isPrompting: false,
    notices: [],
    options: {
      connection: { database: 'postgres', host: 'db' },
      outputDir: './backups',
      isLevelForced: false,
      isVerifying: false,
      jobs: 3,
      excludeDatabases: ['a*', '"B"'],
      arePasswordsLeftOut: true,
    },
  });
  const plain = request(['backup', 'cluster', 'postgres://u@h/x', '-W']);
  assert.ok(plain.command === 'backup-cluster' && plain.isPrompting);
  assert.deepEqual(plain.options.connection, { database: 'postgres://u@h/x' });
  assert.deepEqual([plain.options.excludeDatabases, plain.options.arePasswordsLeftOut], [[], false]);

  const restore = request(['restore', 'cluster', 'x', '--target-server', 'template1', '--no-tablespaces', '--clean', '--yes', '--check']);
  assert.deepEqual(restore, {
    command: 'restore-cluster',
    isPrompting: false,
    options: {
      id: 'x',
      outputDir: './backups',
      connection: { database: 'template1' },
      excludeDatabases: [],
      areTablespacesLeftOut: true,
      isCleaning: true,
      isConfirmed: true,
      isChecking: true,
    },
  });
  const one = request(['restore', 'single', 'x', '--database', 'shop', '--target-db', 'y']);
  assert.ok(one.command === 'restore');
  assert.equal(one.options.database, 'shop');
});
