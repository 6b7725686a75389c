import { copyStep, type Dataset, sqlStep } from './dataset.js';
import { documentRows, documentSizes } from './demo-documents.js';
import { customersSql, eventsSql, keysSql, measurementsSql, ordersSql, preDataSql } from './demo-schema.js';
import { smallTablesStep } from './many.js';

/** The sample at 0.5 GB: 230 MB of documents, 115 MB of narrow rows, 80 MB of wide rows, 50 MB in partitions, 300 small tables. */
export const demoDataset: Dataset = {
  name: 'demo',
  description: 'orders, events, documents up to 64 MB, partitions, 300 small tables',
  stages: (sizeGb) => {
    const scale = sizeGb / 0.5;
    const customerCount = Math.round(100_000 * scale);
    const orderCount = Math.round(1_500_000 * scale);
    const largestDocument = scale >= 0.5 ? 64_000_000 : 8_000_000;
    const sizes = documentSizes(230e6 * scale, largestDocument);
    return [
      [[sqlStep('tables', preDataSql)]],
      [
        [
          copyStep('documents', 'COPY documents (id, customer_id, name, media_type, created_at, content) FROM STDIN (FORMAT binary)', () =>
            documentRows(sizes, customerCount),
          ),
          sqlStep('events', eventsSql(Math.round(250_000 * scale))),
          sqlStep('customers', customersSql(customerCount)),
        ],
        [
          sqlStep('orders', ordersSql(orderCount, customerCount)),
          sqlStep('measurements', measurementsSql(Math.round(900_000 * scale))),
          smallTablesStep('small tables', 'catalogue', 'list_', 1, 300, 40),
        ],
      ],
      [[sqlStep('keys of documents', keysSql.documents)], [sqlStep('keys of orders', keysSql.orders)]],
      [[sqlStep('foreign keys and views', keysSql.last)]],
    ];
  },
};
