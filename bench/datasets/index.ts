import { blobDataset } from './blob.js';
import type { Dataset } from './dataset.js';
import { demoDataset } from './demo.js';
import { lobDataset } from './lob.js';
import { manyDataset } from './many.js';
import { mixedDataset } from './mixed.js';
import { oltpDataset, pairDataset } from './oltp.js';
import { textDataset } from './text.js';

/** Every data set by its name, in the order in which help lists them. */
export const datasets: readonly Dataset[] = [
  blobDataset,
  oltpDataset,
  pairDataset,
  mixedDataset,
  textDataset,
  manyDataset,
  lobDataset,
  demoDataset,
];

export const findDataset = (name: string): Dataset | undefined => datasets.find((dataset) => dataset.name === name);
