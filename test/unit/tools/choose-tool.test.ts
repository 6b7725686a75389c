import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DbbackupError } from '#src/core/errors.js';
import { chooseTool, findCompanion, parseVersion, toMajor } from '#src/tools/find-tools.js';
import type { Tool, ToolName } from '#src/tools/tool.js';

const tool = (major: number, name: ToolName = 'pg_dump', directory = `/usr/lib/postgresql/${major}/bin`): Tool => ({
  name,
  path: `${directory}/${name}`,
  major,
  version: `${major}.1`,
});

describe('chooseTool', () => {
  it('takes the wanted version, else the nearest newer one', () => {
    const tools = [tool(18), tool(14), tool(16), tool(16, 'pg_dump', '/elsewhere'), tool(15, 'psql')];
    assert.equal(chooseTool(tools, 'pg_dump', 16).path, '/usr/lib/postgresql/16/bin/pg_dump');
    assert.equal(chooseTool(tools, 'pg_dump', 15).major, 16);
    assert.equal(chooseTool(tools, 'pg_dump', 17).major, 18);
    assert.equal(chooseTool(tools, 'psql', 13).major, 15);
  });

  it('names the package when there is none, or only older ones', () => {
    const failure = (tools: readonly Tool[]): DbbackupError => {
      try {
        chooseTool(tools, 'pg_dump', 17);
      } catch (error) {
        if (error instanceof DbbackupError) return error;
      }
      return assert.fail('a tool was found');
    };
    assert.deepEqual([failure([]).code, failure([]).message], ['tools_missing', 'pg_dump was not found']);
    const old = failure([tool(14), tool(15)]);
    assert.deepEqual(
      [old.code, old.message],
      ['tools_too_old', '/usr/lib/postgresql/15/bin/pg_dump is version 15.1, but version 17 is needed'],
    );
    assert.match(old.hint ?? '', /postgresql-client-17 .*--pg-bin-dir/);
  });
});

describe('findCompanion', () => {
  it('takes the one from the same directory, else of the same version', () => {
    const tools = [tool(16, 'psql'), tool(17, 'psql', '/a'), tool(17, 'psql')];
    assert.equal(findCompanion(tools, tool(17, 'pg_restore'), 'psql'), tools[2]);
    assert.equal(findCompanion(tools, tool(17, 'pg_restore', '/b'), 'psql'), tools[1]);
    assert.equal(findCompanion(tools, tool(18, 'pg_restore', '/b'), 'psql'), null);
  });
});

describe('parseVersion', () => {
  it('reads what PostgreSQL’s programs say, and nothing else', () => {
    const read = (text: string) => parseVersion('pg_dump', '/x', text);
    assert.deepEqual(read('pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n'), {
      name: 'pg_dump',
      path: '/x',
      version: '15.18',
      major: 15,
    });
    assert.deepEqual([read('pg_dump (PostgreSQL) 19rc1')?.major, read('pg_dump (PostgreSQL) 18devel')?.version], [19, '18devel']);
    assert.deepEqual([read('pg_restore (PostgreSQL) 15.18'), read('pg_dump (EnterpriseDB) 15'), read('')], [null, null, null]);
    assert.equal(toMajor(150018), 15);
  });
});
