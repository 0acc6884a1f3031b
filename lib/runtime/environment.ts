/** The environment of this library's threads and processes: the application's, without its Node.js flags. */

/**
 * A copy of the environment without NODE_OPTIONS: otherwise a preload of the application would run again in every
 * thread and process of the library.
 */
export const ownEnvironment = (): NodeJS.ProcessEnv =>
  // On Windows names have any case.
  Object.fromEntries(Object.entries(process.env).filter(([name]) => name.toUpperCase() !== 'NODE_OPTIONS'));
