import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sortDatabaseScript, toCreationFor } from '#src/tools/database-properties.js';
import { mergeGlobals, parseGlobals, toGlobalsScripts, toStoredScript } from '#src/tools/globals-script.js';
import { orderMemberships, toAdminKey } from '#src/tools/memberships.js';
import { readIdentifier, readLiteral, splitScript } from '#src/tools/sql-script.js';

const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
/** As libpq's appendStringLiteral: with a backslash it becomes E'…'. */
const quoteLiteral = (text: string): string =>
  text.includes('\\') ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'` : `'${text.replaceAll("'", "''")}'`;

const hostile = fc.oneof(
  fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0')),
  fc.constantFrom('a;b', '";--', "it's", 'x\nCREATE ROLE y;', '\\', '\\!', '--', 'ü"; DROP', "\\'; SELECT", '/*'),
);
const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

describe('splitScript', () => {
  it('finds statements, commands and nothing in comments', () => {
    const script = '-- a; b\n\\restrict x\n\nSET a = 1;\nCOMMENT ON ROLE "x;y" IS \'z;\n\\! ls\n--\';\n-- end';
    assert.deepEqual(
      splitScript(script).map(({ text }) => text),
      ['\\restrict x', 'SET a = 1;', 'COMMENT ON ROLE "x;y" IS \'z;\n\\! ls\n--\';'],
    );
  });

  it('gives each statement as it was, whatever names and texts hold', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostile, hostile)), (pairs) => {
        const statements = pairs.map(([name, text]) => bytes(`COMMENT ON ROLE ${quoteIdentifier(name)} IS ${quoteLiteral(text)};`));
        assert.deepEqual(
          splitScript(statements.join('\n')).map(({ text }) => text),
          statements,
        );
      }),
    );
  });

  it('refuses what psql would run as a command, and what has no end', () => {
    assert.throws(() => splitScript('SELECT 1 \\! ls\n;'), { code: 'tool_failed' });
    assert.throws(() => splitScript("COMMENT ON ROLE x IS 'y"), { code: 'tool_failed' });
  });

  const command = '\n\\! touch PWNED\n--';
  for (const hidden of [
    `SELECT 1 /* ' */;${command}';`,
    `SELECT $$'$$;${command}';`,
    `SELECT $a$'$a$;${command}';`,
    `SELECT \xe9E'\\';${command}';`,
    `SELECT 1E'\\', '${command}';`,
    `SELECT E'a'\n'\\', '${command}';`,
    `SELECT U&'\\', '${command}';`,
    `SELECT 1 -- x\r\\! touch PWNED\n;`,
    `SELECT 1 :x;`,
    `SELECT '\0'${command};`,
  ])
    it(`refuses what psql might read in another way: ${JSON.stringify(hidden)}`, () => {
      assert.throws(() => splitScript(hidden), { code: 'tool_failed' });
    });

  it('takes literals of any length', () => {
    for (const sql of [`COMMENT ON ROLE x IS '${"a''".repeat(10_000_000)}';`, `COMMENT ON ROLE x IS E'${"\\\\''".repeat(3_000_000)}';`])
      assert.equal(splitScript(sql)[0]?.text.length, sql.length);
  });

  it('reads identifiers and literals back', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        assert.equal(readIdentifier(quoteIdentifier(text)), text);
        assert.equal(readLiteral(quoteLiteral(text).trim()), text);
      }),
    );
    assert.equal(readIdentifier('plain_1'), 'plain_1');
  });
});

const script = `--
-- PostgreSQL database cluster dump
\\restrict abc
SET default_transaction_read_only = off;
SET client_encoding = 'UTF8';
CREATE ROLE app;
ALTER ROLE app WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:x==$y=:z=';
COMMENT ON ROLE app IS E'it''s \\\\ "; CREATE ROLE never;
';
CREATE ROLE "Röle; x";
ALTER ROLE "Röle; x" WITH NOLOGIN;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
ALTER ROLE app SET work_mem TO '8MB';
ALTER ROLE postgres SET work_mem TO '9MB';
GRANT "Röle; x" TO app WITH ADMIN OPTION GRANTED BY postgres;
GRANT app TO postgres GRANTED BY postgres;
GRANT SET ON PARAMETER log_min_duration_statement TO app;
CREATE TABLESPACE fast OWNER app LOCATION '/srv/it''s fast';
ALTER TABLESPACE fast SET (random_page_cost=1.5);
REVOKE ALL ON TABLESPACE fast FROM PUBLIC;
COMMENT ON TABLESPACE "slow disk" IS 'x';
CREATE TABLESPACE "slow disk" OWNER app LOCATION E'/srv/\\\\slow';
\\unrestrict abc
`;

const nothing = { roles: new Set<string>(), tablespaces: new Set<string>(), admins: new Set<string>(), bootstrap: 'root' };

describe('parseGlobals', () => {
  const globals = parseGlobals(Buffer.from(script));

  it('sorts roles and tablespaces', () => {
    assert.deepEqual(globals.roleNames, ['app', 'Röle; x', 'postgres']);
    assert.deepEqual(globals.tablespaceLocations, [
      { name: 'fast', path: "/srv/it's fast" },
      { name: 'slow disk', path: '/srv/\\slow' },
    ]);
    assert.equal(globals.settings.length, 2);
    assert.equal(globals.roles.length, 12);
    assert.deepEqual(
      globals.tablespaces.map(({ tablespace }) => tablespace),
      ['fast', 'fast', 'fast', 'slow disk', 'slow disk'],
    );
  });

  it('keeps every statement for a target that has nothing', () => {
    const { roles, tablespaces } = toGlobalsScripts(globals, nothing);
    const all = splitScript(bytes(script)).filter(({ isCommand }) => !isCommand);
    const kept = new Set([...splitScript(roles), ...splitScript(tablespaces ?? '')].map(({ text }) => text));
    assert.deepEqual(
      all.filter(({ text }) => !kept.has(text)).map(({ text }) => Buffer.from(text, 'latin1').toString('utf8')),
      ['GRANT "Röle; x" TO app WITH ADMIN OPTION GRANTED BY postgres;', 'GRANT app TO postgres GRANTED BY postgres;'],
    );
  });

  it('is read again from the script that a backup stores', () => {
    const again = parseGlobals(toStoredScript(globals));
    assert.deepEqual(again.roleNames, globals.roleNames);
    assert.deepEqual(again.tablespaces, globals.tablespaces);
    assert.deepEqual(again.tablespaceLocations, globals.tablespaceLocations);
    assert.deepEqual(toStoredScript(again), toStoredScript(globals));
  });

  it('leaves roles and tablespaces that exist as they are, and grants what is new; settings of the bootstrap superuser are set', () => {
    const { roles, tablespaces } = toGlobalsScripts(globals, {
      roles: new Set(['app', 'postgres']),
      tablespaces: new Set(['fast', 'slow disk']),
      admins: new Set(),
      bootstrap: 'postgres',
    });
    assert.equal(tablespaces, null);
    assert.deepEqual(
      splitScript(roles).map(({ text }) => Buffer.from(text, 'latin1').toString('utf8')),
      [
        'SET default_transaction_read_only = off;',
        "SET client_encoding = 'UTF8';",
        'SET standard_conforming_strings = on;',
        'CREATE ROLE "Röle; x";',
        'ALTER ROLE "Röle; x" WITH NOLOGIN;',
        "ALTER ROLE postgres SET work_mem TO '9MB';",
        'GRANT "Röle; x" TO app WITH ADMIN OPTION;',
        'GRANT SET ON PARAMETER log_min_duration_statement TO app;',
      ],
    );
  });
});

describe('mergeGlobals', () => {
  const older = parseGlobals(
    Buffer.from(
      "CREATE ROLE a;\nCREATE ROLE gone;\nALTER ROLE a SET work_mem TO '1MB';\nGRANT a TO gone GRANTED BY gone;\nCREATE TABLESPACE ts OWNER gone LOCATION '/x';",
    ),
  );
  const newer = parseGlobals(
    Buffer.from("CREATE ROLE a;\nCREATE ROLE b;\nALTER ROLE a SET work_mem TO '2MB';\nGRANT a TO b GRANTED BY a;"),
  );

  it('adds what is no more, with what it needs, before memberships', () => {
    const merged = mergeGlobals(newer, older);
    assert.deepEqual(merged.roleNames, ['a', 'b', 'gone']);
    assert.deepEqual(toStoredScript(merged).toString().trim().split('\n'), [
      'SET standard_conforming_strings = on;',
      'CREATE ROLE gone;',
      'CREATE ROLE a;',
      'CREATE ROLE b;',
      "ALTER ROLE a SET work_mem TO '2MB';",
      'GRANT a TO gone;',
      'GRANT a TO b;',
      "CREATE TABLESPACE ts OWNER gone LOCATION '/x';",
    ]);
  });
});

describe('statements that psql is not to see', () => {
  for (const sql of [
    "SET client_encoding = 'SJIS';",
    "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
    'COPY x FROM STDIN;',
    "SET search_path = 'x';",
  ])
    it(sql, () => {
      assert.throws(() => parseGlobals(Buffer.from(sql)), { code: 'tool_failed' });
    });

  it('standard strings are on, whatever the script says', () => {
    const globals = parseGlobals(Buffer.from('SET standard_conforming_strings = off;\nCREATE ROLE a;'));
    const { roles } = toGlobalsScripts(globals, nothing);
    assert.equal(roles, 'SET standard_conforming_strings = on;\nCREATE ROLE a;\n');
  });

  it('an encoding of clients alone is refused in a database script', () => {
    assert.throws(() => sortDatabaseScript(Buffer.from("SET client_encoding = 'SJIS';\nCOMMENT ON DATABASE x IS '\xff';", 'latin1')), {
      code: 'tool_failed',
    });
  });
});

describe('orderMemberships', () => {
  it('leaves superusers out as grantors, and puts the right to grant before grants', () => {
    const root = '"root GRANTED BY x"';
    const script = [
      `ALTER ROLE ${root} WITH SUPERUSER INHERIT;`,
      'GRANT grp TO c GRANTED BY b;',
      'GRANT grp TO b WITH ADMIN OPTION, INHERIT FALSE GRANTED BY alice;',
      `GRANT grp TO alice WITH ADMIN OPTION GRANTED BY ${root};`,
      `GRANT ${root} TO " GRANTED BY postgres;" GRANTED BY other;`,
      'GRANT SET ON PARAMETER log_statement TO alice;',
    ];
    const ordered = orderMemberships(script, script);
    assert.deepEqual([...orderMemberships(ordered, ordered)].sort(), [...ordered].sort(), 'what was stored loses nothing more');
    assert.deepEqual(ordered, [
      `ALTER ROLE ${root} WITH SUPERUSER INHERIT;`,
      'GRANT grp TO alice WITH ADMIN OPTION;',
      'GRANT grp TO b WITH ADMIN OPTION, INHERIT FALSE GRANTED BY alice;',
      'GRANT grp TO c GRANTED BY b;',
      `GRANT ${root} TO " GRANTED BY postgres;";`,
      'GRANT SET ON PARAMETER log_statement TO alice;',
    ]);
  });

  it('leaves out grantors that nobody gave the right, but for those who have it at the target', () => {
    const script = ['GRANT grp TO a GRANTED BY nobody;', 'GRANT grp TO b GRANTED BY there;'];
    assert.deepEqual(orderMemberships(script, script, new Set([toAdminKey('grp', 'there')])), [
      'GRANT grp TO b GRANTED BY there;',
      'GRANT grp TO a;',
    ]);
  });

  it('breaks a circle once', () => {
    const script = [
      'GRANT g TO x GRANTED BY b;',
      'GRANT g TO b WITH ADMIN OPTION GRANTED BY a;',
      'GRANT g TO a WITH ADMIN OPTION GRANTED BY b;',
    ];
    assert.deepEqual(orderMemberships(script, script), [
      'GRANT g TO b WITH ADMIN OPTION;',
      'GRANT g TO x GRANTED BY b;',
      'GRANT g TO a WITH ADMIN OPTION GRANTED BY b;',
    ]);
  });

  it('is quick where thousands wait', () => {
    const script = Array.from({ length: 20_000 }, (_, n) => `GRANT g${n} TO m${n} GRANTED BY nobody${n};`);
    assert.equal(orderMemberships(script, script).length, script.length);
  });
});

describe('sortDatabaseScript', () => {
  const toScript = (comment: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from(
        "\\restrict a\nSET statement_timeout = 0;\nSET client_encoding = 'LATIN1';\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE DATABASE x WITH TEMPLATE = template0;\nALTER DATABASE x OWNER TO y;\n\\connect x\nSET transaction_timeout = 0;\nCOMMENT ON DATABASE x IS '",
      ),
      comment,
      Buffer.from("';\nALTER DATABASE x SET work_mem TO '1MB';\n"),
    ]);

  it('parts creation from properties, and leaves settings and commands out', () => {
    const { creation, properties, settings } = sortDatabaseScript(toScript(Buffer.from([0xe9])));
    assert.deepEqual(creation, ['CREATE DATABASE x WITH TEMPLATE = template0;']);
    assert.deepEqual(properties, [
      'ALTER DATABASE x OWNER TO y;',
      "COMMENT ON DATABASE x IS '\xe9';",
      "ALTER DATABASE x SET work_mem TO '1MB';",
    ]);
    assert.equal(settings[0], "SET client_encoding = 'LATIN1';");
  });

  it('takes what is UTF-8 for UTF-8: it came out of the shared catalogs unconverted', () => {
    assert.equal(sortDatabaseScript(toScript(Buffer.from('é'))).settings[0], "SET client_encoding = 'UTF8';");
  });
});

describe('toCreationFor', () => {
  const odd = '"x WITH TEMPLATE = template0 LOCALE_PROVIDER = libc "';
  it('leaves out the provider that servers before 15 do not know the name of', () => {
    const creation = [`CREATE DATABASE ${odd} WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C';`];
    assert.deepEqual(toCreationFor(creation, 14), [`CREATE DATABASE ${odd} WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';`]);
    assert.deepEqual(toCreationFor(creation, 15), creation);
    const icu = ["CREATE DATABASE x WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = icu LOCALE = 'C';"];
    assert.deepEqual(toCreationFor(icu, 14), icu);
  });
});
