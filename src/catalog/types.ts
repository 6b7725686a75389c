import { DbbackupError } from '../core/errors.js';
import type { ColumnType } from './model.js';
import { type Row, toNumber, toText } from './rows.js';

/** One row of `pg_type` as the types query gives it; 0 where it does not apply. */
interface TypeRow {
  readonly oid: number;
  readonly qualifiedName: string;
  readonly typtype: string;
  readonly baseOid: number;
  readonly elementOid: number;
  readonly subtypeOid: number;
}

/** OIDs from here on are assigned by genbki.pl or at run time (`FirstGenbkiObjectId`, src/include/access/transam.h). */
const firstUnstableOid = 10000;

/** Turns type OIDs into ColumnTypes: one object for each type, however many columns have it. */
export class TypeResolver {
  readonly #rows = new Map<number, TypeRow>();
  readonly #resolved = new Map<number, ColumnType>();

  constructor(rows: readonly Row[]) {
    for (const row of rows) {
      const oid = toNumber(row, 0);
      this.#rows.set(oid, {
        oid,
        qualifiedName: `${toText(row, 1)}.${toText(row, 2)}`,
        typtype: toText(row, 3),
        baseOid: toNumber(row, 4),
        elementOid: toNumber(row, 5),
        subtypeOid: toNumber(row, 6),
      });
    }
  }

  /** The type of a column: looked through domains. */
  resolve(oid: number): ColumnType {
    const found = this.#resolved.get(oid);
    if (found !== undefined) return found;
    let row = this.#row(oid);
    while (row.typtype === 'd') row = this.#row(row.baseOid);
    const type = this.#toColumnType(row);
    this.#resolved.set(oid, type);
    return type;
  }

  #toColumnType(row: TypeRow): ColumnType {
    const { oid, typtype, qualifiedName } = row;
    return { oid, typtype, qualifiedName, isBuiltIn: oid < firstUnstableOid, element: this.#elementOf(row) };
  }

  #elementOf(row: TypeRow): ColumnType | null {
    if (row.subtypeOid !== 0) return this.resolve(row.subtypeOid);
    if (row.elementOid === 0) return null;
    const element = this.#row(row.elementOid);
    // A domain stays one: its OID, not its base type's, stands in a binary array.
    return element.typtype === 'd' ? this.#toColumnType({ ...element, elementOid: 0, subtypeOid: 0 }) : this.resolve(row.elementOid);
  }

  #row(oid: number): TypeRow {
    const row = this.#rows.get(oid);
    if (row === undefined) throw new DbbackupError('relation_changed', `type with OID ${oid} is gone from the catalog`);
    return row;
  }
}
