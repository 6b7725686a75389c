import { copyStep, type Dataset, sqlStep } from './dataset.js';
import { openRandomNumbers } from './random-bytes.js';

const laneCount = 2;
const syllables = 'an ber cor da el fin gra hol is jen ka lum mor ne ost pra qui ras sol tem ul ver wick xen yor zet'.split(' ');

/** Sentences of 6 to 17 made-up words: their letters, lengths and repeats compress about as prose does. */
const makeSentences = (count: number): readonly Buffer[] => {
  const next = openRandomNumbers(7);
  const words = Array.from({ length: 4000 }, () =>
    Array.from({ length: 1 + (next() % 3) }, () => syllables[next() % syllables.length] ?? '').join(''),
  );
  // The smaller of two draws: some words are frequent, most are rare.
  const pickWord = (): string => words[Math.min(next() % words.length, next() % words.length)] ?? '';
  return Array.from({ length: count }, () => Buffer.from(`${Array.from({ length: 6 + (next() % 12) }, pickWord).join(' ')}. `));
};

function* rows(lane: number, sizeBytes: number): Iterable<Buffer> {
  const sentences = makeSentences(20_000);
  const next = openRandomNumbers(100 + lane);
  let id = lane;
  for (let written = 0; written < sizeBytes; ) {
    const pieces: Buffer[] = [];
    for (let row = 0; row < 50; row += 1) {
      pieces.push(Buffer.from(`${id}\tArticle ${id} of ${next() % 1000}\t`));
      for (let left = 5 + (next() % 20); left > 0; left -= 1) {
        pieces.push(sentences[next() % sentences.length] ?? Buffer.alloc(0));
      }
      pieces.push(Buffer.from('\n'));
      id += laneCount;
    }
    const block = Buffer.concat(pieces);
    written += block.length;
    yield block;
  }
}

export const textDataset: Dataset = {
  name: 'text',
  description: 'articles of 0.3 to 2 kB of text',
  stages: (sizeGb) => [
    [[sqlStep('table', 'CREATE TABLE article (id integer NOT NULL, title text NOT NULL, body text NOT NULL);')]],
    Array.from({ length: laneCount }, (_, lane) => [
      copyStep(`rows ${lane + 1}/${laneCount}`, 'COPY article FROM STDIN', () => rows(lane, (sizeGb * 1e9) / laneCount)),
    ]),
    [[sqlStep('key', 'ALTER TABLE article ADD PRIMARY KEY (id);')]],
  ],
};
