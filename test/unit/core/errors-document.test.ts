import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type ErrorCodeEntry, errorCodes } from '#src/core/error-codes.js';

const path = new URL('../../../../docs/errors.md', import.meta.url);

/** docs/errors.md as the catalogue has it. */
const toDocument = (): string => {
  const rows = Object.entries<ErrorCodeEntry>(errorCodes).map(
    ([code, { meaning, hint, exitStatus, isRetryable }]) =>
      `| \`${code}\` | ${meaning} | ${exitStatus} | ${isRetryable ? 'yes' : 'no'} | ${hint ?? ''} |`,
  );
  return `# Errors

Every error carries a code. On standard error it reads

\`\`\`
dbbackup: error: database "shop" does not exist
  code: database_not_found
  hint: …
\`\`\`

and in the library it is a \`DbbackupError\` with \`code\`, \`message\`, \`hint\`, \`isRetryable\`, \`exitStatus\` and \`details\` (\`object\`, \`severity\`, \`sqlstate\`, \`detail\`, \`position\`,
\`schema\`, \`table\`, \`errno\`, \`path\`, \`later\`), each of the details present where it applies. Match on the code: messages may change, codes do not.

"Retry" tells whether the same command may succeed later without a change. After a signal the exit status is 130 (SIGINT) or 143 (SIGTERM), whatever the error.
All exit statuses: [cli.md](cli.md#exit-status).

| code | meaning | exit status | retry | what to do |
|---|---|---|---|---|
${rows.join('\n')}

This file is written from \`src/core/error-codes.ts\` by \`UPDATE_DOCUMENTS=1 npm test\`; a test compares both.
`;
};

test('docs/errors.md lists the catalogue', () => {
  const expected = toDocument();
  if (process.env['UPDATE_DOCUMENTS'] === '1') writeFileSync(path, expected);
  assert.equal(readFileSync(path, 'utf8'), expected);
});

test('every code is documented in the manner of the project', () => {
  for (const [code, { meaning, hint }] of Object.entries<ErrorCodeEntry>(errorCodes)) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.match(meaning, /^[a-z].*[^.]$/, code);
    if (hint !== undefined) assert.match(hint, /^[A-Z].*\.$/, code);
  }
});
