import { redactSecrets } from '../core/redact.js';
import type { ToolName } from './tool.js';

/** Warnings among what a tool wrote to standard error: its own with their details and hints, and the server's. One an entry, without the tool's name. */
export const findWarnings = (tool: ToolName, stderr: string): readonly string[] => {
  const warnings: string[] = [];
  let isContinued = false;
  for (const line of stderr.split('\n')) {
    const [, kind, text] = new RegExp(`^${tool}: (warning|detail|hint): (.*)$`).exec(line) ?? [];
    const fromServer = /(?:^|: )WARNING: +(.*)$/.exec(line)?.[1];
    if (kind === 'warning' || fromServer !== undefined) {
      warnings.push(redactSecrets(fromServer ?? text ?? ''));
      isContinued = kind === 'warning';
    } else if (isContinued && kind !== undefined) warnings.push(`${warnings.pop() ?? ''} (${redactSecrets(text ?? '')})`);
    else isContinued = false;
  }
  return warnings;
};
