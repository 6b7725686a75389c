/** A JSON value as text: equal values give equal text, whatever the order of their keys. */
export const toStableText = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'none';
  if (Array.isArray(value)) return `[${value.map(toStableText).join(',')}]`;
  return `{${Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${toStableText(item)}`)
    .join(',')}}`;
};
