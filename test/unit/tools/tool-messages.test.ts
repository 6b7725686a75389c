import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Tool } from '#src/tools/tool.js';
import { describeToolFailure } from '#src/tools/tool-failure.js';
import { findWarnings } from '#src/tools/tool-warnings.js';

const tool: Tool = { name: 'pg_restore', path: '/usr/bin/pg_restore', major: 17, version: '17.2' };

const fail = (stderr: string, status: number | null = 1) =>
  describeToolFailure(
    { tool, args: [], connection: null, object: 'definitions of demo' },
    { status, signal: status === null ? 'SIGSEGV' : null },
    stderr,
  );

describe('findWarnings', () => {
  it('finds the tool’s warnings with their details, and the server’s', () => {
    const stderr = [
      'pg_dump: warning: there are circular foreign-key constraints on this table:',
      'pg_dump: detail: t',
      'pg_dump: hint: You might not be able to restore the dump.',
      'pg_dump: hint: belongs to it as well',
      'pg_dump: reading extensions',
      'pg_dump: hint: belongs to nothing',
      'WARNING:  wal_level is insufficient',
      'psql:<stdin>:12: WARNING:  skipped',
      'other: warning: no',
    ].join('\n');
    assert.deepEqual(findWarnings('pg_dump', stderr), [
      'there are circular foreign-key constraints on this table: (t) (You might not be able to restore the dump.) (belongs to it as well)',
      'wal_level is insufficient',
      'skipped',
    ]);
  });
});

describe('describeToolFailure', () => {
  it('tells the first error, and the last lines as detail', () => {
    const error = fail(
      "pg_restore: while PROCESSING TOC:\npg_restore: error: could not execute query: ERROR:  no\nCommand was: CREATE password 'top';\n",
    );
    assert.equal(error.code, 'tool_failed');
    assert.equal(error.message, 'pg_restore ended with exit status 1 (definitions of demo): could not execute query: ERROR:  no');
    assert.equal(error.details.object, 'definitions of demo');
    assert.match(error.details.detail ?? '', /Command was/);
    assert.doesNotMatch(error.details.detail ?? '', /top/);
    assert.equal(fail('', null).message, 'pg_restore was ended by SIGSEGV (definitions of demo)');
  });

  it('knows what some errors mean', () => {
    const meanings: readonly (readonly [string, string])[] = [
      ['pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout', 'lock_not_available'],
      ['pg_dump: error: query failed: ERROR:  invalid snapshot identifier: "1"', 'snapshot_invalid'],
      ['pg_restore: error: unsupported version (1.16) in file header', 'tools_too_old'],
      ['ERROR:  extension "postgis" is not available', 'type_missing'],
      ['ERROR:  could not open extension control file "/x/postgis.control": No such file or directory', 'type_missing'],
      ['pg_dump: error: could not write to file: No space left on device', 'disk_full'],
      ['ERROR:  permission denied for table t', 'permission_denied'],
      [
        'pg_dump: error: connection to server on socket "/tmp/.s" failed: FATAL:  password authentication failed for user "x"',
        'authentication_failed',
      ],
      ['pg_dump: error: connection to server at "db" failed: Connection refused', 'connection_failed'],
      ['server closed the connection unexpectedly', 'connection_lost'],
      ['pg_restore: error: could not execute query: ERROR:  role "shop_owner" does not exist', 'role_missing'],
      ['psql: error: connection to server at "db" failed: FATAL:  role "x" does not exist', 'connection_failed'],
    ];
    for (const [stderr, code] of meanings) assert.equal(fail(stderr).code, code, stderr);
  });
});
