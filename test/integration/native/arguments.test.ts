import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Engine, type EngineOptions, openEngine, type TaskSpec } from '#src/native/engine.js';
import { loadBinding } from '#src/native/load.js';
import { openSession, type Session } from '#src/native/session.js';
import { sharedCluster } from '../../support/shared-cluster.js';
import { connectionTo, withSession } from './connections.js';
import { checkTask, copyInTask, copyOutTask, fileSink, smallEngine, withEngine } from './tasks.js';

const connection = { keywords: ['dbname'], values: ['postgres'] };
const written = {
  taskId: 1,
  files: [{ path: 'file', sizeBytes: 1, checksum: '00' }],
  segments: [{ source: 0, file: 0, offset: 0, storedBytes: 1, rawBytes: 1, rowCount: 1, digest: '00' }],
  findings: [],
  rawBytes: 1,
  storedBytes: 1,
  rowCount: 1,
  elapsedMs: 1,
};
const sink = fileSink('/tmp');
const copyOut = copyOutTask(connection, ['SELECT 1'], { sink });
const copyIn = copyInTask(connection, written, sink, 't', 'binary');
const check = checkTask(written, sink, 'binary');

type Path = readonly (string | number)[];

/** A copy of `value` with the field at `path` replaced, or removed when `replacement` is undefined. */
const changed = (value: unknown, path: Path, replacement: unknown): unknown => {
  const copy = structuredClone(value) as Record<string | number, unknown>;
  const parent = path.slice(0, -1).reduce((object, key) => object[key] as Record<string | number, unknown>, copy);
  const last = path.at(-1) ?? '';
  if (replacement === undefined) delete parent[last];
  else parent[last] = replacement;
  return copy;
};

/** Paths of all fields of plain data, those of array elements included. */
const pathsOf = (value: unknown): readonly Path[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, item]) => {
        const step = Array.isArray(value) ? Number(key) : key;
        return [[step], ...pathsOf(item).map((rest) => [step, ...rest])];
      })
    : [];

const show = (root: string, path: Path): string =>
  path.reduce<string>((text, key) => text + (typeof key === 'number' ? `[${key}]` : `.${key}`), root);

describe('arguments of the addon', () => {
  for (const task of [copyOut, copyIn, check] as const) {
    it(`names every field of ${task.kind} that is missing or of a wrong type`, async () => {
      await withEngine(async (engine) => {
        for (const path of pathsOf(task)) {
          const name = show('task', path);
          const isElement = typeof path.at(-1) === 'number';
          for (const wrong of [...(isElement ? [] : [undefined]), Symbol.iterator, 1n, () => undefined]) {
            const spec = changed(task, path, wrong) as TaskSpec;
            await assert.rejects(engine.run(spec), (error: Error & { code: string }) => {
              assert.equal(error.code, 'usage');
              assert.ok(error.message.startsWith(`${name} must be `), `${error.message} for ${name}`);
              assert.ok(error.cause instanceof TypeError);
              return true;
            });
          }
        }
      });
    });
  }

  it('takes null only where the contract has it', async () => {
    await withEngine(async (engine) => {
      const nullable = [
        'task.sources[0].lockSql',
        'task.sources[0].checkSql',
        'task.sources[0].checkExpected',
        'task.session.guardSql',
        'task.session.guardExpected',
        'task.sink',
      ];
      for (const path of pathsOf(copyOut)) {
        if (nullable.includes(show('task', path))) continue;
        await assert.rejects(engine.run(changed(copyOut, path, null) as TaskSpec), { code: 'usage' });
      }
    });
  });

  it('takes neither fractions, negative sizes nor numbers beyond 2^53-1', async () => {
    await withEngine(async (engine) => {
      for (const wrong of [0.5, -1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
        for (const name of ['offset', 'storedBytes', 'rawBytes', 'rowCount']) {
          await assert.rejects(engine.run(changed(check, ['segments', 0, name], wrong) as TaskSpec), {
            code: 'usage',
            message: `task.segments[0].${name} must be an integer from 0 to 9007199254740991`,
          });
        }
      }
    });
  });

  it('takes no NUL character in a string', async () => {
    await withEngine((engine) =>
      assert.rejects(engine.run(changed(check, ['path'], '/tmp/a\0b') as TaskSpec), { code: 'usage', message: /NUL/ }),
    );
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      await assert.rejects(session.query("SELECT 'a\0b'"), { code: 'usage', message: 'sql must not contain a NUL character' });
      await assert.rejects(session.query('SELECT $1', ['a\0b']), { code: 'usage', message: /params\[0\]/ });
    });
  });

  it('takes no name that is none', async () => {
    await withEngine(async (engine) => {
      for (const [path, value] of [
        [['kind'], 'copyAround'],
        [['sink', 'codec'], 'brotli'],
        [['sink', 'checksum'], 'md5'],
        [['sources', 0, 'format'], 'csv'],
      ] as const) {
        await assert.rejects(engine.run(changed(copyOut, path, value) as TaskSpec), { code: 'usage' });
      }
    });
  });

  it('checks options, connections and parameters', async () => {
    for (const options of [
      undefined,
      null,
      [],
      {},
      { ...smallEngine, workerCount: '2' },
      { ...smallEngine, workerCount: 0 },
      { ...smallEngine, blocksPerWorker: 1 },
    ]) {
      assert.throws(() => openEngine(options as unknown as EngineOptions), { code: 'usage' });
    }
    for (const wrong of [
      undefined,
      {},
      { keywords: ['host'], values: [] },
      { keywords: ['host'], values: [1] },
      { keywords: 'host', values: 'x' },
    ]) {
      await assert.rejects(openSession(wrong as unknown as typeof connection), { code: 'usage' });
    }
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), async (session) => {
      for (const wrong of ['x', [1], [undefined], {}])
        await assert.rejects(session.query('SELECT $1', wrong as string[]), { code: 'usage' });
      await assert.rejects(session.query(1 as unknown as string), { code: 'usage', message: 'sql must be a string, not a number' });
    });
  });

  it('throws what a getter of the caller throws', async () => {
    const spec = {
      ...copyOut,
      get sources(): never {
        throw new Error('from the getter');
      },
    };
    await withEngine((engine) => assert.rejects(engine.run(spec), { message: 'from the getter' }));
  });

  it('refuses methods on a receiver that is not theirs', async () => {
    const binding = loadBinding();
    const engine = binding.openEngine(smallEngine);
    const cluster = await sharedCluster();
    const session = await binding.openSession(connectionTo(cluster, 'postgres'));
    try {
      for (const receiver of [undefined, null, 1, 'x', {}, [], Object.create(engine), new Proxy(engine, {}), session, binding]) {
        assert.throws(() => engine.stats.call(receiver as never), { name: 'TypeError', code: 'usage' });
        assert.throws(() => engine.run.call(receiver as never, copyOut), { name: 'TypeError', code: 'usage' });
      }
      assert.throws(() => session.info.call(engine as never), { name: 'TypeError', code: 'usage' });
    } finally {
      await engine.close();
      await session.close();
    }
  });

  it('gives errors the stack of the caller', async () => {
    const callerOfTheEngine = (engine: Engine): Promise<unknown> => engine.run({} as TaskSpec);
    const callerOfTheSession = (session: Session): Promise<unknown> => session.query('SELECT no_such_column');
    await withEngine((engine) =>
      assert.rejects(callerOfTheEngine(engine), (error: Error) =>
        /^DbbackupError: task\.taskId .*\n\s+at callerOfTheEngine /.test(error.stack ?? ''),
      ),
    );
    const cluster = await sharedCluster();
    await withSession(connectionTo(cluster, 'postgres'), (session) =>
      assert.rejects(callerOfTheSession(session), (error: Error) =>
        /^DbbackupError: .*\n\s+at callerOfTheSession /.test(error.stack ?? ''),
      ),
    );
  });
});
