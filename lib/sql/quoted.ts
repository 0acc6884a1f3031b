/** Puts a name for SQL text, or a phrase for a full-text query, into double quotes. */
export const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
