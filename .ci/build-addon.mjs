/** Builds the native addon where npm and system packages are there: `npm run build:native`. */
import { spawnSync } from 'node:child_process';
import { buildAddonArgs, buildEnv, root } from './steps.mjs';

process.exitCode = spawnSync(process.execPath, buildAddonArgs, { cwd: root, env: buildEnv, stdio: 'inherit' }).status ?? 1;
