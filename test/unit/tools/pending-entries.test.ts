import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseArchiveList } from '#src/tools/archive-list.js';
import { findPending } from '#src/tools/pending-entries.js';

/** Written by pg_restore 15. */
const list = `215; 1259 16389 TABLE public t postgres
3315; 2606 16395 CONSTRAINT public t t_pkey postgres
;	depends on: 215
3316; 0 0 COMMENT public CONSTRAINT t_pkey ON t postgres
;	depends on: 3315
3313; 1259 16396 INDEX public a postgres
;	depends on: 215
3314; 1259 16397 INDEX public a b postgres
;	depends on: 215
3317; 0 0 COMMENT public INDEX "a b" postgres
;	depends on: 3314
3324; 0 0 INDEX ATTACH public pt1_a_idx postgres
;	depends on: 3313
3470; 6104 16545 PUBLICATION - p postgres
3471; 3466 16546 EVENT TRIGGER - seen 
`;

const idsOf = (entries: readonly { readonly dumpId: number }[]): readonly number[] => entries.map(({ dumpId }) => dumpId);

describe('findPending', () => {
  const entries = parseArchiveList(list);

  it('leaves out what is there, and keeps comments on it apart', () => {
    const { pending, comments } = findPending(entries, new Set(['CONSTRAINT public t t_pkey', 'PUBLICATION - p', 'EVENT TRIGGER - seen']));
    assert.deepEqual(idsOf(pending), [215, 3313, 3314, 3317, 3324]);
    assert.deepEqual(idsOf(comments), [3316]);
  });

  it('takes no index for another whose name begins with its own', () => {
    assert.deepEqual(idsOf(findPending(entries, new Set(['INDEX public a'])).pending), [215, 3315, 3316, 3314, 3317, 3324, 3470, 3471]);
    assert.deepEqual(idsOf(findPending(entries, new Set(['INDEX public a b'])).pending), [215, 3315, 3316, 3313, 3324, 3470, 3471]);
  });

  it('restores everything where nothing is there, and again what can be restored twice', () => {
    assert.deepEqual(findPending(entries, new Set()), { pending: entries, comments: [] });
    const all = new Set(entries.map(({ line }) => line.replace(/^\d+; \d+ \d+ /, '').replace(/ [^ ]*$/, '')));
    assert.deepEqual(idsOf(findPending(entries, all).pending), [215, 3324]);
  });

  it('never loses one: what is left out stood in the target under its own type, schema and tag', () => {
    const word = fc.stringMatching(/^[ab ]{1,4}$/);
    fc.assert(
      fc.property(fc.array(fc.record({ tag: word, isThere: fc.boolean() }), { maxLength: 12 }), (given) => {
        const text = given.map(({ tag }, index) => `${index + 1}; 1259 ${index + 100} INDEX public ${tag} owner`).join('\n');
        const present = new Set(given.filter(({ isThere }) => isThere).map(({ tag }) => `INDEX public ${tag}`));
        const pending = new Set(idsOf(findPending(parseArchiveList(text), present).pending));
        for (const [index, { tag }] of given.entries()) assert.equal(pending.has(index + 1), !present.has(`INDEX public ${tag}`));
      }),
    );
  });
});
