import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupPostData, parseArchiveList } from '#src/tools/archive-list.js';

/** Written by pg_restore 15. */
const list = `;
; Archive created at 2026-11-22 17:15:00 UTC
;     dbname: lo1
;     Dumped by pg_dump version: 15.18 (Debian 15.18-0+deb12u1)
;
; Selected TOC Entries:
;
3474; 0 0 ENCODING - ENCODING 
3477; 1262 16388 DATABASE - lo1 postgres
215; 1259 16389 TABLE public t postgres
218; 1259 16537 MATERIALIZED VIEW public mv postgres
;	depends on: 215 215
219; 1259 16547 TABLE public pt postgres
220; 1259 16552 TABLE public pt1 postgres
;	depends on: 219
3311; 0 0 TABLE ATTACH public pt1 postgres
;	depends on: 220 219
3320; 2606 16551 CONSTRAINT public pt pt_pkey postgres
;	depends on: 219
3323; 2606 16556 CONSTRAINT public pt1 pt1_pkey postgres
;	depends on: 220 220 3320
3315; 2606 16395 CONSTRAINT public t t_pkey postgres
;	depends on: 215
3313; 1259 16396 INDEX public i  x; y postgres
;	depends on: 215
3321; 1259 16558 INDEX public pt1_a_a1_idx postgres
;	depends on: 3318 220 220
3324; 0 0 INDEX ATTACH public pt1_a_a1_idx postgres
;	depends on: 3321 3318 220 219
3326; 2606 16404 FK CONSTRAINT public t t_id_fkey postgres
;	depends on: 215 3315
3327; 2606 16405 CHECK CONSTRAINT public t t_check postgres
;	depends on: 215
3470; 6104 16545 PUBLICATION - p postgres
`;

describe('parseArchiveList', () => {
  it('reads entries, types and dependencies, whatever the names hold', () => {
    const entries = parseArchiveList(list);
    assert.equal(entries.length, 16);
    assert.deepEqual(
      entries.find(({ dumpId }) => dumpId === 3313),
      {
        dumpId: 3313,
        catalogOid: 1259,
        oid: 16396,
        type: 'INDEX',
        dependencies: [215],
        line: '3313; 1259 16396 INDEX public i  x; y postgres',
      },
    );
    assert.deepEqual(entries.find(({ dumpId }) => dumpId === 3323)?.dependencies, [220, 220, 3320]);
    const types = entries.map(({ type }) => type);
    assert.deepEqual(types, [
      '',
      '',
      'TABLE',
      'MATERIALIZED VIEW',
      'TABLE',
      'TABLE',
      'TABLE ATTACH',
      'CONSTRAINT',
      'CONSTRAINT',
      'CONSTRAINT',
      'INDEX',
      'INDEX',
      'INDEX ATTACH',
      'FK CONSTRAINT',
      'CHECK CONSTRAINT',
      'PUBLICATION',
    ]);
  });
});

describe('groupPostData', () => {
  it('gives a relation its own indexes and constraints, and the rest in the archive’s order', () => {
    const entries = parseArchiveList(list);
    const { byRelation, rest } = groupPostData(entries, [16389, 16552, 99]);
    assert.deepEqual(
      [...byRelation].map(([oid, own]) => [oid, own.map(({ dumpId }) => dumpId)]),
      [
        [16552, [3323, 3321]],
        [16389, [3315, 3313]],
      ],
    );
    const own = new Set([...byRelation.values()].flat());
    assert.deepEqual(
      rest,
      entries.filter((entry) => !own.has(entry)),
    );
    assert.deepEqual(groupPostData(entries, []).rest, entries);
  });

  it('keeps a comment with its index or constraint, whose section it shares', () => {
    const comments =
      '3401; 0 0 COMMENT public CONSTRAINT t_pkey ON t postgres\n;\tdepends on: 3315\n3402; 0 0 COMMENT public TABLE t postgres\n;\tdepends on: 215\n';
    const { byRelation, rest } = groupPostData(parseArchiveList(`${list}\n${comments}`), [16389]);
    assert.ok(byRelation.get(16389)?.some(({ dumpId }) => dumpId === 3401));
    assert.ok(rest.some(({ dumpId }) => dumpId === 3402));
  });
});
