import type { ToolFilter } from './run-tool.js';

/** What follows a constraint's definition: the statement's end, and comments and psql commands without one. */
const statementEnd = 0x3b;

/** More than any definition of a foreign key: 32 columns on either side. */
const maxStatementBytes = 1024 * 1024;

/**
 * A filter for the SQL that pg_restore writes of one foreign key: what it makes checks rows from now on and none that are there. The definition is the last statement, and the
 * bytes may be of any encoding. Errors: text that holds no statement, or one longer than any key's, is an error of the filter.
 */
export const addNotValid: ToolFilter = async function* (source) {
  const chunks: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    lengthBytes += chunk.length;
    if (lengthBytes > maxStatementBytes) throw new Error('a foreign key is longer than any definition');
  }
  const text = Buffer.concat(chunks);
  const end = text.lastIndexOf(statementEnd);
  if (end === -1) throw new Error('there is no statement of a foreign key');
  yield text.subarray(0, end);
  yield Buffer.from(' NOT VALID');
  yield text.subarray(end);
};
