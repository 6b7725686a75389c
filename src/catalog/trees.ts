/**
 * What is joined by pairs, each member by the smallest of its tree: relations by partitioning and inheritance, of which one may have several parents. Pure; nearly linear in
 * the number of pairs.
 */
export const toTrees = (pairs: readonly (readonly [number, number])[]): ReadonlyMap<number, number> => {
  const above = new Map<number, number>();
  const find = (member: number): number => {
    let root = member;
    for (let next = above.get(root); next !== undefined && next !== root; next = above.get(root)) root = next;
    // Later searches are short.
    for (let at = member; at !== root; ) {
      const next = above.get(at) ?? root;
      above.set(at, root);
      at = next;
    }
    return root;
  };
  for (const [a, b] of pairs) {
    const [rootA, rootB] = [find(a), find(b)];
    above.set(Math.max(rootA, rootB), Math.min(rootA, rootB));
    above.set(Math.min(rootA, rootB), Math.min(rootA, rootB));
  }
  return new Map([...above.keys()].map((member) => [member, find(member)]));
};
