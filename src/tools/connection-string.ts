import type { ToolConnection } from './tool.js';

/** Options that name another server or session than the one already reached, or a secret: the string says where to connect itself. */
const replacedOptions: ReadonlySet<string> = new Set([
  'host',
  'hostaddr',
  'port',
  'user',
  'dbname',
  'password',
  'sslpassword',
  'service',
  'target_session_attrs',
  'load_balance_hosts',
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'replication',
]);

/** Defaults of options younger than libpq 13: left out, since the tools' libpq may be older than ours and refuses options it does not know. */
const youngDefaults: Readonly<Record<string, string>> = {
  sslsni: '1',
  sslcertmode: 'allow',
  gssdelegation: '0',
  sslnegotiation: 'postgres',
  max_protocol_version: '',
  min_protocol_version: '',
};

/**
 * The keyword string a tool gets as `-d`: the very server and database the session is connected to (of several hosts the one that answered), with the session's other
 * options. Holds no secret, so that it may stand in argv. Source: manual, "Parameter Key Words" of libpq.
 */
export const toConnectionString = ({ info }: ToolConnection): string => {
  const { options } = info;
  const kept = Object.entries(options).filter(
    ([keyword, value]) =>
      value !== '' && !replacedOptions.has(keyword) && youngDefaults[keyword] !== value && !/secret|password|_key$/.test(keyword),
  );
  const parts: readonly (readonly [string, string])[] = [
    ['host', info.host],
    ['hostaddr', hostAddressOf(info)],
    ['port', info.port],
    ['user', info.user],
    ['dbname', info.database],
    // Sessions of a run's tools are found by the run's name, as its own are.
    ['application_name', options['application_name'] || (options['fallback_application_name'] ?? '')],
    ...kept,
  ];
  return parts
    .filter(([, value]) => value !== '')
    .map(([keyword, value]) => `${keyword}=${quote(value)}`)
    .join(' ');
};

/** `hostaddr` may be a list beside the list of hosts; the address of the host that answered is at the same place. */
const hostAddressOf = ({ host, port, options }: ToolConnection['info']): string => {
  const addresses = (options['hostaddr'] ?? '').split(',');
  if (addresses.length === 1) return addresses[0] ?? '';
  const hosts = (options['host'] ?? '').split(',');
  const ports = (options['port'] ?? '').split(',');
  const index = addresses.findIndex(
    (address, at) => (hosts[at] === host || address === host) && (ports.length === 1 || ports[at] === port),
  );
  return index === -1 ? '' : (addresses[index] ?? '');
};

const quote = (value: string): string => `'${value.replace(/[\\']/g, '\\$&')}'`;
