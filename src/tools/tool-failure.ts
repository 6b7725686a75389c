import type { ErrorCode } from '../core/error-codes.js';
import { DbbackupError } from '../core/errors.js';
import { redactSecrets } from '../core/redact.js';
import type { Tool, ToolExit, ToolRun } from './tool.js';

/** What the tools' and the server's messages mean. Tools tell no SQLSTATE, so these are words, of an English server; others end as `tool_failed`. */
const meanings: readonly (readonly [RegExp, ErrorCode])[] = [
  // pg_dump's --lock-wait-timeout is a statement_timeout for its LOCK TABLE.
  [/canceling statement due to (?:lock|statement) timeout|could not obtain lock on relation/, 'lock_not_available'],
  [/due to conflict with recovery/, 'recovery_conflict'],
  [/invalid snapshot identifier|snapshot ".*" does not exist|could not import the requested snapshot/, 'snapshot_invalid'],
  [/server version mismatch|unsupported version \(\d/, 'tools_too_old'],
  [
    /extension ".*" is not available|could not open extension control file|extension ".*" has no (?:installation script|update path)/,
    'type_missing',
  ],
  [/could not (?:write|close|open output).*No space left on device/, 'disk_full'],
  [/password authentication failed|no password supplied/, 'authentication_failed'],
  [/permission denied|must be (?:owner|superuser|member)/, 'permission_denied'],
  [/server closed the connection unexpectedly|terminating connection due to/, 'connection_lost'],
  [/could not connect to server|connection to server .* failed/, 'connection_failed'],
  // After those of connecting, whose own role may be missing.
  [/role ".*" does not exist/, 'role_missing'],
];

const shownLines = 20;

const tablespaceHint = 'Create the tablespace on the target server, or restore with --no-tablespaces.';

/** The error for a tool that ended with a status other than 0. Message: the first error it reports; `details.detail`: its last lines. */
export const describeToolFailure = ({ tool, object }: ToolRun, exit: ToolExit, stderr: string): DbbackupError => {
  const lines = redactSecrets(stderr)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
  const how = exit.status === null ? `was ended by ${exit.signal ?? 'a signal'}` : `ended with exit status ${exit.status}`;
  const first = lines.find((line) => /\berror: |\bERROR: |\bFATAL: /.test(line)) ?? lines.at(-1);
  const message = `${tool.name} ${how} (${object})${
    first === undefined
      ? ''
      : `: ${first
          .replace(`${tool.name}: `, '')
          .replace(/^error: /, '')
          .replace(/^psql:.*?:\d+: /, '')}`
  }`;
  const code = meanings.find(([pattern]) => lines.some((line) => pattern.test(line)))?.[1] ?? 'tool_failed';
  const detail = lines.slice(-shownLines).join('\n');
  const isAboutTablespace = lines.some((line) => /could not set default_tablespace|tablespace ".*" does not exist/i.test(line));
  const hint = isAboutTablespace ? { hint: tablespaceHint } : {};
  return new DbbackupError(code, message, { details: { object, detail, ...hint } });
};

export const describeSpawnFailure = (tool: Tool, error: Error): DbbackupError =>
  new DbbackupError('tools_missing', `${tool.path} could not be started: ${error.message}`, {
    cause: error,
    details: { object: tool.path, path: tool.path },
  });
