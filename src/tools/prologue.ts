import type { ToolFilter } from './run-tool.js';

/** Lines of pg_restore's prologue that older servers refuse, with the first major version that knows them (`_doSetFixedOutputState`, pg_backup_archiver.c). */
const settingsByMajor: ReadonlyMap<string, number> = new Map([['SET transaction_timeout = 0;', 17]]);

/** The prologue: comments, `\restrict`, empty lines, SET and the one call that empties the search path. Nothing of the archive's own comes before its end. */
const prologueLine = /^(?:|--.*|\\restrict \w+|SET \w+ = [^;]*;|SELECT pg_catalog\.set_config\('search_path', '', false\);)$/;

const newline = 0x0a;
/** No line of the prologue is longer. */
const maxPrologueLineBytes = 4096;

/** A filter for the SQL that pg_restore writes: drops the settings of its prologue that a server of this major version does not know, and passes all else on unread. */
export const dropUnknownSettings = (targetMajor: number): ToolFilter =>
  async function* (source) {
    let isPrologue = true;
    let pending: Buffer = Buffer.alloc(0);
    for await (const chunk of source) {
      if (!isPrologue) {
        yield chunk;
        continue;
      }
      pending = Buffer.concat([pending, chunk]);
      let begin = 0;
      for (let end = pending.indexOf(newline, begin); end !== -1 && isPrologue; end = pending.indexOf(newline, begin)) {
        const line = pending.toString('latin1', begin, end);
        isPrologue = prologueLine.test(line);
        if (!isPrologue) break;
        if ((settingsByMajor.get(line) ?? 0) <= targetMajor) yield pending.subarray(begin, end + 1);
        begin = end + 1;
      }
      pending = pending.subarray(begin);
      if (isPrologue && pending.length <= maxPrologueLineBytes) continue;
      isPrologue = false;
      yield pending;
      pending = Buffer.alloc(0);
    }
    yield pending;
  };
