/**
 * Refuses an outdated Node.js before anything else loads: on Node 20 better-sqlite3 13 crashes the process instead of
 * throwing.
 */
const MIN_NODE = [22, 15] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
  throw new Error(`backup-catalog needs Node.js ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}`);
}
