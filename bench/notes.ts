/** Reports progress on stderr: stdout belongs to the report. */
export const note = (text: string): void => void process.stderr.write(`${text}\n`);
