import { fileURLToPath } from 'node:url';

/** The program that keeps a session, built beside the addon. */
export const keeperProgramPath = fileURLToPath(new URL('../../build/Release/dbbackup-keeper', import.meta.url));
