/** The environment of this library's threads and processes: that of the application, without the flags it starts Node.js with. */

/**
 * A copy of the environment without NODE_OPTIONS: a preload of the application would otherwise run again, with all its
 * effects and at its cost, in every thread and process of the library.
 */
export const ownEnvironment = (): NodeJS.ProcessEnv =>
  // Windows knows names in any case.
  Object.fromEntries(Object.entries(process.env).filter(([name]) => name.toUpperCase() !== 'NODE_OPTIONS'));
