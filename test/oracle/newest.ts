import { findServer, supportedVersions } from '../support/postgres-programs.js';

/** The newest supported version, installed on demand, and why it could not be. */
export const findNewest = (): { readonly version: number; readonly obstacle: string | undefined } => {
  const version = Math.max(...supportedVersions);
  try {
    findServer(version);
    return { version, obstacle: undefined };
  } catch (error) {
    return { version, obstacle: String(error) };
  }
};
