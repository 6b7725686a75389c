import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the checkout, absolute, without a slash at its end. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const hasHeadersAt = (prefix) => existsSync(join(prefix, 'include/node/node_api.h'));
const nodePrefix = dirname(dirname(process.execPath));

/** Environment of every build step: all cores, and the headers beside the running Node instead of a download of them. */
export const buildEnv = {
  ...process.env,
  JOBS: process.env.JOBS ?? 'max',
  ...(process.env.npm_config_nodedir === undefined && hasHeadersAt(nodePrefix) ? { npm_config_nodedir: nodePrefix } : {}),
};

/** Arguments of `node` that build the native addon. Configure and build instead of rebuild: only what changed is compiled again. */
export const buildAddonArgs = [join(root, 'node_modules/node-gyp/bin/node-gyp.js'), 'configure', 'build'];

/** Paths of all files below `folder` (relative to the root) that `accepts(path)`, sorted; empty when the folder does not exist. */
export const listFiles = (folder, accepts = () => true) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
        .filter(accepts)
        .sort()
    : [];

/** Hash of the names and contents of `paths`; a missing file counts as an empty one. */
export const hashFiles = (paths) => {
  const hash = createHash('sha256');
  for (const path of paths) {
    const file = join(root, path);
    hash
      .update(`${path}\0`)
      .update(existsSync(file) ? readFileSync(file) : '')
      .update('\0');
  }
  return hash.digest('hex');
};

/** Thrown by `run`; its message is meant for the person who waits. */
export class StepError extends Error {}

/** Runs one program with its output in `build/logs/<name>.log`; a failure shows the end of that log. */
export const run = (name, command, args, options = {}) => {
  const logs = join(root, 'build/logs');
  mkdirSync(logs, { recursive: true });
  const path = join(logs, `${name}.log`);
  const log = openSync(path, 'w');
  const result = spawnSync(command, args, { cwd: root, env: buildEnv, stdio: ['ignore', log, log], ...options });
  closeSync(log);
  if (result.status === 0) return;
  const end = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-60).join('\n');
  const outcome = result.error?.message ?? `exit status ${result.status ?? result.signal}`;
  throw new StepError(`${end}\n\n${command} ${args.join(' ')}: ${outcome}`);
};

/**
 * Calls `work` and prints one line with its time, unless the stamp of an earlier call says that `inputs` (a hash) are the same and `isThere()` holds.
 * The stamp stands inside the directory that the step fills, so that whoever removes the output removes the stamp.
 */
export const step = (title, { inputs, stampPath, isThere = () => true }, work) => {
  const stamp = join(root, stampPath);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs && isThere()) return false;
  timed(title, work);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, inputs);
  return true;
};

/** Calls `work` and prints one line with its time. */
export const timed = (title, work) => {
  const startedAt = performance.now();
  process.stdout.write(`setup: ${title} …`);
  try {
    work();
  } catch (error) {
    process.stdout.write(' failed\n');
    throw error;
  }
  process.stdout.write(` ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
};
