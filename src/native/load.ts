import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { DbbackupError } from '../core/errors.js';
import type { Binding } from './binding.js';

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const addonPath = `${packageDir}build/Release/dbbackup.node`;

const toLoadError = (cause: unknown): DbbackupError => {
  if (!existsSync(addonPath)) {
    return new DbbackupError('addon_unavailable', `the native engine has not been built: there is no ${addonPath}`, {
      cause,
      details: { path: addonPath, hint: `Run npm ci && npm run build in ${packageDir}.` },
    });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  // dlopen names a missing library, for example `libpq.so.5: cannot open shared object file`.
  const isLibraryMissing = reason.includes('cannot open shared object file');
  return new DbbackupError('addon_unavailable', `the native engine cannot be loaded: ${reason}`, {
    cause,
    details: {
      path: addonPath,
      hint: isLibraryMissing
        ? 'Install the library, on Debian and Ubuntu with apt-get install libpq5 libssl3.'
        : `Build it for this machine and this Node (${process.version}): npm ci && npm run build in ${packageDir}.`,
    },
  });
};

const load = (): Binding => {
  const addon: { exports: unknown } = { exports: {} };
  // Node exports an OpenSSL of its own. With RTLD_DEEPBIND libpq calls the system's, which it was built for.
  const flags = constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_DEEPBIND;
  try {
    process.dlopen(addon, addonPath, flags);
  } catch (error) {
    throw toLoadError(error);
  }
  const binding = addon.exports as Binding;
  // process.exit() runs no cleanup hook of the addon; native threads must not be left inside libraries that are being unloaded.
  process.on('exit', () => binding.stopAll());
  return binding;
};

let loaded: Binding | undefined;

/**
 * The addon, loaded by the first call on each thread. When the process or worker thread exits, everything opened through it is stopped.
 * Throws `addon_unavailable`, with what was found and what to do.
 */
export const loadBinding = (): Binding => (loaded ??= load());
