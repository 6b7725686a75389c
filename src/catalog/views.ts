import type { MaterializedView } from './model.js';
import { displayName } from './names.js';

/** A view (`v`) or materialised view (`m`) and whether the latter holds rows. */
export interface View extends MaterializedView {
  readonly kind: string;
  readonly isPopulated: boolean;
}

export interface RefreshOrder {
  readonly materializedViews: readonly MaterializedView[];
  readonly warnings: readonly string[];
}

/**
 * Populated materialised views, each behind those it reads, also through plain views; otherwise in the order given. One that reads an unpopulated view cannot be
 * refreshed and gives a warning instead. `dependencies` are pairs (view, view it reads).
 */
export const orderRefresh = (views: readonly View[], dependencies: readonly (readonly [number, number])[]): RefreshOrder => {
  const byOid = new Map(views.map((view) => [view.oid, view]));
  const readsOf = new Map<number, View[]>();
  for (const [oid, readOid] of dependencies) {
    const read = byOid.get(readOid);
    if (read !== undefined) readsOf.set(oid, [...(readsOf.get(oid) ?? []), read]);
  }
  const materializedViews: MaterializedView[] = [];
  const warnings: string[] = [];
  const isFilled = new Map<number, boolean>();
  // An explicit stack: chains of views may be deeper than the call stack.
  const stack = [...views].reverse();
  const entered = new Set<number>();
  while (stack.length > 0) {
    const view = stack.at(-1);
    if (view === undefined) break;
    const reads = readsOf.get(view.oid) ?? [];
    if (!entered.has(view.oid)) {
      entered.add(view.oid);
      stack.push(...reads.filter((read) => !entered.has(read.oid)).reverse());
      continue;
    }
    stack.pop();
    if (isFilled.has(view.oid)) continue;
    const empty = reads.find((read) => isFilled.get(read.oid) === false);
    isFilled.set(view.oid, view.isPopulated && empty === undefined);
    if (view.kind !== 'm' || !view.isPopulated) continue;
    if (empty === undefined) materializedViews.push({ oid: view.oid, schema: view.schema, name: view.name, quotedName: view.quotedName });
    else
      warnings.push(
        `materialized view ${displayName(view)} will be restored without rows: it reads ${displayName(empty)}, which is not populated or reads one that is not`,
      );
  }
  return { materializedViews, warnings };
};
