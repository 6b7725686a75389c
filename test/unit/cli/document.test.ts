import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseArguments } from '#src/cli/args.js';
import { exitStatuses } from '#src/cli/help.js';

const root = new URL('../../../../', import.meta.url);
/** The formatter aligns the cells of tables. */
const document = readFileSync(new URL('docs/cli.md', root), 'utf8').replace(/ +\|/g, ' |');

/** The part below a headline, up to the next one of any level. */
const section = (title: string): string => {
  const [, body] = document.split(`\n${title}\n`);
  assert.ok(body !== undefined, `docs/cli.md lacks "${title}"`);
  return body.split(/\n##/)[0] ?? '';
};

const shared = [
  '### Repository',
  '### Connection (backup, restore)',
  '### Resources (backup, restore, verify)',
  '### Output (backup, restore, verify)',
];
const parts = ['### Selection (backup, restore)', '### Owners and privileges (backup, restore)'];
const sections: Readonly<Record<string, readonly string[]>> = {
  'backup single': ['### dbbackup backup single DB', ...parts, ...shared],
  'restore single': ['### dbbackup restore single ID --target-db NAME', ...parts, ...shared],
  'backup cluster': ['### dbbackup backup cluster [CONNECTION]', ...shared],
  'restore cluster': ['### dbbackup restore cluster ID', ...shared],
  'preflight single': ['### dbbackup preflight DB', '### dbbackup backup single DB', ...parts, ...shared],
  'preflight cluster': [
    '### dbbackup preflight cluster [CONNECTION]',
    '### dbbackup backup single DB',
    '### dbbackup backup cluster [CONNECTION]',
    ...shared,
  ],
  'preflight restore': ['### dbbackup preflight restore ID --target-db NAME', '### Owners and privileges (backup, restore)', ...shared],
  estimate: ['### dbbackup estimate DB', '### dbbackup backup single DB', ...parts, ...shared],
  resume: ['### dbbackup resume ID', ...shared],
  verify: ['### dbbackup verify ID', ...shared],
  list: ['### dbbackup list', '### Repository'],
  show: ['### dbbackup show ID', '### Repository'],
  delete: ['### dbbackup delete ID', '### Repository'],
  'keeper list': ['### dbbackup keeper list'],
  'keeper stop': ['### dbbackup keeper stop [ID]'],
};

for (const [command, titles] of Object.entries(sections)) {
  test(`docs/cli.md has every option and exit status of ${command}`, () => {
    const help = parseArguments([...command.split(' '), '--help'], {}, 1000);
    assert.equal(help.kind, 'text');
    const body = titles.map(section).join('\n');
    const flags = help.text.split('\nExamples:')[0]?.match(/(?<=^ {2}|^ {2}-\w, )--[a-z-]+/gm) ?? [];
    assert.ok(flags.length >= 3);
    for (const flag of flags.filter((name) => name !== '--help')) assert.match(body, new RegExp(`\`${flag}[ \`]`), `${command} ${flag}`);

    const listed = help.text.split('\nExit status:\n')[1]?.match(/(?<=^ +)\d+(?= )/gm);
    const documented = /^Exit status: (.*)\.$/m
      .exec(section(titles[0] ?? ''))?.[1]
      ?.replace(/ \([^)]*\)/g, '')
      .split(', ');
    assert.deepEqual(documented, listed);
  });
}

test('docs/cli.md tells what each exit status means', () => {
  const body = section('## Exit status');
  for (const [status, meaning] of Object.entries(exitStatuses)) assert.ok(body.includes(`| ${status} | ${meaning}`), status);
});

test('docs/cli.md lists every event with all its fields, and no other', () => {
  const source = readFileSync(new URL('src/core/events.ts', root), 'utf8').replace(/\/\*\*.*?\*\//gs, '');
  const union = source.slice(source.indexOf('export type EventBody'), source.indexOf('export type EventListener'));
  const defined = union
    .split(/\n {2}\| /)
    .slice(1)
    .map((member) => ({
      type: /type: '([a-z.]+)'/.exec(member)?.[1],
      fields: [...member.matchAll(/readonly (\w+\??):/g)].map(([, name]) => name).filter((name) => name !== 'type'),
    }));
  assert.ok(defined.length > 15);
  const rows = [...section('## Events').matchAll(/^\| `([a-z.]+)` \| ([^|]*) \|/gm)].map(([, type, fields]) => ({
    type,
    fields: [...(fields ?? '').matchAll(/`(\w+\??)`/g)].map(([, name]) => name),
  }));
  const byType = (a: { readonly type: string | undefined }, b: { readonly type: string | undefined }): number =>
    (a.type ?? '') < (b.type ?? '') ? -1 : 1;
  assert.deepEqual(rows.sort(byType), defined.sort(byType));
});
